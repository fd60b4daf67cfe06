"""Explanations of image classifiers and their metrics: each derived again, by hand or in a few plain lines; edge cases, seeds,
files, and Quantus beside them."""

import hashlib
import itertools
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

from plumbline.artefacts import check_file, read_rows, write_json, write_rows
from plumbline.causal import baselines, quantus_adapter
from plumbline.causal import metrics as definitions
from plumbline.causal.attributions import (
    attribution,
    default_layer,
    legal_layers,
    node_maps,
)
from plumbline.causal.evaluation import write_metrics
from plumbline.causal.explanations import explain, image_seeds, write_explanations
from plumbline.causal.graph import read_graph
from plumbline.causal.learn import held_out_rows, learn_graph, ready, right_images, write_graphs
from plumbline.causal.metrics import SETTINGS, Subjects, measure
from plumbline.causal.registry import BASELINES, CAUSAL, EXPLANATIONS, METRICS
from plumbline.datasets import load
from plumbline.errors import PlumblineError
from plumbline.models.image_models import train_job
from plumbline.models.lenet import LeNet
from plumbline.models.resnet import ResNet
from plumbline.seeds import seed_of

pytestmark = pytest.mark.slow

DRAWN = ("gradient_shap", "rise", "random")
CLASSES = (0, 3, 6)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A trained LeNet, its test images and three graphs, on disk."""
    folder = tmp_path_factory.mktemp("study")
    files = {split: folder / f"{split}.parquet" for split in ("train", "test")}
    for split, file in files.items():
        write_rows(file, load("digits_half", split, {}), kind="images")
    block = {
        "architecture": "lenet", "source": "scratch", "repo": None, "image_size": 32, "channels": 1, "classes": 10,
        "training": {"epochs": 8, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 0.0, "warmup": 0.1},
    }  # fmt: skip
    names = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
    outputs = {key: folder / "model" / name for key, name in names.items()}
    train_job(
        dataset="digits_half", model="lenet", seed=0, block=block, labels=True, files=files, outputs=outputs
    )
    graphs = {
        label: {kind: folder / f"class{label}.{kind}" for kind in ("json", "graphml")} for label in CLASSES
    }
    write_graphs(
        dataset="digits_half", model=folder / "model", seed=0, data=files["test"], outputs=graphs, classes=CLASSES,
        samples=60, soft=True, test="welch", correction="none", cap=600, held_out=0.5,
    )  # fmt: skip
    return {
        "model": folder / "model",
        "data": files["test"],
        "graphs": [paths["json"] for paths in graphs.values()],
    }


@pytest.fixture(scope="module")
def loaded(study):
    """(model, images, labels, {class: graph}) of the study, the first 4 right ones of each class."""
    model, _, images, labels = ready(study["model"], study["data"], "cpu", 1)
    rows = np.concatenate([right_images(model, images, labels, target)[:4] for target in CLASSES])
    graphs = {graph.target: graph for graph in map(read_graph, study["graphs"])}
    return model, images[rows], torch.from_numpy(labels[rows]), graphs


def write(study, folder, **changes):
    """Paths of the explanations and nodes that the writer made."""
    outputs = {"output": folder / "explanations.parquet", "nodes": folder / "nodes.parquet"}
    options = {
        **study, **outputs, "dataset": "digits_half", "name": "lenet/seed0", "methods": list(EXPLANATIONS), "layer": None,
        "images": 2, "gallery": 1, **changes,
    }  # fmt: skip
    write_explanations(**options)
    return options["output"], options["nodes"]


def write_values(study, folder, explanations, **changes):
    options = {
        **study, "dataset": "digits_half", "name": "lenet/seed0", "explanations": explanations,
        "output": folder / "metrics.parquet", "layer": None, "methods": list(EXPLANATIONS), "metrics": list(METRICS),
        **changes,
    }  # fmt: skip
    write_metrics(**options)
    return options["output"]


def digest(model):
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


# ------------------------------------------------------------------------------------------------- maps of graphs


def outputs_of(model, name, images):
    """What leaves and what enters a module, numpy."""
    found = {}
    hook = model.get_submodule(name).register_forward_hook(
        lambda module, arguments, output: found.update(into=arguments[0].clone(), out=output.clone())
    )
    model(images)
    hook.remove()
    return {key: value.detach().numpy() for key, value in found.items()}


def test_released_maps_are_softmax_of_a_true_convolution_with_the_map_before_relu(loaded):
    model, images, labels, graphs = loaded
    graph = graphs[3]
    pictures = images[labels == 3]
    record = graph.layer("conv2")
    found = node_maps(model, graph, "conv2", pictures).numpy()
    assert found.shape == (4, len(record.effects), 32, 32)
    parents, weight = outputs_of(model, "conv1", pictures)["out"], model.conv2.weight.numpy()
    for row in range(4):
        for place, q in enumerate(record.effects):
            shares = []
            for i in record.causes:
                full = convolve2d(parents[row, i].astype(float), weight[q, i].astype(float))
                shares.append(np.exp(full - full.max()) / np.exp(full - full.max()).sum())
            np.testing.assert_allclose(found[row, place], np.mean(shares, axis=0), rtol=1e-4, atol=1e-8)
    assert found.sum((2, 3)) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(attribution(model, graph, "conv2", pictures), found.sum(1), rtol=1e-5)


def test_released_maps_at_the_lowest_layer_add_the_channels_of_the_input():
    model, images, labels, graphs = residual()
    ((target, graph),) = graphs.items()
    found = node_maps(model, graph, "conv", images).numpy()
    weight = model.conv.weight.numpy()
    for place, q in enumerate(graph.layer("conv").effects):
        full = sum(convolve2d(images[1, c].double().numpy(), weight[q, c]) for c in range(3))
        wanted = np.exp(full - full.max())
        np.testing.assert_allclose(found[1, place], wanted / wanted.sum(), rtol=1e-4)
    whole = functional.interpolate(torch.from_numpy(found.sum(1))[:, None], size=(12, 12), mode="bilinear")[
        :, 0
    ]
    shown = explain("causal", model, images, labels, graphs=graphs, layer="conv")
    torch.testing.assert_close(shown, whole)


def naive_forward(entering, module, causes, q):
    """Sum over the causes of w[q, i] x_i in cross-correlation, patch by patch, and the ReLU of it."""
    padded = np.pad(entering.astype(float), ((0, 0), (module.padding[0],) * 2, (module.padding[1],) * 2))
    weight, step = module.weight.detach().numpy().astype(float), module.stride[0]
    side = weight.shape[-1]
    patches = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::step, ::step]
    causes = list(causes)
    return np.maximum(0, np.einsum("iyxab,iab->yx", patches[causes], weight[q, causes]))


@pytest.mark.parametrize("layer", ["lenet conv2", "block2.conv1", "block3.conv2", "conv"])
def test_forward_maps_are_what_travels_along_the_causal_paths(loaded, layer):
    if layer == "lenet conv2":
        model, images, labels, graphs = loaded
        graph, images, layer = graphs[3], images[labels == 3], "conv2"
    else:
        model, images, _, graphs = residual()
        (graph,) = graphs.values()
    record = graph.layer(layer)
    above = graph.layers[graph.layers.index(record) - 1]
    effects = {node.index: node.te for node in above.nodes}
    causes = range(images.shape[1]) if record.rule == "input" else record.causes
    found = node_maps(model, graph, layer, images, "forward").numpy()
    entering = outputs_of(model, layer, images)["into"]
    for place, q in enumerate(record.effects):
        wanted = -effects[q] * naive_forward(entering[2], model.get_submodule(layer), causes, q)
        assert effects[q] < 0
        np.testing.assert_allclose(found[2, place], wanted, rtol=1e-4, atol=1e-5 * wanted.max())


def test_layers_without_maps_are_refused_with_the_legal_ones(loaded):
    model, images, labels, graphs = loaded
    assert default_layer(model) == "conv2" and legal_layers(model, graphs[3]) == ["conv1", "conv2"]
    with pytest.raises(
        PlumblineError, match="no maps at layer 'fc1' of the graph of class '3'; legal: conv1, conv2"
    ):
        node_maps(model, graphs[3], "fc1", images)
    with pytest.raises(PlumblineError, match="no maps at layer 'fc1' of LeNet; legal: conv1, conv2"):
        explain("grad_cam", model, images, labels, layer="fc1")
    cut = replace(graphs[3], layers=graphs[3].layers[:4], truncated=True)
    assert legal_layers(model, cut) == ["conv2"]
    with pytest.raises(PlumblineError, match="'conv1' of the graph of class '3'; legal: conv2"):
        explain("causal", model, images[labels == 3], labels[labels == 3], graphs={3: cut}, layer="conv1")
    with pytest.raises(PlumblineError, match="Sequential has no convolution"):
        default_layer(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))


def test_faults(loaded):
    model, images, labels, graphs = loaded
    with pytest.raises(PlumblineError, match="unknown explanation 'salience': did you mean 'saliency'"):
        explain("salience", model, images, labels)
    for method in CAUSAL:
        with pytest.raises(PlumblineError, match="there is no causal graph of class 6"):
            explain(method, model, images, labels, graphs={0: graphs[0], 3: graphs[3]})


# ------------------------------------------------------------------------------------------------- all methods


@pytest.mark.parametrize("kind", ["lenet", "resnet"])
def test_order_batches_and_neighbours_change_nothing(loaded, kind, monkeypatch):
    model, images, labels, graphs = loaded if kind == "lenet" else residual()
    images, labels = images[-3:], labels[-3:]
    before, state = digest(model), (torch.get_rng_state(), np.random.get_state()[1].copy())
    for method in EXPLANATIONS:
        whole = explain(method, model, images, labels, graphs=graphs, seeds=[5, 6, 5])
        assert whole.shape == (3, *images.shape[2:]) and whole.isfinite().all() and not whole.requires_grad
        assert torch.equal(whole, explain(method, model, images, labels, graphs=graphs, seeds=[5, 6, 5]))
        scale = {"rtol": 1e-3, "atol": 1e-4 * whole.abs().max().item()}
        turned = explain(method, model, images.flip(0), labels.flip(0), graphs=graphs, seeds=[5, 6, 5])
        torch.testing.assert_close(turned.flip(0), whole, **scale)
        with monkeypatch.context() as patch:
            patch.setattr(baselines, "ROWS", 2)
            split = explain(method, model, images, labels, graphs=graphs, seeds=[5, 6, 5])
        torch.testing.assert_close(split, whole, **scale)
        other = explain(method, model, images, labels, graphs=graphs, seeds=[5, 7, 5])
        assert torch.equal(other[0], whole[0])
        assert torch.equal(other[1], whole[1]) == (method not in DRAWN), method
        nothing = explain(method, model, images[:0], labels[:0], graphs=graphs)
        assert nothing.shape == (0, *images.shape[2:])
    assert digest(model) == before
    assert torch.equal(torch.get_rng_state(), state[0]) and np.array_equal(np.random.get_state()[1], state[1])


def test_the_registry_imports_no_torch():
    code = ("import sys, plumbline.causal.registry; "
            "sys.exit(any(name in sys.modules for name in ('torch', 'captum', 'quantus', 'scipy')))")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(BASELINES) | set(CAUSAL) | {"random", "input"} == set(EXPLANATIONS)
    assert [name for name, entry in EXPLANATIONS.items() if entry.published] == ["causal"]
    assert set(METRICS) == set(SETTINGS) == set(definitions._FUNCTIONS)


def test_seeds_hang_on_names_and_the_image_alone():
    assert image_seeds("digits", "lenet/seed0", [4, 7], "rise") == [
        seed_of("digits", "lenet/seed0", 4, "rise", 0),
        seed_of("digits", "lenet/seed0", 7, "rise", 0),
    ]


# ------------------------------------------------------------------------------------------------- baselines by hand


def tiny(bias=True):
    """(network of a convolution of two channels and two linear layers, images (2, 1, 6, 6), classes)."""
    torch.manual_seed(3)
    model = nn.Sequential()
    for name, module in (
        ("conv", nn.Conv2d(1, 2, 3, bias=bias)), ("relu", nn.ReLU()), ("flatten", nn.Flatten()),
        ("first", nn.Linear(32, 5, bias=bias)), ("relu2", nn.ReLU()), ("last", nn.Linear(5, 3, bias=bias)),
    ):  # fmt: skip
        model.add_module(name, module)
    return model.requires_grad_(False), torch.randn(2, 1, 6, 6), torch.tensor([2, 0])


def shown(method, *, bias=True, **options):
    model, images, targets = tiny(bias)
    found = explain(method, model, images, targets, layer="conv", **options).double().numpy()
    return model.double(), images.double(), targets, found


def backward(model, images, targets, relu):
    """Gradients at the images and at the convolution's output, through ReLUs with a rule of (forward input, gradient)."""
    x, seen = images, []
    for module in model:
        seen.append(x)
        x = module(x)
    gradient, at_conv = functional.one_hot(targets, 3).double(), None
    for module, x in zip(reversed(model), reversed(seen), strict=True):
        if isinstance(module, nn.Linear):
            gradient = gradient @ module.weight
        elif isinstance(module, nn.ReLU):
            gradient = relu(x, gradient)
        elif isinstance(module, nn.Flatten):
            gradient = gradient.view_as(x)
        else:
            at_conv = gradient
            gradient = functional.conv_transpose2d(gradient, module.weight)
    return gradient[:, 0].numpy(), at_conv.numpy()


