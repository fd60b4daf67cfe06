"""Attributions: one score a token, by every method of the registry.

`METHODS` and `READOUTS` hold the registry (no torch is imported for them); `attribute` is the Python API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import PlumblineError, unknown
from ..registry import Method, Readout, Registry, discover

if TYPE_CHECKING:
    import torch

    from ..arrays import Array, Numbers
    from .batch import Batch

# Every method, of whatever models; then those of text encoders, which this package's functions compute.
ALL_METHODS: Registry[Method] = discover("plumbline.attribution", "method")
METHODS: Registry[Method] = Registry(
    "method", {name: method for name, method in ALL_METHODS.items() if method.models == "text encoders"}
)
READOUTS: dict[str, Readout] = {
    readout.id: readout for method in METHODS.values() for readout in method.readouts
}
_METHOD_OF = {readout.id: method.id for method in METHODS.values() for readout in method.readouts}


def shown_in(place: str) -> tuple[str, ...]:
    """List the readouts that a place shows by default.

    Parameters
    ----------
    place : str
        One of `registry.SHOWN`.

    Returns
    -------
    tuple of str
        Ids of readouts, in the registry's order.
    """
    return tuple(name for name, entry in READOUTS.items() if entry.stands_in(place))


def method_of(readout: str) -> Method:
    """Find the method that a readout belongs to.

    Parameters
    ----------
    readout : str
        Id of a readout, or of a method for its principal readout.

    Returns
    -------
    registry.Method
        The entry of the method.

    Raises
    ------
    PlumblineError
        For an unknown readout.
    """
    return METHODS[_METHOD_OF[readout_of(readout)]]


def readout_of(name: str) -> str:
    """Find the readout that a name means.

    Parameters
    ----------
    name : str
        Id of a readout, or of a method for its principal readout.

    Returns
    -------
    str
        Id of the readout.

    Raises
    ------
    PlumblineError
        For an unknown name, and for a method without a principal readout. The error lists the readouts that there are.
    """
    if isinstance(name, str) and name in READOUTS:
        return name
    if isinstance(name, str) and name in METHODS:
        entry = METHODS[name]
        if entry.principal is None:
            readouts = ", ".join(readout.id for readout in entry.readouts)
            raise PlumblineError(
                f"method '{name}' has several readouts and none stands for it: give one of {readouts}"
            )
        return entry.principal
    raise unknown("readout", name, READOUTS)


def attribute(
    model: torch.nn.Module,
    input_ids: Numbers,
    attention_mask: Numbers | None = None,
    method: str = "alti",
    *,
    token_type_ids: Numbers | None = None,
    target: int | Numbers | None = None,
    position: int | Numbers | None = None,
    tokenizer_ids: Mapping[str, int] | None = None,
    seed: int | Numbers | None = None,
    **parameters: Any,
) -> torch.Tensor:
    """Score every token by one readout.

    Parameters
    ----------
    model : torch.nn.Module
        A transformers encoder for sequence classification, or one for masked-language modelling whose vocabulary decoder is
        Linear(hidden, 1) (agreement; logits (batch, n, 1)). `models.encoders.explained_probability` is explained: of one logit or
        of a multi-label classifier a sigmoid.
    input_ids : array_like of int, shape (batch, n)
        Token ids, special tokens included, padded on the right: a tensor, array or list.
    attention_mask : array_like of int, shape (batch, n), optional
        1 at tokens, 0 at padding. None: no padding.
    method : str
        Id of a readout of `READOUTS`, or of a method for its principal readout (`METHODS[...].principal`).
    token_type_ids : array_like of int, shape (batch, n), optional
        The segments of a sentence pair, as the tokeniser gives them: `attribute(model, **tokenizer(first, second,
        return_tensors="pt"))`. None: one segment.
    target : int or array_like of int, shape (batch,), optional
        The explained class. None: the predicted one. One logit: 1 is its sigmoid (agreement: third person singular), 0 the
        complement.
    position : int or array_like of int, shape (batch,), optional
        The position that is read out. None: the class token. Agreement needs it (the mask).
    tokenizer_ids : mapping of str to int, optional
        cls, sep, mask and pad. Methods that replace tokens need it.
    seed : int or array_like of int, shape (batch,), optional
        One an example. Stochastic methods need it.
    **parameters
        The parameters of the method (`METHODS[...].parameters`).

    Returns
    -------
    torch.Tensor, float32, shape (batch, n)
        Detached scores, zero at padding. The readout's entry names their unit and source.

    Raises
    ------
    PlumblineError
        For an unknown readout or parameter, a model of another kind, a missing argument, one of another shape, type or range, an
        empty or too long input, or a score that is not finite.

    Notes
    -----
    The model's training mode, gradients and attention implementation are as before afterwards. One thread at a time has a
    model. Autocast and inference mode around the call change nothing.
    """
    readout = readout_of(method)
    import torch

    from .batch import Batch

    with torch.inference_mode(False):
        batch = Batch(
            model,
            input_ids,
            attention_mask,
            token_type_ids=token_type_ids,
            target=target,
            position=position,
            tokenizer_ids=tokenizer_ids,
            seed=seed,
        )
        return explain(method_of(readout).id, batch, [readout], **parameters)[readout]


def explain(
    method: str, batch: Batch, readouts: Iterable[str] | None = None, **parameters: Any
) -> dict[str, torch.Tensor]:
    """Compute all readouts of one method for a batch, or the given ones.

    Parameters
    ----------
    method : str
        Id of the method.
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : iterable of str, optional
        Ids of readouts of the method. None: all.
    **parameters
        The parameters of the method. What is left out has the default of the registry entry.

    Returns
    -------
    dict of str to torch.Tensor
        Readout -> scores, float32, shape (batch, n), zero at padding. A method may add facts of its own, such as
        completeness_gap, shape (batch,); whole numbers among them stay whole.

    Raises
    ------
    PlumblineError
        For an unknown parameter, a value that is not legal, or a score that is not finite.
    """
    import torch

    from ..models.encoders import undisturbed

    entry = METHODS[method]
    for name in parameters:
        if name not in entry.parameters:
            raise unknown(f"parameter of method '{method}'", name, entry.parameters)
        entry.check(name, parameters[name], f"parameter '{name}' of method '{method}'")
    readouts = list(readouts or [readout.id for readout in entry.readouts])
    module = _module(method)
    attention = "eager" if "attention" in entry.needs else "sdpa"
    with undisturbed(batch.model, attention), torch.enable_grad():
        found = module.compute(batch, readouts, **{**entry.parameters, **parameters})
    results = {}
    for name, values in found.items():
        values = values.detach()
        values = values.float() if values.is_floating_point() else values
        if values.dim() == 2:
            values = values.masked_fill(~batch.attention_mask.bool(), 0.0)
        if not values.isfinite().all():
            row = int((~values.isfinite()).reshape(len(values), -1).any(-1).nonzero()[0, 0])
            raise PlumblineError(
                f"'{name}' is not finite for example {row} of the batch: the model gives NaN or infinite values there, "
                "check the checkpoint"
            )
        results[name] = values
    return results


def _module(name: str) -> ModuleType:
    """A module of this package, by name: an import statement would make every method's files depend on it."""
    import importlib

    return importlib.import_module(f"{__name__}.{name}")


