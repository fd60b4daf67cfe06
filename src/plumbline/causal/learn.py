"""The causal graph of one class, learnt from the last layer down by path interventions (docs/studies/explainn.md)."""

import copy
import numbers
import warnings
from dataclasses import replace

import numpy as np
import torch

from .. import arrays
from ..artefacts import read_rows, write_json, write_text
from ..datasets import images as pictures_of
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
    held_out=0.0,
):
    """Learn the causal graph of one class.

    A candidate is a cause where z < -1.65 (or by Benjamini-Hochberg). If none is, it is one where its mean effect lies below
    -0.001 |mean logit|. If none does either, the graph ends there (`truncated`). The same seed gives the same graph.

    Parameters
    ----------
    model : torch.nn.Module
        LeNet, any with `causal_layers`, or an nn.Sequential of layers (see interventions.CausalNetwork). It is read in evaluation
        mode on a copy, and never altered.
    images : array_like of float, shape (rows, channels, height, width)
        As the model reads them, scaled as it wants them, of any precision, of the test split: a tensor, on any device, or a NumPy
        array.
    labels : array_like of int, shape (rows,)
        Classes of the images: a tensor, array or list.
    target : int
        A class that the model has, 0 to classes - 1.
    samples : int
        Images of the class that the model classifies rightly, drawn by `seed`; all where there are fewer.
    soft : bool
        True: weights become u ~ Uniform(0, 0.01), one draw a layer. False: 0.
    test : {'welch', 'paired'}
        welch: two samples, as published.
    correction : {'none', 'bh'}
        bh: Benjamini-Hochberg at 0.05.
    seed : int
        Of the images drawn and of u.
    cap : int
        Candidates tested a layer: those of the largest L2 norm of the weights onto all effects.
    layers : list of str, optional
        Names of the upper layers to walk. None: all.
    held_out : float
        Share of each class's images, in [0, 1), that are not learnt from; they are `held_out_rows(labels, held_out)`. What is said
        of a graph should be measured on them. 0: none, as published.

    Returns
    -------
    CausalGraph
        `rows` are the numbers of the images that it is learnt from.

    Raises
    ------
    PlumblineError
        Where the class has fewer than 2 rightly classified images, for images, labels or a target that the model cannot have, an
        unknown test, correction or layer, a number out of range, and for a model that is no chain.

    Warns
    -----
    UserWarning
        Below 30 images.
    """
    for name, value, legal in (
        ("test", test, estimates.TESTS),
        ("correction", correction, estimates.CORRECTIONS),
    ):
        if not isinstance(value, str) or value not in legal:
            raise unknown(name, value, legal)
    if not isinstance(soft, bool | np.bool_):
        raise PlumblineError(f"soft is {soft!r}: expected true or false")
    if layers is not None and not (
        isinstance(layers, list | tuple) and all(isinstance(name, str) for name in layers)
    ):
        raise PlumblineError(f"layers is {layers!r}: expected a list of names, or None for all")
    samples, cap, seed = (
        _whole(name, value, least)
        for name, value, least in (("samples", samples, 2), ("cap", cap, 1), ("seed", seed, None))
    )
    network = CausalNetwork(model, layers)
    device = next(model.parameters()).device
    with torch.autocast(device.type, enabled=False):  # or the graph would be one of rounded weights
        images, labels, target = _checked(model, images, labels, target)
        learnable = np.setdiff1d(np.arange(len(labels)), held_out_rows(labels, held_out))
        right = right_images(model, images, labels, target, learnable)
        chosen = drawn(right, target, samples, seed)
        if len(chosen) < FEW:
            warnings.warn(
                f"class {target}: {len(chosen)} images are classified rightly, a graph of so few is unsure",
                stacklevel=2,
            )
        graph = grow(
            network,
            images[chosen],
            target,
            soft=bool(soft),
            test=test,
            correction=correction,
            seed=seed,
            cap=cap,
        )
    return replace(graph, held_out=float(held_out), rows=tuple(sorted(chosen.tolist())))


def _whole(name, value, least):
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise PlumblineError(f"{name} is {value!r}: expected a whole number")
    if least is not None and value < least:
        raise PlumblineError(f"{name} is {value}: a graph needs {least} or more")
    return int(value)


