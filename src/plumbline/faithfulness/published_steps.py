"""Deletion one token at a time, up to `cap` points, with a running envelope: a curve, no score."""

from ..registry import Protocol

ENTRY = Protocol(
    id="published_steps",
    label="one by one, as published",
    removal="delete",
    scored=False,
    order=11,
    citation="Ferrando et al. 2022, reference code (aupc.py)",
)


def counts(candidates, *, agreement, cap):
    """0, 1, 2, ... all candidates (agreement: one less), at most `cap` points."""
    return list(range(max(1, min(candidates if agreement else candidates + 1, cap))))


def record(values, kind):
    """The running minimum (comp) or maximum (suff)."""
    from .perturbation import envelope

    return envelope(values, kind)
