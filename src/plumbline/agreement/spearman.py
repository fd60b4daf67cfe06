"""Spearman's rank correlation with average ranks for ties (Spearman 1904), as scipy.stats.spearmanr."""

from ..registry import Metric
from .correlation import cosines, of_pair, without_constant

ENTRY = Metric(
    id="spearman",
    label="Spearman's ρ",
    direction=1,
    citation="Spearman 1904, The proof and measurement of association between two things",
    order=10,
)


def pairwise(scores):
    """Compute Spearman's correlation of all pairs of rows.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [-1, 1]. NaN where a row is constant.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores, method="average", axis=1)
    return without_constant(cosines(ranks - ranks.mean(axis=1, keepdims=True)), scores)


def compute(x, y):
    """Compute Spearman's correlation of two vectors.

    Parameters
    ----------
    x, y : array_like of float, shape (tokens,)
        The two vectors.

    Returns
    -------
    float
        In [-1, 1]. NaN where one of them is constant.
    """
    return of_pair(pairwise, x, y)
