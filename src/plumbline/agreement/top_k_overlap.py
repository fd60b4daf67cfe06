"""Jaccard overlap of the top quarter of tokens: |A ∩ B| / |A ∪ B|, A and B the top ceil(0.25 n) tokens.

A token that ties with others for the last places of the top belongs to it with the chance that a random order of them gives
it, and the overlap is that of weighted sets, sum_i min(a_i, b_i) / sum_i max(a_i, b_i): the order of the tokens changes
nothing. `top_k_overlap_published` has the reference's rule.
"""

import math

import numpy as np

from ..faithfulness.ranking import top_chances
from ..registry import Metric
from .correlation import of_pair, without_constant

SHARE = 0.25

ENTRY = Metric(
    id="top_k_overlap",
    label="Jaccard overlap of the top 25%",
    direction=1,
    citation="Ferrando et al. 2022, arXiv 2203.04212, code (robustness.ipynb)",
    order=40,
)


def overlaps(scores, top):
    """Compute the Jaccard overlap of all pairs of rows.

    Parameters
    ----------
    scores : array_like of float, shape (readouts, tokens)
        One row a readout.
    top : callable
        Takes (scores, k), returns float64 (readouts, tokens): how far a token is among its row's top k. A row's sum is k.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [0, 1]. NaN where a row is constant.
    """
    scores = np.asarray(scores)
    k = math.ceil(SHARE * scores.shape[1])
    chosen = top(scores, k)
    shared = np.minimum(chosen[:, None], chosen).sum(axis=2)
    return without_constant(shared / (2 * k - shared), scores)


def pairwise(scores):
    """Compute `overlaps` where tied tokens are in the top by their chance.

    Parameters
    ----------
    scores : array_like of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [0, 1]. NaN where a row is constant.
    """
    return overlaps(scores, top_chances)


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
