"""Baselines and controls of the causal maps: captum's methods, RISE, a random map and |x|.

Each gives one score a pixel; where an image has channels they are added, for saliency the largest counts (Simonyan et al.).
Absent means 0 as the model reads it: black for LeNet on grey images, mid-grey on colour. What is explained is the target's
logit; for rise its probability, as published.
"""

import collections
import contextlib
import copy
import math
import operator
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..errors import PlumblineError
from .attributions import check_layer, convolutions, resized

ROWS = 256  # images of one pass through the model; changes no result beyond rounding
# Gauss-Legendre points of integrated gradients: on LeNet of the digits the scores miss f(x) - f(0) by 0.4 % of it on average
# with 24, by 0.2 % with 50.
STEPS = 24
# Draws of GradientShap; its noise is that of the Lipschitz estimate.
SHAP_SAMPLES, SHAP_NOISE = 16, 0.1
# Occlusion: windows of a quarter of the image's side, which overlap by half, so that every inner pixel is in four.
WINDOW, STRIDE = 4, 8
# LRP: gamma at convolutions, which favours positive contributions below, and epsilon at what is linear (Montavon et al. 2019).
# Epsilon alone would be input x gradient over again.
GAMMA, EPSILON = 0.25, 1e-6
# RISE: cells a side and the share that stays, as published; 200 masks, not the published 4000: a mask has 7 x 7 cells whatever
# the image, and the explanations of one image and of its perturbed copies share their masks.
MASKS, CELLS, KEPT = 200, 7, 0.5


