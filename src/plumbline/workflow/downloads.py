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
    """File name -> what `plumbline.datasets.sources.fetch` takes; empty for data that is not downloaded."""
    return {item["name"]: item for item in raw_files(dataset, dataset_config(config, dataset))}


def dataset_downloads(config, dataset):
    """The raw files of a data set from the hub or a url; none for another source."""
    folder = f"results/{config['scale']}/downloads/datasets/{dataset}"
    return [f"{folder}/{name}" for name in dataset_items(config, dataset)]


def hub_folder(repo, revision):
    """A hub checkpoint's folder among the downloads: owner--name, @revision where one is pinned."""
    return "@".join(part.replace("/", "--") for part in (repo, revision) if part)


def hub_checkpoints(config):
    """Folder -> (repo, revision) of every hub checkpoint that a text model starts from."""
    blocks = [model_config(config, **row.fields) for row in text_models(config)]
    return {
        hub_folder(block["repo"], block["revision"]): (block["repo"], block["revision"])
        for block in blocks
        if block["source"] == "hub"
    }


def model_downloads(config, dataset, model, seed):
    """The files of the hub checkpoint that a text model starts from; none for another source."""
    block = model_config(config, dataset, model, seed)
    if block["source"] != "hub":
        return []
    folder = f"results/{config['scale']}/downloads/models/{hub_folder(block['repo'], block['revision'])}"
    return [f"{folder}/{name}" for name in ("model.safetensors", "config.json", "files.json")]


def image_checkpoints(config):
    """(folder, file) -> what `plumbline.datasets.sources.fetch` takes, of the image models that come from the hub."""
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
    """The file of the hub checkpoint that an image model is; none for another source."""
    block = config["image_models"][model]
    if block["source"] != "hub":
        return []
    folder = hub_folder(block["repo"], block["revision"])
    return [f"results/{config['scale']}/downloads/models/{folder}/{block['file']}"]


def mirror_folder():
    """The folder that `snakemake mirror` fills."""
    return os.environ.get("PLUMBLINE_MIRROR", "mirror").rstrip("/")


def mirror_manifest():
    """What `snakemake mirror` makes; of a folder with braces, which are wildcards to Snakemake, a name that nobody asks for."""
    return f"{re.sub('[{}]', '_', mirror_folder())}/manifest.json"


def mirror_items(config):
    """What `plumbline.datasets.sources.fetch` takes, with its licence, of every file that a configuration downloads."""
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
