"""Kendall's tau-b (Kendall 1945), as scipy.stats.kendalltau.

Tau-b is the cosine of the two vectors of signs of all differences: Σ sign(x_i - x_j) sign(y_i - y_j) over
the root of the numbers of pairs that are not tied in x and in y.
"""

import numpy as np

from ..registry import Metric
from .correlation import cosines, of_pair, without_constant

ENTRY = Metric(
    id="kendall",
    label="Kendall's τ-b",
    direction=1,
    citation="Kendall 1945, The treatment of ties in ranking problems",
    order=30,
)


def pairwise(scores):
    """Compute tau-b of all pairs of rows.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [-1, 1]. NaN where a row is constant.
    """
    first, second = np.triu_indices(scores.shape[1], k=1)
    # Compared, not subtracted: a difference of two tiny numbers can underflow to a tie.
    left, right = scores[:, first], scores[:, second]
    signs = (left > right).astype(np.float64) - (left < right)
    return without_constant(cosines(signs), scores)


def compute(x, y):
    """Compute tau-b of two vectors.

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
