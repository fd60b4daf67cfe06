"""How stable a causal graph is under intervention strength, input noise and fewer images."""

import numpy as np
import torch

from ..artefacts import write_rows
from ..errors import unknown
from ..seeds import seed_of
from . import effects as estimates
from .graph import read_graph
from .interventions import CausalNetwork
from .learn import drawn, grow, ready, right_images

COLUMNS = ("class", "kind", "strength", "repetition", "layer", "u", "images", "nodes", "jaccard")


def jaccard(first, second):
    """Compute |A and B| / |A or B| of two sets.

    Parameters
    ----------
    first, second : iterable
        The sets.

    Returns
    -------
    float
        In [0, 1]; 1 where both are empty.
    """
    first, second = set(first), set(second)
    union = first | second
    return len(first & second) / len(union) if union else 1.0


def strength_rows(network, graph, images, right, layer, *, strengths, repetitions, resample, samples, cap):
    """Test a layer of a graph anew with u ~ Uniform(0, beta), one draw a repetition, for each beta.

    The effects are the graph's.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of one class.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        Of the split, as the network reads them.
    right : numpy.ndarray, int64
        Numbers of those that may be drawn.
    layer : str
        The layer.
    strengths : iterable of float
        The betas.
    repetitions : int
        Draws for each beta.
    resample : bool
        Whether `samples` images are drawn anew in each repetition (as published), or are always the same ones, of those that
        the graph is learnt from.
    samples : int
        Images of a repetition.
    cap : int
        See `learn_graph`.

    Returns
    -------
    list of dict
        Columns: COLUMNS. None without the layer (a graph that ends above it).
    """
    if layer not in [record.layer for record in graph.layers]:
        return []
    record = graph.layer(layer)
    fixed = drawn(graph.rows, graph.target, samples, graph.seed)
    pool = right if resample else fixed
    device = next(network.model.parameters()).device
    every = network.observe(images[pool].to(device), [layer])
    places = {row: place for place, row in enumerate(pool)}
    rows = []
    for beta in strengths:
        for repetition in range(repetitions):
            about = "strength", beta, repetition
            chosen = drawn(right, graph.target, samples, graph.seed, *about) if resample else fixed
            seen = every.take([places[row] for row in chosen])
            u = np.random.default_rng(seed_of("causal u", graph.seed, graph.target, layer, *about)).uniform(
                0, beta
            )
            found = retested(network, seen, graph, record, float(u), cap)
            rows.append(_row(graph, *about, layer, float(u), len(chosen), found))
    return rows


def retested(network, seen, graph, record, u, cap):
    """Test a layer of a graph under another u or other images, by the graph's test, fallback included.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    seen : Observation
        Of the images at the layer.
    graph : CausalGraph
        The graph of one class.
    record : LayerGraph
        The layer in the graph.
    u : float
        What the weights are set to.
    cap : int
        See `learn_graph`.

    Returns
    -------
    list of int
        Indices of the causes.
    """
    candidates = network.candidates(record.layer, record.effects, cap)
    logits = network.intervened(seen, record.layer, candidates, record.effects, u).cpu().numpy()
    found, _ = estimates.tested(
        seen.logits[:, graph.target].cpu().numpy(),
        logits[:, :, graph.target],
        test=graph.test,
        correction=graph.correction,
        level=graph.level,
    )
    return [index for index, selected in zip(candidates, found["selected"], strict=True) if selected]


def noise_rows(network, graph, images, *, noise, repetitions, cap, std):
    """Learn a graph anew from its own images with Gaussian noise of standard deviation sigma on the pixels.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of one class.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        Of the split, as the network reads them.
    noise : iterable of float
        The sigmas, in units of pixels in [0, 1]. Noisy pixels are not clipped.
    repetitions : int
        Draws for each sigma.
    cap : int
        See `learn_graph`.
    std : sequence of float
        What the images' channels were divided by.

    Returns
    -------
    list of dict
        Columns: COLUMNS.
    """
    clean = images[list(graph.rows)]
    scale = torch.tensor(std, dtype=clean.dtype)[:, None, None]
    rows = []
    for sigma in noise:
        for repetition in range(repetitions):
            about = "noise", float(sigma), repetition
            draw = np.random.default_rng(seed_of("causal noise", graph.seed, graph.target, *about))
            added = torch.from_numpy(draw.standard_normal(clean.shape)).to(clean)
            rows += _regrown(network, graph, clean + sigma * added / scale, about, cap)
    return rows