RULES = {
    "plain": lambda x, gradient: gradient * (x > 0),
    "guided": lambda x, gradient: gradient.clamp(min=0) * (x > 0),
    "deconvolution": lambda x, gradient: gradient.clamp(min=0),
}


def test_gradient_maps_by_hand():
    model, images, targets, saliency = shown("saliency")
    gradient, at_conv = backward(model, images, targets, RULES["plain"])
    np.testing.assert_allclose(saliency, np.abs(gradient), atol=1e-6)
    pixels = images[:, 0].numpy()
    np.testing.assert_allclose(shown("input_x_gradient")[3], gradient * pixels, atol=1e-6)
    guided, deconvolution = shown("guided_backprop")[3], shown("deconvolution")[3]
    np.testing.assert_allclose(guided, backward(model, images, targets, RULES["guided"])[0], atol=1e-6)
    np.testing.assert_allclose(
        deconvolution, backward(model, images, targets, RULES["deconvolution"])[0], atol=1e-6
    )
    assert np.abs(guided - gradient).max() > 0.01 and np.abs(guided - deconvolution).max() > 0.01
    layer = model.conv(images).numpy()
    cam = np.maximum(0, (at_conv.mean((2, 3), keepdims=True) * layer).sum(1))
    wanted = functional.interpolate(torch.from_numpy(cam)[:, None], size=(6, 6), mode="bilinear")[:, 0]
    np.testing.assert_allclose(shown("grad_cam")[3], wanted, atol=1e-6)