@torch.no_grad()
def _checked(model, images, labels, target):
    """(images as the model's parameters are, on the CPU or where they are; labels int64 (rows,); target) of a user's."""
    weights = next(model.parameters())
    images = arrays.floating(images, "images")
    labels = arrays.integers(labels, "labels").cpu().numpy()
    target = _whole(
        "target", target.item() if isinstance(target, torch.Tensor) and target.dim() == 0 else target, None
    )
    if images.dim() != 4 or labels.shape != (len(images),):
        raise PlumblineError(
            f"images must be (rows, channels, height, width) and labels (rows,), not of shapes {tuple(images.shape)} and "
            f"{labels.shape}"
        )
    if not len(images):
        raise PlumblineError("there are no images: a graph needs 2 or more of its class")
    images = images.to(weights.dtype)
    try:
        logits = copy.deepcopy(model).eval()(images[:2].to(weights.device))
    except RuntimeError as fault:
        raise PlumblineError(
            f"the model cannot read images of shape {tuple(images.shape[1:])}: {fault}"
        ) from fault
    if logits.dim() != 2 or logits.shape[0] != len(images[:2]) or logits.shape[1] < 2:
        raise PlumblineError(
            f"the model gives {tuple(logits.shape)} for {len(images[:2])} images: a graph needs logits (rows, classes) of two or more"
        )
    classes = logits.shape[1]
    for name, value in (("target", target), ("a label", int(labels.max()))):
        if not 0 <= value < classes:
            raise PlumblineError(f"{name} is {value}: the model has the classes 0 to {classes - 1}")
    return images, labels, target


def held_out_rows(labels, share):
    """The images that `learn_graph` does not learn from.

    Of each class `share` of its images, rounded, is drawn by the class and the number of its images alone, so that they are
    the same for all models and seeds.

    Parameters
    ----------
    labels : array_like of int, shape (rows,)
        Classes, at least 0.
    share : float
        `held_out` of `learn_graph`, in [0, 1).

    Returns
    -------
    numpy.ndarray, int64
        Numbers of rows, ascending.

    Raises
    ------
    PlumblineError
        For a share outside [0, 1), and for labels that are no row of whole numbers, at least 0.
    """
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 <= share < 1:
        raise PlumblineError(f"held_out is {share!r}: expected a share from 0 to less than 1")
    labels = arrays.integers(labels, "labels").numpy()
    if labels.ndim != 1:
        raise PlumblineError(f"labels must be (rows,), not of shape {labels.shape}")
    found = [np.empty(0, dtype=np.int64)]
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        draw = np.random.default_rng(seed_of("causal held out", int(label)))
        found.append(draw.permutation(rows)[: round(share * len(rows))])
    return np.sort(np.concatenate(found))


@torch.no_grad()
def right_images(model, images, labels, target, among=None):
    """Find the images of a class that the model classifies rightly.

    Parameters
    ----------
    model : torch.nn.Module
        It is read in evaluation mode on a copy.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        As the model reads them.
    labels : array_like of int, shape (rows,)
        Classes of the images.
    target : int
        The class.
    among : array_like of int, optional
        Numbers of the images that count. None: all.

    Returns
    -------
    numpy.ndarray, int64
        Numbers of images, ascending.

    Raises
    ------
    PlumblineError
        Where there are fewer than 2.
    """
    model = copy.deepcopy(model).eval()
    device = next(model.parameters()).device
    rows = np.flatnonzero(np.asarray(labels) == target)
    rows = rows if among is None else np.intersect1d(rows, among)
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    found = [part[(model(images[part].to(device)).argmax(1) == target).cpu().numpy()] for part in parts]
    right = np.concatenate(found) if found else rows
    if len(right) < 2:
        raise PlumblineError(
            f"class {target}: {len(right)} of {len(rows)} images are classified rightly, a graph needs 2 or more"
        )
    return right


def drawn(right, target, samples, seed, *names):
    """Draw images at random.

    Parameters
    ----------
    right : array_like of int
        Numbers of the images to draw from.
    target : int
        The class, part of the seed.
    samples : int
        How many are drawn; all where there are fewer.
    seed : int
        Of the draw.
    *names : str or number
        What the draw is for; nothing for the graph itself.

    Returns
    -------
    numpy.ndarray, int64
        Numbers of images, in random order.
    """
    draw = np.random.default_rng(seed_of("causal images", seed, target, *names))
    return draw.permutation(right)[:samples]


def strength(soft, target, layer, seed):
    """Return the u of a layer in learning.

    Parameters
    ----------
    soft : bool
        True: u is a draw of Uniform(0, 0.01). False: 0.
    target : int
        The class, part of the seed.
    layer : str
        The layer, part of the seed.
    seed : int
        Of the draw.

    Returns
    -------
    float
    """
    return (
        float(np.random.default_rng(seed_of("causal u", seed, target, layer)).uniform(0, WIDTH))
        if soft
        else 0.0
    )


