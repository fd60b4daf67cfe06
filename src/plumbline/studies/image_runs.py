"""What studies of image models ask of their runs."""

from ..config_types import check_known
from ..datasets import DATASETS
from ..errors import PlumblineError


def check_image_runs(config, study, architectures):
    """The runs of a study of image models: what each names exists and fits the others, and none stands twice.

    Parameters
    ----------
    study : str
        The study's key, whose block has `runs`.
    architectures : tuple of str
        Those that the study can explain.
    """
    seen = set()
    for index, run in enumerate(config[study]["runs"]):
        place = f"{study}.runs[{index}]"
        check_known(place, "dataset", run["dataset"], config["datasets"])
        check_known(place, "image model", run["model"], config["image_models"])
        entry, block = DATASETS[run["dataset"]], config["image_models"][run["model"]]
        if entry.task != "images":
            raise PlumblineError(f"{place}: dataset '{entry.id}' has no images: choose another dataset")
        if block["architecture"] not in architectures:
            legal = " or ".join(architectures)
            raise PlumblineError(
                f"{place}: model '{run['model']}' is a {block['architecture']}: the study needs architecture {legal}"
            )
        if block["source"] == "scratch" and "train" not in entry.splits:
            raise PlumblineError(f"{place}: dataset '{entry.id}' has no split to train '{run['model']}' on")
        for seed in run["seeds"]:
            key = (run["dataset"], run["model"], seed)
            if key in seen:
                raise PlumblineError(
                    f"{place}: dataset '{key[0]}', model '{key[1]}', seed {seed} are listed twice: keep one"
                )
            seen.add(key)
