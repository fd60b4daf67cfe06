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
    """The readouts that stand in a place of `registry.SHOWN` by default, in the registry's order."""
    return tuple(name for name, entry in READOUTS.items() if entry.stands_in(place))


def method_of(readout: str) -> Method:
    """The registry entry of the method that a readout belongs to; PlumblineError for an unknown readout."""
    return METHODS[_METHOD_OF[readout_of(readout)]]


def readout_of(name: str) -> str:
    """The readout that a name means: a readout's own id, or a method's for its principal readout.

    Raises PlumblineError for an unknown name, and for a method that has no principal readout; it lists those that it has.
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
    """One score a token.

    model          a transformers encoder for sequence classification, or one for masked-language modelling whose
                   vocabulary decoder is Linear(hidden, 1) (agreement; logits (batch, n, 1)). The explained probability is
                   `models.encoders.explained_probability`: of one logit or of a multi-label classifier a sigmoid.
    input_ids      whole numbers (batch, n), special tokens included, padded on the right: a tensor, array or list.
    attention_mask 1 at tokens, 0 at padding, (batch, n); None: no padding.
    token_type_ids the segments of a sentence pair, (batch, n), as the tokeniser gives them: `attribute(model,
                   **tokenizer(first, second, return_tensors="pt"))`; None: one segment.
    method         a readout id of `READOUTS`, or a method's for its principal readout (`METHODS[...].principal`).
    target         int or int64 (batch,): the explained class; None: the predicted one. One logit: 1 = its sigmoid (agreement:
                   third person singular), 0 = the complement.
    position       int or int64 (batch,): the position that is read out; None: the class token. Agreement
                   needs it (the mask).
    tokenizer_ids  mapping with cls, sep, mask, pad; needed by methods that replace tokens.
    seed           int64 (batch,), one an example, for stochastic methods.
    parameters     the method's parameters (`METHODS[...].parameters`).

    Returns detached float32 (batch, n), zero at padding. The model's training mode, gradients and attention
    implementation are as before afterwards; one thread at a time has a model. Autocast and inference mode around the call
    change nothing. Raises PlumblineError for an unknown readout or parameter, a model of another kind, a missing argument,
    one of another shape, type or range, an empty or too long input, or a score that is not finite.
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
    """All (or the given) readouts of one method for a `Batch`: readout -> float32 (batch, n).

    A method may add facts of its own, such as completeness_gap (batch,), whole numbers among them as they are.
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
    """A module of this package, by name: an import statement would make every method's files hang on it."""
    import importlib

    return importlib.import_module(f"{__name__}.{name}")


def selective_rollout(
    attention: Array | Sequence[torch.Tensor],
    threshold: float,
    residual: bool = True,
    position: int | None = None,
) -> tuple[Array, list[int]]:
    """Selective attention rollout of one example ("Improving Explainability of Transformer Models", part 1).

    attention  floats (layers, heads, n, n), rows summing to one: a NumPy array, a tensor, or `attentions` as a transformers
               model returns them for one text, (1, heads, n, n) a layer.
    threshold  at least 0: a layer is used where its matrix is farther than this, in the Frobenius norm, from that of the
               last layer used. 0 is ordinary rollout, since only equal matrices are not farther.
    residual   whether the matrices are head means + I with rows divided by their sum, or the head means alone.
    position   None: the maximum over rows, as published; else that row (the class token's is 0).

    Returns (relevance (layers, n), of the kind and dtype of `attention`; used, the list of the layers used, 0 among
    them): row l is what layers up to l give, a layer that is not used repeats the row before. Raises PlumblineError for
    another shape, numbers that are not finite or no attention weights, a negative threshold, a position outside the tokens.
    """
    return _module("selective").rollout_relevance(attention, threshold, residual, position)


def attention_flow(
    attention: Array | Sequence[torch.Tensor], layer: int, position: int | None = None
) -> Array:
    """Attention flow of one example from the nodes above a layer to the inputs (Abnar & Zuidema 2020).

    attention  as of `selective_rollout`; the residual connection is added here.
    layer      0 to layers - 1: the topmost layer that flows pass.
    position   None: the maximum over output nodes, as published; else the flows of that node.

    Maximum flows, exact to about 1e-9, each node's divided by their sum. Returns (n,), of the kind and dtype of
    `attention`. Raises PlumblineError for another shape, numbers that are not finite or no attention weights, a layer or a
    position that there is not.
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
    """Vision Mamba's raw, rollout and attribution maps of the class token's row: `plumbline.attribution.mamba.mamba_maps`.

    hidden (layers, batch, channels, tokens) and residual_gradients (layers, batch, tokens, features) are NumPy arrays or
    tensors, both of one kind and dtype; `transform` takes a tensor. Returns a dict of (batch, tokens - 1), of their kind.
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
    """As `mamba_maps`, of true matrices (layers, batch, tokens, tokens): `plumbline.attribution.mamba.mamba_maps_full`."""
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