def test_saliency_takes_the_largest_channel_and_the_others_add_them():
    torch.manual_seed(0)
    model, images, target = LeNet(image_size=16, channels=3, classes=4), torch.randn(1, 3, 16, 16), [1]
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(model(images)[:, target].sum(), images)
    images = images.detach()
    target = torch.tensor(target)
    torch.testing.assert_close(explain("saliency", model, images, target), gradient.abs().amax(1))
    torch.testing.assert_close(explain("input_x_gradient", model, images, target), (gradient * images).sum(1))
    torch.testing.assert_close(explain("input", model, images, target), images.abs().sum(1))


def logit_gaps(model, images, targets):
    """f(x) - f(0), of the targets' logits."""
    rows = torch.arange(len(images))
    return (model(images) - model(torch.zeros_like(images)))[rows, targets].numpy()


@pytest.mark.parametrize(("method", "error"), [("integrated_gradients", 0.02), ("deep_lift", 1e-5)])
def test_scores_add_up_to_what_the_image_adds(method, error):
    model, images, targets, found = shown(method)
    missed = np.abs(found.sum((1, 2)) - logit_gaps(model, images, targets))
    assert (missed < error * np.abs(found).sum((1, 2))).all()


def test_integrated_gradients_by_hand():
    """A midpoint rule of many steps, which meets the corners of the ReLUs elsewhere."""
    model, images, targets, found = shown("integrated_gradients")
    steps = [(step + 0.5) / 2000 for step in range(2000)]
    mean = np.mean([backward(model, images * step, targets, RULES["plain"])[0] for step in steps], axis=0)
    wanted = mean * images[:, 0].numpy()
    assert np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()


