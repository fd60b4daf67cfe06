"""Image classifiers: made from their configuration, trained or taken from a checkpoint, and read back.

A model's folder holds model.safetensors, config.json ({architecture, network, mean, std, resize, interpolation, labels:
names of the classes, empty where they have none}) and metrics.json.
"""

import argparse
import math
import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from .. import __release__
from ..artefacts import atomic, load_weights, read_json, read_rows, write_json
from ..datasets import DATASETS
from ..datasets.images import arrays, fitted, stream_images
from ..errors import PlumblineError
from ..seeds import seed_of
from ..stats import wilson_interval
from .labels import TRAINED
from .lenet import LeNet
from .published import reach_published
from .resnet import ResNet
from .runtime import prepare
from .training_loop import curve, steps
from .vim import VisionMamba
from .vit import RELEASED, VisionTransformer, released_weights

ARCHITECTURES = {"vim": VisionMamba, "vit": VisionTransformer, "lenet": LeNet, "resnet": ResNet}
# What the classes take of a model's block beyond image_size, channels and classes.
SIZES = {"vim": ("patch_size", "depth", "embed_dim", "d_state")}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
BATCH = 64  # images of a forward pass; changes no result beyond rounding


def build(facts):
    """Build the model of a config.json's facts, with fresh weights.

    Parameters
    ----------
    facts : mapping
        config.json: architecture and network.

    Returns
    -------
    torch.nn.Module
    """
    return ARCHITECTURES[facts["architecture"]](**facts["network"])


def load(folder, device="cpu"):
    """Load the model of a folder that the image_model stage wrote.

    Parameters
    ----------
    folder : path
        The folder.
    device : str or torch.device
        Where the model is put.

    Returns
    -------
    model : torch.nn.Module
        In evaluation mode, frozen.
    facts : dict
        Its config.json.
    """
    facts = read_json(Path(folder) / "config.json")
    model = build(facts).requires_grad_(False).eval()
    load_weights(model, f"{folder}/model.safetensors")
    return model.to(device), facts


def prepared(images, facts):
    """Prepare images as the model reads them.

    With `resize`, the shorter side becomes so long and the middle is cut out, as torchvision does it, on 8-bit pixels
    (`plumbline.datasets.images.fitted`). Without, square images are scaled to image_size, bilinear, in float32. Then pixels are
    in [0, 1], less `mean`, over `std`.

    Parameters
    ----------
    images : numpy.ndarray, uint8, shape (rows, height, width, channels)
        Or a list of (height, width, channels) where they differ in size.
    facts : mapping
        config.json of the model.

    Returns
    -------
    torch.Tensor, float32, shape (rows, channels, image_size, image_size)

    Raises
    ------
    PlumblineError
        Where channels differ, or an image is not square and nothing says how it is to be cut.
    """
    size, channels = facts["network"]["image_size"], len(facts["mean"])
    for image in images:
        if image.shape[-1] != channels:
            raise PlumblineError(f"the images have {image.shape[-1]} channels, the model reads {channels}")
    if facts.get("resize"):
        images = [fitted(image, size, facts["resize"], facts["interpolation"]) for image in images]
    shapes = {image.shape[:2] for image in images}
    if len(shapes) > 1 or any(height != width for height, width in shapes):
        height, width = next(shape for shape in shapes if shape[0] != shape[1] or len(shapes) > 1)
        raise PlumblineError(
            f"an image of {width} x {height} pixels has to be cut to a square: set the image model's `resize`"
        )
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    if pixels.shape[2:] != (size, size):
        pixels = torch.nn.functional.interpolate(
            pixels, size=(size, size), mode="bilinear", antialias=pixels.shape[-1] > size
        )
    mean, std = (torch.tensor(facts[name])[:, None, None] for name in ("mean", "std"))
    return (pixels - mean) / std


