"""Faithfulness: what happens to the explained probability when the tokens that a ranking calls important
go (comprehensiveness, comp) or alone stay (sufficiency, suff).

`PROTOCOLS` is the registry; no torch is imported for it. Sources: DeYoung et al. 2020 (arXiv 1911.03429);
the published protocols: Ferrando et al. 2022, reference code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PlumblineError
from .protocols import PROTOCOLS, protocol_module

if TYPE_CHECKING:
    import torch

    from ..arrays import Numbers

KINDS = ("comp", "suff")


def curves(
    model: torch.nn.Module,
    input_ids: Numbers,
    attention_mask: Numbers | None,
    scores: Numbers,
    *,
    protocol: str,
    kind: str,
    tokenizer_ids: Mapping[str, int] | None = None,
    token_type_ids: Numbers | None = None,
    position: int | Numbers | None = None,
    target: int | Numbers | None = None,
    cap: int = 30,
    seed: int | Numbers | None = None,
) -> list[torch.Tensor]:
    """Perturbation curves, one an example.

    Parameters
    ----------
    model, input_ids, attention_mask, token_type_ids, position, target
        See `plumbline.attribution.attribute`.
    scores : array_like of float, shape (batch, n)
        Higher is more important. Tied tokens are taken in a random order, and the curve is the mean over `ranking.DRAWS` such
        orders. Special tokens (`ranking.special`) are no candidates.
    protocol : str
        An id of `PROTOCOLS`.
    kind : {'comp', 'suff'}
        comp removes the most important tokens first; suff adds them first, to the special tokens alone.
    tokenizer_ids : mapping of str to int, optional
        mask, for a protocol that masks. cls and sep say which tokens are special; None: the ids of the first and the last token.
        pad; the model's own where it is left out.
    cap : int
        The largest number of points, of published_steps.
    seed : int or array_like of int, shape (batch,), optional
        Of the random orders: one number, or one an example. None: from the example's token ids alone, so that neither the batch
        nor the time of the call changes anything.

    Returns
    -------
    list of torch.Tensor, float32, shape (points,)
        Probabilities of the explained class. Index 0 is the full text for comp, the special tokens alone for suff.

    Raises
    ------
    PlumblineError
        As `attribute` does, and for scores of another shape or that are not finite real numbers.
    """
    _check_kind(kind)
    return _perturbed(
        model,
        input_ids,
        attention_mask,
        scores,
        protocol,
        [kind],
        cap,
        token_type_ids=token_type_ids,
        tokenizer_ids=tokenizer_ids,
        position=position,
        target=target,
        seed=seed,
    )[0][kind]


class CompSuff(NamedTuple):
    """Comprehensiveness and sufficiency of every example.

    Attributes
    ----------
    comp : torch.Tensor, float32, shape (batch,)
        Comprehensiveness. Higher is better.
    suff : torch.Tensor, float32, shape (batch,)
        Sufficiency. Lower is better.
    """

    comp: torch.Tensor
    suff: torch.Tensor


def comp_suff(
    model: torch.nn.Module,
    input_ids: Numbers,
    attention_mask: Numbers | None,
    scores: Numbers,
    *,
    protocol: str = "standard",
    tokenizer_ids: Mapping[str, int] | None = None,
    token_type_ids: Numbers | None = None,
    position: int | Numbers | None = None,
    target: int | Numbers | None = None,
    seed: int | Numbers | None = None,
) -> CompSuff:
    """Comprehensiveness and sufficiency (DeYoung et al. 2020, eqs. 1-3), one of each an example.

    Both are areas between the example's own probability on the full text and a curve, see `aopc`. The full text's probability is
    not what a suff curve begins with.

    Parameters
    ----------
    model, input_ids, attention_mask, scores, tokenizer_ids, token_type_ids, position, target, seed
        See `curves`.
    protocol : str
        An id of `PROTOCOLS`, of one with a score.

    Returns
    -------
    CompSuff
        (comp, suff), float32, shape (batch,) each, in probability of the explained class.

    Raises
    ------
    PlumblineError
        As `curves` does, and for a protocol without a score.
    """
    if not PROTOCOLS[protocol].scored:
        raise _no_score(protocol)
    found, full = _perturbed(
        model,
        input_ids,
        attention_mask,
        scores,
        protocol,
        KINDS,
        30,
        token_type_ids=token_type_ids,
        tokenizer_ids=tokenizer_ids,
        position=position,
        target=target,
        seed=seed,
    )
    return CompSuff(*(aopc(found[kind], full, protocol) for kind in KINDS))


def _perturbed(model, input_ids, attention_mask, scores, protocol, kinds, cap, *, seed, **inputs):
    """(kind -> curves of the examples, probability of the explained class on the full texts (batch,))."""
    import torch

    from ..arrays import whole
    from ..attribution.batch import Batch
    from ..models.encoders import predicted_class
    from ..models.inference import Passes
    from ..seeds import seed_of
    from .perturbation import Request, orders, probabilities
    from .ranking import real, special

    entry = PROTOCOLS[protocol]  # an unknown one is said first
    cap = whole(cap, "cap", low=1)
    scores = real(scores)
    with torch.inference_mode(False):
        batch = Batch(model, input_ids, attention_mask, seed=seed, **inputs)
        if scores.shape != tuple(batch.input_ids.shape):
            raise PlumblineError(
                f"scores are {scores.shape}, input_ids {tuple(batch.input_ids.shape)}: give one score a token"
            )
        mask_id = batch.special("mask") if entry.removal == "mask" else None
        passes, requests, full = Passes(entry.precision), {kind: [] for kind in kinds}, []
        sequences = batch.sequences()
        seeds = [seed_of("ties", *ids) for ids in sequences] if seed is None else batch.seed.tolist()
        examples = zip(sequences, batch.segments(), scores, batch.position.tolist(), seeds, strict=True)
        for ids, types, row, place, draw in examples:
            about = {"position": place, "agreement": batch.agreement}
            fixed = special(ids, batch.class_and_separator)
            found, _ = orders(row[: len(ids)], **about, fixed=fixed, seed=draw)
            full.append(passes.add(ids, place, types))
            for kind in kinds:
                request = Request(ids, found, protocol, kind, **about, types=types, mask_id=mask_id, cap=cap)
                requests[kind].append(request.add_to(passes))
        logits = passes.run(model, batch.pad)
        targets = predicted_class(logits[full]) if inputs["target"] is None else batch.target.cpu()

        def chances(numbers, target):
            return probabilities(logits[numbers], int(target), multi_label=batch.multi_label)

        return {
            kind: [
                request.curve(chances(request.numbers, target))
                for request, target in zip(requests[kind], targets, strict=True)
            ]
            for kind in kinds
        }, torch.cat([chances([number], target) for number, target in zip(full, targets, strict=True)])


def _check_kind(kind: object) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise PlumblineError(f"unknown kind '{kind}': 'comp' or 'suff'")


def aopc(curves: Sequence[Numbers], full_probability: Numbers, protocol: str) -> torch.Tensor:
    """Area over the perturbation curve, one score an example.

    The sign is the same for both kinds: a higher comp is better, a lower suff is better.

    Parameters
    ----------
    curves : sequence of array_like of float, shape (points,)
        As `curves` returns them.
    full_probability : array_like of float, shape (examples,)
        The probability on the full text, which a suff curve does not hold. `comp_suff` takes both together.
    protocol : str
        An id of `PROTOCOLS`, of one with a score.

    Returns
    -------
    torch.Tensor, float32, shape (examples,)
        In probability of the explained class.

    Raises
    ------
    PlumblineError
        For a protocol without a score.
    """
    import torch

    from ..arrays import floating

    entry, module = PROTOCOLS[protocol], protocol_module(protocol)
    if not entry.scored:
        raise _no_score(protocol)
    if (
        isinstance(curves, str | bytes)
        or not hasattr(curves, "__len__")
        or getattr(curves, "shape", None) == ()
    ):
        raise PlumblineError(
            f"curves must be a list of them, as `curves` returns, not a {type(curves).__name__}"
        )
    curves = _checked(curves)
    full = _chances(full_probability, "full_probability")
    if len(full) != len(curves) or not len(curves):
        raise PlumblineError(
            f"full_probability has {len(full)} examples, curves have {len(curves)}: give one to one"
        )
    found = torch.stack([module.score(p - curve[1:]) for curve, p in zip(curves, full, strict=True)])
    return floating(found, f"the score by protocol '{protocol}' of a curve of one point")


def _checked(curves):
    """Curves as float32 tensors (n,); all at once where they are what `curves` returns, since a block has thousands."""
    import torch

    def returned(curve):
        return (
            type(curve) is torch.Tensor and curve.dtype is torch.float32 and curve.dim() == 1 and len(curve)
        )

    if all(map(returned, curves)) and not _no_chances(torch.cat([torch.empty(0), *curves])).any():
        return [curve.detach() for curve in curves]
    return [_chances(curve, f"curve {row}") for row, curve in enumerate(curves)]


def _chances(values, name):
    """Probabilities as a float32 tensor (n,)."""
    from ..arrays import finite

    found = finite(values, name).float()
    if found.dim() != 1 or not len(found):
        raise PlumblineError(f"{name} must be a row of probabilities, not of shape {tuple(found.shape)}")
    if (outside := _no_chances(found)).any():
        raise PlumblineError(f"{name} holds {found[outside][0].item():g}: a probability is from 0 to 1")
    return found


def _no_chances(values):
    """Which numbers are no probabilities, NaN among them; rounding may take one above 1."""
    return ~((values >= 0) & (values <= 1 + 1e-6))


def _no_score(protocol: str) -> PlumblineError:
    return PlumblineError(f"protocol '{protocol}' is a curve only: it has no score")
