"""The study's stages: causal graphs of image models, and what is made of them. A run can leave out all but the graphs."""

from pathlib import Path

from ...causal import registry
from ...errors import PlumblineError
from ...workflow.stage import Stage, each, kept, models_of
from ...workflow.study import Study

_MODEL = "{dataset}/{model}/seed{seed}"
_CAUSAL = "results/{scale}/causal/" + _MODEL
_COST = "results/{scale}/benchmarks/causal/" + _MODEL


def runs(config):
    """Return a row for each image model of the study; none where it is off."""
    block = config["explainn"]
    return models_of(block["runs"]) if block else []


def _with(key):
    """The runs whose value of a key is neither null nor empty."""
    return kept(runs, lambda run: run[key])


def explanations_of(run):
    """Return the ids of the explanations of a run, in the registry's order: the graph's, its baselines, the controls."""
    optional = set(registry.BASELINES) - set(run["baselines"])
    return [name for name in registry.EXPLANATIONS if name not in optional]


def check_files(config):
    """Check that no graph is missing which a run does not learn.

    Parameters
    ----------
    config : dict
        The whole configuration.

    Raises
    ------
    PlumblineError
        Where a run with `learn: false` lacks a graph.
    """
    for row in GRAPHS.rows(config):
        file = GRAPHS.path(config, "causal_graphs", row)
        if not row.run["learn"] and not Path(file).is_file():
            raise PlumblineError(
                f"explainn: {file} is not there, and `learn: false` of dataset '{row.run['dataset']}', model "
                f"'{row.run['model']}' forbids to make it: put the file there or set `learn: true`"
            )


GRAPHS = Stage(
    id="causal_graphs",
    paths={
        "causal_graphs": _CAUSAL + "/class{class}/graph.json",
        "graphml": _CAUSAL + "/class{class}/graph.graphml",
        "cost": _COST + "/class{class}.json",
    },
    rows=each(runs, "class", lambda run: run["classes"]),
)
STABILITY = Stage(
    id="stability",
    paths={"stability": _CAUSAL + "/stability.parquet", "cost": _COST + "/stability.json"},
    rows=_with("stability"),
)
PRUNING = Stage(
    id="pruning",
    paths={"pruning": _CAUSAL + "/pruning.parquet", "cost": _COST + "/pruning.json"},
    rows=_with("pruning"),
)
EXPLANATIONS = Stage(
    id="explanations",
    paths={
        "explanations": "results/{scale}/attributions/" + _MODEL + "/explanations.parquet",
        "nodes": "results/{scale}/attributions/" + _MODEL + "/nodes.parquet",
        "cost": _COST + "/explanations.json",
    },
    rows=_with("attributions"),
)
EXPLANATION_METRICS = Stage(
    id="explanation_metrics",
    paths={
        "explanation_metrics": "results/{scale}/faithfulness/" + _MODEL + "/explanations.parquet",
        "cost": _COST + "/explanation_metrics.json",
    },
    rows=_with("metrics"),
)
STUDY = Study(
    id="explainn",
    runs=runs,
    stages=(GRAPHS, STABILITY, PRUNING, EXPLANATIONS, EXPLANATION_METRICS),
    image_models=True,
    complete=True,
    check_files=check_files,
)
