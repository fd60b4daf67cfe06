"""Path interventions do(i -> E := u) on a network, from activations that are read once.

In the weight of a layer every entry that links candidate i to an effect in E becomes u: a whole kernel slice of a
convolution, of a linear layer the columns that belong to i. Biases, the other weights, and what i gives to other nodes stay.
A layer's output then changes by (u - w) applied to i's part of its input alone, so what follows the layer is run on the
changed outputs of many candidates at once, and no weight is ever written: nothing has to be put back, whatever is raised.
The last layer's changed output is the logits themselves: y' = y + (u - w) a.

A network is read on a float64 copy, so that effects do not depend on the size of a batch.
"""

import copy
import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..errors import PlumblineError, unknown

ROWS = 1024  # images that go through the network together; changes no result beyond rounding


@dataclass
class Observation:
    """What a network did with n images, float64.

    Attributes
    ----------
    logits : torch.Tensor, shape (n, classes)
        The network's output.
    starts : dict
        Layer -> what enters the stage that holds it, (n, ...).
    inputs : dict
        Layer -> what enters the layer itself, (n, channels, height, width) or (n, features).
    outputs : dict
        Layer -> what leaves it, of layers that are a stage of their own.
    """

    logits: torch.Tensor
    starts: dict
    inputs: dict
    outputs: dict

    def take(self, rows):
        """Return the same of some of the images.

        Parameters
        ----------
        rows : array_like of int
            Numbers of the images.

        Returns
        -------
        Observation
        """
        rows = torch.as_tensor(rows, device=self.logits.device)
        parts = [{name: value[rows] for name, value in part.items()} for part in self._parts()]
        return Observation(self.logits[rows], *parts)

    def _parts(self):
        return self.starts, self.inputs, self.outputs


