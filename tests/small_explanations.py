"""A small study of explanations of images: its writers, a residual network, a chain of three layers, subjects of metrics."""

import hashlib
import warnings

import numpy as np
import torch
from torch import nn

from plumbline.artefacts import write_rows
from plumbline.causal import metrics as definitions
from plumbline.causal.evaluation import write_metrics
from plumbline.causal.explanations import explain, write_explanations
from plumbline.causal.graph import read_graph
from plumbline.causal.learn import learn_graph, ready, right_images, write_graphs
from plumbline.causal.metrics import Subjects
from plumbline.causal.registry import EXPLANATIONS, METRICS
from plumbline.datasets import load
from plumbline.models.image_models import train_job
from plumbline.models.resnet import ResNet
from plumbline.seeds import seed_of

CLASSES = (0, 3, 6)


def write_maps(explained_lenet, folder, **changes):
    """Paths of the explanations and nodes that the writer made."""
    outputs = {"output": folder / "explanations.parquet", "nodes": folder / "nodes.parquet"}
    options = {
        **explained_lenet,
        **outputs,
        "dataset": "digits_half",
        "name": "lenet/seed0",
        "methods": list(EXPLANATIONS),
        "layer": None,
        "images": 2,
        "gallery": 1,
        **changes,
    }
    write_explanations(**options)
    return options["output"], options["nodes"]


def write_values(explained_lenet, folder, explanations, **changes):
    options = {
        **explained_lenet,
        "dataset": "digits_half",
        "name": "lenet/seed0",
        "explanations": explanations,
        "output": folder / "metrics.parquet",
        "layer": None,
        "methods": list(EXPLANATIONS),
        "metrics": list(METRICS),
        **changes,
    }
    write_metrics(**options)
    return options["output"]


def state_of(model):
    found = hashlib.sha256(str(model.training).encode())
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    hooks = sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
        for module in model.modules()
    )
    return found.hexdigest(), hooks, [weight.requires_grad for weight in model.parameters()]


def residual():
    """(model, images, classes, {class: graph}) of a small residual network with norms that do something."""
    torch.manual_seed(6)
    model, images = ResNet(channels=3, classes=4), torch.rand(24, 3, 12, 12)
    model.train()(images)
    model.eval().requires_grad_(False)
    with torch.no_grad():
        model.fc.bias -= model(images).mean(0)
    labels = model(images).argmax(1)
    target = int(labels.bincount().argmax())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = learn_graph(model, images, labels, target, test="paired", soft=False, cap=6)
    assert not graph.truncated
    own = labels == target
    return model, images[own][:3], labels[own][:3], {target: graph}


def tiny(bias=True):
    """(network of a convolution of two channels and two linear layers, images (2, 1, 6, 6), classes)."""
    torch.manual_seed(3)
    model = nn.Sequential()
    for name, module in (
        ("conv", nn.Conv2d(1, 2, 3, bias=bias)),
        ("relu", nn.ReLU()),
        ("flatten", nn.Flatten()),
        ("first", nn.Linear(32, 5, bias=bias)),
        ("relu2", nn.ReLU()),
        ("last", nn.Linear(5, 3, bias=bias)),
    ):
        model.add_module(name, module)
    return model.requires_grad_(False), torch.randn(2, 1, 6, 6), torch.tensor([2, 0])


def shown(method, *, bias=True, **options):
    model, images, targets = tiny(bias)
    found = explain(method, model, images, targets, layer="conv", **options).double().numpy()
    return model.double(), images.double(), targets, found


def subjects_of(explained_digits, rows=slice(2, 5)):
    """(Subjects of a few images, maps of four methods, again)."""
    model, images, labels, graphs = explained_digits
    images, labels = images[rows], labels[rows]
    keys = tuple(("digits_half", "lenet/seed0", number) for number in range(len(images)))
    subjects = Subjects(
        model=model,
        images=images.numpy(),
        targets=labels.numpy(),
        keys=keys,
        model_key=("digits_half", "lenet/seed0"),
        black=np.array([0.1], dtype=np.float32),
        segments=definitions.segments_of(images.numpy()),
    )
    maps, again = explained(subjects, graphs, ("causal", "saliency", "input_x_gradient", "random"))
    return subjects, maps, again


def explained(subjects, graphs, methods):
    seeds = np.array([seed_of(*key) for key in subjects.keys])

    def again(method, model, images, targets, rows):
        images, targets = torch.from_numpy(images), torch.from_numpy(targets)
        return explain(method, model, images, targets, graphs=graphs, seeds=seeds[rows]).numpy()

    rows = np.arange(len(subjects.images))
    maps = {
        name: again(name, subjects.model, subjects.images, subjects.targets, rows).astype(np.float64)
        for name in methods
    }
    return maps, again


def unit(values):
    """A map over its largest |value|, flat, float64."""
    values = np.asarray(values, dtype=np.float64).ravel()
    return values / np.abs(values).max()


def chance(subjects, row, image):
    logits = subjects.model(torch.from_numpy(np.asarray(image, dtype=np.float32))[None])
    return logits.softmax(-1)[0, subjects.targets[row]].item()


def explained_lenet(folder):
    """A trained LeNet, its test images and three graphs, on disk."""
    files = {split: folder / f"{split}.parquet" for split in ("train", "test")}
    for split, file in files.items():
        write_rows(file, load("digits_half", split, {}), kind="images")
    block = {
        "architecture": "lenet",
        "source": "scratch",
        "repo": None,
        "image_size": 32,
        "channels": 1,
        "classes": 10,
        "training": {
            "epochs": 8,
            "batch_size": 32,
            "learning_rate": 2e-3,
            "weight_decay": 0.0,
            "warmup": 0.1,
        },
    }
    names = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
    outputs = {key: folder / "model" / name for key, name in names.items()}
    train_job(
        dataset="digits_half", model="lenet", seed=0, block=block, labels=True, files=files, outputs=outputs
    )
    graphs = {
        label: {kind: folder / f"class{label}.{kind}" for kind in ("json", "graphml")} for label in CLASSES
    }
    write_graphs(
        dataset="digits_half",
        model=folder / "model",
        seed=0,
        data=files["test"],
        outputs=graphs,
        classes=CLASSES,
        samples=60,
        soft=True,
        test="welch",
        correction="none",
        cap=600,
        held_out=0.5,
    )
    return {
        "model": folder / "model",
        "data": files["test"],
        "graphs": [paths["json"] for paths in graphs.values()],
    }


def explained_digits(explained_lenet):
    """(model, images, labels, {class: graph}) of the study, the first 4 right ones of each class."""
    model, _, images, labels = ready(explained_lenet["model"], explained_lenet["data"], "cpu", 1)
    rows = np.concatenate([right_images(model, images, labels, target)[:4] for target in CLASSES])
    graphs = {graph.target: graph for graph in map(read_graph, explained_lenet["graphs"])}
    return model, images[rows], torch.from_numpy(labels[rows]), graphs
