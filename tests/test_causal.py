"""Causal graphs: interventions against modified copies of the model, the selection rule, files, stability, pruning, models
and data sets of the study ExplainNN."""

import contextlib
import copy
import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from plumbline import causal
from plumbline.artefacts import check_file, read_json, read_rows, write_json, write_rows
from plumbline.causal import effects as estimates
from plumbline.causal.graph import CausalGraph, read_graph
from plumbline.causal.interventions import CausalNetwork
from plumbline.causal.learn import (
    drawn,
    grow,
    held_out_rows,
    learn_graph,
    ready,
    right_images,
    write_graphs,
)
from plumbline.causal.pruning import CONDITIONS, dropped_nodes, pruned_weights, quality, write_pruning
from plumbline.causal.stability import (
    jaccard,
    noise_rows,
    strength_rows,
    subsample_rows,
    write_stability,
)
from plumbline.datasets import load
from plumbline.datasets.images import arrays
from plumbline.errors import PlumblineError
from plumbline.models.image_models import build, train_job
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
        nn.Conv2d(1, 3, 3, stride=2, bias=False), nn.BatchNorm2d(3), nn.ReLU(inplace=True),
        nn.Conv2d(3, 5, 2, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(5 * 5 * 5, 4),
    )  # fmt: skip


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


# ------------------------------------------------------------------------------------------------- models


def test_lenet_is_the_published_network():
    model = LeNet()
    assert sum(weight.numel() for weight in model.parameters()) == 61706
    assert {name.split(".")[0] for name in model.state_dict()} == {"conv1", "conv2", "fc1", "fc2", "fc3"}
    kinds = [type(module) for module in model.modules()]
    assert (kinds.count(nn.ReLU), kinds.count(nn.MaxPool2d)) == (4, 2)
    x = torch.rand(2, 1, 32, 32)
    wanted = x
    for layer in (model.conv1, model.conv2):
        wanted = torch.nn.functional.max_pool2d(layer(wanted).relu(), 2)
    wanted = model.fc3(model.fc2(model.fc1(wanted.flatten(1)).relu()).relu())
    torch.testing.assert_close(model(x), wanted)
    assert wanted.shape == (2, 10)
    with pytest.raises(PlumblineError, match="16 pixels a side or more, not 15"):
        LeNet(image_size=15)
    assert LeNet(image_size=16).fc1.in_features == 16


def test_resnet_has_a_module_for_every_relu_and_adds_its_skips():
    model = ResNet(channels=1).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, *_: seen.append(module))
    x = torch.rand(2, 1, 32, 32)
    assert model(x).shape == (2, 10)
    assert len(seen) == len(set(seen)) == 7
    block = model.block2
    inner = block.norm2(block.conv2(block.norm1(block.conv1(x := torch.rand(1, 16, 8, 8))).relu()))
    torch.testing.assert_close(block(x), (inner + block.skip(x)).relu())
    assert block(x).shape == (1, 32, 4, 4)


@pytest.mark.parametrize(
    ("architecture", "channels", "mean", "std"),
    [("lenet", 1, [0.0], [1.0]), ("lenet", 3, [0.5] * 3, [0.5] * 3), ("resnet", 1, [0.4], [0.2])],
)
def test_each_architecture_scales_pixels_its_own_way(tmp_path, architecture, channels, mean, std):
    """LeNet reads pixels in [0, 1] as they are; the residual network goes by the training images."""
    pixels = np.repeat(np.array([51, 153] * 12, dtype=np.uint8), 32 * 32 * channels).reshape(24, -1)
    rows = {"id": range(24), "label": [0, 1] * 12, "height": [32] * 24, "width": [32] * 24,
            "channels": [channels] * 24, "pixels": list(pixels)}  # fmt: skip
    write_rows(tmp_path / "rows.parquet", rows, kind="images")
    folder = trained(tmp_path / "model", tmp_path / "rows.parquet", architecture=architecture, channels=channels,
                     classes=2, epochs=1)  # fmt: skip
    facts = read_json(folder / "config.json")
    assert (facts["mean"], facts["std"]) == (mean, std)
    assert facts["network"] == {"image_size": 32, "channels": channels, "classes": 2}
    assert set(build(facts).state_dict()) == set(
        ready(folder, tmp_path / "rows.parquet", "cpu", 1)[0].state_dict()
    )


def trained(folder, train, test=None, *, architecture="lenet", channels=1, classes=10, epochs=8):
    outputs = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
    training = {"epochs": epochs, "batch_size": 32, "learning_rate": 1e-3, "weight_decay": 0.0, "warmup": 0.1}
    block = {"architecture": architecture, "source": "scratch", "repo": None, "image_size": 32, "channels": channels,
             "classes": classes, "training": training}  # fmt: skip
    train_job(
        dataset="digits_half", model=architecture, seed=0, block=block, labels=True,
        files={"train": train, "test": test or train}, outputs={name: folder / file for name, file in outputs.items()},
    )  # fmt: skip
    return folder


# ------------------------------------------------------------------------------------------------- data sets


def test_digits_half_is_half_of_each_class():
    from sklearn.datasets import load_digits

    halves = {split: load("digits_half", split, {}) for split in ("train", "test")}
    pixels = {split: {row.tobytes() for row in frame["pixels"]} for split, frame in halves.items()}
    source = load_digits()
    assert not pixels["train"] & pixels["test"]
    assert len(halves["train"]) + len(halves["test"]) == len(source.target)
    wanted = {(picture * 255 / 16).round().astype(np.uint8).tobytes() for picture in source.images}
    assert pixels["train"] | pixels["test"] == wanted
    for label in range(10):
        train, test = ((frame["label"] == label).sum() for frame in halves.values())
        assert test >= 87 and 0 <= test - train <= 1


def test_cifar10_reads_the_hubs_files(tmp_path):
    import pandas as pd
    from PIL import Image

    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for split in ("train", "test"):
        files = []
        for picture in pictures:
            Image.fromarray(picture).save(file := io.BytesIO(), "PNG")
            files.append({"bytes": file.getvalue(), "path": None})
        pd.DataFrame({"img": files, "label": np.arange(20) % 10}).to_parquet(folder / f"{split}.parquet")
    found = {
        split: load("cifar10", split, {}, downloads=tmp_path) for split in ("train", "validation", "test")
    }
    images, labels = arrays(found["test"])
    assert np.array_equal(images, pictures) and labels.tolist() == list(range(10)) * 2
    assert (len(found["train"]), len(found["validation"])) == (18, 2)
    pd.DataFrame({"img": [{"bytes": b"", "path": "a.png"}], "label": [0]}).to_parquet(folder / "test.parquet")
    with pytest.raises(PlumblineError, match="row 0 of .*test.parquet holds no picture"):
        load("cifar10", "test", {}, downloads=tmp_path)


