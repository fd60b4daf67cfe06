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
    """Say how many tokens go at each point: 0, 1, 2, ... all candidates (agreement: one less), at most `cap` points.

    Parameters
    ----------
    candidates : int
        The number of tokens that may go.
    agreement : bool
        Whether the task is agreement.
    cap : int
        The most points.

    Returns
    -------
    list of int
    """
    return list(range(max(1, min(candidates if agreement else candidates + 1, cap))))


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