def grow(network, images, target, *, soft, test, correction, seed, cap):
    """Learn the graph of a CausalNetwork from exactly these images, without their numbers.

    Parameters
    ----------
    network : CausalNetwork
        The network and its layers.
    images : torch.Tensor, float, shape (n, channels, height, width)
        As they enter the network.
    target, soft, test, correction, seed, cap
        See `learn_graph`.

    Returns
    -------
    CausalGraph
        With `held_out` 0 and no `rows`.
    """
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
            layer=network.names[0],
            u=None,
            causes=(0,),
            effects=reached,
            rule="input",
            candidates=1,
            mean=None,
            variance=None,
            nodes=(),
        )
        layers.append(record)
        edges += _edges(network, record)
    return CausalGraph(
        target=target,
        label=str(target),
        n_used=len(images),
        soft=soft,
        test=test,
        correction=correction,
        level=LEVEL,
        seed=seed,
        held_out=0.0,
        rows=(),
        truncated=not reached,
        layers=tuple(layers),
        edges=tuple(edges),
    )


def test_layer(network, seen, name, effects, u, target, *, test, correction, cap, level=LEVEL):
    """Learn one layer: estimate and test each candidate's intervention over the joint effect set.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    seen : Observation
        Of the images at this layer.
    name : str
        The layer.
    effects : tuple of int
        Indices of the layer's own nodes that are causes above.
    u : float
        What the weights are set to.
    target : int
        The class.
    test, correction, cap
        See `learn_graph`.
    level : float
        False discovery rate of correction bh.

    Returns
    -------
    LayerGraph
    """
    chosen = network.candidates(name, effects, cap)
    logits = network.intervened(seen, name, chosen, effects, u).cpu().numpy()
    base = seen.logits.cpu().numpy()
    found, rule = estimates.tested(
        base[:, target], logits[:, :, target], test=test, correction=correction, level=level
    )
    found["kl"] = estimates.divergences(base, logits)
    columns = {"index": chosen} | {key: value.tolist() for key, value in found.items()}
    nodes = tuple(
        NodeEffect(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )
    return LayerGraph(
        layer=name,
        u=u,
        causes=tuple(node.index for node in nodes if node.selected),
        effects=tuple(effects),
        rule=rule,
        candidates=network.nodes[name],
        mean=float(base[:, target].mean()),
        variance=float(base[:, target].var(ddof=1)),
        nodes=nodes,
    )


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
    held_out,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.{json,graphml} of each class.

    Parameters
    ----------
    dataset : str
        The data set's id, for messages.
    model : path
        A folder that the image_model stage wrote.
    seed : int
        Of training, which the draws of images and u take too.
    data : path
        Parquet file of the test split.
    outputs : dict
        Class index -> {"json": path, "graphml": path}.
    classes : iterable of int
        The classes.
    samples, soft, test, correction, cap, held_out
        See `learn_graph`.
    device : str
        Of torch.
    threads : int
        Of the CPU.

    Raises
    ------
    PlumblineError
        For a class that the model does not have, and as `learn_graph`.
    """
    network, facts, images, labels = ready(model, data, device, threads)
    for target in classes:
        names = facts["labels"] or [str(number) for number in range(facts["network"]["classes"])]
        if not 0 <= target < len(names):
            raise PlumblineError(f"dataset '{dataset}' has classes 0 to {len(names) - 1}, not {target}")
        graph = learn_graph(
            network,
            images,
            labels,
            target,
            samples=samples,
            soft=soft,
            test=test,
            correction=correction,
            seed=seed,
            cap=cap,
            held_out=held_out,
        )
        graph = replace(graph, label=names[target])
        write_json(outputs[target]["json"], graph.to_dict())
        write_text(outputs[target]["graphml"], graph.graphml())


def ready(model, data, device, threads):
    """Load a model and all images of a split.

    Parameters
    ----------
    model : path
        A folder that the image_model stage wrote.
    data : path
        Parquet file of the split.
    device : str
        Of torch.
    threads : int
        Of the CPU.

    Returns
    -------
    network : torch.nn.Module
        The model.
    facts : dict
        Its facts.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        As the model reads them, on the CPU.
    labels : numpy.ndarray, int64, shape (rows,)
        Classes of the images.
    """
    device = prepare(device, threads)
    network, facts = load(model, device)
    pictures, labels = pictures_of.arrays(read_rows(data))
    return network, facts, prepared(pictures, facts), labels


def scored_rows(graph, labels):
    """Return the images on which a graph is scored.

    Parameters
    ----------
    graph : CausalGraph
        The graph of one class.
    labels : numpy.ndarray, int64, shape (rows,)
        Classes of all images of the split.

    Returns
    -------
    numpy.ndarray, int64
        Numbers of the images held out; all where none is (`held_out` 0, as published).

    Raises
    ------
    PlumblineError
        Where the graph was learnt from one of those held out, as of another split.
    """
    if not graph.held_out:
        return np.arange(len(labels))
    rows = held_out_rows(labels, graph.held_out)
    if np.intersect1d(rows, graph.rows).size:
        raise PlumblineError(
            f"the graph of class '{graph.label}' was learnt from other images than these: learn it again"
        )
    return rows
