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
    """Names of a model's convolutions in its chain of layers, from the input up (see interventions.CausalNetwork)."""
    names = getattr(model, "causal_layers", None) or [name for name, _ in model.named_children()]
    return [name for name in names if isinstance(model.get_submodule(name), nn.Conv2d)]


def default_layer(model):
    """The second convolution from the input; the only one where there is no second. Raises PlumblineError without any."""
    found = convolutions(model)
    if not found:
        raise PlumblineError(f"{type(model).__name__} has no convolution to explain images at")
    return found[min(1, len(found) - 1)]


def legal_layers(model, graph):
    """Names of the convolutions at which a graph has causes, from the input up."""
    known = {record.layer for record in graph.layers if record.causes}
    return [name for name in convolutions(model) if name in known]


def check_layer(layer, legal, whose):
    """Raise PlumblineError where a layer is none of the legal ones; whose: what they are of."""
    if layer not in legal:
        raise PlumblineError(f"no maps at layer '{layer}' of {whose}; legal: {', '.join(legal) or 'none'}")


@torch.no_grad()
def node_maps(model, graph, layer, images, mode="released"):
    """The M_q before resizing, (batch, |Q|, height, width), in the order of the layer's `effects`.

    model   in evaluation mode; images (batch, channels, height, width) as it reads them; graph: a CausalGraph of the model.
    mode    released: each M_q sums to 1, of the size (height of F) + (kernel) - 1. forward: of the size of the layer's output,
            in units of the target's logit times those of the layer's output.

    Raises PlumblineError for a layer that is no convolution or at which the graph has no causes; it lists the legal ones.
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
    """The sum over Q of the resized M_q: (batch, height, width) of the images. Arguments and errors: see `node_maps`."""
    return resized(node_maps(model, graph, layer, images, mode).sum(1), images.shape[2:])


def resized(maps, size):
    """Maps (batch, height, width) at another size, bilinear; as they are where they have it."""
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
