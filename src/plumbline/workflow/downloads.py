"""What jobs download: raw files of data sets, checkpoints of the hub, and all of it together for a mirror.

No torch here: every `snakemake` call imports this module.
"""

import os
import re

from ..config import dataset_config, model_config, registries
from ..datasets import raw_files
from .stages import DATA, all_stages, text_models
from .study import studies


def dataset_items(config, dataset):
    """List what a data set downloads.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.
    dataset : str
        Id of the data set.

    Returns
    -------
    dict of str to dict
        File name -> what `plumbline.datasets.sources.fetch` takes. Empty for data that is not downloaded.
    """
    return {item["name"]: item for item in raw_files(dataset, dataset_config(config, dataset))}


def dataset_downloads(config, dataset):
    """List the raw files of a data set from the hub or a url.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.
    dataset : str
        Id of the data set.

    Returns
    -------
    list of str
        Paths. Empty for another source.
    """
    folder = f"results/{config['scale']}/downloads/datasets/{dataset}"
    return [f"{folder}/{name}" for name in dataset_items(config, dataset)]


def hub_folder(repo, revision):
    """Name a hub checkpoint's folder among the downloads: owner--name, @revision where one is pinned.

    Parameters
    ----------
    repo : str
        owner/name.
    revision : str or None
        The commit.

    Returns
    -------
    str
    """
    return "@".join(part.replace("/", "--") for part in (repo, revision) if part)


def hub_checkpoints(config):
    """List every hub checkpoint that a text model starts from.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    dict of str to tuple
        Folder -> (repo, revision).
    """
    blocks = [model_config(config, **row.fields) for row in text_models(config)]
    return {
        hub_folder(block["repo"], block["revision"]): (block["repo"], block["revision"])
        for block in blocks
        if block["source"] == "hub"
    }


def model_downloads(config, dataset, model, seed):
    """List the files of the hub checkpoint that a text model starts from.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.
    dataset, model : str
        Ids.
    seed : int
        The training seed.

    Returns
    -------
    list of str
        Paths. Empty for another source.
    """
    block = model_config(config, dataset, model, seed)
    if block["source"] != "hub":
        return []
    folder = f"results/{config['scale']}/downloads/models/{hub_folder(block['repo'], block['revision'])}"
    return [f"{folder}/{name}" for name in ("model.safetensors", "config.json", "files.json")]


def image_checkpoints(config):
    """List the checkpoints of the image models that come from the hub.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    dict of tuple to dict
        (folder, file) -> what `plumbline.datasets.sources.fetch` takes.
    """
    blocks = [block for block in config["image_models"].values() if block["source"] == "hub"]
    return {
        (hub_folder(block["repo"], block["revision"]), block["file"]): {
            "kind": "hub",
            "repo": block["repo"],
            "repo_type": "model",
            "revision": block["revision"],
            "filename": block["file"],
            "sha256": None,
        }
        for block in blocks
    }


def image_model_downloads(config, model):
    """List the file of the hub checkpoint that an image model is.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.
    model : str
        Id of the image model.

    Returns
    -------
    list of str
        One path. Empty for another source.
    """
    block = config["image_models"][model]
    if block["source"] != "hub":
        return []
    folder = hub_folder(block["repo"], block["revision"])
    return [f"results/{config['scale']}/downloads/models/{folder}/{block['file']}"]


def mirror_folder():
    """Look up the folder that `snakemake mirror` fills: PLUMBLINE_MIRROR of the environment, else mirror.

    Returns
    -------
    str
    """
    return os.environ.get("PLUMBLINE_MIRROR", "mirror").rstrip("/")


def mirror_manifest():
    """Name the file that `snakemake mirror` makes.

    Braces in the folder's name are wildcards to Snakemake. Of such a folder it is a name that nobody asks for.

    Returns
    -------
    str
        A path.
    """
    return f"{re.sub('[{}]', '_', mirror_folder())}/manifest.json"


def mirror_items(config):
    """List every file that a configuration downloads.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.

    Returns
    -------
    list of dict
        What `plumbline.datasets.sources.fetch` takes, with its licence.
    """
    items = []
    for dataset in _datasets_read(config):
        licence = registries()["datasets"][dataset].licence
        items += [item | {"licence": licence} for item in dataset_items(config, dataset).values()]
    items += [item | {"licence": None} for item in image_checkpoints(config).values()]
    return items + [item for study in studies().values() for item in study.downloads(config)]


def _datasets_read(config):
    """The ids of the data sets that some job reads, in the order of the configuration."""
    rows = [row for stage in all_stages() if stage is not DATA for row in stage.rows(config)]
    names = {row.fields.get("dataset") for row in rows}
    return [name for name in config["datasets"] if name in names]