class CausalNetwork:
    """A float64 copy of a model in evaluation mode, and its chain of causal layers.

    Parameters
    ----------
    model : torch.nn.Module
        Of images (batch, channels, height, width) -> logits (batch, classes). The names of its layers, from the input up, are
        its attribute `causal_layers`; an nn.Sequential without one has its Conv2d and Linear children. The stages of an
        nn.Sequential, whose children they are, are re-run from the one that holds a layer; any other model is re-run as a
        whole. Paths beside the chain, such as skip connections, stay as they are.
    layers : list of str, optional
        Names of those to use: the upper ones from some layer on. None: all. What enters the lowest counts as the input.

    Attributes
    ----------
    names : list of str
        The layers in use, from the input up.
    modules : dict
        Name -> layer.
    nodes : dict
        Name -> how many nodes feed the layer: channels, or the channels below where these were flattened; 1 at the lowest.

    Raises
    ------
    PlumblineError
        Where the layers are no such chain.
    """

    def __init__(self, model, layers=None):
        self.model = copy.deepcopy(model).double().eval().requires_grad_(False)
        self.chained = isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward
        self.stages = dict(self.model.named_children()) if self.chained else {"": self.model}
        self.names = self._chosen(layers)
        self.modules = {name: self._layer(name) for name in self.names}
        self.nodes = {self.names[0]: 1}
        for below, name in zip(self.names, self.names[1:], strict=False):
            given, read = self.modules[below].weight.shape[0], self.modules[name].weight.shape[1]
            whole = isinstance(self.modules[name], nn.Conv2d) or isinstance(self.modules[below], nn.Linear)
            if read % given or (whole and read != given):
                raise PlumblineError(
                    f"layer '{name}' reads {read} values, which are not those of the {given} nodes of "
                    f"'{below}': name the layers of a chain in `causal_layers`"
                )
            self.nodes[name] = given

    def _chosen(self, layers):
        names = list(getattr(self.model, "causal_layers", ()))
        if not names and self.chained:
            names = [name for name, child in self.stages.items() if isinstance(child, (nn.Conv2d, nn.Linear))]
        if not names:
            raise PlumblineError(
                f"{type(self.model).__name__} is no nn.Sequential of layers: give it an attribute "
                "`causal_layers`, the names of its layers from the input up"
            )
        if layers is None:
            return names
        for name in layers:
            if name not in names:
                raise unknown("layer", name, names)
        if not layers or set(layers) != set(names[-len(set(layers)) :]):
            raise PlumblineError(
                f"the layers {', '.join(layers)} do not follow each other up to the last one, '{names[-1]}'"
            )
        return names[-len(set(layers)) :]

    def _layer(self, name):
        try:
            layer = self.model.get_submodule(name)
        except AttributeError:
            raise PlumblineError(f"{type(self.model).__name__} has no layer '{name}'") from None
        plain = isinstance(layer, nn.Linear) or (
            isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros"
        )
        if not plain:
            raise PlumblineError(
                f"layer '{name}' is neither linear nor a convolution without groups, padded by zeros: leave it out"
            )
        return layer

    def stage_of(self, name):
        """Return the name of the stage that holds a layer."""
        return name.split(".")[0] if self.chained else ""

    def norms(self, name, effects, causes=None):
        """Compute the L2 norm of the weights of a layer between each cause and each effect.

        Parameters
        ----------
        name : str
            The layer.
        effects : iterable of int
            Indices of the layer's own nodes.
        causes : iterable of int, optional
            Indices of the nodes that feed it. None: all.

        Returns
        -------
        numpy.ndarray, float64, shape (causes, effects)
        """
        weight = self.blocks(name)[list(effects)]
        weight = weight if causes is None else weight[:, list(causes)]
        return weight.flatten(2).norm(dim=2).T.cpu().numpy()

    def candidates(self, name, effects, cap):
        """Choose which nodes that feed a layer are tested.

        Parameters
        ----------
        name : str
            The layer.
        effects : iterable of int
            Indices of the layer's own nodes.
        cap : int
            The largest number of candidates.

        Returns
        -------
        list of int
            Ascending: all nodes, or the `cap` whose weights onto all effects have the largest L2 norm.
        """
        found = np.arange(self.nodes[name])
        if len(found) > cap:
            weights = np.linalg.norm(self.norms(name, effects), axis=1)
            found = np.sort(np.argsort(-weights, kind="stable")[:cap])
        return found.tolist()

    def blocks(self, name):
        """Return a layer's weight by node.

        Parameters
        ----------
        name : str
            The layer.

        Returns
        -------
        torch.Tensor, float64, shape (outputs, nodes, ...)
            The input is one node.
        """
        weight = self.modules[name].weight
        if isinstance(self.modules[name], nn.Conv2d) and name != self.names[0]:
            return weight
        return weight.reshape(len(weight), self.nodes[name], -1)

    @torch.no_grad()
    def observe(self, images, names):
        """Run the network on images and keep what is needed for interventions.

        Parameters
        ----------
        images : torch.Tensor, float, shape (n, channels, height, width)
            As the model reads them.
        names : list of str
            The layers to observe.

        Returns
        -------
        Observation

        Raises
        ------
        PlumblineError
            For a layer that is used more than once in a forward pass.
        """
        parts = [self._observe(part.double(), names) for part in images.split(ROWS)]
        logits = torch.cat([part.logits for part in parts])
        joined = [
            {name: torch.cat([part[name] for part in column]) for name in column[0]}
            for column in zip(*(part._parts() for part in parts), strict=True)
        ]
        return Observation(logits, *joined)

    def _observe(self, images, names):
        # Cloned, because a module may work in place.
        starts, inputs, outputs = {}, {}, {}

        def read(name, layer, arguments, output):
            if name in inputs:
                raise PlumblineError(f"layer '{name}' is used more than once in a forward pass")
            inputs[name] = arguments[0].clone()
            if name in self.stages:
                outputs[name] = output.clone()

        hooks = [self.modules[name].register_forward_hook(functools.partial(read, name)) for name in names]
        try:
            value = images
            for stage, module in self.stages.items():
                starts |= {name: value.clone() for name in names if self.stage_of(name) == stage}
                value = module(value)
        finally:
            for hook in hooks:
                hook.remove()
        return Observation(value, starts, inputs, outputs)

    def given(self, name, inputs, output):
        """Compute what each node that feeds a linear layer adds to one of its outputs.

        Parameters
        ----------
        name : str
            The layer.
        inputs : torch.Tensor, float64, shape (n, features)
            What enters it.
        output : int
            Index of the output.

        Returns
        -------
        numpy.ndarray, float64, shape (n, nodes)
        """
        blocks = inputs.reshape(len(inputs), self.nodes[name], -1)
        return (blocks * self.blocks(name)[output]).sum(2).cpu().numpy()

    def changes(self, name, inputs, candidates, effects, u):
        """Compute what each intervention adds to the effects among a layer's outputs.

        Parameters
        ----------
        name : str
            The layer.
        inputs : torch.Tensor, float64, shape (n, channels, height, width) or (n, features)
            What enters it.
        candidates : list of int
            Indices of the nodes that are intervened on.
        effects : iterable of int
            Indices of the layer's own nodes.
        u : float
            What the weights are set to.

        Returns
        -------
        torch.Tensor, float64, shape (candidates, n, effects, ...)
        """
        layer, n = self.modules[name], len(inputs)
        weight = u - self.blocks(name)[list(effects)][:, candidates]
        if isinstance(layer, nn.Linear):
            blocks = inputs.reshape(n, self.nodes[name], -1)[:, candidates]
            return torch.einsum("nib,eib->ine", blocks, weight)
        weight = weight.transpose(0, 1).flatten(0, 1)[:, None]
        found = functional.conv2d(
            inputs[:, candidates], weight, None, layer.stride, layer.padding, layer.dilation, len(candidates)
        )
        return found.unflatten(1, (len(candidates), len(effects))).transpose(0, 1)

    @torch.no_grad()
    def intervened(self, seen, name, candidates, effects, u):
        """Compute the logits under do(i -> effects := u) at a layer, for each candidate i.

        Parameters
        ----------
        seen : Observation
            Of the images at this layer.
        name : str
            The layer.
        candidates : iterable of int
            Indices of the nodes that are intervened on.
        effects : iterable of int
            Indices of the layer's own nodes.
        u : float
            What the weights are set to.

        Returns
        -------
        torch.Tensor, float64, shape (candidates, n, classes)
        """
        candidates, effects = list(candidates), list(effects)
        # Nothing is run after the last layer, so that all of its candidates go together.
        size = len(candidates) if name == list(self.stages)[-1] else max(1, ROWS // len(seen.logits))
        found = [
            self._rerun(seen, name, candidates[start : start + size], effects, u)
            for start in range(0, len(candidates), size)
        ]
        return torch.cat(found)

    def _rerun(self, seen, name, candidates, effects, u):
        change = self.changes(name, seen.inputs[name], candidates, effects, u)
        k = len(candidates)
        stages = list(self.stages)
        place = stages.index(self.stage_of(name))

        def changed(output):
            output.unflatten(0, (k, -1)).index_add_(2, torch.tensor(effects, device=output.device), change)
            return output

        def repeated(value):
            return value.repeat(k, *[1] * (value.dim() - 1))  # never a view: what follows may work in place

        if name in seen.outputs:
            value = changed(repeated(seen.outputs[name]))
        else:
            hook = self.modules[name].register_forward_hook(lambda layer, arguments, output: changed(output))
            try:
                value = self.stages[stages[place]](repeated(seen.starts[name]))
            finally:
                hook.remove()
        for stage in stages[place + 1 :]:
            value = self.stages[stage](value)
        return value.unflatten(0, (k, -1))