def compute(method, model, images, targets, seeds, layer):
    """Compute the maps of a baseline or control; explanations.explain checks the arguments.

    Parameters
    ----------
    method : str
        Its id.
    model : torch.nn.Module
        In evaluation mode.
    images : torch.Tensor, float, shape (batch, channels, height, width)
        As the model reads them.
    targets : torch.Tensor, int64, shape (batch,)
        The explained classes.
    seeds : list of int
        One an image.
    layer : str
        A convolution, for grad_cam.

    Returns
    -------
    torch.Tensor, float, shape (batch, height, width)
        Neither absolute nor scaled.

    Raises
    ------
    PlumblineError
        For a layer without maps, and as `check_relus`.
    """
    if method == "random":
        return torch.stack([_random(seed, images) for seed in seeds])
    if method == "input":
        return images.abs().sum(1)
    if method == "rise":
        return rise(model, images, targets, seeds)
    if method == "gradient_shap":
        # One image a call: captum draws for all images of a call together.
        found = [
            gradient_shap(model, images[row : row + 1], targets[row : row + 1], seed)
            for row, seed in enumerate(seeds)
        ]
        return torch.cat(found)
    if method == "grad_cam":
        check_layer(layer, convolutions(model), type(model).__name__)
    if method in RULED:
        check_relus(model, images[:1])
    function, rows = METHODS[method]
    size = max(1, ROWS // rows)
    with _quiet():
        found = [
            function(model, part, target, layer)
            for part, target in zip(images.split(size), targets.split(size), strict=True)
        ]
    return torch.cat(found).detach()


def check_relus(model, image):
    """Check that every ReLU which an image passes is an nn.ReLU module of its own.

    Rules for ReLU go by module. They miss a functional one without a word, and mix up a module that is used twice.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    image : torch.Tensor, float, shape (1, channels, height, width)
        As the model reads it.

    Raises
    ------
    PlumblineError
        For another kind of ReLU, and for a module that is used twice.
    """
    calls = collections.Counter()
    hooks = [
        module.register_forward_hook(lambda module, arguments, output: calls.update([module]))
        for module in model.modules()
        if isinstance(module, nn.ReLU)
    ]
    try:
        with torch.enable_grad():
            found = [model(image.detach().clone().requires_grad_()).grad_fn]
    finally:
        for hook in hooks:
            hook.remove()
    seen, relus = set(), 0
    while found:
        node = found.pop()
        if node is not None and node not in seen:
            seen.add(node)
            relus += node.name().startswith("ReluBackward")
            found += [below for below, _ in node.next_functions]
    if relus != len(calls) or any(count > 1 for count in calls.values()):
        raise PlumblineError(
            f"{type(model).__name__} passes {relus} ReLUs, {len(calls)} of them nn.ReLU modules: give each a module of its "
            "own, used once"
        )


@contextlib.contextmanager
def _quiet():
    """Without captum's notes on its own hooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _saliency(model, images, targets, layer):
    from captum.attr import Saliency

    return Saliency(model).attribute(images, target=targets).amax(1)


def _input_x_gradient(model, images, targets, layer):
    from captum.attr import InputXGradient

    return InputXGradient(model).attribute(images, target=targets).sum(1)


def _integrated_gradients(model, images, targets, layer):
    from captum.attr import IntegratedGradients

    return IntegratedGradients(model).attribute(images, target=targets, n_steps=STEPS).sum(1)


def _guided_backprop(model, images, targets, layer):
    from captum.attr import GuidedBackprop

    return GuidedBackprop(model).attribute(images, target=targets).sum(1)


def _deconvolution(model, images, targets, layer):
    from captum.attr import Deconvolution

    return Deconvolution(model).attribute(images, target=targets).sum(1)


def _grad_cam(model, images, targets, layer):
    from captum.attr import LayerGradCam

    module = model.get_submodule(layer)
    # As published: the positive part, at the layer's output.
    found = LayerGradCam(model, module).attribute(images, target=targets, relu_attributions=True)
    return resized(found[:, 0], images.shape[2:])


def _deep_lift(model, images, targets, layer):
    from captum.attr import DeepLift

    return DeepLift(model).attribute(images, target=targets).sum(1)


def _occlusion(model, images, targets, layer):
    from captum.attr import Occlusion

    channels, *size = images.shape[1:]
    windows = tuple(max(1, side // WINDOW) for side in size)
    strides = tuple(max(1, side // STRIDE) for side in size)
    found = Occlusion(model).attribute(
        images,
        target=targets,
        sliding_window_shapes=(channels, *windows),
        strides=(channels, *strides),
        perturbations_per_eval=max(1, ROWS // len(images)),
    )
    return found.mean(1)  # a window covers all channels, and each has its whole effect


def _lrp(model, images, targets, layer):
    from captum.attr import LRP

    # Made anew for each pass, after which captum takes all rules away.
    return LRP(with_rules(model)).attribute(images, target=targets).sum(1)


RULED = ("guided_backprop", "deconvolution", "deep_lift", "lrp")  # methods with a rule of their own for ReLU
# id -> (function of (model, images, targets, layer), rows of a pass that one image takes).
METHODS = {
    "saliency": (_saliency, 1),
    "input_x_gradient": (_input_x_gradient, 1),
    "integrated_gradients": (_integrated_gradients, STEPS),
    "guided_backprop": (_guided_backprop, 1),
    "deconvolution": (_deconvolution, 1),
    "grad_cam": (_grad_cam, 1),
    "deep_lift": (_deep_lift, 2),
    "occlusion": (_occlusion, 8),
    "lrp": (_lrp, 1),
}


def with_rules(model):
    """Copy a model for captum's LRP.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode. It is left as it is.

    Returns
    -------
    torch.fx.GraphModule
        Norms are part of the convolutions before them, sums of two paths are modules, and every module has a rule.
    """
    from captum.attr._utils.custom_modules import Addition_Module
    from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule
    from torch.fx.experimental.optimization import fuse

    found = fuse(copy.deepcopy(model))
    for node in list(found.graph.nodes):
        if node.target in (operator.add, operator.iadd, torch.add):
            name = f"addition_{node.name}"
            found.add_submodule(name, Addition_Module())
            with found.graph.inserting_after(node):
                node.replace_all_uses_with(found.graph.call_module(name, node.args))
            found.graph.erase_node(node)
    found.recompile()
    for module in found.modules():
        if isinstance(module, nn.Conv2d):
            module.rule = GammaRule(GAMMA)
        elif isinstance(module, (nn.Linear, nn.Flatten, nn.Identity)):
            module.rule = EpsilonRule(EPSILON)
    return found


def gradient_shap(model, images, targets, seed):
    """Compute GradientShap of images against an absent one.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    images : torch.Tensor, float, shape (batch, channels, height, width)
        As the model reads them.
    targets : torch.Tensor, int64, shape (batch,)
        The explained classes.
    seed : int
        Of captum's draws.

    Returns
    -------
    torch.Tensor, float, shape (batch, height, width)
        In logits.
    """
    from captum.attr import GradientShap

    state = np.random.get_state()
    try:
        with _quiet(), torch.random.fork_rng():
            torch.manual_seed(seed)
            np.random.seed(seed % 2**32)  # captum draws the place between the two images from NumPy
            found = GradientShap(model).attribute(
                images,
                baselines=torch.zeros_like(images[:1]),
                n_samples=SHAP_SAMPLES,
                stdevs=SHAP_NOISE,
                target=targets,
            )
    finally:
        np.random.set_state(state)
    return found.sum(1).detach()


@torch.no_grad()
def rise(model, images, targets, seeds):
    """Compute RISE (Petsiuk et al. 2018).

    It is the sum over masks M of p(target | x M) M, divided by their number and the share that stays.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    images : torch.Tensor, float, shape (batch, channels, height, width)
        As the model reads them.
    targets : torch.Tensor, int64, shape (batch,)
        The explained classes.
    seeds : list of int
        One an image; images of the same seed get the same masks.

    Returns
    -------
    torch.Tensor, float, shape (batch, height, width)
        In units of probability.
    """
    found = images.new_empty(len(images), *images.shape[2:])
    for seed in sorted(set(seeds)):
        masks = rise_masks(seed, images.shape[2:]).to(images)
        rows = [row for row, other in enumerate(seeds) if other == seed]
        for row in rows:
            masked = images[row] * masks[:, None]
            scores = torch.cat([model(part).softmax(-1)[:, targets[row]] for part in masked.split(ROWS)])
            found[row] = torch.einsum("m,mhw->hw", scores, masks) / (MASKS * KEPT)
    return found


def rise_masks(seed, size):
    """Draw the masks of RISE (Petsiuk et al. 2018).

    A mask is a coarse grid of cells that stay, enlarged (bilinear), and cut out at a random place.

    Parameters
    ----------
    seed : int
        Of the draws.
    size : sequence of int
        Height and width of the image.

    Returns
    -------
    torch.Tensor, float32, shape (MASKS, height, width)
        In [0, 1].
    """
    draw = np.random.default_rng(seed)
    cells = [math.ceil(side / CELLS) for side in size]
    grids = torch.from_numpy((draw.random((MASKS, 1, CELLS, CELLS)) < KEPT).astype(np.float32))
    enlarged = functional.interpolate(grids, size=[(CELLS + 1) * side for side in cells], mode="bilinear")[
        :, 0
    ]
    tops, lefts = (draw.integers(0, side, MASKS) for side in cells)
    return torch.stack(
        [
            mask[top : top + size[0], left : left + size[1]]
            for mask, top, left in zip(enlarged, tops, lefts, strict=True)
        ]
    )


def _random(seed, images):
    size = images.shape[2:]
    return torch.from_numpy(np.random.default_rng(seed).random(size, dtype=np.float32)).to(images)
