"""Explanations of image classifiers, one score a pixel: those of the causal graph, baselines and controls.

What there is: attribution.convolutional.
"""

import warnings

from ..attribution.convolutional import EXPLANATIONS
from ..errors import PlumblineError, unknown
from ..seeds import seed_of
from .registry import CAUSAL


def explain(method, model, images, targets, *, graphs=None, seeds=None, layer=None):
    """Compute the maps of one method, a score a pixel.

    Parameters
    ----------
    method : str
        An id of EXPLANATIONS. Settings of the baselines: causal.baselines.
    model : torch.nn.Module
        In evaluation mode, with an nn.ReLU module for every use. It may be frozen or not, and is left as it was.
    images : array_like of float, shape (batch, channels, height, width)
        As the model reads them, a tensor or an array.
    targets : array_like of int, shape (batch,)
        The explained classes.
    graphs : dict, optional
        Class -> CausalGraph, for the causal methods.
    seeds : array_like of int, shape (batch,), optional
        One an image, for what is drawn (gradient_shap, rise, random); images of the same seed get the same draws. None: 0 for
        all. Order and batches change nothing beyond rounding.
    layer : str, optional
        A convolution, for the causal methods and grad_cam. None: the second from the input.

    Returns
    -------
    torch.Tensor, float, shape (batch, height, width)
        Signed where the method is, neither absolute nor scaled.

    Raises
    ------
    PlumblineError
        For an unknown method, images or targets that the model cannot have, a layer without maps (with the legal ones), a class
        without a graph, and where a method has a rule for ReLU and a ReLU is no module of its own.
    """
    import torch

    from .. import arrays
    from .graph import CausalGraph

    if not isinstance(method, str) or method not in EXPLANATIONS:
        raise unknown("explanation", method, EXPLANATIONS)
    if layer is not None and not isinstance(layer, str):
        raise PlumblineError(f"layer is {layer!r}: give a convolution's name, or None")
    graphs = {} if graphs is None else graphs
    if not isinstance(graphs, dict) or not all(isinstance(graph, CausalGraph) for graph in graphs.values()):
        raise PlumblineError("graphs must be a dictionary: class -> its CausalGraph, as learn_graph gives it")
    weight = next(model.parameters())
    # What inference mode or autocast around the call would do to gradients and graphs is no part of an explanation.
    with torch.inference_mode(False), torch.autocast(weight.device.type, enabled=False):
        images = arrays.floating(images, "images").to(weight.device, weight.dtype)
        targets = arrays.integers(targets, "targets").to(weight.device)
        if images.dim() != 4 or targets.shape != images.shape[:1]:
            raise PlumblineError(
                f"images must be (batch, channels, height, width) and targets (batch,), not of shapes {tuple(images.shape)} "
                f"and {tuple(targets.shape)}"
            )
        if not len(images):
            return images.new_zeros(0, *images.shape[2:])
        _check_targets(model, images, targets)
        seeds = torch.zeros(len(images)) if seeds is None else arrays.integers(seeds, "seeds")
        if seeds.shape != images.shape[:1]:
            raise PlumblineError(
                f"seeds must be one an image, ({len(images)},), not of shape {tuple(seeds.shape)}"
            )
        return _maps(method, model, images, targets, graphs, seeds.long().tolist(), layer)


def _check_targets(model, images, targets):
    import torch

    with torch.no_grad():
        try:
            classes = model(images[:1]).shape[-1]
        except RuntimeError as fault:
            raise PlumblineError(
                f"the model cannot read images of shape {tuple(images.shape[1:])}: {fault}"
            ) from fault
    if targets.max() >= classes:
        raise PlumblineError(
            f"a target is {int(targets.max())}: the model has the classes 0 to {classes - 1}"
        )


def _maps(method, model, images, targets, graphs, seeds, layer):
    """See `explain`."""
    from . import attributions, baselines

    layer = attributions.default_layer(model) if layer is None else layer
    if method not in CAUSAL:
        return baselines.compute(method, model, images, targets, seeds, layer)
    found = images.new_zeros(len(images), *images.shape[2:])
    for target in sorted(set(targets.tolist())):
        if target not in graphs:
            raise PlumblineError(
                f"there is no causal graph of class {target}: learn it, or explain other images"
            )
        rows = (targets == target).nonzero()[:, 0]
        for part in rows.split(baselines.ROWS):
            found[part] = attributions.attribution(model, graphs[target], layer, images[part], CAUSAL[method])
    return found


