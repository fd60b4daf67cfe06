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
    """Say how many tokens go at each point: 0 and the five bins.

    Agreement stops before everything is removed.

    Parameters
    ----------
    candidates : int
        The number of tokens that may go.
    agreement : bool
        Whether the task is agreement.
    cap
        Not used.

    Returns
    -------
    list of int
    """
    from .perturbation import bin_counts

    found = bin_counts(candidates)
    if not agreement:
        return found
    # The reference breaks off at the first count that would leave no candidate.
    end = next((index for index, count in enumerate(found) if count >= candidates and index > 0), len(found))
    return found[:end]


def record(values, kind):
    """Take the running minimum (comp) or maximum (suff): `perturbation.envelope`.

    Parameters
    ----------
    values : torch.Tensor, float32, shape (points,)
        Probabilities.
    kind : {'comp', 'suff'}
        Of the curve.

    Returns
    -------
    torch.Tensor, float32, shape (points,)
    """
    from .perturbation import envelope

    return envelope(values, kind)


def score(falls):
    """Sum the falls in probability over the five bins, divided by six.

    Six is the |B| + 1 of DeYoung et al. (2020, eq. 3). Its sixth term, without removal, is taken for 0. This is a convention:
    5/6 of the mean over the bins.

    Parameters
    ----------
    falls : torch.Tensor, float32, shape (5,)
        Probability on the full text less that at a point. Agreement may have fewer bins.

    Returns
    -------
    torch.Tensor, float32, shape ()
    """
    return falls.sum() / 6
