"""The study's stage. Its runs are those of text models that have the method `selective`."""

from ...workflow.stage import Stage
from ...workflow.stages import text_models
from ...workflow.study import Study


def runs(config):
    """Return a row for each text model with the method `selective`; none where the study is off."""
    if not config["selective_rollout"]:
        return []
    return [row for row in text_models(config) if "selective" in row.run["methods"]]


def compared(config):
    """Return the methods that the study compares with its own; None: all of a run."""
    return config["selective_rollout"]["compared"]


ROLLOUTS = Stage(
    id="rollouts",
    paths={"rollouts": "results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet"},
    rows=runs,
)
STUDY = Study(id="selective_rollout", runs=runs, compared=compared, stages=(ROLLOUTS,))