# ------------------------------------------------------------------------------------------------- interventions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        *[("lenet", layer) for layer in ("fc3", "fc2", "fc1", "conv2")],
        *[("resnet", layer) for layer in ("fc", "block3.conv2", "block2.conv1", "block1.conv1")],
        *[("branched", layer) for layer in ("head", "second")],
        *[("plain", layer) for layer in ("6", "3")],
    ],
)
@pytest.mark.parametrize("u", [0.0, 0.3])
def test_an_intervention_is_a_forward_pass_of_a_modified_copy(kind, layer, u):
    model, images = model_of(kind)
    network = CausalNetwork(model)
    nodes = {"fc1": 16, "6": 5}.get(layer, model.get_submodule(layer).weight.shape[1])
    assert network.nodes[layer] == nodes
    width = len(model.get_submodule(layer).weight)
    effects = [0] if layer == network.names[-1] else list(range(1, width, 2))
    candidates = sorted({0, 1, nodes - 1})
    seen = network.observe(images, [layer])
    torch.testing.assert_close(seen.logits, model(images))
    found = network.intervened(seen, layer, candidates, effects, u)
    for row, candidate in enumerate(candidates):
        wanted = modified(model, layer, nodes, candidate, effects, u)(images)
        torch.testing.assert_close(found[row], wanted, rtol=1e-10, atol=1e-12)
    assert (found - seen.logits).abs().max() > 1e-5


def test_the_last_layer_in_closed_form():
    """y' = y + (u - w) a, and no other logit moves."""
    model, images, _ = lenet()
    network = CausalNetwork(model)
    seen = network.observe(images, ["fc3"])
    activation, before = {}, seen.logits
    model.fc3.register_forward_hook(lambda layer, arguments, output: activation.update(a=arguments[0]))
    model(images)
    found = network.intervened(seen, "fc3", range(84), [2], 0.07)
    change = (0.07 - model.fc3.weight[2]) * activation["a"]
    torch.testing.assert_close(found[:, :, 2], (before[:, 2:3] + change).T, rtol=1e-12, atol=1e-13)
    assert torch.equal(found[:, :, [0, 1, 3]], before[:, [0, 1, 3]].expand(84, -1, -1))


def test_images_do_not_meet_and_batches_change_nothing(monkeypatch):
    model, images, _ = lenet()
    network = CausalNetwork(model)
    whole = network.intervened(network.observe(images[:9], ["fc1"]), "fc1", range(16), [1, 2], 0.0)
    monkeypatch.setattr("plumbline.causal.interventions.ROWS", 4)
    seen = network.observe(images[:9], ["fc1"])
    torch.testing.assert_close(
        network.intervened(seen, "fc1", range(16), [1, 2], 0.0), whole, rtol=1e-12, atol=1e-14
    )
    part = network.intervened(seen.take([7, 2]), "fc1", range(16), [1, 2], 0.0)
    torch.testing.assert_close(part, whole[:, [7, 2]], rtol=1e-12, atol=1e-14)


class Fuse(nn.Module):
    """Raises at a forward pass of a given number; every copy counts."""

    left = 10**9

    def forward(self, x):
        Fuse.left -= 1
        if Fuse.left < 0:
            raise RuntimeError("blown")
        return x


@pytest.mark.filterwarnings("ignore:class 0. 24 images")
@pytest.mark.parametrize("left", [None, 0, 1, 2, 3])
def test_no_weight_is_left_changed(left):
    """Also where a forward pass raises: the first one, in the choice of images, in the observed pass, under an intervention."""
    torch.manual_seed(0)
    images = torch.rand(60, 1, 8, 8)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5), Fuse(),
                          nn.ReLU(), nn.Linear(5, 3))  # fmt: skip
    Fuse.left = 10**9
    centred(model, images).float()
    labels = model(images).argmax(1)
    model.train()
    before = digest(model)
    if left is None:
        learn_graph(model, images, labels, 0)
    else:
        Fuse.left = left
        with pytest.raises(RuntimeError if left else PlumblineError, match="blown"):
            learn_graph(model, images, labels, 0)
    Fuse.left = 10**9
    assert digest(model) == before
    network = CausalNetwork(model)
    seen = network.observe(images, ["0", "4"])
    Fuse.left = 0
    with pytest.raises(RuntimeError, match="blown"):
        network.intervened(seen, "4", range(4), [0], 0.0)
    Fuse.left = 10**9
    assert digest(network.model)[1] == 0


# ------------------------------------------------------------------------------------------------- effects and tests


def test_effects_of_a_small_example_by_hand():
    observed, intervened = np.array([2.0, 4.0, 0.0]), np.array([[1.0, 4.0, 3.0], [2.0, 4.0, 1e-13]])
    found, rule = estimates.tested(observed, intervened, test="welch", correction="none", level=0.05)
    assert found["te"].tolist() == [2 / 3, 0.0] and found["te_variance"].tolist() == pytest.approx(
        [13 / 3, 0]
    )
    assert found["rte"].tolist() == [-0.25, 0.0]
    assert found["mean"].tolist() == pytest.approx([8 / 3, 2]) and found[
        "variance"
    ].tolist() == pytest.approx([7 / 3, 4])
    assert found["z"].tolist() == pytest.approx([(8 / 3 - 2) / ((7 / 3 + 4) / 3) ** 0.5, 0])
    assert rule == "none" and not found["selected"].any()
    paired, _ = estimates.tested(observed, intervened, test="paired", correction="none", level=0.05)
    assert paired["z"].tolist() == pytest.approx([(2 / 3) / (13 / 9) ** 0.5, 0])
    assert paired["p"].tolist() == pytest.approx([0.7105, 0.5], abs=1e-4)


def test_a_difference_without_variance_is_certain_and_finite():
    z = estimates.z_paired(np.array([-0.1, 0.0, 0.1]), np.zeros(3), 5)
    assert np.isfinite(z).all() and estimates.p_values(z).tolist() == [0.0, 0.5, 1.0]


def test_divergence_is_that_of_torch():
    draw = np.random.default_rng(1)
    base, found = draw.normal(size=(6, 4)) * 20, draw.normal(size=(3, 6, 4)) * 20
    logs = torch.from_numpy(base).log_softmax(-1).expand(3, -1, -1), torch.from_numpy(found).log_softmax(-1)
    wanted = torch.nn.functional.kl_div(*logs, log_target=True, reduction="none").sum(-1).mean(1)
    np.testing.assert_allclose(estimates.divergences(base, found), wanted, rtol=1e-10)
    assert estimates.divergences(base, base[None])[0] == 0


