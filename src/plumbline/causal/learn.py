"""The causal graph of one class, learnt from the last layer down by path interventions (specification §2, §3; docs/causal.md)."""

import copy
import warnings
from dataclasses import replace

import numpy as np
import torch

from ..artefacts import read_rows, write_json, write_text
from ..datasets.images import arrays
from ..errors import PlumblineError, unknown
from ..models.image_models import BATCH, load, prepared
from ..models.runtime import prepare
from ..seeds import seed_of
from . import effects as estimates
from .graph import CausalGraph, Edge, LayerGraph, NodeEffect
from .interventions import CausalNetwork

FEW = 30  # fewer images than these are worth a warning
WIDTH = 0.01  # soft: u ~ Uniform(0, WIDTH)
LEVEL = 0.05  # false discovery rate of correction bh


def learn_graph(
    model,
    images,
    labels,
    target,
    *,
    samples=100,
    soft=True,
    test="welch",
    correction="none",
    seed=0,
    cap=600,
    layers=None,
):
    """The causal graph of class `target`.

    model       an nn.Module: LeNet, any with `causal_layers`, or an nn.Sequential of layers (see
                interventions.CausalNetwork). It is read in evaluation mode on a copy, and never altered.
    images      float (rows, channels, height, width) as the model reads them, of the test split; labels: int64 (rows,).
    samples     images of the class that the model classifies rightly, drawn by `seed`; all where there are fewer.
    soft        weights become u ~ Uniform(0, 0.01), one draw a layer, and not u = 0.
    test        welch (two samples, as published) or paired; correction: none or bh (Benjamini-Hochberg at 0.05).
    cap         candidates tested a layer: those of the largest L2 norm of the weights onto all effects.
    layers      names of the upper layers to walk; None: all.

    A candidate is a cause where z < -1.65 (or by Benjamini-Hochberg); if none is, where its mean effect lies below -0.001
    |mean logit|; if none does either, the graph ends there (`truncated`). The same seed gives the same graph.

    Raises PlumblineError where the class has fewer than 2 rightly classified images, for an unknown test, correction or
    layer, and for a model that is no chain. Warns below 30 images.
    """
    for name, value, legal in (
        ("test", test, estimates.TESTS),
        ("correction", correction, estimates.CORRECTIONS),
    ):
        if value not in legal:
            raise unknown(name, value, legal)
    if samples < 2 or cap < 1:
        raise PlumblineError(
            f"samples is {samples}, cap {cap}: a graph needs 2 images and 1 candidate or more"
        )
    network = CausalNetwork(model, layers)
    right = right_images(model, images, labels, target)
    chosen = drawn(right, target, samples, seed)
    if len(chosen) < FEW:
        warnings.warn(
            f"class {target}: {len(chosen)} images are classified rightly, a graph of so few is unsure",
            stacklevel=2,
        )
    return grow(
        network, images[chosen], target, soft=soft, test=test, correction=correction, seed=seed, cap=cap
    )


@torch.no_grad()
def right_images(model, images, labels, target):
    """Numbers of the images of class `target` that the model, in evaluation mode, classifies rightly: int64, ascending.

    Raises PlumblineError where there are fewer than 2.
    """
    model = copy.deepcopy(model).eval()
    device = next(model.parameters()).device
    rows = np.flatnonzero(np.asarray(labels) == target)
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    found = [part[(model(images[part].to(device)).argmax(1) == target).cpu().numpy()] for part in parts]
    right = np.concatenate(found) if found else rows
    if len(right) < 2:
        raise PlumblineError(
            f"class {target}: {len(right)} of {len(rows)} images are classified rightly, a graph needs 2 or more"
        )
    return right


def drawn(right, target, samples, seed, *names):
    """`samples` of the rows `right` at random, all where there are fewer; names: what for, nothing for the graph itself."""
    draw = np.random.default_rng(seed_of("causal images", seed, target, *names))
    return draw.permutation(right)[:samples]


def strength(soft, target, layer, seed):
    """The u of a layer in learning: 0, or a draw of Uniform(0, 0.01)."""
    return (
        float(np.random.default_rng(seed_of("causal u", seed, target, layer)).uniform(0, WIDTH))
        if soft
        else 0.0
    )


