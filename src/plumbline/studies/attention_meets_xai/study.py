"""The study's stages: the multi-head classifier, experiments on it in shards of reviews, what its figures show."""

from ...theory.experiments import EXPERIMENTS
from ...workflow.stage import Row, Stage
from ...workflow.study import Study

_CLASSIFIER = "results/{scale}/models/{dataset}/multihead/seed{seed}"
_THEORY = "theory/{dataset}/seed{seed}"


def runs(config):
    """Return a row for each training seed of the classifier; none where the study is off."""
    block = config["attention_meets_xai"]
    if not block:
        return []
    return [Row({"dataset": block["dataset"], "seed": seed}, block) for seed in block["seeds"]]


def shards(experiment):
    """Return a function of the configuration: a row for each training seed and shard of reviews of an experiment."""

    def rows(config):
        return [
            Row(row.fields | {"shard": shard}, row.run)
            for row in runs(config)
            for shard in range(-(-row.run["reviews"][experiment] // row.run["shard"]))
        ]

    return rows


def experiment_options(config, experiment):
    """Return what the job of a shard of an experiment is told of the study's block.

    Parameters
    ----------
    config : dict
        The whole configuration.
    experiment : str
        An id of EXPERIMENTS.

    Returns
    -------
    dict
        size, reviews, samples, repeats.
    """
    block = config["attention_meets_xai"]
    options = {"size": block["shard"], "reviews": block["reviews"][experiment]}
    return options | {key: block[key] for key in ("samples", "repeats")}


CLASSIFIER = Stage(
    id="classifier",
    paths={
        "classifier": _CLASSIFIER + "/metrics.json",
        "weights": _CLASSIFIER + "/model.safetensors",
        "vocabulary": _CLASSIFIER + "/vocabulary.json",
        "cost": "results/{scale}/benchmarks/models/{dataset}/multihead/seed{seed}/training.json",
    },
    rows=runs,
)
THEORY = tuple(
    Stage(
        id=f"theory_{experiment}",
        paths={
            f"theory_{experiment}": f"results/{{scale}}/{_THEORY}/{experiment}/{{shard}}.parquet",
            "cost": f"results/{{scale}}/benchmarks/{_THEORY}/{experiment}/{{shard}}.json",
        },
        rows=shards(experiment),
    )
    for experiment in EXPERIMENTS
)
SHOWN = Stage(id="shown", paths={"shown": "results/{scale}/" + _THEORY + "/shown.json"}, rows=runs)
STUDY = Study(id="attention_meets_xai", runs=runs, stages=(CLASSIFIER, *THEORY, SHOWN))
