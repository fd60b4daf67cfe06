"""Jaccard overlap of the top quarter of tokens, tied tokens from the lower position on, as the reference takes them.

As `top_k_overlap` but for ties: the published numbers are made so, and a text's start counts for more.
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
    """`overlaps` where tied tokens are in the top from the lower position on."""
    return overlaps(scores, _first)


def _first(scores, k):
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1, kind="stable")[:, :k], 1.0, axis=1)
    return chosen


def compute(x, y):
    """Jaccard overlap of the top quarter of two 1-D arrays; NaN where one of them is constant."""
    return of_pair(pairwise, x, y)
