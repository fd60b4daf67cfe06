"""The core's stages: data, text models and what is made of each, image models. A study's own stand in its room.

No torch here: every `snakemake` call imports this module.
"""

from ..config import methods_of, registries
from .stage import Row, Stage, each, models_of
from .study import studies

_DATA = "results/{scale}/data/{dataset}/{split}.parquet"
_MODEL = "{dataset}/{model}/seed{seed}"
_FOLDER = "results/{scale}/models/" + _MODEL
_COSTS = "results/{scale}/benchmarks/"


def splits(config):
    """Make a row for each split of each data set.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    list of Row
    """
    return [
        Row({"dataset": dataset, "split": split}, {})
        for dataset in config["datasets"]
        for split in registries()["datasets"][dataset].splits
    ]


def text_models(config):
    """Make a row for each trained text model.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    list of Row
    """
    return models_of(config["runs"])


def image_models(config):
    """Make a row for each image model of every study of such models.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    list of Row
    """
    return [row for study in studies().values() if study.image_models for row in study.runs(config)]


# A row for each text model and method.
text_methods = each(text_models, "method", methods_of)

DATA = Stage(
    id="data",
    # Figures of texts ask for `data`, those of image models for `images`.
    paths={"data": _DATA, "images": _DATA},
    rows=splits,
)
MODELS = Stage(
    id="models",
    paths={
        # It has digests of the others beside the weights.
        "models": _FOLDER + "/metrics.json",
        "weights": _FOLDER + "/model.safetensors",
        "architecture": _FOLDER + "/config.json",
        "tokenizer": _FOLDER + "/tokenizer.json",
        "tokenizer_config": _FOLDER + "/tokenizer_config.json",
        "models_cost": _COSTS + "models/" + _MODEL + "/training.json",
    },
    rows=text_models,
)
ATTRIBUTIONS = Stage(
    id="attributions",
    paths={
        "attributions": "results/{scale}/attributions/" + _MODEL + "/{method}.parquet",
        "attributions_cost": _COSTS + "attributions/" + _MODEL + "/{method}.json",
    },
    rows=text_methods,
    shards=True,
)
FAITHFULNESS = Stage(
    id="faithfulness",
    paths={
        "faithfulness": "results/{scale}/faithfulness/" + _MODEL + "/{method}.parquet",
        "work": _COSTS + "work/" + _MODEL + "/{method}.json",
        "faithfulness_cost": _COSTS + "faithfulness/" + _MODEL + "/{method}.json",
    },
    rows=text_methods,
    shards=True,
)
AGREEMENT = Stage(
    id="agreement", paths={"agreement": "results/{scale}/agreement/" + _MODEL + ".parquet"}, rows=text_models
)
ISOTROPY = Stage(
    id="isotropy", paths={"isotropy": "results/{scale}/isotropy/" + _MODEL + ".parquet"}, rows=text_models
)
IMAGE_MODELS = Stage(
    id="image_models",
    paths={
        "image_models": _FOLDER + "/metrics.json",
        "weights": _FOLDER + "/model.safetensors",
        "image_architectures": _FOLDER + "/config.json",
        "cost": _COSTS + "models/" + _MODEL + "/training.json",
    },
    rows=image_models,
)
CORE = (DATA, MODELS, ATTRIBUTIONS, FAITHFULNESS, AGREEMENT, ISOTROPY, IMAGE_MODELS)


def all_stages():
    """List the core's stages, then those of every study.

    Returns
    -------
    list of Stage
    """
    return [*CORE, *(stage for study in studies().values() for stage in study.stages)]
