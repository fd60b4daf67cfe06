"""Jaccard overlap of the top quarter of tokens, tied tokens from the lower position on, as the reference takes them.

As `top_k_overlap` but for ties: the published numbers are made so, and a text's start counts for more.
"""

import math

import numpy as np

from ..registry import Metric
from .correlation import without_constant
from .top_k_overlap import SHARE

ENTRY = Metric(
    id="top_k_overlap_published",
    label="Jaccard overlap of the top 25% (ties as published)",
    direction=1,
    citation="Ferrando et al. 2022, arXiv 2203.04212, code (robustness.ipynb)",
    order=41,
)


def pairwise(scores):
    """Jaccard overlap of all pairs of rows: (readouts, tokens) -> float64 (readouts, readouts), in [0, 1]."""
    scores = np.asarray(scores)
    k = math.ceil(SHARE * scores.shape[1])
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, top, 1.0, axis=1)
    shared = chosen @ chosen.T
    return without_constant(shared / (2 * k - shared), scores)


def compute(x, y):
    """Jaccard overlap of the top quarter of two 1-D arrays; NaN where one of them is constant."""
    return float(pairwise(np.stack([x, y]))[0, 1])
