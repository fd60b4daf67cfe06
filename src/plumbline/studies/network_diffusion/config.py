"""The study's keys of the configuration, and what they must agree with."""

from typing import Literal

from ...attribution.image_maps import BLOCK
from ...config_types import Block, Positive, Seeds, StudyKeys, Whole, each_once, number
from ...errors import PlumblineError
from ..image_runs import check_image_runs


class DiffusionRun(Block):
    dataset: str
    """Id of one of `datasets`, of images."""
    model: str
    """Id of one of `image_models`, of architecture vim or vit."""
    seeds: Seeds = [0]
    """Training seeds."""
    images: Positive = 100
    """Images that are explained, the split's first."""
    perturbed: Whole = 100
    """Of these, those that are perturbed and measured, the first ones; 0 for a gallery alone."""
    gallery: Positive = 6
    """Of these, those that are shown, the first ones."""
    start_layer: Whole | None = None
    """The layer at which rollouts start; where null, of a vim 15 of 24 as published, in proportion to its depth, of a vit 0."""
    shards: Positive = 1
    """Jobs that maps are split into, and their perturbation too, by whole blocks of 8 images; changes no byte of a result."""
    protocols: each_once(Literal["patches", "chefer"], min_length=1) = ["patches", "chefer"]
    """How images are perturbed: patches, ours, with `fills`; chefer, pixels of the enlarged map set to 0 before normalisation, as the public evaluation code behind such tables does (docs/studies/network_diffusion.md)."""
    fills: each_once(Literal["mean", "black"], min_length=1) = ["mean", "black"]
    """What patches are replaced by in protocol patches: mean of the training images, or black."""
    ink: bool = False
    """Whether bright pixels are what is to be seen, so that maps can be compared with them (digits on black)."""


class NetworkDiffusion(Block):
    alpha: number(gt=0, lt=1) = 0.9
    """Strength of the diffusion."""
    runs: list[DiffusionRun] = []
    """What is computed, a (dataset, model, seed) at most once; the test split is explained."""


class Keys(StudyKeys):
    network_diffusion: NetworkDiffusion | None = None
    """The study of Vision Mamba and network diffusion (docs/studies/network_diffusion.md); null leaves it out."""

    @staticmethod
    def check(config):
        """Runs of models with tokens, each within its number of images."""
        if not config["network_diffusion"]:
            return
        check_image_runs(config, "network_diffusion", ("vim", "vit"))
        for index, run in enumerate(config["network_diffusion"]["runs"]):
            place = f"network_diffusion.runs[{index}]"
            if run["perturbed"] > run["images"] or run["gallery"] > run["images"]:
                raise PlumblineError(
                    f"{place}: `perturbed` and `gallery` are among `images` ({run['images']})"
                )
            blocks = -(-(run["perturbed"] or run["images"]) // BLOCK)
            if run["shards"] > blocks:
                raise PlumblineError(
                    f"{place}: {run['shards']} shards of {blocks} blocks of {BLOCK} images: set `shards` to {blocks} or less"
                )
