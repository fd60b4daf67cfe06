"""The splits that the jobs of models read.

No torch here: every `snakemake` call imports this module.
"""

from ..config import model_config, registries, scored_split
from ..models.labels import TRAINED
from .stages import DATA, MODELS


def data_of(config, dataset, split):
    """The file of a split."""
    return DATA.files(config, "data", dataset=dataset, split=split)[0]


def training_data(config, dataset, model, seed):
    """The split on which a text model's accuracy is measured, and the training split where it is trained.

    Returns
    -------
    dict
        evaluation, and train where there is one -> file.
    """
    splits = {
        "evaluation": scored_split(config, MODELS.run(config, dataset=dataset, model=model, seed=int(seed)))
    }
    if model_config(config, dataset, model, seed)["training"]:
        splits["train"] = "train"
    return {name: data_of(config, dataset, split) for name, split in splits.items()}


def image_data(config, dataset, model):
    """As `training_data`, of an image model: test where an accuracy can be measured, train where it is trained."""
    splits = ["test"] if labels_fit(config, dataset, model) else []
    if config["image_models"][model]["source"] == "scratch":
        splits.append("train")
    return {split: data_of(config, dataset, split) for split in splits}


def labels_fit(config, dataset, model):
    """Whether a data set's classes are those that the image model knows."""
    classes = registries()["datasets"][dataset].label_names
    block = config["image_models"][model]
    if block["source"] == "mirror":
        return TRAINED[block["released"]][0] == dataset
    return not classes or len(classes) == block["classes"]
