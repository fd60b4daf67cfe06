"""The study's stages: contribution matrices, and what compares several trained models. Its runs are those of text models."""

from ...config import methods_of, readouts_of
from ...datasets import multiberts
from ...workflow.stage import Row, Stage
from ...workflow.stages import ATTRIBUTIONS, text_models
from ...workflow.study import Study

# Architectures whose checkpoints share a vocabulary, so that both models of a pair read the same tokens.
SAME_VOCABULARY = (("bert", "distilbert"),)


def seeds_compared(config):
    """Return a row for each model with several training seeds, all of which are compared; see `_comparison`."""
    return [
        Row(
            {"dataset": dataset, "model": model},
            _comparison(config, [(None, {f"seed{seed}": seeds[seed] for seed in sorted(seeds)})]),
        )
        for (dataset, model), seeds in _by_model(config).items()
        if len(seeds) > 1
    ]


def models_compared(config):
    """Return a row for every two models of SAME_VOCABULARY on one data set, compared seed by seed; see `_comparison`."""
    found, models = [], _by_model(config)
    for (dataset, model), seeds in models.items():
        for (place, other), others in models.items():
            kinds = tuple(config["models"][name]["architecture"] for name in (model, other))
            shared = sorted(set(seeds) & set(others))
            if place == dataset and kinds in SAME_VOCABULARY and shared:
                groups = [(seed, {model: seeds[seed], other: others[seed]}) for seed in shared]
                fields = {"dataset": dataset, "model": model, "other": other}
                found.append(Row(fields, _comparison(config, groups)))
    return found


def _by_model(config):
    """(dataset, model) -> seed -> row of the text model."""
    found = {}
    for row in text_models(config):
        dataset, model, seed = row.fields.values()
        found.setdefault((dataset, model), {})[seed] = row
    return found


def _comparison(config, groups):
    """What a job compares.

    Parameters
    ----------
    config : dict
        The configuration.
    groups : list of (seed, dict)
        The seed, or None, and name -> row of each model of the group.

    Returns
    -------
    dict
        groups, [{seed, names}]: the models of a group are compared with each other. readouts, method -> readouts that
        all models have. models, the fields of each model, in the order of groups. attributions, their files, in the same
        order, of each method.
    """
    rows = [row for _, members in groups for row in members.values()]
    readouts = _shared_readouts([row.run for row in rows])
    files = [
        file
        for row in rows
        for method in readouts
        for file in ATTRIBUTIONS.files(config, "attributions", **row.fields, method=method)
    ]
    return {
        "groups": [{"seed": seed, "names": list(members)} for seed, members in groups],
        "readouts": readouts,
        "models": [row.fields for row in rows],
        "attributions": files,
    }


def _shared_readouts(runs):
    """Method -> the readouts that all runs have; methods without any are left out."""
    found = {}
    for method in methods_of(runs[0]):
        if all(method in methods_of(run) for run in runs):
            names = [set(readouts_of(run, method)) for run in runs]
            found[method] = [
                name for name in readouts_of(runs[0], method) if name in set.intersection(*names)
            ]
    return {method: names for method, names in found.items() if names}


def released(config):
    """Return one row where released seeds are read."""
    return [Row({}, {})] if config["released_seeds"] else []


def released_inputs(config, matrices):
    """Return what released seeds are read from, as far as it is downloaded or lies in the checkout.

    Parameters
    ----------
    config : dict
        The whole configuration.
    matrices : path
        Where the checkout has the published matrices.

    Returns
    -------
    dict
        Name of an input -> path or paths.
    """
    if config["released_seeds"] == "url":
        folder = f"results/{config['scale']}/downloads/released/multiberts_sst2"
        return {"downloads": [f"{folder}/{name}" for name in multiberts.downloads()]}
    return {"matrices": matrices} if config["released_seeds"] == "matrices" else {}


def downloads(config):
    """Return the files of the released seeds, where they are downloaded."""
    if config["released_seeds"] != "url":
        return []
    return [item | {"licence": multiberts.LICENCE} for item in multiberts.downloads().values()]


CONTRIBUTIONS = Stage(
    id="contributions",
    paths={"contributions": "results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet"},
    rows=text_models,
)
SEED_CONSISTENCY = Stage(
    id="seed_consistency",
    paths={"seed_consistency": "results/{scale}/consistency/{dataset}/{model}.parquet"},
    rows=seeds_compared,
    compares=True,
)
MODEL_CONSISTENCY = Stage(
    id="model_consistency",
    paths={"model_consistency": "results/{scale}/consistency/{dataset}/{model}-{other}.parquet"},
    rows=models_compared,
    compares=True,
)
RELEASED = Stage(
    id="released", paths={"released": "results/{scale}/released/multiberts_sst2.parquet"}, rows=released
)
STUDY = Study(
    id="alti",
    runs=text_models,
    stages=(CONTRIBUTIONS, SEED_CONSISTENCY, MODEL_CONSISTENCY, RELEASED),
    downloads=downloads,
)
