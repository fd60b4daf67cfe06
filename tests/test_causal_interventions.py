"""Interventions on a network are forward passes of modified copies; which networks can be read."""

import pytest
import torch
from torch import nn

from plumbline.causal.interventions import CausalNetwork
from plumbline.causal.learn import (
    learn_graph,
)
from plumbline.errors import PlumblineError
from tests.small_networks import centred, digest, lenet, model_of, modified


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


@pytest.mark.slow
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
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 5),
        Fuse(),
        nn.ReLU(),
        nn.Linear(5, 3),
    )
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


@pytest.mark.slow
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
