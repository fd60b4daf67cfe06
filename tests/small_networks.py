"""Small image classifiers for causal graphs: of random weights, and trained on digits."""

import copy
import hashlib

import torch
from torch import nn

from plumbline.artefacts import write_rows
from plumbline.causal.interventions import CausalNetwork
from plumbline.causal.learn import (
    learn_graph,
    ready,
    right_images,
    write_graphs,
)
from plumbline.datasets import load
from plumbline.models.image_models import train_job
from plumbline.models.lenet import LeNet
from plumbline.models.resnet import ResNet


def centred(model, images):
    """The model, float64, its last bias such that every class is predicted now and then, frozen."""
    with torch.no_grad():
        last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
        last.bias -= model.eval()(images).mean(0)
    return model.double().requires_grad_(False)


def lenet(size=20, rows=800):
    """(LeNet of random weights, images, their predicted classes); of 20 pixels, so that fc1 reads blocks of 4."""
    torch.manual_seed(5)
    images = torch.rand(rows, 1, size, size) * torch.rand(rows, 1, 1, 1) * 3
    model = centred(LeNet(image_size=size, classes=4), images)
    return model, images.double(), model(images.double()).argmax(1)


class Branched(nn.Module):
    """No nn.Sequential: its layers are named, and one path goes round them."""

    causal_layers = ("first", "second", "head")

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 3, 3, stride=2, padding=1)
        self.second = nn.Conv2d(3, 4, 3, padding=1, dilation=1)
        self.aside = nn.Conv2d(1, 4, 1, stride=2)
        self.head = nn.Linear(4, 4)

    def forward(self, x):
        inner = self.second(self.first(x).relu())
        return self.head((inner + self.aside(x)).relu().mean((2, 3)))


def plain_chain():
    """An nn.Sequential without `causal_layers`, whose ReLU modules work in place."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, bias=False),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.Conv2d(3, 5, 2, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(5 * 5 * 5, 4),
    )


def model_of(kind):
    """(model, images) of a kind; ResNet with norms that do something."""
    torch.manual_seed(6)
    channels = 3 if kind == "resnet" else 1
    images = torch.rand(24, channels, 10, 10)
    if kind == "lenet":
        model, images, _ = lenet()
        return model, images[:24]
    model = {"resnet": lambda: ResNet(channels=3, classes=4), "branched": Branched, "plain": plain_chain}[
        kind
    ]()
    model.train()(images)
    return centred(model, images), images.double()


def modified(model, layer, nodes, candidate, effects, u):
    """A copy of the model whose weights from `candidate` to the effects are u, entry by entry; `nodes` feed the layer."""
    found = copy.deepcopy(model)
    weight = found.get_submodule(layer).weight
    block = weight.shape[1] // nodes
    with torch.no_grad():
        for effect in effects:
            for column in range(candidate * block, (candidate + 1) * block):
                weight[effect, column] = u
    return found


def digest(model):
    found = hashlib.sha256(str(model.training).encode())
    for name, tensor in model.state_dict().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest(), sum(len(module._forward_hooks) for module in model.modules())


def train_network(folder, train, test=None, *, architecture="lenet", channels=1, classes=10, epochs=8):
    outputs = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
    training = {"epochs": epochs, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.0, "warmup": 0.1}
    block = {
        "architecture": architecture,
        "source": "scratch",
        "repo": None,
        "image_size": 32,
        "channels": channels,
        "classes": classes,
        "training": training,
    }
    train_job(
        dataset="digits_half",
        model=architecture,
        seed=0,
        block=block,
        labels=True,
        files={"train": train, "test": test or train},
        outputs={name: folder / file for name, file in outputs.items()},
    )
    return folder


GRAPHS = {"samples": 60, "soft": True, "test": "welch", "correction": "none", "cap": 600, "held_out": 0.0}


def graphs_of(root, name="graphs", classes=(0, 3), **changes):
    paths = {
        label: {kind: root / name / f"class{label}" / f"graph.{kind}" for kind in ("json", "graphml")}
        for label in classes
    }
    write_graphs(
        dataset="digits_half",
        model=root / "model",
        seed=0,
        data=root / "test.parquet",
        outputs=paths,
        classes=list(classes),
        **GRAPHS | changes,
    )
    return [item["json"] for item in paths.values()]


def trained_lenet(root):
    """A LeNet trained a little on digits_half: its folder, the test rows, and the graphs of classes 0 and 3."""
    for split in ("train", "test"):
        write_rows(root / f"{split}.parquet", load("digits_half", split, {}), kind="images")
    write_rows(root / "few.parquet", load("digits_half", "test", {"test": 250}), kind="images")
    train_network(root / "model", root / "train.parquet", root / "test.parquet")
    graphs_of(root)
    return root


def hard_graph(trained_lenet):
    """(network, a hard graph of class 3 from 60 images, images, numbers of the right ones)."""
    model, _, images, labels = ready(trained_lenet / "model", trained_lenet / "test.parquet", "cpu", 1)
    graph = learn_graph(model, images, labels, 3, samples=60, soft=False)
    return CausalNetwork(model), graph, images, right_images(model, images, labels, 3)
