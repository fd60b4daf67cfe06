"""Explanations beside causal maps: each by hand; edge cases."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from plumbline.causal import baselines
from plumbline.causal import metrics as definitions
from plumbline.causal.explanations import explain, image_seeds
from plumbline.causal.metrics import SETTINGS
from plumbline.causal.registry import BASELINES, CAUSAL, EXPLANATIONS, METRICS
from plumbline.errors import PlumblineError
from plumbline.models.lenet import LeNet
from plumbline.seeds import seed_of
from tests.small_explanations import residual, shown, state_of, tiny

pytestmark = pytest.mark.slow
DRAWN = ("gradient_shap", "rise", "random")


@pytest.mark.parametrize("kind", ["lenet", "resnet"])
def test_order_batches_and_neighbours_change_nothing(explained_digits, kind, monkeypatch):
    model, images, labels, graphs = explained_digits if kind == "lenet" else residual()
    images, labels = images[-3:], labels[-3:]
    before, state = state_of(model), (torch.get_rng_state(), np.random.get_state()[1].copy())
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
    assert state_of(model) == before
    assert torch.equal(torch.get_rng_state(), state[0]) and np.array_equal(np.random.get_state()[1], state[1])


def test_the_registry_imports_no_torch():
    code = (
        "import sys, plumbline.causal.registry; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'captum', 'quantus', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert set(BASELINES) | set(CAUSAL) | {"random", "input"} == set(EXPLANATIONS)
    assert [name for name, entry in EXPLANATIONS.items() if entry.published] == ["causal"]
    assert set(METRICS) == set(SETTINGS) == set(definitions._FUNCTIONS)


def test_seeds_hang_on_names_and_the_image_alone():
    assert image_seeds("digits", "lenet/seed0", [4, 7], "rise") == [
        seed_of("digits", "lenet/seed0", 4, "rise", 0),
        seed_of("digits", "lenet/seed0", 7, "rise", 0),
    ]


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


def test_occlusion_covers_a_quarter_of_a_side_and_all_channels(explained_digits):
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


def test_rise_by_hand(explained_digits, monkeypatch):
    model, images, labels, _ = explained_digits
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
