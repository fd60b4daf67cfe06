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
    """Say how many tokens go at each point: 0, then 10, 20, ... 90% of the candidates, rounded up.

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
    return [-(-candidates * tenth // 10) for tenth in range(10)]


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
    """Average the falls in probability over the nine points.

    Parameters
    ----------
    falls : torch.Tensor, float32, shape (9,)
        Probability on the full text less that at a point.

    Returns
    -------
    torch.Tensor, float32, shape ()
    """
    return falls.mean()
