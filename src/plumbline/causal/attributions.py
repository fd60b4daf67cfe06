"""Maps of a causal graph at a convolution: which pixels speak to the nodes that move the class.

Let P be the causes and Q the effects of the layer in the graph, F_i the map of parent i, w the layer's weight.
released   M_q = mean over i in P of softmax over all pixels of F_i * w[q, i], where F_i is what the layer below puts out, before
           its ReLU and pooling, and * is the full two-dimensional convolution, with the kernel turned round. As released: the
           network itself reads the pooled ReLU of F_i and does not turn the kernel. M_q is positive and sums to 1.
forward    M_q = max(0, -TE_q) ReLU(sum over i in P of w[q, i] x_i), x_i the node's real map as it enters the layer, in the
           layer's own cross-correlation: what travels along the causal paths, weighted by how far the logit falls without q.
           The layer's bias and what follows it but the ReLU (a norm of ResNet's) are left out: they are no part of these paths.
Either is resized to the image (bilinear); the image's map is the sum over Q. At the graph's lowest layer the parent is the
whole input, one node, whose channels are added.
"""

import torch
from torch import nn
from torch.nn import functional

from ..errors import PlumblineError

MODES = ("released", "forward")


def convolutions(model):
    """Return the names of a model's convolutions in its chain of layers.

    Parameters
    ----------
    model : torch.nn.Module
        See interventions.CausalNetwork.

    Returns
    -------
    list of str
        From the input up.
    """
    names = getattr(model, "causal_layers", None) or [name for name, _ in model.named_children()]
    return [name for name in names if isinstance(model.get_submodule(name), nn.Conv2d)]


def default_layer(model):
    """Return the layer at which a model's images are explained where none is named.

    Parameters
    ----------
    model : torch.nn.Module
        See interventions.CausalNetwork.

    Returns
    -------
    str
        The second convolution from the input; the only one where there is no second.

    Raises
    ------
    PlumblineError
        For a model without a convolution.
    """
    found = convolutions(model)
    if not found:
        raise PlumblineError(f"{type(model).__name__} has no convolution to explain images at")
    return found[min(1, len(found) - 1)]


def legal_layers(model, graph):
    """Return the convolutions at which a graph has causes.

    Parameters
    ----------
    model : torch.nn.Module
        The graph's model.
    graph : CausalGraph
        The graph of one class.

    Returns
    -------
    list of str
        Names of layers, from the input up.
    """
    known = {record.layer for record in graph.layers if record.causes}
    return [name for name in convolutions(model) if name in known]


def check_layer(layer, legal, whose):
    """Check that maps can be made at a layer.

    Parameters
    ----------
    layer : str
        Its name.
    legal : list of str
        Names of the legal layers.
    whose : str
        What they are of, for the message.

    Raises
    ------
    PlumblineError
        For a layer that is none of the legal ones.
    """
    if layer not in legal:
        raise PlumblineError(f"no maps at layer '{layer}' of {whose}; legal: {', '.join(legal) or 'none'}")


@torch.no_grad()
def node_maps(model, graph, layer, images, mode="released"):
    """Compute the maps M_q of a graph's effects at a layer, before resizing; definitions: see the module.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    graph : CausalGraph
        A graph of the model.
    layer : str
        Name of a convolution.
    images : torch.Tensor, float, shape (batch, channels, height, width)
        As the model reads them.
    mode : {'released', 'forward'}
        The definition of M_q.

    Returns
    -------
    torch.Tensor, float, shape (batch, |Q|, height, width)
        In the order of the layer's `effects`. released: each M_q sums to 1, of the size (height of F) + (kernel) - 1. forward:
        of the size of the layer's output, in units of the target's logit times those of the layer's output.

    Raises
    ------
    PlumblineError
        For a layer that is no convolution or at which the graph has no causes; it lists the legal ones.
    """
    check_layer(layer, legal_layers(model, graph), f"the graph of class '{graph.label}'")
    record = graph.layer(layer)
    lowest = record.rule == "input"
    place = graph.layers.index(record)
    module = model.get_submodule(layer)
    causes = slice(None) if lowest else list(record.causes)
    weight = module.weight[list(record.effects)][:, causes]
    if mode == "forward":
        x = _read(model, layer, images, entering=True)[:, causes]
        found = functional.conv2d(x, weight, None, module.stride, module.padding, module.dilation).relu()
        return found * _strengths(graph, place).to(found)[:, None, None]
    below = layer if lowest else graph.layers[place + 1].layer
    parents = _read(model, below, images, entering=lowest)[:, causes]
    spread = [step * (side - 1) for step, side in zip(module.dilation, module.kernel_size, strict=True)]
    turned = weight.flip(-1, -2)
    groups = 1 if lowest else parents.shape[1]
    if not lowest:
        turned = turned.transpose(0, 1).flatten(0, 1)[:, None]
    found = functional.conv2d(parents, turned, None, 1, spread, module.dilation, groups)
    shares = found.flatten(2).softmax(-1).view_as(found)
    return shares.unflatten(1, (groups, -1)).mean(1)


def attribution(model, graph, layer, images, mode="released"):
    """Compute the causal maps of images: the sum over Q of the resized M_q.

    Parameters
    ----------
    model, graph, layer, images, mode
        See `node_maps`.

    Returns
    -------
    torch.Tensor, float, shape (batch, height, width)
        Of the images' size.

    Raises
    ------
    PlumblineError
        As `node_maps`.
    """
    return resized(node_maps(model, graph, layer, images, mode).sum(1), images.shape[2:])


def resized(maps, size):
    """Resize maps, bilinear.

    Parameters
    ----------
    maps : torch.Tensor, float, shape (batch, height, width)
        The maps.
    size : sequence of int
        The new height and width.

    Returns
    -------
    torch.Tensor, float, shape (batch, *size)
        `maps` itself where it has that size.
    """
    if maps.shape[1:] == tuple(size):
        return maps
    return functional.interpolate(maps[:, None], size=tuple(size), mode="bilinear")[:, 0]


def _strengths(graph, place):
    """max(0, -mean TE) of each effect of a layer, in logits; 1 at the top layer, whose effect is the class itself."""
    record = graph.layers[place]
    if place == 0:
        return torch.ones(len(record.effects))
    effects = {node.index: node.te for node in graph.layers[place - 1].nodes}
    return torch.tensor([max(0.0, -effects[index]) for index in record.effects])


def _read(model, name, images, *, entering):
    """What enters (or leaves) a module in a forward pass."""
    found = []
    hook = model.get_submodule(name).register_forward_hook(
        # Cloned, because a module that follows may work in place.
        lambda module, arguments, output: found.append((arguments[0] if entering else output).clone())
    )
    try:
        model(images)
    finally:
        hook.remove()
    return found[0]
