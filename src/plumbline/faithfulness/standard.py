"""Deletion in bins of 1, 5, 10, 20 and 50%, raw probabilities, mean over the five bins (docs/definitions.md, Equations)."""

from ..registry import Protocol

ENTRY = Protocol(
    id="standard",
    label="standard",
    removal="delete",
    order=20,
    citation="DeYoung et al. 2020, arXiv 1911.03429, eqs. 1 and 2; mean over the bins as in their code",
)


def counts(candidates, *, agreement, cap):
    """0 and the five bins."""
    from .perturbation import bin_counts

    return bin_counts(candidates)


def record(values, kind):
    """The probabilities as they are."""
    return values


def score(falls):
    """Mean over the bins."""
    return falls.mean()
