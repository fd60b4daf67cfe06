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
    """Say how many tokens go at each point: 0 and the five bins.

    Parameters
    ----------
    candidates : int
        The number of tokens that may go.
    agreement, cap
        Not used.

    Returns
    -------
    list of int
    """
    from .perturbation import bin_counts

    return bin_counts(candidates)


def record(values, kind):
    """Return the probabilities as they are.

    Parameters
    ----------
    values : torch.Tensor, float32, shape (points,)
        Probabilities.
    kind : str
        Not used.

    Returns
    -------
    torch.Tensor, float32, shape (points,)
    """
    return values


def score(falls):
    """Average the falls in probability over the bins.

    Parameters
    ----------
    falls : torch.Tensor, float32, shape (5,)
        Probability on the full text less that at a point.

    Returns
    -------
    torch.Tensor, float32, shape ()
    """
    return falls.mean()