def selective_rollout(
    attention: Array | Sequence[torch.Tensor],
    threshold: float,
    residual: bool = True,
    position: int | None = None,
) -> tuple[Array, list[int]]:
    """Selective attention rollout of one example ("Improving Explainability of Transformer Models", part 1).

    Parameters
    ----------
    attention : array_like of float, shape (layers, heads, n, n)
        Rows sum to one. A NumPy array, a tensor, or `attentions` as a transformers model returns them for one text,
        (1, heads, n, n) a layer.
    threshold : float
        At least 0. A layer is used where its matrix is farther than this, in the Frobenius norm, from that of the last layer
        used. 0 is ordinary rollout, since only equal matrices are not farther.
    residual : bool
        Whether the matrices are head means + I with rows divided by their sum, or the head means alone.
    position : int, optional
        The row that is read out (the class token's is 0). None: the maximum over rows, as published.

    Returns
    -------
    relevance : numpy.ndarray or torch.Tensor, shape (layers, n)
        Of the kind and dtype of `attention`. Row l is what layers up to l give; a layer that is not used repeats the row before.
    used : list of int
        The layers used, 0 among them.

    Raises
    ------
    PlumblineError
        For another shape, numbers that are not finite or no attention weights, a negative threshold, or a position outside the
        tokens.
    """
    return _module("selective").rollout_relevance(attention, threshold, residual, position)


