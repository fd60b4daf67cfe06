"""Deletion in bins of 1, 5, 10, 20 and 50% with a running envelope, as the ALTI reference scores it."""

from ..registry import Protocol

ENTRY = Protocol(
    id="published_bins",
    label="as published",
    removal="delete",
    order=10,
    citation="Ferrando et al. 2022, reference code (aupc.py, evaluation.ipynb)",
)


def counts(candidates, *, agreement, cap):
    """0 and the five bins; agreement stops before everything is removed."""
    from .perturbation import bin_counts

    found = bin_counts(candidates)
    if not agreement:
        return found
    # The reference breaks off at the first count that would leave no candidate.
    end = next((index for index, count in enumerate(found) if count >= candidates and index > 0), len(found))
    return found[:end]


def record(values, kind):
    """The running minimum (comp) or maximum (suff)."""
    from .perturbation import envelope

    return envelope(values, kind)


def score(falls):
    """Sum over the five bins divided by six, the |B| + 1 of DeYoung et al. (2020, eq. 3), whose sixth term, without removal,
    is taken for 0: a convention, 5/6 of the mean over the bins."""
    return falls.sum() / 6
