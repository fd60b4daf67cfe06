"""Replacement by the mask token at 10, 20, ... 90% of the tokens, raw probabilities, mean of the nine."""

from ..registry import Protocol

ENTRY = Protocol(
    id="mask",
    label="masking",
    removal="mask",
    order=21,
    citation="DeYoung et al. 2020, arXiv 1911.03429, with masking: lengths and positions stay",
)


def counts(candidates, *, agreement, cap):
    """0, then 10, 20, ... 90% of the candidates, rounded up."""
    return [-(-candidates * tenth // 10) for tenth in range(10)]


def record(values, kind):
    """The probabilities as they are."""
    return values


def score(falls):
    """Mean over the nine points."""
    return falls.mean()
