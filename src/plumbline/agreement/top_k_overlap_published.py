"""Jaccard overlap of the top quarter of tokens, tied tokens from the lower position on, as the reference takes them.

It differs from `top_k_overlap` in ties alone. The published numbers are made so, and give more weight to a text's start.
"""

import numpy as np

from ..registry import Metric
from .correlation import of_pair
from .top_k_overlap import overlaps

ENTRY = Metric(
    id="top_k_overlap_published",
    label="Jaccard overlap of the top 25% (ties as published)",
    direction=1,
    citation="Ferrando et al. 2022, arXiv 2203.04212, code (robustness.ipynb)",
    order=41,
)


def pairwise(scores):
    """Compute `overlaps` where tied tokens are in the top from the lower position on.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [0, 1]. NaN where a row is constant.
    """
    return overlaps(scores, _first)


def _first(scores, k):
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    return chosen


def compute(x, y):
    """Compute the Jaccard overlap of the top quarter of two vectors.

    Parameters
    ----------
    x, y : array_like of float, shape (tokens,)
        The two vectors.

    Returns
    -------
    float
        In [0, 1]. NaN where one of them is constant.
    """
    return of_pair(pairwise, x, y)