def grow(network, images, target, *, soft, test, correction, seed, cap):
    """The graph of a CausalNetwork from exactly these images, as they enter it; see `learn_graph`."""
    device = next(network.model.parameters()).device
    seen = network.observe(images.to(device), network.names[1:])
    layers, edges, reached = [], [], (target,)
    for name in reversed(network.names[1:]):
        u = strength(soft, target, name, seed)
        record = test_layer(
            network, seen, name, reached, u, target, test=test, correction=correction, cap=cap, level=LEVEL
        )
        layers.append(record)
        edges += _edges(network, record)
        reached = record.causes
        if not reached:
            break
    if reached:
        record = LayerGraph(
            layer=network.names[0], u=None, causes=(0,), effects=reached, rule="input", candidates=1,
            mean=None, variance=None, nodes=(),
        )  # fmt: skip
        layers.append(record)
        edges += _edges(network, record)
    return CausalGraph(
        target=target, label=str(target), n_used=len(images), soft=soft, test=test, correction=correction, level=LEVEL,
        seed=seed, truncated=not reached, layers=tuple(layers), edges=tuple(edges),
    )  # fmt: skip


def test_layer(network, seen, name, effects, u, target, *, test, correction, cap, level=LEVEL):
    """The LayerGraph of one layer: each candidate's intervention over the joint effect set, estimated and tested."""
    chosen = network.candidates(name, effects, cap)
    logits = network.intervened(seen, name, chosen, effects, u).cpu().numpy()
    base = seen.logits.cpu().numpy()
    found, rule = estimates.tested(
        base[:, target], logits[:, :, target], test=test, correction=correction, level=level
    )
    found["kl"] = estimates.divergences(base, logits)
    nodes = tuple(
        NodeEffect(index=index, **{key: value[place].item() for key, value in found.items()})
        for place, index in enumerate(chosen)
    )
    return LayerGraph(
        layer=name, u=u, causes=tuple(node.index for node in nodes if node.selected), effects=tuple(effects), rule=rule,
        candidates=network.nodes[name], mean=float(base[:, target].mean()), variance=float(base[:, target].var(ddof=1)), nodes=nodes,
    )  # fmt: skip


def _edges(network, record):
    norms = network.norms(record.layer, record.effects, record.causes)
    return [
        Edge(record.layer, cause, effect, float(norms[row, column]))
        for row, cause in enumerate(record.causes)
        for column, effect in enumerate(record.effects)
    ]


def write_graphs(
    *,
    dataset,
    model,
    seed,
    data,
    outputs,
    classes,
    samples,
    soft,
    test,
    correction,
    cap,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.{json,graphml} of each class.

    model    a folder that the image_model stage wrote; data: Parquet file of the test split.
    outputs  class index -> {"json": path, "graphml": path}; seed: of training, which the draws of images and u take too.
    samples, soft, test, correction, cap: see `learn_graph`.

    Raises PlumblineError for a class that the model has not, and as `learn_graph`.
    """
    network, facts, images, labels = ready(model, data, device, threads)
    for target in classes:
        names = facts["labels"] or [str(number) for number in range(facts["network"]["classes"])]
        if not 0 <= target < len(names):
            raise PlumblineError(f"dataset '{dataset}' has classes 0 to {len(names) - 1}, not {target}")
        graph = learn_graph(
            network, images, labels, target,
            samples=samples, soft=soft, test=test, correction=correction, seed=seed, cap=cap,
        )  # fmt: skip
        graph = replace(graph, label=names[target])
        write_json(outputs[target]["json"], graph.to_dict())
        write_text(outputs[target]["graphml"], graph.graphml())


def ready(model, data, device, threads):
    """(model, its facts, all images of a split as it reads them, on the CPU; labels int64) from a model's folder and a
    Parquet file."""
    device = prepare(device, threads)
    network, facts = load(model, device)
    pictures, labels = arrays(read_rows(data))
    return network, facts, prepared(pictures, facts), labels