def train_job(
    *, dataset, model, seed, block, labels, files, outputs, checkpoint=None, device="cpu", threads=1
):
    """Make one model folder: weights, architecture (config.json), metrics.

    Parameters
    ----------
    dataset, model : str
        Ids. They are part of the seeds.
    seed : int
        The training seed.
    block : mapping
        The model's part of the configuration (`ImageModel` in workflow/config.py).
    labels : bool
        Whether the data's classes are the model's, so that an accuracy can be measured. A checkpoint whose accuracy is
        published has to reach it (`plumbline.models.published.reach_published`).
    files : mapping of str to path
        test, and where the model is trained train -> Parquet file.
    outputs : mapping of str to path
        weights, architecture, metrics -> the file to write.
    checkpoint : path, optional
        File of source 'hub' or 'mirror'.
    device, threads
        See `plumbline.models.runtime.prepare`.

    Raises
    ------
    PlumblineError
        For a checkpoint that does not fit, or a loss that is not finite.
    """
    from safetensors.torch import save_file

    device = prepare(device, threads)
    torch.manual_seed(seed_of("initial weights", dataset, model, seed))
    training = block["training"] if block["source"] == "scratch" else None
    preparation = {"resize": block.get("resize"), "interpolation": block.get("interpolation", "bilinear")}
    loss_curve, count = [], 0
    if training:
        images, classes = arrays(read_rows(files["train"]))
        facts = {
            "architecture": block["architecture"],
            "network": network_of(block),
            **_scaling(block["architecture"], images),
            **preparation,
        }
        network, count = build(facts).to(device), len(images)
        draw = np.random.default_rng(seed_of("training", dataset, model, seed))
        loss_curve = fit(network, images, torch.from_numpy(classes), facts, training, draw)
    else:
        network, facts = taken(block, checkpoint)
        facts |= preparation
        network.to(device)
    facts.setdefault("labels", list(DATASETS[dataset].label_names))
    correct, total = 0, 0
    for images, classes in stream_images(files["test"], BATCH) if labels else ():
        correct += correct_of(network, images, classes, facts)
        total += len(images)
    lower, upper = wilson_interval(correct, total) if labels else (None, None)
    published = published_accuracy(block)
    reach_published(correct, total, published, f"{model} on {dataset}")
    with atomic(outputs["weights"]) as temporary:
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, temporary, metadata={"format": "pt"})
    write_json(outputs["architecture"], facts)
    write_json(
        outputs["metrics"],
        {
            "dataset": dataset,
            "model": model,
            "architecture": facts["architecture"],
            "seed": seed,
            "task": "images",
            "source": block["source"],
            "repo": block["repo"],
            "split": "test",
            "examples": total,
            "accuracy": correct / total if labels else None,
            "accuracy_lower": lower,
            "accuracy_upper": upper,
            "published_accuracy": published,
            "loss_curve": loss_curve,
            "train_examples": count,
            "epochs": training["epochs"] if training else 0,
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "versions": {"plumbline": __release__, "torch": torch.__version__},
        },
    )


def network_of(block):
    """Select the sizes in a model's block, as the architecture's class takes them.

    Parameters
    ----------
    block : mapping
        The model's part of the configuration.

    Returns
    -------
    dict
    """
    names = ("image_size", "channels", "classes", *SIZES.get(block["architecture"], ()))
    return {name: block[name] for name in names}


def published_accuracy(block):
    """Look up the accuracy that is published of the checkpoint in a model's block.

    Parameters
    ----------
    block : mapping
        The model's part of the configuration.

    Returns
    -------
    float or None
        A share. None where none is known.
    """
    if block["source"] == "mirror":
        return RELEASED[block["released"]]["accuracy"]
    return block.get("published_accuracy") if block["source"] == "hub" else None


def _scaling(architecture, images):
    """Mean and standard deviation by which pixels in [0, 1] are scaled, a channel each: the architecture's own, or those
    of the training images, uint8, four digits."""
    own = getattr(ARCHITECTURES[architecture], "scaling", None)
    if own:
        return own(images.shape[-1])
    scaled = images.reshape(-1, images.shape[-1]).astype(np.float64) / 255
    return {"mean": scaled.mean(0).round(4).tolist(), "std": scaled.std(0).round(4).tolist()}


