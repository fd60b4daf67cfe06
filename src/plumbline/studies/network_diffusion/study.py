"""The study's stages: maps of image models, and their faithfulness where images are perturbed."""

from ...workflow.stage import Stage, kept, models_of
from ...workflow.study import Study

_MODEL = "{dataset}/{model}/seed{seed}"


def runs(config):
    """Return a row for each image model of the study; none where it is off."""
    block = config["network_diffusion"]
    return models_of(block["runs"]) if block else []


def map_options(config, run):
    """Return what the maps of an image model are told of its run."""
    options = {key: run[key] for key in ("images", "gallery", "start_layer")}
    return options | {"alpha": config["network_diffusion"]["alpha"]}


def patch_options(run):
    """Return what the perturbation curves of an image model are told of its run."""
    return {"images": run["perturbed"]} | {key: run[key] for key in ("protocols", "fills", "ink")}


MAPS = Stage(
    id="maps",
    paths={
        "maps": "results/{scale}/attributions/" + _MODEL + "/maps.parquet",
        "spectra": "results/{scale}/attributions/" + _MODEL + "/spectra.parquet",
        "cost": "results/{scale}/benchmarks/attributions/" + _MODEL + "/maps.json",
    },
    rows=runs,
    shards=True,
)
PATCH_FAITHFULNESS = Stage(
    id="patch_faithfulness",
    paths={
        "patch_faithfulness": "results/{scale}/faithfulness/" + _MODEL + "/maps.parquet",
        "cost": "results/{scale}/benchmarks/faithfulness/" + _MODEL + "/maps.json",
    },
    rows=kept(runs, lambda run: run["perturbed"]),
    shards=True,
)
STUDY = Study(id="network_diffusion", runs=runs, stages=(MAPS, PATCH_FAITHFULNESS), image_models=True)