def test_gradient_shap_of_a_linear_model_is_its_noise_by_hand():
    """w (x + noise), the mean of the draws: that of the noise has a standard error of 0.1 / sqrt(16)."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(400, 2, bias=False))
    images, target = torch.rand(3, 1, 20, 20), torch.tensor([1, 1, 1])
    found = explain("gradient_shap", model.requires_grad_(False), images, target, seeds=[1, 2, 1])
    # One place between the images is drawn a copy, and the gradient is the same at each.
    noise = found / (model[0].weight.item() * model[2].weight[1].view(20, 20)) - images[:, 0]
    error = baselines.SHAP_NOISE / baselines.SHAP_SAMPLES**0.5
    assert 0.9 * error < noise.std() < 1.1 * error
    torch.testing.assert_close(noise[0], noise[2], rtol=1e-2, atol=1e-3)
    assert (noise[0] - noise[1]).abs().max() > error


def test_occlusion_by_hand():
    model, images, targets = tiny()
    images = torch.randn(1, 1, 6, 6)
    found = explain("occlusion", model, images, targets[:1], layer="conv")[0]
    # Of 6 pixels: windows of 1, steps of 1.
    for y, x in ((0, 0), (2, 5), (5, 5)):
        changed = images.clone()
        changed[0, 0, y, x] = 0
        fall = (model(images) - model(changed))[0, targets[0]]
        assert found[y, x].item() == pytest.approx(fall.item(), abs=1e-5)


def test_occlusion_covers_a_quarter_of_a_side_and_all_channels(loaded):
    torch.manual_seed(0)
    model, images, target = LeNet(channels=2), torch.randn(1, 2, 32, 32), torch.tensor([4])
    found = explain("occlusion", model.requires_grad_(False), images, target)[0]
    totals, counts = torch.zeros(32, 32), torch.zeros(32, 32)
    for y in range(0, 25, 4):
        for x in range(0, 25, 4):
            changed = images.clone()
            changed[:, :, y : y + 8, x : x + 8] = 0
            totals[y : y + 8, x : x + 8] += (model(images) - model(changed))[0, 4]
            counts[y : y + 8, x : x + 8] += 1
    torch.testing.assert_close(found, totals / counts, rtol=1e-3, atol=1e-6)


def test_lrp_conserves_the_logit_and_favours_what_is_positive():
    model, images, targets, found = shown("lrp", bias=False)
    logits = model(images)[torch.arange(2), targets].numpy()
    assert found.sum((1, 2)) == pytest.approx(logits, rel=1e-3)
    # By hand: epsilon at the linear layers is activation x gradient; gamma at the convolution.
    inner, weight = model.conv(images), model.conv.weight
    at_conv = torch.from_numpy(backward(model, images, targets, RULES["plain"])[1])
    relevance = inner.relu() * at_conv
    positive = weight + baselines.GAMMA * weight.clamp(min=0)
    share = relevance / functional.conv2d(images, positive)
    wanted = images * functional.conv_transpose2d(share, positive)
    np.testing.assert_allclose(found, wanted[:, 0], rtol=1e-3, atol=1e-4)


def test_lrp_reads_norms_and_sums_as_one_network():
    model, images, labels, _ = residual()
    ruled = baselines.with_rules(model)
    torch.testing.assert_close(ruled(images), model(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ruled.modules())
    assert sum("Addition_Module" in type(module).__name__ for module in ruled.modules()) == 3


def test_rise_by_hand(loaded, monkeypatch):
    model, images, labels, _ = loaded
    monkeypatch.setattr(baselines, "MASKS", 5)
    masks = baselines.rise_masks(9, (32, 32))
    assert masks.shape == (5, 32, 32) and masks.min() >= 0 and masks.max() <= 1
    wanted = torch.zeros(32, 32)
    for mask in masks:
        wanted += model((images[1] * mask)[None]).softmax(-1)[0, labels[1]] * mask
    found = explain("rise", model, images[:3], labels[:3], seeds=[1, 9, 3])[1]
    torch.testing.assert_close(found, wanted / (5 * 0.5))


def test_masks_of_rise_keep_half_and_lie_anywhere():
    masks = baselines.rise_masks(0, (32, 32))
    assert len(masks) == 200 and masks.mean().item() == pytest.approx(0.5, abs=0.02)
    assert (masks.mean(0) - 0.5).abs().max() < 0.2
    # A cell is 5 pixels wide: neighbours are alike, what is farther away than two cells is not.
    centred = masks - masks.mean(0)
    near, far = ((centred[:, :, gap:] * centred[:, :, : 32 - gap]).mean().item() for gap in (1, 11))
    assert near > 0.08 and abs(far) < 0.01


class Functional(nn.Module):
    """A ReLU that is no module, or one that is used twice."""

    def __init__(self, twice):
        super().__init__()
        self.conv, self.relu, self.last = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(72, 3)
        self.twice = twice

    def forward(self, x):
        x = self.conv(x)
        return self.last((self.relu(self.relu(x)) if self.twice else x.relu()).flatten(1))


@pytest.mark.parametrize("method", baselines.RULED)
def test_relus_that_are_no_modules_are_refused(method):
    images, targets = torch.rand(1, 1, 8, 8), torch.tensor([0])
    with pytest.raises(PlumblineError, match="Functional passes 1 ReLUs, 0 of them nn.ReLU modules"):
        explain(method, Functional(False), images, targets, layer="conv")
    with pytest.raises(PlumblineError, match="passes 2 ReLUs, 1 of them nn.ReLU modules"):
        explain(method, Functional(True), images, targets, layer="conv")
    assert explain("saliency", Functional(False), images, targets, layer="conv").isfinite().all()


# ------------------------------------------------------------------------------------------------- metrics by hand


def subjects_of(loaded, rows=slice(2, 5)):
    """(Subjects of a few images, maps of four methods, again)."""
    model, images, labels, graphs = loaded
    images, labels = images[rows], labels[rows]
    keys = tuple(("digits_half", "lenet/seed0", number) for number in range(len(images)))
    subjects = Subjects(
        model=model, images=images.numpy(), targets=labels.numpy(), keys=keys, model_key=("digits_half", "lenet/seed0"),
        black=np.array([0.1], dtype=np.float32), segments=definitions.segments_of(images.numpy()),
    )  # fmt: skip
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


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity"])
def test_robustness_by_hand(loaded, metric):
    subjects, maps, again = subjects_of(loaded)
    found = measure(metric, subjects, maps, again)
    for method, row in (("causal", 0), ("saliency", 1), ("input_x_gradient", 2)):
        before, values = np.abs(unit(maps[method][row])), []
        for repeat in range(10):
            draw = np.random.default_rng(seed_of("digits_half", "lenet/seed0", row, metric, repeat))
            noise = (
                draw.normal(0.1, 0.1, (1, 32, 32))
                if metric == "lipschitz"
                else draw.uniform(-0.2, 0.2, (1, 32, 32))
            )
            copied = (subjects.images[row] + noise.astype(np.float32))[None]
            after = again(method, subjects.model, copied, subjects.targets[[row]], np.array([row]))
            change = np.linalg.norm(np.abs(unit(after)) - before)
            values.append(change / np.linalg.norm(noise if metric == "lipschitz" else before))
        assert found[method][row] == pytest.approx(max(values), rel=1e-3)
    assert found["random"].tolist() == [0, 0, 0]


def test_faithfulness_correlation_by_hand(loaded):
    subjects, maps, again = subjects_of(loaded)
    found = measure("faithfulness_correlation", subjects, maps, again)
    row, sums, falls = 1, {method: [] for method in maps}, []
    with torch.no_grad():
        whole = subjects.model(torch.from_numpy(subjects.images[[row]]))[0, subjects.targets[row]].item()
        for repeat in range(100):
            draw = np.random.default_rng(
                seed_of("digits_half", "lenet/seed0", row, "faithfulness_correlation", repeat)
            )
            chosen = draw.permutation(1024)[:224]
            image = subjects.images[row].copy().ravel()
            image[chosen] = 0.1
            logits = subjects.model(torch.from_numpy(image).view(1, 1, 32, 32))
            falls.append(whole - logits[0, subjects.targets[row]].item())
            for method, values in maps.items():
                sums[method].append(unit(values[row])[chosen].sum())
    for method in maps:
        assert found[method][row] == pytest.approx(np.corrcoef(sums[method], falls)[0, 1], abs=1e-4)


def test_irof_by_hand(loaded):
    subjects, maps, again = subjects_of(loaded)
    found = measure("irof", subjects, maps, again)
    row, segments = 2, subjects.segments[2]
    count = segments.max() + 1
    assert set(np.unique(segments)) == set(range(count)) and count > 40
    untied = 0
    for method, values in maps.items():
        means = [values[row][segments == number].mean() for number in range(count)]
        if len(set(means)) < count:  # tied segments: see test_ties_go_in_every_order_alike
            continue
        untied += 1
        image, curve = subjects.images[row].copy(), []
        for number in sorted(range(count), key=lambda number: -unit(means)[number]):
            image[0][segments == number] = subjects.images[row].mean()
            curve.append(chance(subjects, row, image) / chance(subjects, row, subjects.images[row]))
        area = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        assert found[method][row] == pytest.approx(count - area, rel=1e-4)
    assert untied >= 2


def test_pixel_flipping_by_hand(loaded):
    subjects, maps, again = subjects_of(loaded)
    found = measure("pixel_flipping", subjects, maps, again)
    row, untied = 0, 0
    for method, values in maps.items():
        if len(np.unique(values[row])) < 1024:
            continue
        untied += 1
        order = sorted(range(1024), key=lambda pixel: -values[row].ravel()[pixel])
        image, curve = subjects.images[row].copy(), []
        for start in range(0, 1024, 16):
            image.reshape(-1)[order[start : start + 16]] = 0.1
            curve.append(chance(subjects, row, image))
        area = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        assert found[method][row] == pytest.approx(area, rel=1e-4)
    assert untied


@pytest.mark.parametrize("metric", ["irof", "pixel_flipping"])
def test_ties_go_in_every_order_alike(monkeypatch, metric):
    """Four pixels, three of them tied: the mean over the six orders, not that of the pixels' numbers or of its reverse."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).requires_grad_(False)
    model[1].weight.mul_(4)
    image = np.array([[[[0.9, 0.2], [0.5, 0.7]]]], dtype=np.float32)
    segments = np.arange(4).reshape(1, 2, 2)
    subjects = Subjects(
        model, image, np.array([1]), (("a",),), ("a",), np.zeros(1, dtype=np.float32), segments
    )
    maps = {"flat": np.array([[[0.0, 0.0], [3.0, 0.0]]]), "sorted": np.array([[[4.0, 3.0], [2.0, 1.0]]])}
    fill = image.mean() if metric == "irof" else 0.0

    def area(order):
        changed, curve = image.copy().ravel(), []
        for pixel in order:
            changed[pixel] = fill
            curve.append(model(torch.from_numpy(changed)[None]).softmax(-1)[0, 1].item())
        found = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        whole = model(torch.from_numpy(image)).softmax(-1)[0, 1].item()
        return 4 - found / whole if metric == "irof" else found

    every = [area((2, *order)) for order in itertools.permutations((0, 1, 3))]
    assert max(every) - min(every) > 0.02
    monkeypatch.setattr(definitions, "ORDERS", 3000)
    found = measure(metric, subjects, maps, None)
    assert found["flat"][0] == pytest.approx(np.mean(every), abs=4 * np.std(every) / 3000**0.5)
    assert found["sorted"][0] == pytest.approx(area((0, 1, 2, 3)), rel=1e-5)
    assert definitions.ties(metric, subjects, maps) == {"flat": [0.75], "sorted": [0.0]}
    assert definitions.ties("sparseness", subjects, maps) is None
    # A few orders are of the same draws for all maps, and are drawn by the image's key.
    monkeypatch.setattr(definitions, "ORDERS", 2)
    twins = {"one": maps["flat"], "other": 7 * maps["flat"]}
    few = measure(metric, subjects, twins, None)
    assert few["one"] == few["other"]


