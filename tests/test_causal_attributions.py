"""Maps of causal graphs: those released and those that travel forward, each derived again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch import nn
from torch.nn import functional

from plumbline.causal.attributions import (
    attribution,
    default_layer,
    legal_layers,
    node_maps,
)
from plumbline.causal.explanations import explain
from plumbline.causal.registry import CAUSAL
from plumbline.errors import PlumblineError
from tests.small_explanations import residual

pytestmark = pytest.mark.slow


def outputs_of(model, name, images):
    """What leaves and what enters a module, numpy."""
    found = {}
    hook = model.get_submodule(name).register_forward_hook(
        lambda module, arguments, output: found.update(into=arguments[0].clone(), out=output.clone())
    )
    model(images)
    hook.remove()
    return {key: value.detach().numpy() for key, value in found.items()}


def test_released_maps_are_softmax_of_a_true_convolution_with_the_map_before_relu(explained_digits):
    model, images, labels, graphs = explained_digits
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
def test_forward_maps_are_what_travels_along_the_causal_paths(explained_digits, layer):
    if layer == "lenet conv2":
        model, images, labels, graphs = explained_digits
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


def test_layers_without_maps_are_refused_with_the_legal_ones(explained_digits):
    model, images, labels, graphs = explained_digits
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


def test_faults(explained_digits):
    model, images, labels, graphs = explained_digits
    with pytest.raises(PlumblineError, match="unknown explanation 'salience': did you mean 'saliency'"):
        explain("salience", model, images, labels)
    for method in CAUSAL:
        with pytest.raises(PlumblineError, match="there is no causal graph of class 6"):
            explain(method, model, images, labels, graphs={0: graphs[0], 3: graphs[3]})
