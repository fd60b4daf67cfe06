"""Spearman's correlation by the formula of the published numbers: dense ranks, no correction for ties.

1 - 6 Σd² / (n (n² - 1)), where d is the difference of dense ranks (ties share a rank, and no rank is left
out after them). With ties it is not a correlation coefficient.
"""

import numpy as np

from ..registry import Metric
from .correlation import of_pair, without_constant

ENTRY = Metric(
    id="spearman_dense",
    label="Spearman's ρ, dense ranks (as published)",
    direction=1,
    citation="Ferrando et al. 2022, arXiv 2203.04212, code",
    order=20,
)


def pairwise(scores):
    """Compute the published formula for all pairs of rows.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        NaN where a row is constant.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores, method="dense", axis=1).astype(np.float64)
    squares = (ranks * ranks).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * ranks @ ranks.T
    n = ranks.shape[1]
    # One token alone is constant, so its value is NaN anyway.
    return without_constant(1 - 6 * distances / max(n * (n * n - 1), 1), scores)


def compute(x, y):
    """Compute the published formula for two vectors.

    Parameters
    ----------
    x, y : array_like of float, shape (tokens,)
        The two vectors.

    Returns
    -------
    float
        NaN where one of them is constant.
    """
    return of_pair(pairwise, x, y)