def test_steps_of_an_image_that_they_do_not_divide():
    """Of 5 x 20 pixels a step is 2, so that there are 50."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3)).requires_grad_(False)
    images = np.random.default_rng(0).random((1, 1, 5, 20), dtype=np.float32)
    subjects = Subjects(model, images, np.array([1]), (("a",),), ("a",), np.zeros(1, dtype=np.float32))
    scores = np.arange(100.0).reshape(1, 5, 20)
    found = measure("pixel_flipping", subjects, {"a": scores}, None)["a"][0]
    curve = [chance(subjects, 0, np.where(scores >= 98 - 2 * step, 0, images[0])) for step in range(50)]
    assert found == pytest.approx(np.trapezoid(curve), rel=1e-5)


def test_sparseness_and_complexity_by_hand():
    maps = np.random.default_rng(0).normal(size=(2, 4, 5))
    for row, values in enumerate(maps):
        values = np.abs(values).ravel()
        gini = np.abs(values[:, None] - values).sum() / (2 * 20 * values.sum())
        assert definitions.sparseness(maps)[row] == pytest.approx(gini, rel=1e-4)
        shares = values / values.sum()
        assert definitions.complexity(maps)[row] == pytest.approx(-(shares * np.log(shares)).sum())
    one = np.zeros((1, 10, 10))
    one[0, 3, 3] = -2.0
    assert definitions.sparseness(one)[0] == pytest.approx(0.99, abs=1e-3)
    assert definitions.complexity(one)[0] == 0


def test_parameter_randomisation_by_hand(loaded):
    subjects, maps, again = subjects_of(loaded)
    before = digest(subjects.model)
    found = measure("parameter_randomisation", subjects, maps, again)
    assert digest(subjects.model) == before
    models = list(definitions.randomised(subjects))
    assert len(models) == 5
    for method, values in maps.items():
        for row in (0, 2):
            correlations = []
            for model in models:
                after = again(method, model, subjects.images, subjects.targets, np.arange(3))[row]
                correlations.append(spearmanr(np.abs(values[row]).ravel(), np.abs(after).ravel())[0])
            assert found[method][row] == pytest.approx(np.mean(correlations), abs=1e-4)
    assert found["random"].tolist() == [1, 1, 1]
    # What lies above the layer of the maps reaches them through the graph alone.
    for model in models[:3]:
        after = again("causal", model, subjects.images, subjects.targets, np.arange(3))
        np.testing.assert_allclose(after, maps["causal"], rtol=1e-6)


def test_layers_are_drawn_anew_from_the_top_and_the_given_model_stays(loaded):
    subjects, *_ = subjects_of(loaded)
    state = torch.get_rng_state()
    own = subjects.model.state_dict()
    models = [model.state_dict() for model in definitions.randomised(subjects)]
    for number, weights in enumerate(models):
        changed = {name.split(".")[0] for name in own if not torch.equal(own[name], weights[name])}
        assert changed == set(("fc3", "fc2", "fc1", "conv2", "conv1")[: number + 1])
        for name in changed - {("fc3", "fc2", "fc1", "conv2", "conv1")[number]}:
            assert torch.equal(weights[f"{name}.weight"], models[number - 1][f"{name}.weight"])
    assert torch.equal(torch.get_rng_state(), state)
    again = [
        model.state_dict() for model in definitions.randomised(replace(subjects, images=subjects.images[:1]))
    ]
    assert all(torch.equal(again[4][name], models[4][name]) for name in own)
    other = next(iter(definitions.randomised(replace(subjects, model_key=("digits_half", "lenet/seed1")))))
    assert not torch.equal(other.state_dict()["fc3.weight"], models[0]["fc3.weight"])


def test_layers_of_a_network_with_norms():
    model, images, labels, _ = residual()
    subjects = Subjects(model, images.numpy(), labels.numpy(), ((0,),) * 3, (0,), np.zeros(3))
    *_, last = definitions.randomised(subjects)
    own, weights = model.state_dict(), last.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert not torch.equal(own[f"{name}.weight"], weights[f"{name}.weight"])
        elif isinstance(module, nn.BatchNorm2d):
            assert torch.equal(own[f"{name}.running_var"], weights[f"{name}.running_var"])


# ------------------------------------------------------------------------------------------------- properties


@pytest.mark.parametrize("metric", list(METRICS))
def test_scale_order_and_neighbours_change_no_value(loaded, metric):
    """Maps in another unit, images in another order, and methods beside one change nothing."""
    subjects, maps, again = subjects_of(loaded)
    whole = measure(metric, subjects, maps, again)
    for values in whole.values():
        assert values.shape == (3,) and values.dtype == np.float64
    larger = {method: 1024 * values for method, values in maps.items()}
    found = measure(metric, subjects, larger, lambda *arguments: 1024 * again(*arguments))
    turned = replace(
        subjects, images=subjects.images[::-1].copy(), targets=subjects.targets[::-1].copy(), keys=subjects.keys[::-1],
        segments=subjects.segments[::-1],
    )  # fmt: skip
    alone = {"causal": maps["causal"][::-1]}
    other = measure(metric, turned, alone, lambda *given: again(*given[:4], 2 - given[4]))
    for method, values in whole.items():
        np.testing.assert_allclose(found[method], values, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(other["causal"][::-1], whole["causal"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity", "parameter_randomisation"])
def test_all_methods_meet_the_same_inputs_and_weights(loaded, metric):
    subjects, maps, again = subjects_of(loaded)
    seen = {}

    def recorded(method, model, images, targets, rows):
        weights = model.state_dict()["conv1.weight"].numpy().tobytes()
        seen.setdefault(method, []).append((images.tobytes(), targets.tobytes(), rows.tobytes(), weights))
        return again(method, model, images, targets, rows)

    measure(metric, subjects, maps, recorded)
    assert len(seen) == 4 and all(calls == seen["causal"] for calls in seen.values())


def test_noise_of_an_image_hangs_on_its_key(loaded):
    subjects, *_ = subjects_of(loaded)
    same = replace(subjects, images=np.repeat(subjects.images[:1], 3, axis=0))
    for metric, mean, deviation in (("lipschitz", 0.1, 0.1), ("max_sensitivity", 0, 0.2 / 3**0.5)):
        noise = definitions.noisy(same, metric) - same.images[:, None]
        assert noise.mean() == pytest.approx(mean, abs=0.002) and noise.std() == pytest.approx(
            deviation, rel=0.02
        )
        draws = noise.reshape(30, -1).astype(np.float64)
        assert np.abs(np.corrcoef(draws) - np.eye(30)).max() < 0.2
    assert np.abs(noise).max() <= 0.2 + 1e-6


@pytest.mark.parametrize("metric", list(METRICS))
def test_maps_of_zeros_and_flat_maps_have_finite_values(loaded, metric):
    subjects, _, again = subjects_of(loaded)
    maps = {
        "zero": np.zeros((3, 32, 32)),
        "flat": np.full((3, 32, 32), 0.3),
        "saliency": np.zeros((3, 32, 32)),
    }

    def changed(method, model, images, targets, rows):
        if method == "saliency":  # zeros at first, something afterwards
            return again(method, model, images, targets, rows)
        return np.full((len(images), 32, 32), 0.0 if method == "zero" else 0.7)

    found = measure(metric, subjects, maps, changed)
    wanted = {
        "lipschitz": 0, "max_sensitivity": 0, "faithfulness_correlation": 0, "sparseness": 0, "complexity": np.log(1024),
        "parameter_randomisation": 1,
    }  # fmt: skip
    assert all(np.isfinite(values).all() for values in found.values())
    for method in ("zero", "flat"):
        if metric in wanted:
            assert found[method] == pytest.approx(wanted[metric], abs=1e-9), method
        else:
            assert found[method].tolist() == found["zero"].tolist()
    if metric == "parameter_randomisation":
        assert found["saliency"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("metric", list(METRICS))
def test_maps_that_are_not_finite_are_refused(loaded, metric):
    subjects, maps, again = subjects_of(loaded)
    broken = {"saliency": maps["saliency"].copy()}
    broken["saliency"][1, 3, 3] = np.nan
    with pytest.raises(PlumblineError, match=f"{metric}: the maps of 'saliency' are not finite"):
        measure(metric, subjects, broken, again)
    if metric in ("lipschitz", "max_sensitivity", "parameter_randomisation"):
        with pytest.raises(PlumblineError, match=f"{metric}: 'causal' gives maps that are not finite"):
            measure(metric, subjects, maps, lambda *given: np.full((len(given[2]), 32, 32), np.inf))


def test_an_unknown_metric(loaded):
    with pytest.raises(PlumblineError, match="unknown metric 'iroff': did you mean 'irof'"):
        measure("iroff", None, {}, None)


ROWS_OF_NUMBERS = st.lists(
    st.lists(st.integers(-6, 6).map(lambda value: value / 4), min_size=6, max_size=6), min_size=2, max_size=2
)


@settings(max_examples=100, deadline=None)
@given(ROWS_OF_NUMBERS)
def test_correlations_are_those_of_scipy(rows):
    a, b = (np.array([row]) for row in rows)
    pearson, spearman = definitions.correlations(a, b)[0], definitions.rank_correlations(a, b)[0]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert (pearson, spearman) == (0, float((a == b).all()))
    else:
        assert pearson == pytest.approx(np.corrcoef(a[0], b[0])[0, 1], abs=1e-9)
        assert spearman == pytest.approx(spearmanr(a[0], b[0])[0], abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(ROWS_OF_NUMBERS, st.permutations(range(6)))
def test_sparseness_and_complexity_lie_in_their_ranges_and_do_not_see_places(rows, places):
    maps = np.array(rows)
    for function, most in ((definitions.sparseness, 1), (definitions.complexity, np.log(6))):
        found = function(maps)
        assert (found >= -1e-12).all() and (found <= most + 1e-9).all()
        np.testing.assert_allclose(function(-maps[:, places]), found, atol=1e-9)


def test_equal_inputs_go_through_once():
    passed = []

    class Counted(nn.Linear):
        def forward(self, x):
            passed.append(len(x))
            return super().forward(x)

    model = nn.Sequential(nn.Flatten(), Counted(4, 2))
    inputs = np.random.default_rng(0).random((3, 1, 2, 2), dtype=np.float32)[[0, 1, 0, 2, 1, 0]]
    found = definitions.answers(model, inputs)
    assert passed == [3]
    np.testing.assert_allclose(found, model(torch.from_numpy(inputs)).detach().numpy(), rtol=1e-5)


# ------------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return *write(study, folder), folder


def test_explanations_of_the_first_right_images(study, written, loaded):
    output, nodes, _ = written
    assert check_file(output) == [] and check_file(nodes) == []
    rows = read_rows(output)
    model, _, images, labels = ready(study["model"], study["data"], "cpu", 1)
    predicted = model(images).argmax(1).numpy()
    data = read_rows(study["data"])
    kept = np.isin(np.arange(len(labels)), held_out_rows(labels, 0.5))
    wanted = [
        number
        for target in CLASSES
        for number in data["id"][kept & (labels == target) & (predicted == target)].tolist()[:2]
    ]
    learnt = {row for graph in loaded[3].values() for row in graph.rows}
    assert not learnt & {data["id"].tolist().index(number) for number in wanted}
    assert rows["id"].tolist() == wanted and rows["label"].tolist() == rows["target"].tolist()
    assert rows["label"].tolist() == [target for target in CLASSES for _ in range(2)]
    assert (rows["height"] == 32).all() and {f"scores_{name}" for name in EXPLANATIONS} < set(rows)
    graphs = loaded[3]
    place = data["id"].tolist().index(wanted[3])
    for method in ("causal", "rise", "lrp", "random"):
        alone = explain(
            method, model, images[[place]], torch.tensor([3]), graphs=graphs,
            seeds=image_seeds("digits_half", "lenet/seed0", [wanted[3]], method),
        )  # fmt: skip
        np.testing.assert_allclose(rows[f"scores_{method}"][3], alone.flatten(), rtol=1e-3, atol=1e-5)
    assert rows["probability"][3] == pytest.approx(model(images[[place]]).softmax(-1)[0, 3].item(), rel=1e-5)
    kept = read_rows(nodes)
    assert kept["id"].unique().tolist() == wanted[::2]
    for (number, mode), part in kept.groupby(["id", "mode"]):
        graph = graphs[part["target"].iloc[0]]
        assert part["node"].tolist() == list(graph.layer("conv2").effects)
        side = 32 if mode == "released" else 10
        assert (part["height"] == side).all() and (part["width"] == side).all()
        stacked = np.stack(part["scores"].to_numpy())
        whole = functional.interpolate(
            torch.from_numpy(stacked.sum(0)).view(1, 1, side, side), size=(32, 32), mode="bilinear"
        )
        name = {"released": "causal", "forward": "causal_forward"}[mode]
        scores = rows.set_index("id").loc[number, f"scores_{name}"]
        np.testing.assert_allclose(scores, whole.flatten(), rtol=1e-3, atol=1e-5)
        if mode == "released":
            assert stacked.sum(1) == pytest.approx(1, abs=1e-4)


def test_files_are_the_same_on_every_run(study, written, tmp_path):
    output, nodes, _ = written
    again = write(study, tmp_path, graphs=study["graphs"][::-1])
    assert again[0].read_bytes() == output.read_bytes() and again[1].read_bytes() == nodes.read_bytes()


def test_a_class_whose_graph_ends_above_is_left_out(study, tmp_path):
    graph = read_graph(study["graphs"][1])
    record = replace(graph.layer("fc1"), causes=(), rule="none")
    cut = replace(graph, layers=(*graph.layers[:2], record), truncated=True)
    write_json(tmp_path / "cut.json", cut.to_dict())
    graphs = [study["graphs"][0], tmp_path / "cut.json"]
    with pytest.warns(UserWarning, match="class 3: the graph ends above 'conv2', its images are left out"):
        output, _ = write(study, tmp_path, graphs=graphs, methods=["causal", "saliency"])
    assert read_rows(output)["target"].tolist() == [0, 0]
    with pytest.raises(
        PlumblineError, match="no class of digits_half, lenet/seed0, has a causal graph down to layer 'conv2'"
    ):
        write(study, tmp_path, graphs=graphs[1:])


def test_faults_of_the_writers(study, written, tmp_path):
    with pytest.raises(PlumblineError, match="no maps at layer 'fc1' of LeNet; legal: conv1, conv2"):
        write(study, tmp_path, layer="fc1")
    with pytest.raises(PlumblineError, match="unknown explanation 'gradcam'"):
        write(study, tmp_path, methods=["gradcam"])
    output, _ = write(study, tmp_path, methods=["input"], images=1)
    with pytest.raises(PlumblineError, match="has no maps of causal, saliency: make it again"):
        write_values(study, tmp_path, output, methods=["causal", "saliency", "input"])
    rows = read_rows(output)
    learnt = read_rows(study["data"])["id"][read_graph(study["graphs"][0]).rows[0]]
    write_rows(output, rows.assign(id=[learnt, *rows["id"][1:]]), kind="explanations")
    with pytest.raises(PlumblineError, match="holds images from which the graph of class '0' was learnt"):
        write_values(study, tmp_path, output, methods=["input"])
    write_rows(output, rows.assign(id=rows["id"] + 10**6), kind="explanations")
    with pytest.raises(PlumblineError, match="holds images that are not in"):
        write_values(study, tmp_path, output, methods=["input"])


def test_metrics_of_every_method(study, written, tmp_path, monkeypatch):
    output, _, folder = written
    monkeypatch.setattr(baselines, "MASKS", 20)
    path = write_values(study, folder, output)
    assert check_file(path) == []
    rows = read_rows(path)
    assert len(rows) == 6 * len(EXPLANATIONS) * len(METRICS)
    assert rows["method"].unique().tolist() == list(EXPLANATIONS)
    assert rows["metric"].unique().tolist() == list(METRICS)
    for metric, part in rows.groupby("metric"):
        assert part["settings"].unique().tolist() == [SETTINGS[metric]]
    cells = rows.set_index(["method", "metric"])["value"].sort_index()
    assert (cells["random", "lipschitz"] == 0).all() and (cells["random", "max_sensitivity"] == 0).all()
    for control in ("random", "input"):
        assert (cells[control, "parameter_randomisation"] == 1).all()
    assert (cells["random", "faithfulness_correlation"].abs() < 0.5).all()
    same = write_values(study, tmp_path, output)
    assert same.read_bytes() == path.read_bytes()
    for module in (baselines, definitions):
        monkeypatch.setattr(module, "ROWS", 7)
    other = read_rows(write_values(study, tmp_path, output, methods=["causal", "integrated_gradients"]))
    wanted = rows[rows["method"].isin(["causal", "integrated_gradients"])].reset_index(drop=True)
    assert other.drop(columns="value").equals(wanted.drop(columns="value"))
    np.testing.assert_allclose(other["value"], wanted["value"], rtol=1e-3, atol=1e-4)


def test_no_metrics_and_one_method(study, written, tmp_path):
    rows = read_rows(write_values(study, tmp_path, written[0], methods=["input"], metrics=["complexity"]))
    assert rows["method"].unique().tolist() == ["input"] and len(rows) == 6


# ------------------------------------------------------------------------------------------------- Quantus


def quantus():
    if quantus_adapter.version() is None:
        pytest.skip("Quantus is not installed: pip install -e '.[quantus]'")


def compared(loaded):
    """Subjects with maps without ties, because Quantus breaks ties at random."""
    subjects, maps, again = subjects_of(loaded)
    draw = np.random.default_rng(0)
    noise = draw.normal(size=(3, 32, 32))
    peaked = np.abs(maps["saliency"]) + 1e-3 * draw.random((3, 32, 32))
    return subjects, {"noise": noise, "peaked": peaked, "causal": maps["causal"]}, again


@pytest.mark.parametrize("metric", ["sparseness", "complexity", "pixel_flipping", "irof"])
def test_quantus_agrees_where_nothing_is_drawn(loaded, metric):
    quantus()
    subjects, maps, again = compared(loaded)
    ours = measure(metric, subjects, maps, again)
    before, state = {name: values.copy() for name, values in maps.items()}, np.random.get_state()[1].copy()
    theirs = quantus_adapter.measure(metric, subjects, maps, again)
    for method, values in ours.items():
        np.testing.assert_allclose(theirs[method], values, rtol=1e-5, atol=1e-5)
        assert np.array_equal(before[method], maps[method])
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity", "faithfulness_correlation"])
def test_quantus_agrees_on_average_where_something_is(loaded, metric):
    """Means over draws of other seeds, within 3 standard errors of their difference."""
    quantus()
    subjects, maps, again = subjects_of(loaded)
    maps = {method: maps[method] for method in ("causal", "input_x_gradient")}
    ours, theirs = {method: [] for method in maps}, {method: [] for method in maps}
    repeats = 12
    for repeat in range(repeats):
        keys = tuple((*key, repeat) for key in subjects.keys)
        found = measure(metric, replace(subjects, keys=keys), maps, again)
        other = quantus_adapter.measure(metric, subjects, maps, again, seed=repeat)
        for method in maps:
            ours[method].append(found[method])
            theirs[method].append(other[method])
    for method in maps:
        a, b = np.array(ours[method]), np.array(theirs[method])
        error = ((a.var(0, ddof=1) + b.var(0, ddof=1)) / repeats) ** 0.5
        assert (np.abs(a.mean(0) - b.mean(0)) < 3 * error + 1e-9).all(), (metric, method)
        assert error.max() < 0.1


def test_quantus_still_needs_trapz():
    """Fails when it no longer does: then take `quantus_adapter.trapz` away."""
    quantus()
    from quantus.helpers.utils import calculate_auc

    assert not hasattr(np, "trapz")
    with pytest.raises(AttributeError, match="trapz"):
        calculate_auc(np.array([1.0, 2.0]))
    with pytest.raises(RuntimeError), quantus_adapter.trapz():
        assert calculate_auc(np.array([1.0, 2.0])) == 1.5
        raise RuntimeError
    assert not hasattr(np, "trapz")


def test_the_adapter_refuses_what_it_cannot_compare(loaded, monkeypatch):
    subjects, maps, again = subjects_of(loaded)
    quantus()
    with pytest.raises(PlumblineError, match="unknown metric of Quantus 'parameter_randomisation'"):
        quantus_adapter.measure("parameter_randomisation", subjects, maps, again)
    colour = replace(subjects, images=np.repeat(subjects.images, 3, axis=1))
    with pytest.raises(PlumblineError, match="grey images alone"):
        quantus_adapter.measure("irof", colour, maps, again)
    monkeypatch.setattr(quantus_adapter, "version", lambda: None)
    with pytest.raises(PlumblineError, match="Quantus is not installed"):
        quantus_adapter.measure("irof", subjects, maps, again)