def test_the_correction_is_that_of_benjamini_and_hochberg():
    """Their step-up rule: the largest i with p_(i) <= i / k times the level, and all up to it."""
    draw = np.random.default_rng(2)
    for count in (1, 5, 40):
        for power in (1, 3, 8):
            p = draw.random(count) ** power
            bounds = [value for i, value in enumerate(sorted(p), 1) if value <= i / count * 0.05]
            wanted = p <= max(bounds, default=-1)
            zeros = np.zeros(count)
            chosen, rule = estimates.select(zeros, p, zeros, 1.0, correction="bh", level=0.05)
            assert np.array_equal(chosen, wanted)
            assert rule == ("test" if wanted.any() else "none")


def test_fallback_keeps_what_lowers_a_negative_logit_too():
    """With relative effects the sign would turn round where the logit is negative."""
    te = np.array([-0.2, -0.0009, 0.2])
    for mean in (1.0, -1.0):
        chosen, rule = estimates.select(np.zeros(3), np.full(3, 0.5), te, mean, correction="none", level=0.05)
        assert (chosen.tolist(), rule) == ([True, False, False], "fallback")


# ------------------------------------------------------------------------------------------------- learning


def expected(record, graph):
    """Which nodes a layer's record must have selected, from the stored values alone."""
    n = graph.n_used
    z = {}
    for node in record.nodes:
        if graph.test == "paired":
            z[node.index] = node.te / (node.te_variance / n) ** 0.5 if node.te_variance else 0.0
        else:
            error = (node.variance / n + record.variance / n) ** 0.5
            z[node.index] = (node.mean - record.mean) / error
        assert z[node.index] == pytest.approx(node.z, rel=1e-12, abs=1e-12)
    if record.rule in ("fallback", "none"):
        assert not any(value < -1.65 for value in z.values()) or graph.correction == "bh"
        return {node.index for node in record.nodes if node.te < -0.001 * abs(record.mean)}
    if graph.correction == "none":
        return {index for index, value in z.items() if value < -1.65}
    ordered = sorted(record.nodes, key=lambda node: node.p)
    last = max(
        place for place, node in enumerate(ordered, start=1) if node.p <= graph.level * place / len(ordered)
    )
    return {node.index for node in ordered[:last]}


@pytest.mark.slow
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("test", ["welch", "paired"])
@pytest.mark.parametrize("correction", ["none", "bh"])
def test_selection_follows_from_the_stored_values(soft, test, correction):
    model, images, labels = lenet()
    rules = set()
    for target in range(4):
        graph = learn_graph(
            model, images, labels, target, soft=soft, test=test, correction=correction, samples=40
        )
        graph = CausalGraph.from_dict(graph.to_dict())
        assert (graph.n_used, graph.target, graph.soft) == (40, target, soft)
        assert graph.truncated == (graph.layers[-1].rule == "none")
        reached = (target,)
        for record in graph.layers[: len(graph.layers) - (not graph.truncated)]:
            rules.add(record.rule)
            assert record.effects == reached
            assert [node.index for node in record.nodes] == list(range(record.candidates))
            assert (
                set(record.causes)
                == expected(record, graph)
                == {node.index for node in record.nodes if node.selected}
            )
            assert (record.u == 0) == (not soft) and 0 <= record.u < 0.01
            reached = record.causes
        if graph.truncated:
            assert not reached and len(graph.layers) < 5
            continue
        assert [record.candidates for record in graph.layers] == [84, 120, 16, 6, 1]
        bottom = graph.layer("conv1")
        assert (bottom.causes, bottom.effects, bottom.rule, bottom.u, bottom.nodes) == (
            (0,),
            reached,
            "input",
            None,
            (),
        )
    assert "test" in rules