def attention_flow(
    attention: Array | Sequence[torch.Tensor], layer: int, position: int | None = None
) -> Array:
    """Attention flow of one example from the nodes above a layer to the inputs (Abnar & Zuidema 2020).

    Flows are maximum flows, exact to about 1e-9. Each node's are divided by their sum.

    Parameters
    ----------
    attention : array_like of float, shape (layers, heads, n, n)
        As of `selective_rollout`. The residual connection is added here.
    layer : int
        The topmost layer that flows pass, 0 to layers - 1.
    position : int, optional
        The output node whose flows are read out. None: the maximum over output nodes, as published.

    Returns
    -------
    numpy.ndarray or torch.Tensor, shape (n,)
        Of the kind and dtype of `attention`.

    Raises
    ------
    PlumblineError
        For another shape, numbers that are not finite or no attention weights, or a layer or a position that does not exist.
    """
    return _module("flow").flow_relevance(attention, layer, position)


def mamba_maps(
    hidden: Array,
    residual_gradients: Array,
    *,
    start_layer: int,
    class_position: int,
    published: bool = True,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> dict[str, Array]:
    """Vision Mamba's raw, rollout and attribution maps from the class token's row: `plumbline.attribution.mamba.mamba_maps`.

    Parameters
    ----------
    hidden : array_like of float, shape (layers, batch, channels, tokens)
        Hidden attention of the class token. A NumPy array or a tensor.
    residual_gradients : array_like of float, shape (layers, batch, tokens, features)
        Gradients of the explained logit at what enters each block's norm. Of the kind and dtype of `hidden`.
    start_layer : int
        The first layer that counts.
    class_position : int
        The place of the class token among the tokens.
    published : bool
        Whether maps are clamped at zero, as published. False keeps signs and guards row sums near zero.
    transform : callable, optional
        A function of a tensor. None: none.

    Returns
    -------
    dict of str to numpy.ndarray or torch.Tensor, shape (batch, tokens - 1)
        Map -> scores of the patches, of the kind and dtype of `hidden`.

    Raises
    ------
    PlumblineError
        For another shape or dtype, numbers that are not finite, or an argument of another type or range.
    """
    mamba = _module("mamba")
    settings = {"start_layer": start_layer, "class_position": class_position}
    return _as_given(
        mamba.mamba_maps, hidden, residual_gradients, published=published, transform=transform, **settings
    )


def mamba_maps_full(
    matrices: Array,
    residual_gradients: Array,
    *,
    start_layer: int,
    class_position: int,
    published: bool = False,
    transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> dict[str, Array]:
    """Vision Mamba's maps as `mamba_maps`, from whole matrices: `plumbline.attribution.mamba.mamba_maps_full`.

    Parameters
    ----------
    matrices : array_like of float, shape (layers, batch, tokens, tokens)
        Hidden attention. A NumPy array or a tensor.
    residual_gradients : array_like of float, shape (layers, batch, tokens, features)
        Gradients of the explained logit at what enters each block's norm. Of the kind and dtype of `matrices`.
    start_layer, class_position, published, transform
        See `mamba_maps`.

    Returns
    -------
    dict of str to numpy.ndarray or torch.Tensor, shape (batch, tokens - 1)
        Map -> scores of the patches, of the kind and dtype of `matrices`.

    Raises
    ------
    PlumblineError
        As `mamba_maps` does.
    """
    mamba = _module("mamba")
    settings = {"start_layer": start_layer, "class_position": class_position}
    return _as_given(
        mamba.mamba_maps_full,
        matrices,
        residual_gradients,
        published=published,
        transform=transform,
        **settings,
    )


def _as_given(
    function: Callable[..., dict[str, torch.Tensor]], *values: Array, **settings: Any
) -> dict[str, Array]:
    """A function of finite floating-point tensors, for NumPy arrays too: its dict of results is of the first one's kind."""
    from ..arrays import floating, restore_like

    if not isinstance(settings["published"], bool):
        raise PlumblineError(f"published is {settings['published']!r}: expected True or False")
    if settings["transform"] is not None and not callable(settings["transform"]):
        raise PlumblineError(
            f"transform is {settings['transform']!r}: expected a function of a tensor, or None"
        )
    tensors = [
        floating(value, name)
        for value, name in zip(values, ("hidden attention", "residual_gradients"), strict=True)
    ]
    if tensors[0].dtype != tensors[1].dtype:
        raise PlumblineError(
            f"hidden attention is {tensors[0].dtype}, residual_gradients {tensors[1].dtype}: give one dtype"
        )
    restore = restore_like(values[0])
    return {name: restore(result) for name, result in function(*tensors, **settings).items()}