def image_seeds(dataset, name, ids, method):
    """Return the seeds of images for `explain`.

    Parameters
    ----------
    dataset : str
        The data set's id.
    name : str
        Model and training seed.
    ids : iterable of int
        The images' ids.
    method : str
        An id of EXPLANATIONS.

    Returns
    -------
    list of int
        One an image.
    """
    return [seed_of(dataset, name, number, method, 0) for number in ids]


def write_explanations(
    *,
    dataset,
    model,
    name,
    graphs,
    data,
    output,
    nodes,
    methods,
    layer,
    images,
    gallery,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/attributions/{dataset}/{model}/seed{seed}/explanations.parquet and nodes.parquet beside it.

    A class whose graph ends above the layer has no causal map: its images are left out for all methods.

    Parameters
    ----------
    dataset : str
        The data set's id.
    model : path
        A folder that the image_model stage wrote.
    name : str
        Model and training seed, part of the seed of what is drawn.
    graphs : list of path
        Of graph.json.
    data : path
        Parquet file of the test split.
    output, nodes : path
        The Parquet files to write.
    methods : list of str
        Ids of EXPLANATIONS.
    layer : str, optional
        As in `explain`.
    images : int
        The first so many rightly classified images of each class that has a graph are explained, of those held out from it.
    gallery : int
        Of as many images of each class, the maps of single nodes are kept too, in both modes.
    device : str
        Of torch.
    threads : int
        Of the CPU.

    Raises
    ------
    PlumblineError
        For a layer that is no convolution, an unknown method, and where no class is left.

    Warns
    -----
    UserWarning
        For a class that is left out.
    """
    import numpy as np
    import torch

    from ..artefacts import read_rows, write_rows
    from . import attributions
    from .graph import read_graph
    from .learn import ready, right_images, scored_rows

    network, _, pictures, labels = ready(model, data, device, threads)
    layer = layer or attributions.default_layer(network)
    attributions.check_layer(layer, attributions.convolutions(network), type(network).__name__)
    known = {graph.target: graph for graph in map(read_graph, graphs)}
    reached = [
        target
        for target, graph in sorted(known.items())
        if layer in attributions.legal_layers(network, graph)
    ]
    if not reached:
        raise PlumblineError(
            f"no class of {dataset}, {name}, has a causal graph down to layer '{layer}': choose a higher one, "
            "or more samples"
        )
    for target in sorted(known.keys() - set(reached)):
        warnings.warn(
            f"class {target}: the graph ends above '{layer}', its images are left out", stacklevel=2
        )
    rows = [
        right_images(network, pictures, labels, target, scored_rows(known[target], labels))[:images]
        for target in reached
    ]
    shown = [row for part in rows for row in part[:gallery]]
    rows = np.concatenate(rows)
    ids = read_rows(data, ["id"])["id"].to_numpy()
    inputs = pictures.to(next(network.parameters()).device)
    targets = torch.from_numpy(labels).to(inputs.device)
    with torch.no_grad():
        chances = torch.cat([network(inputs[row : row + 1]).softmax(-1)[:, labels[row]] for row in rows])
    columns = {
        "id": ids[rows],
        "label": labels[rows],
        "target": labels[rows],
        "probability": chances.cpu().numpy(),
        "height": np.full(len(rows), inputs.shape[2]),
        "width": np.full(len(rows), inputs.shape[3]),
    }
    for method in methods:
        seeds = image_seeds(dataset, name, ids[rows], method)
        maps = explain(method, network, inputs[rows], targets[rows], graphs=known, seeds=seeds, layer=layer)
        columns[f"scores_{method}"] = list(maps.flatten(1).float().cpu().numpy())
    kept = {}
    for row in shown:
        graph = known[labels[row]]
        for mode in attributions.MODES:
            maps = attributions.node_maps(network, graph, layer, inputs[row : row + 1], mode)[0]
            for node, scores in zip(graph.layer(layer).effects, maps, strict=True):
                cells = {"id": ids[row], "target": graph.target, "mode": mode, "node": node}
                cells |= {"height": scores.shape[0], "width": scores.shape[1]}
                cells["scores"] = scores.flatten().cpu().numpy()
                for key, value in cells.items():
                    kept.setdefault(key, []).append(value)
    write_rows(output, columns, kind="explanations")
    write_rows(nodes, kept, kind="nodes")