def test_a_graph_is_what_modified_copies_say():
    """Every stored number of a whole graph, from forward passes of modified copies alone."""
    model, images, labels = lenet()
    graph = learn_graph(model, images, labels, 1, samples=30, seed=4)
    right = np.flatnonzero(labels.numpy() == 1)
    images = images[drawn(right, 1, 30, 4)]
    base = model(images)
    y = base[:, 1].numpy()
    for record in graph.layers[:-1]:
        assert (record.mean, record.variance) == pytest.approx((y.mean(), y.var(ddof=1)))
        for node in record.nodes[:: max(1, len(record.nodes) // 7)]:
            logits = modified(model, record.layer, record.candidates, node.index, record.effects, record.u)(
                images
            )
            effect = logits[:, 1].numpy() - y
            kl = (logits.softmax(1) * (logits.log_softmax(1) - base.log_softmax(1))).sum(1).mean()
            wanted = (
                (y + effect).mean(),
                (y + effect).var(ddof=1),
                effect.mean(),
                effect.var(ddof=1),
                (effect / y).mean(),
            )
            stored = node.mean, node.variance, node.te, node.te_variance, node.rte
            assert stored == pytest.approx(wanted, rel=1e-7, abs=1e-10)
            assert node.kl == pytest.approx(kl.item(), rel=1e-6, abs=1e-12)
    for edge in graph.edges:
        layer = model.get_submodule(edge.layer)
        block = layer.weight.shape[1] // graph.layer(edge.layer).candidates
        wanted = layer.weight[edge.effect, edge.cause * block : (edge.cause + 1) * block].norm()
        assert edge.weight == pytest.approx(wanted.item())


def tiny(weights, shift=0.0, spread=1.0):
    """Chain of two linear layers on positive values (n, 1, 1, 3): class 0 has `weights`, class 1 none; all rightly class 0."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(3))
        model[1].bias.zero_()
        model[3].weight.copy_(torch.tensor([weights, [0.0] * 3]))
        model[3].bias.copy_(torch.tensor([shift, 0.0]))
    draw = np.random.default_rng(3)
    values = 1 + spread * torch.from_numpy(draw.random((50, 1, 1, 3))).float()
    return model, values, np.zeros(50, dtype=np.int64)


def test_graph_ends_where_no_node_helps():
    """Every node lowers the class, so that cutting it raises the logit."""
    graph = learn_graph(*tiny([-1.0, -2.0, 0.0], shift=20.0), 0, soft=False)
    (record,) = graph.layers
    assert graph.truncated and record.rule == "none" and not record.causes and not graph.edges
    assert [node.te > 0 for node in record.nodes] == [True, True, False]
    assert list(graph.networkx()) == ["3:0"] and CausalGraph.from_dict(graph.to_dict()) == graph


def test_fallback_where_the_published_test_has_no_power_and_the_paired_one_has():
    """A small effect of every image drowns in how the images differ; cutting it is certain pair by pair."""
    inputs = *tiny([0.1, 0.0, -5.0], shift=100.0, spread=9.0), 0
    found = {test: learn_graph(*inputs, soft=False, test=test).layers[0] for test in ("welch", "paired")}
    assert [found[test].causes for test in found] == [(0,), (0,)]
    assert [found[test].rule for test in found] == ["fallback", "test"]
    inputs[0][3].weight.data[0, 0] = 0.01
    found = {test: learn_graph(*inputs, soft=False, test=test).layers[0] for test in ("welch", "paired")}
    assert [found[test].rule for test in found] == ["none", "test"]


def test_a_dead_node_has_no_effect_at_all():
    """Rounding of the batch would be a sure, tiny effect for the paired test."""
    model, images, labels = lenet()
    with torch.no_grad():
        model.fc2.weight[7], model.fc2.bias[7] = 0.0, -1.0
    labels = model(images).argmax(1)
    target = int(labels.bincount().argmax())
    graph = learn_graph(model, images, labels, target, test="paired")
    node = graph.layer("fc3").nodes[7]
    assert (node.te, node.te_variance, node.z, node.selected) == (0.0, 0.0, 0.0, False)


def test_cap_takes_the_largest_weights_onto_all_effects():
    model, images, labels = lenet()
    graph = learn_graph(model, images, labels, 2, cap=5, test="paired")
    for record in graph.layers[:-1]:
        layer = model.get_submodule(record.layer)
        size = layer.weight.shape[1] // record.candidates
        norms = [
            sum(
                float((layer.weight[effect, node * size : (node + 1) * size] ** 2).sum())
                for effect in record.effects
            )
            for node in range(record.candidates)
        ]
        wanted = sorted(sorted(range(record.candidates), key=lambda node: -norms[node])[:5])
        assert [node.index for node in record.nodes] == wanted
        assert record.candidates == {"fc3": 84, "fc2": 120, "fc1": 16, "conv2": 6}[record.layer]


def test_seeds_draw_images_and_strengths():
    model, images, labels = lenet()
    first, again, other = (learn_graph(model, images, labels, 0, samples=30, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.layers[0].mean != other.layers[0].mean
    strengths = [record.u for record in (*first.layers[:-1], *other.layers[:-1])]
    assert len(set(strengths)) == 8
    right = right_images(model, images, labels, 0)
    assert sorted(drawn(right, 0, 10**6, 1)) == right.tolist()
    assert drawn(right, 0, 20, 1).tolist() == drawn(right, 0, 50, 1)[:20].tolist()


def test_only_rightly_classified_images_of_the_class_count():
    model, images, labels = lenet()
    shown = labels.clone()
    shown[::3] = (shown[::3] + 1) % 4
    wanted = np.flatnonzero((shown == labels).numpy() & (shown == 1).numpy())
    assert right_images(model, images, shown, 1).tolist() == wanted.tolist()
    graph = learn_graph(model, images, shown, 1, samples=10**4)
    assert graph.n_used == len(wanted)
    assert graph.layers[0].mean == pytest.approx(model(images[wanted])[:, 1].mean().item())


def small(rows=300):
    """`lenet` in single precision."""
    model, images, labels = lenet(rows=rows)
    return model.float(), images.float(), labels


HANDED = {
    "numpy": lambda images, labels: (images.numpy(), labels.numpy(), np.int64(1)),
    "double": lambda images, labels: (images.double(), labels.int(), torch.tensor(1)),
    "NumPy double, labels in a list": lambda images, labels: (images.double().numpy(), labels.tolist(), 1),
    "with gradient": lambda images, labels: (images.clone().requires_grad_(), labels.to(torch.uint8), 1),
    "not contiguous": lambda images, labels: (images.transpose(2, 3).contiguous().transpose(2, 3), labels, 1),
}


@pytest.fixture(scope="module")
def plain():
    model, images, labels = small()
    return model, images, labels, learn_graph(model, images, labels, 1, samples=30)


@pytest.mark.parametrize("kind", HANDED)
def test_a_graph_does_not_hang_on_how_its_images_are_handed_over(plain, kind):
    model, images, labels, graph = plain
    assert learn_graph(model, *HANDED[kind](images, labels), samples=30) == graph
    assert graph.to_dict() == CausalGraph.from_dict(graph.to_dict()).to_dict()


@pytest.mark.parametrize(
    "place", ["inference mode", "autocast", "no grad", "default float64", "training mode"]
)
def test_a_graph_does_not_hang_on_what_is_set_around_it(plain, place):
    model, images, labels, graph = plain
    around = {
        "inference mode": torch.inference_mode, "autocast": lambda: torch.autocast("cpu"), "no grad": torch.no_grad,
    }.get(place, contextlib.nullcontext)  # fmt: skip
    try:
        torch.set_default_dtype(torch.float64 if place == "default float64" else torch.float32)
        model.train(place == "training mode")
        with around():
            assert learn_graph(model, images, labels, 1, samples=30) == graph
    finally:
        torch.set_default_dtype(torch.float32)
        model.eval()


WRONG = {
    "bytes": lambda x, y: ((255 * x).byte(), y, 1),
    "bytes of NumPy": lambda x, y: ((255 * x).byte().numpy(), y, 1),
    "whole numbers": lambda x, y: (x.long(), y, 1),
    "not finite": lambda x, y: (x * float("nan"), y, 1),
    "infinite": lambda x, y: (x / 0, y, 1),
    "no channels": lambda x, y: (x[:, 0], y, 1),
    "one image": lambda x, y: (x[0], y[:1], 1),
    "three channels": lambda x, y: (x.expand(-1, 3, -1, -1), y, 1),
    "channels last": lambda x, y: (x.permute(0, 2, 3, 1), y, 1),
    "another size": lambda x, y: (x[..., :9, :9], y, 1),
    "no images": lambda x, y: (x[:0], y[:0], 1),
    "text": lambda x, y: ("images", y, 1),
    "nothing": lambda x, y: (None, y, 1),
    "fewer labels": lambda x, y: (x, y[:-1], 1),
    "labels in a column": lambda x, y: (x, y[:, None], 1),
    "labels with a fraction": lambda x, y: (x, y.float(), 1),
    "truth values for labels": lambda x, y: (x, y == 1, 1),
    "labels beyond the classes": lambda x, y: (x, y + 2, 1),
    "labels below 0": lambda x, y: (x, y - 1, 1),
    "names for labels": lambda x, y: (x, [str(label) for label in y.tolist()], 1),
    "target -1": lambda x, y: (x, y, -1),
    "target beyond the classes": lambda x, y: (x, y, 4),
    "half a target": lambda x, y: (x, y, 0.5),
    "a whole float": lambda x, y: (x, y, 1.0),
    "a truth value": lambda x, y: (x, y, True),
    "a target a row": lambda x, y: (x, y, y),
    "a name": lambda x, y: (x, y, "1"),
    "no target": lambda x, y: (x, y, None),
}


@pytest.mark.parametrize("kind", WRONG)
def test_images_labels_and_targets_that_cannot_be_are_one_line(plain, kind):
    model, images, labels, _ = plain
    with pytest.raises(PlumblineError) as caught:
        learn_graph(model, *WRONG[kind](images, labels), samples=30)
    assert "\n" not in str(caught.value)


def test_a_model_without_logits_is_refused():
    images = torch.rand(20, 1, 6, 6)
    for model in (
        nn.Sequential(nn.Flatten(), nn.Linear(36, 4), nn.ReLU(), nn.Linear(4, 1)),  # one logit
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3)),  # a map of each class
    ):
        with pytest.raises(PlumblineError, match=r"a graph needs logits \(rows, classes\)"):
            learn_graph(model, images, torch.zeros(20, dtype=torch.long), 0)


# ------------------------------------------------------------------------------------------------- held-out images


def test_half_of_each_class_is_held_out_alike_for_all_models():
    labels = np.repeat([0, 1, 2], [40, 11, 1])[np.random.default_rng(0).permutation(52)]
    for share, sizes in ((0.0, [0, 0, 0]), (0.5, [20, 6, 0]), (0.9, [36, 10, 1])):
        rows = held_out_rows(labels, share)
        assert rows.tolist() == sorted(set(rows.tolist()))
        # Python's rounding: of 5.5 to 6, of .5 to 0.
        assert np.bincount(labels[rows], minlength=3).tolist() == sizes
    assert set(held_out_rows(labels, 0.3)) <= set(held_out_rows(labels, 0.6))
    assert held_out_rows(labels, 0.5).tolist() == held_out_rows(torch.tensor(labels), 0.5).tolist()
    # What another class has changes nothing.
    other = np.where(labels == 0, 5, labels)
    kept = [
        set(held_out_rows(given, 0.5)[given[held_out_rows(given, 0.5)] == 1]) for given in (labels, other)
    ]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_a_graph_is_learnt_from_none_of_the_images_held_out(plain, share):
    model, images, labels, _ = plain
    for seed in (0, 1):
        graph = learn_graph(model, images, labels, 1, samples=10**6, seed=seed, held_out=share)
        held = set(held_out_rows(labels, share).tolist())
        right = {row for row in range(len(labels)) if labels[row] == 1}
        assert set(graph.rows) == right - held and graph.n_used == len(graph.rows)
        assert graph.held_out == share
        # What the images held out show changes nothing, so a score on them cannot have been learnt.
        changed = images.clone()
        changed[sorted(held)] = 0.5
        again = learn_graph(model, changed, labels, 1, samples=10**6, seed=seed, held_out=share)
        assert again == graph


def test_layers_of_a_part():
    """The upper layers alone: the same records, and what enters the lowest of them is the input."""
    model, images, labels = lenet()
    whole, part = (
        learn_graph(model, images, labels, 3, layers=names) for names in (None, ["fc3", "fc1", "fc2"])
    )
    assert [record.layer for record in part.layers] == ["fc3", "fc2", "fc1"]
    assert part.layers[:2] == whole.layers[:2]
    assert (part.layers[2].rule, part.layers[2].causes, part.layers[2].candidates) == ("input", (0,), 1)


@pytest.mark.parametrize("kind", ["resnet", "branched", "plain"])
def test_other_networks(kind):
    model, images = model_of(kind)
    labels = model(images).argmax(1)
    target = int(labels.bincount().argmax())
    before = digest(model)
    with pytest.warns(UserWarning, match="classified rightly, a graph of so few is unsure"):
        graph = learn_graph(model, images, labels, target, test="paired", soft=False, cap=12)
    assert digest(model) == before
    assert [record.layer for record in graph.layers] == list(reversed(CausalNetwork(model).names))
    for above, below in zip(graph.layers, graph.layers[1:], strict=False):
        assert below.effects == above.causes and above.causes
    assert all(len(record.nodes) <= 12 for record in graph.layers)


def test_faults():
    model, images, labels = lenet()
    for changes, text in (
        ({"test": "welsh"}, "unknown test 'welsh': did you mean 'welch'"),
        ({"correction": "fdr"}, "unknown correction 'fdr'.*legal: bh, none"),
        ({"samples": 1}, "samples is 1: a graph needs 2"),
        ({"samples": 2.5}, "samples is 2.5: expected a whole number"),
        ({"cap": 0}, "cap is 0: a graph needs 1"),
        ({"seed": "a"}, "seed is 'a': expected a whole number"),
        ({"held_out": 1}, "held_out is 1: expected a share from 0 to less than 1"),
        ({"held_out": -0.1}, "held_out is -0.1"),
        ({"held_out": float("nan")}, "held_out is nan"),
        ({"layers": ["fc4"]}, "unknown layer 'fc4'.*legal: conv1, conv2, fc1, fc2, fc3"),
        (
            {"layers": ["fc1", "fc3"]},
            "the layers fc1, fc3 do not follow each other up to the last one, 'fc3'",
        ),
        ({"layers": ["conv1", "conv2"]}, "do not follow each other"),
    ):
        with pytest.raises(PlumblineError, match=text):
            learn_graph(model, images, labels, 0, **changes)
    wrong = (labels + 1) % 4
    wrong[np.flatnonzero(labels.numpy() == 0)[0]] = 0
    with pytest.raises(
        PlumblineError, match=r"class 0: 1 of \d+ images are classified rightly, a graph needs 2"
    ):
        learn_graph(model, images, wrong, 0)
    with pytest.raises(PlumblineError, match="class 3: 0 of 0 images"):
        learn_graph(model, images[labels != 3], labels[labels != 3], 3)
    for broken, text in (
        (nn.Sequential(nn.Flatten()), "no nn.Sequential of layers: give it an attribute `causal_layers`"),
        (
            nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Linear(4, 2)),
            "layer '0' is neither linear nor a convolution",
        ),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(9, 2)),
            "layer '2' reads 9 values.*the 4 nodes of '0'",
        ),
    ):
        with pytest.raises(PlumblineError, match=text):
            CausalNetwork(broken)
    named = Branched()
    named.causal_layers = ("first", "third")
    with pytest.raises(PlumblineError, match="Branched has no layer 'third'"):
        CausalNetwork(named)


def test_a_layer_used_twice_is_refused():
    class Twice(nn.Module):
        causal_layers = ("first", "head")

        def __init__(self):
            super().__init__()
            self.first, self.head = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.head(self.head(self.first(x)))

    with pytest.raises(PlumblineError, match="layer 'head' is used more than once"):
        CausalNetwork(Twice()).observe(torch.rand(3, 4), ["head"])


@pytest.mark.slow
def test_interface():
    assert causal.learn_graph is learn_graph and causal.CausalGraph is CausalGraph
    names = {"learn_graph", "held_out_rows", "CausalGraph", "LayerGraph", "NodeEffect", "Edge"}
    assert set(causal.__all__) == names and causal.held_out_rows is held_out_rows
    with pytest.raises(AttributeError, match="no attribute 'learn_graphs'"):
        _ = causal.learn_graphs
    code = "import sys, plumbline.causal.graph; print({'torch', 'pandas', 'networkx'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(causal.__file__).parents[2]
    )
    assert done.stdout == "set()\n", done.stderr


# ------------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A LeNet trained a little on digits_half: its folder, the test rows, and the graphs of classes 0 and 3."""
    root = tmp_path_factory.mktemp("causal")
    for split in ("train", "test"):
        write_rows(root / f"{split}.parquet", load("digits_half", split, {}), kind="images")
    write_rows(root / "few.parquet", load("digits_half", "test", {"test": 250}), kind="images")
    trained(root / "model", root / "train.parquet", root / "test.parquet")
    graphs_of(root)
    return root


SETTINGS = {"samples": 60, "soft": True, "test": "welch", "correction": "none", "cap": 600, "held_out": 0.0}


def graphs_of(root, name="graphs", classes=(0, 3), **changes):
    paths = {
        label: {kind: root / name / f"class{label}" / f"graph.{kind}" for kind in ("json", "graphml")}
        for label in classes
    }
    write_graphs(
        dataset="digits_half", model=root / "model", seed=0, data=root / "test.parquet", outputs=paths,
        classes=list(classes), **SETTINGS | changes,
    )  # fmt: skip
    return [item["json"] for item in paths.values()]


@pytest.mark.slow
def test_lenet_learns_the_digits(stage):
    assert read_json(stage / "model" / "metrics.json")["accuracy"] > 0.85


@pytest.mark.slow
def test_graph_files(stage):
    for label in (0, 3):
        folder = stage / "graphs" / f"class{label}"
        graph = read_graph(folder / "graph.json")
        assert (graph.target, graph.label, graph.n_used, graph.seed) == (label, str(label), 60, 0)
        model, _, images, labels = ready(stage / "model", stage / "test.parquet", "cpu", 1)
        assert learn_graph(model, images, labels, label, samples=60) == graph
        found = nx.read_graphml(folder / "graph.graphml")
        assert nx.is_directed_acyclic_graph(found)
        assert found.number_of_edges() == len(graph.edges)
        assert len(graph.edges) == sum(len(record.causes) * len(record.effects) for record in graph.layers)
        assert found.number_of_nodes() == 1 + sum(len(record.causes) for record in graph.layers)
        assert (found.graph["target"], found.graph["label"]) == (label, str(label))
        for node, facts in found.nodes(data=True):
            assert nx.has_path(found, "input:0", node) and nx.has_path(found, node, f"fc3:{label}")
            assert node == f"{facts['layer']}:{facts['index']}"
        for node in graph.layer("fc1").nodes:
            if node.selected:
                assert found.nodes[f"conv2:{node.index}"]["effect"] == node.te
        weights = {(edge.layer, edge.cause, edge.effect): edge.weight for edge in graph.edges}
        below = {"fc3": "fc2", "fc2": "fc1", "fc1": "conv2", "conv2": "conv1", "conv1": "input"}
        for (layer, cause, effect), weight in weights.items():
            facts = found.edges[f"{below[layer]}:{cause}", f"{layer}:{effect}"]
            assert facts == {"layer": layer, "weight": weight}


@pytest.mark.slow
def test_graph_files_are_the_same_bytes_again(stage):
    graphs_of(stage, "again")
    for label in (0, 3):
        for file in ("graph.json", "graph.graphml"):
            first, second = (stage / name / f"class{label}" / file for name in ("graphs", "again"))
            assert first.read_bytes() == second.read_bytes()
    json = stage / "graphs" / "class3" / "graph.json"
    write_json(stage / "copy.json", read_graph(json).to_dict())
    assert (stage / "copy.json").read_bytes() == json.read_bytes()
    code = (
        f"from plumbline.causal.graph import read_graph; print(read_graph({str(json)!r}).graphml(), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(causal.__file__).parents[2],
                          env=os.environ | {"PYTHONHASHSEED": "77"})  # fmt: skip
    assert done.stdout == json.with_suffix(".graphml").read_text(), done.stderr


@pytest.mark.slow
def test_graph_files_that_cannot_be_read(stage):
    with pytest.raises(PlumblineError, match="missing file .*nowhere.json"):
        read_graph(stage / "nowhere.json")
    content = read_json(stage / "graphs" / "class3" / "graph.json")
    for version in (1, 3):
        with pytest.raises(PlumblineError, match=f"schema version {version}, 2 is read: learn it again"):
            CausalGraph.from_dict(content | {"schema_version": version})
    with pytest.raises(PlumblineError, match="schema version None"):
        CausalGraph.from_dict([])
    for broken in (
        {**content, "colour": 1},
        {name: value for name, value in content.items() if name != "edges"},
    ):
        with pytest.raises(PlumblineError, match="lacks a key or has one too many"):
            CausalGraph.from_dict(broken)
    with pytest.raises(
        PlumblineError, match="unknown layer of the graph of class '3' 'conv3': did you mean 'conv"
    ):
        CausalGraph.from_dict(content).layer("conv3")
    with pytest.raises(PlumblineError, match="dataset 'digits_half' has classes 0 to 9, not 10"):
        graphs_of(stage, "wrong", classes=(10,))


# ------------------------------------------------------------------------------------------------- stability


def test_jaccard():
    assert [jaccard([1, 2], [2, 3]), jaccard([], []), jaccard([1], []), jaccard([4, 5], [5, 4])] == [
        1 / 3,
        1,
        0,
        1,
    ]


@pytest.fixture(scope="module")
def hard(stage):
    """(network, a hard graph of class 3 from 60 images, images, numbers of the right ones)."""
    model, _, images, labels = ready(stage / "model", stage / "test.parquet", "cpu", 1)
    graph = learn_graph(model, images, labels, 3, samples=60, soft=False)
    return CausalNetwork(model), graph, images, right_images(model, images, labels, 3)


def strengths_of(hard, layer, strengths, **changes):
    network, graph, images, right = hard
    options = {"repetitions": 3, "resample": False, "samples": 60, "cap": 600} | changes
    return strength_rows(network, graph, images, right, layer, strengths=strengths, **options)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["fc3", "fc2", "fc1", "conv2"])
def test_strength_zero_finds_the_hard_graph_each_time(hard, layer):
    """Below the last layer too: the effects are the graph's, and not a unit of the class's index."""
    rows = strengths_of(hard, layer, [0.0])
    assert [tuple(row["nodes"]) for row in rows] == [hard[1].layer(layer).causes] * 3
    assert {(row["jaccard"], row["u"], row["images"], row["layer"]) for row in rows} == {
        (1.0, 0.0, 60, layer)
    }


@pytest.mark.slow
def test_strengths_are_drawn_once_a_repetition_and_change_the_set(hard):
    rows = strengths_of(hard, "fc3", [0.01, 0.5], repetitions=20)
    weak, strong = rows[:20], rows[20:]
    assert len({row["u"] for row in rows}) == 40
    assert all(0 <= row["u"] <= row["strength"] for row in rows) and max(row["u"] for row in strong) > 0.4
    assert np.mean([row["jaccard"] for row in strong]) < np.mean([row["jaccard"] for row in weak]) - 0.2
    network, graph, images, right = hard
    row = max(strong, key=lambda row: row["u"])
    model, chosen = network.model, images[drawn(right, 3, 60, 0)].double()
    y = model(chosen)[:, 3]
    wanted = []
    for node in range(84):
        changed = modified(model, "fc3", 84, node, [3], row["u"])(chosen)[:, 3]
        if (changed.mean() - y.mean()) / ((changed.var() + y.var()) / 60).sqrt() < -1.65:
            wanted.append(node)
    if not wanted:
        means = [
            modified(model, "fc3", 84, node, [3], row["u"])(chosen)[:, 3].mean() - y.mean()
            for node in range(84)
        ]
        wanted = [node for node, mean in enumerate(means) if mean < -0.001 * abs(y.mean())]
    assert row["nodes"] == wanted


@pytest.mark.slow
def test_resampled_images_are_others_each_time(hard):
    network, graph, images, right = hard
    rows = strengths_of(hard, "fc3", [0.0], resample=True, samples=20, repetitions=6)
    assert {row["images"] for row in rows} == {20} and len({tuple(row["nodes"]) for row in rows}) > 1
    every = strengths_of(hard, "fc3", [0.0], resample=True, samples=10**6)
    assert len({tuple(row["nodes"]) for row in every}) == 1 and every[0]["images"] == len(right)


@pytest.mark.slow
def test_noise_of_nothing_and_all_images_change_nothing(hard):
    network, graph, images, right = hard
    quiet, loud = (
        noise_rows(network, graph, images, noise=[sigma], repetitions=2, cap=600, std=[1.0])
        for sigma in (1e-12, 1.0)
    )
    assert [row["layer"] for row in quiet] == ["fc3", "fc2", "fc1", "conv2"] * 2
    assert {row["jaccard"] for row in quiet} == {1.0} and {row["u"] for row in quiet} == {0.0}
    assert np.mean([row["jaccard"] for row in loud]) < 0.9
    scaled = noise_rows(network, graph, images, noise=[1e12], repetitions=1, cap=600, std=[1e24])
    assert {row["jaccard"] for row in scaled} == {1.0}
    every = grow(
        network,
        images[drawn(right, 3, 10**6, 0)],
        3,
        soft=False,
        test="welch",
        correction="none",
        seed=0,
        cap=600,
    )
    rows = subsample_rows(network, every, images, right, subsample=[10**6, 8], repetitions=2, cap=600)
    assert {row["jaccard"] for row in rows[:8]} == {1.0} and {row["images"] for row in rows[:8]} == {
        len(right)
    }
    assert {row["images"] for row in rows[8:]} == {8} and {row["strength"] for row in rows[8:]} == {8.0}
    assert np.mean([row["jaccard"] for row in rows[8:]]) < 0.9


@pytest.mark.slow
def test_a_layer_that_is_not_reached_counts_as_an_empty_set(hard):
    network, graph, images, right = hard
    ended = replace(
        graph, truncated=True, layers=(replace(graph.layers[0], causes=(), rule="none"),), edges=()
    )
    rows = subsample_rows(network, ended, images, right, subsample=[60], repetitions=1, cap=600)
    assert [(row["layer"], row["jaccard"], bool(row["nodes"])) for row in rows] == [
        (layer, 0.0, True) for layer in ("fc3", "fc2", "fc1", "conv2")
    ]
    assert strength_rows(
        network, ended, images, right, "fc2", strengths=[0.0], repetitions=1, resample=False, samples=9, cap=600
    ) == []  # fmt: skip


STABILITY = {"layer": None, "strengths": {"most": 0.1, "step": 0.05}, "repetitions": 2, "resample": True, "samples": None,
             "noise": [0.1], "subsample": [12], "cap": 600}  # fmt: skip


def stability_of(stage, output, **changes):
    write_stability(
        model=stage / "model", data=stage / "test.parquet", output=output,
        graphs=[stage / "graphs" / f"class{label}" / "graph.json" for label in (0, 3)], **STABILITY | changes,
    )  # fmt: skip
    return read_rows(output)


@pytest.mark.slow
def test_stability_artefact(stage):
    first = stability_of(stage, stage / "stability.parquet")
    stability_of(stage, stage / "stability-again.parquet")
    assert check_file(stage / "stability.parquet") == []
    assert (stage / "stability.parquet").read_bytes() == (stage / "stability-again.parquet").read_bytes()
    strength = first[first["kind"] == "strength"]
    assert set(strength["layer"]) == {"fc3"} and set(strength["images"]) == {60}
    assert sorted(set(strength["strength"])) == [0.0, 0.05, 0.1] and len(strength) == 2 * 3 * 2
    for kind, images in (("noise", 60), ("subsample", 12)):
        rows = first[first["kind"] == kind]
        assert (
            len(rows) == 2 * 2 * 4 and set(rows["images"]) == {images} and rows["jaccard"].between(0, 1).all()
        )
    assert (first["class"].unique() == [0, 3]).all()
    for row in first.itertuples():
        graph = read_graph(stage / "graphs" / f"class{row._1}" / "graph.json")
        assert row.jaccard == jaccard(row.nodes.tolist(), graph.layer(row.layer).causes)
    with pytest.raises(
        PlumblineError, match="unknown layer to test anew 'conv1'.*legal: conv2, fc1, fc2, fc3"
    ):
        stability_of(stage, stage / "wrong.parquet", layer="conv1")


# ------------------------------------------------------------------------------------------------- pruning


def pruning_of(stage, output):
    write_pruning(
        dataset="digits_half", model=stage / "model", seed=0, data=stage / "few.parquet", output=output, draws=3,
        graphs=[stage / "graphs" / f"class{label}" / "graph.json" for label in (0, 3)],
    )  # fmt: skip
    return read_rows(output)


def plainly_pruned(model, graph, condition, dropped):
    """A copy of the model, pruned weight by weight."""
    found = copy.deepcopy(model)
    with torch.no_grad():
        for node in dropped:
            found.fc3.weight[graph.target, node] = 0
        for record in graph.layers if condition.startswith("graph") else ():
            weight = found.get_submodule(record.layer).weight
            size = weight.shape[1] // record.candidates
            for effect in range(len(weight)):
                for node in range(record.candidates):
                    inside = effect in record.effects and node in record.causes
                    if not inside and (condition == "graph_layer" or effect in record.effects):
                        weight[effect, node * size : (node + 1) * size] = 0
    return found


@pytest.mark.slow
def test_pruning_is_that_of_modified_copies(stage):
    rows = pruning_of(stage, stage / "pruning.parquet")
    assert check_file(stage / "pruning.parquet") == []
    pruning_of(stage, stage / "pruning-again.parquet")
    assert (stage / "pruning.parquet").read_bytes() == (stage / "pruning-again.parquet").read_bytes()
    model, _, images, labels = ready(stage / "model", stage / "few.parquet", "cpu", 1)
    model, images = model.double(), images.double()
    for label in (0, 3):
        graph = read_graph(stage / "graphs" / f"class{label}" / "graph.json")
        found = rows[rows["class"] == label].set_index(["condition", "draw"])
        assert list(dict.fromkeys(found.index.get_level_values(0))) == list(CONDITIONS)
        plan = dropped_nodes(graph.layer("fc3").causes, 84, 3, ("digits_half", 0, label))
        plan += [("graph_edge", 0, ()), ("graph_layer", 0, ())]
        assert len(found) == len(plan) == 11
        for condition, draw, dropped in plan:
            logits = plainly_pruned(model, graph, condition, dropped)(images).numpy()
            own = labels == label
            wins = logits[own, label][:, None] - logits[~own, label]
            auc = (wins > 0).mean() + (wins == 0).mean() / 2
            row = found.loc[condition, draw]
            assert row["recall"] == pytest.approx((logits[own].argmax(1) == label).mean()), condition
            assert row["auc"] == pytest.approx(auc, abs=1e-9), condition
        nodes = sum(len(record.causes) for record in graph.layers[:-1]) / 226
        kept = sum(
            len(record.causes) * len(record.effects) * size
            for record, size in zip(graph.layers, (1, 1, 25, 25, 25), strict=True)
        )
        weights = kept / (61706 - 236)  # the biases do not count
        assert found["node_share"].to_numpy() == pytest.approx(nodes) and found[
            "weight_share"
        ].to_numpy() == pytest.approx(weights)


@pytest.mark.slow
def test_pruning_is_scored_on_the_images_held_out(stage):
    """A graph is scored on none of its own images: against an AUC and recall of the others alone, counted here."""
    graphs = graphs_of(stage, "halves", held_out=0.5)
    output = stage / "halves.parquet"
    write_pruning(
        dataset="digits_half", model=stage / "model", seed=0, data=stage / "test.parquet", output=output, draws=2, graphs=graphs,
    )  # fmt: skip
    rows, model = read_rows(output), ready(stage / "model", stage / "test.parquet", "cpu", 1)
    model, _, images, labels = model
    for label, path in zip((0, 3), graphs, strict=True):
        graph = read_graph(path)
        assert 30 < graph.n_used <= 46 and graph.held_out == 0.5
        kept = sorted(held_out_rows(labels, 0.5))
        assert not set(kept) & set(graph.rows) and abs(len(kept) - len(labels) / 2) < 10
        logits = model(images[kept]).numpy()
        own = labels[kept] == label
        wins = logits[own, label][:, None] - logits[~own, label]
        base = rows[(rows["class"] == label) & (rows["condition"] == "base")].iloc[0]
        assert base["recall"] == pytest.approx((logits[own].argmax(1) == label).mean())
        assert base["auc"] == pytest.approx((wins > 0).mean() + (wins == 0).mean() / 2, abs=1e-6)
        assert (base["images"], base["held_out"]) == (len(kept), 0.5)
    other = replace(read_graph(graphs[0]), rows=tuple(held_out_rows(labels, 0.5)[:9].tolist()))
    write_json(stage / "leak.json", other.to_dict())
    with pytest.raises(PlumblineError, match="graph of class '0' was learnt from other images than these"):
        write_pruning(
            dataset="digits_half", model=stage / "model", seed=0, data=stage / "test.parquet", output=output, draws=2,
            graphs=[stage / "leak.json"],
        )  # fmt: skip


def test_dropped_nodes():
    plan = dropped_nodes((1, 4), 6, 50, ("x",))
    by = {
        condition: [set(map(int, nodes)) for name, _, nodes in plan if name == condition]
        for condition, _, _ in plan
    }
    assert (by["base"], by["drop_non_causal"], by["ablate_causal"]) == ([set()], [{0, 2, 3, 5}], [{1, 4}])
    assert {len(nodes) for nodes in by["ablate_random"] + by["ablate_non_causal"]} == {2}
    assert set().union(*by["ablate_random"]) == set(range(6)) and set().union(*by["ablate_non_causal"]) == {
        0,
        2,
        3,
        5,
    }
    assert len({frozenset(nodes) for nodes in by["ablate_random"]}) > 5
    assert [
        len(nodes) for name, _, nodes in dropped_nodes(range(5), 6, 1, ()) if name == "ablate_non_causal"
    ] == [1]


@pytest.mark.slow
def test_a_graph_that_ends_leaves_the_layers_below_whole(hard):
    network, graph, images, right = hard
    ended = replace(
        graph, truncated=True, layers=(graph.layers[0], replace(graph.layers[1], causes=(), rule="none"))
    )
    assert set(pruned_weights(network, ended, "layer")) == {"fc3.weight"}


@pytest.mark.slow
def test_both_scopes_leave_the_same_logit_of_the_class(hard):
    network, graph, images, _ = hard
    edge, layer = (
        torch.func.functional_call(network.model, pruned_weights(network, graph, scope), (images.double(),))
        for scope in ("edge", "layer")
    )
    torch.testing.assert_close(edge[:, 3], layer[:, 3])
    assert not torch.allclose(edge[:, 4], layer[:, 4])


def test_quality():
    logits = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.5], [4.0, 0.0]])
    assert quality(logits, np.array([0, 1, 0, 1]), 0) == (0.5, 0.5)