def taken(block, checkpoint):
    """Build the model of a released checkpoint: of the hub a Vision Mamba, of the mirror a Vision Transformer.

    Parameters
    ----------
    block : mapping
        The model's part of the configuration.
    checkpoint : path
        The file.

    Returns
    -------
    model : torch.nn.Module
        With the checkpoint's weights.
    facts : dict
        What config.json holds of it.

    Raises
    ------
    PlumblineError
        For a checkpoint that does not fit the model's sizes, and as `published_weights` and `vit.released_weights` do.
    """
    if block["source"] == "mirror":
        entry = RELEASED[block["released"]]
        facts = {"architecture": "vit", **{name: entry[name] for name in ("network", "mean", "std")}}
        facts["labels"] = list(TRAINED[block["released"]][1])
        weights = released_weights(block["released"], checkpoint)
    else:
        facts = {"architecture": block["architecture"], "network": network_of(block), **IMAGENET}
        weights = published_weights(checkpoint)
    network = build(facts)
    try:
        network.load_state_dict(weights)
    except RuntimeError as fault:
        reason = " ".join(str(fault).split())[:300]
        raise PlumblineError(f"{checkpoint} does not fit the model's sizes ({reason})") from None
    return network, facts


def published_weights(path):
    """Read the state dict of a published Vim checkpoint, a pickle whose `model` it is.

    It is read with torch.load(weights_only=True), which builds tensors and runs no code. argparse.Namespace, which holds the
    training's options, is allowed.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of str to torch.Tensor

    Raises
    ------
    PlumblineError
        Where the file holds anything else or no `model`.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as fault:
        reason = (str(fault) or type(fault).__name__).splitlines()[0]
        raise PlumblineError(
            f"{path} is not read: it holds more than tensors, or is damaged ({reason})"
        ) from None
    if not isinstance(content, dict) or "model" not in content:
        raise PlumblineError(f"{path} has no 'model': it is no checkpoint of Vim")
    weights = content["model"]
    if not isinstance(weights, dict) or not all(torch.is_tensor(tensor) for tensor in weights.values()):
        raise PlumblineError(f"'model' in {path} does not hold weights by name: it is no checkpoint of Vim")
    return weights


def fit(network, images, labels, facts, training, draw):
    """Train in place, with one cycle of the learning rate (`cycle`).

    Parameters
    ----------
    network : torch.nn.Module
        The model.
    images : numpy.ndarray, uint8, shape (rows, height, width, channels)
        See `prepared`.
    labels : torch.Tensor, int64, shape (rows,)
        Classes.
    facts : mapping
        config.json of the model.
    training : mapping
        epochs, batch_size, warmup, and what `training_loop.steps` takes.
    draw : numpy.random.Generator
        Of the order of the images.

    Returns
    -------
    list of dict
        The loss curve (`training_loop.curve`).
    """
    device = next(network.parameters()).device
    size = min(training["batch_size"], len(images))
    # The last, smaller batch of an epoch is left out.
    per_epoch = len(images) // size
    count = max(1, round(training["epochs"] * per_epoch))

    def batches():
        while True:
            order = draw.permutation(len(images))
            yield from (order[start : start + size] for start in range(0, per_epoch * size, size))

    def losses(chosen):
        batch = prepared(images[chosen], facts).to(device)
        yield torch.nn.functional.cross_entropy(network(batch), labels[chosen].to(device))

    def schedule(optimiser):
        return torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: cycle((step + 1) / (count + 1), training["warmup"])
        )

    return curve(
        list(steps(network, islice(batches(), count), losses, training, schedule=schedule, clip=1.0))
    )


def cycle(progress, warmup):
    """Compute the learning rate's share of its peak: up in a line, then down as half a cosine.

    Parameters
    ----------
    progress : float
        In (0, 1).
    warmup : float
        The progress at the peak.

    Returns
    -------
    float
    """
    if progress < warmup:
        return progress / warmup
    return (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


@torch.no_grad()
def correct_of(network, images, labels, facts):
    """Count the images that are classified rightly.

    Parameters
    ----------
    network : torch.nn.Module
        The model.
    images : numpy.ndarray, uint8, shape (rows, height, width, channels)
        See `prepared`.
    labels : numpy.ndarray, int64, shape (rows,)
        Classes.
    facts : mapping
        config.json of the model.

    Returns
    -------
    int
    """
    device = next(network.parameters()).device
    network.eval()
    found = 0
    for start in range(0, len(images), BATCH):
        logits = network(prepared(images[start : start + BATCH], facts).to(device)).cpu()
        found += int((logits.argmax(1).numpy() == labels[start : start + BATCH]).sum())
    return found
