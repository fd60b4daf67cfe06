"""Learning of causal graphs: the selection rule, images in and out, and what changes nothing."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from plumbline import causal
from plumbline.causal.graph import CausalGraph
from plumbline.causal.interventions import CausalNetwork
from plumbline.causal.learn import (
    drawn,
    held_out_rows,
    learn_graph,
    right_images,
)
from plumbline.errors import PlumblineError
from tests.small_networks import Branched, lenet, modified


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
        "inference mode": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu"),
        "no grad": torch.no_grad,
    }.get(place, contextlib.nullcontext)
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


@pytest.mark.slow
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