def subsample_rows(network, graph, images, right, *, subsample, repetitions, cap):
    """Learn a graph anew from fewer images, drawn anew in each repetition.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of one class.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        Of the split, as the network reads them.
    right : numpy.ndarray, int64
        Numbers of those that may be drawn.
    subsample : iterable of int
        Numbers of images.
    repetitions : int
        Draws for each number.
    cap : int
        See `learn_graph`.

    Returns
    -------
    list of dict
        Columns: COLUMNS.
    """
    rows = []
    for size in subsample:
        for repetition in range(repetitions):
            about = "subsample", float(size), repetition
            chosen = drawn(right, graph.target, size, graph.seed, *about)
            rows += _regrown(network, graph, images[chosen], about, cap)
    return rows


def _regrown(network, graph, images, about, cap):
    """A row for each layer that was tested in the graph or is in the new one; a layer not reached counts as an empty set."""
    again = grow(
        network,
        images,
        graph.target,
        soft=graph.soft,
        test=graph.test,
        correction=graph.correction,
        seed=graph.seed,
        cap=cap,
    )
    new = {record.layer: record for record in again.layers}
    reached = {record.layer for record in graph.layers} | set(new)
    rows = []
    for name in reversed(network.names[1:]):
        if name in reached:
            u, causes = (new[name].u, new[name].causes) if name in new else (None, ())
            rows.append(_row(graph, *about, name, u, len(images), causes))
    return rows


def _row(graph, kind, strength, repetition, layer, u, images, found):
    """A row of the artefact; a layer that the graph does not reach has no causes there."""
    causes = [record.causes for record in graph.layers if record.layer == layer]
    shared = jaccard(found, causes[0] if causes else ())
    values = (graph.target, kind, float(strength), repetition, layer, u, images, list(found), shared)
    return dict(zip(COLUMNS, values, strict=True))


def write_stability(
    *,
    model,
    data,
    graphs,
    output,
    layer,
    strengths,
    repetitions,
    resample,
    samples,
    noise,
    subsample,
    cap,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/causal/{dataset}/{model}/seed{seed}/stability.parquet; columns: schemas/artefacts/stability.yaml.

    Parameters
    ----------
    model : path
        A folder that the image_model stage wrote.
    data : path
        Parquet file of the test split.
    graphs : list of path
        Of graph.json, one a class, whose seeds are the seeds here.
    output : path
        The Parquet file to write.
    layer : str, optional
        Which is tested anew under strength. None: the last one.
    strengths : dict
        {"most", "step"}: beta from 0 to `most`.
    repetitions, resample, noise, subsample
        See `strength_rows`, `noise_rows`, `subsample_rows`.
    samples : int, optional
        Images of a repetition. None: as many as the graph has.
    cap : int
        See `learn_graph`.
    device : str
        Of torch.
    threads : int
        Of the CPU.

    Raises
    ------
    PlumblineError
        For a layer that is not tested in learning.
    """
    loaded, facts, images, labels = ready(model, data, device, threads)
    network = CausalNetwork(loaded)
    layer = layer or network.names[-1]
    if layer not in network.names[1:]:
        raise unknown("layer to test anew", layer, network.names[1:])
    steps = round(strengths["most"] / strengths["step"])
    betas = [round(step * strengths["step"], 10) for step in range(steps + 1)]
    rows = []
    for path in graphs:
        graph = read_graph(path)
        right = right_images(loaded, images, labels, graph.target)
        rows += strength_rows(
            network,
            graph,
            images,
            right,
            layer,
            strengths=betas,
            repetitions=repetitions,
            resample=resample,
            samples=samples or graph.n_used,
            cap=cap,
        )
        rows += noise_rows(
            network, graph, images, noise=noise, repetitions=repetitions, cap=cap, std=facts["std"]
        )
        rows += subsample_rows(
            network, graph, images, right, subsample=subsample, repetitions=repetitions, cap=cap
        )
    write_rows(output, {name: [row[name] for row in rows] for name in COLUMNS}, kind="stability")
