"""Jaccard overlap of the top quarter of tokens: |A ∩ B| / |A ∪ B|, A and B the top ceil(0.25 n) tokens.

Tied tokens are taken from the lower position on, as in the perturbation protocols (specs/alti.md section 8).
"""

import math

import numpy as np

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
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(scores.shape)
    np.put_along_axis(chosen, top, 1.0, axis=1)
    shared = chosen @ chosen.T
    return without_constant(shared / (2 * k - shared), scores)


def compute(x, y):
    """Jaccard overlap of the top quarter of two 1-D arrays; NaN where one of them is constant."""
    return float(pairwise(np.stack([x, y]))[0, 1])
