"""Jaccard overlap of the top quarter of tokens: |A ∩ B| / |A ∪ B|, A and B the top ceil(0.25 n) tokens.

A token that ties with others for the last places of the top belongs to it with the chance that a random order of them gives
it, and the overlap is that of weighted sets, sum_i min(a_i, b_i) / sum_i max(a_i, b_i): the order of the tokens changes
nothing. `top_k_overlap_published` has the reference's rule.
"""

import math

import numpy as np

from ..faithfulness.ranking import top_chances
from ..registry import Metric
from .correlation import without_constant

SHARE = 0.25

ENTRY = Metric(
    id="top_k_overlap",
    label="Jaccard overlap of the top 25%",
    direction=1,
    citation="Ferrando et al. 2022, arXiv 2203.04212, code (robustness.ipynb)",
    order=40,
)


def pairwise(scores):
    """Jaccard overlap of all pairs of rows: (readouts, tokens) -> float64 (readouts, readouts), in [0, 1]."""
    scores = np.asarray(scores)
    k = math.ceil(SHARE * scores.shape[1])
    chosen = top_chances(scores, k)
    shared = np.minimum(chosen[:, None], chosen).sum(axis=2)
    return without_constant(shared / (2 * k - shared), scores)


def compute(x, y):
    """Jaccard overlap of the top quarter of two 1-D arrays; NaN where one of them is constant."""
    return float(pairwise(np.stack([x, y]))[0, 1])
