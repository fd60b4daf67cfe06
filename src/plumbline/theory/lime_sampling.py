"""LIME for text (Ribeiro et al. 2016, as the package `lime` 0.2 computes it), vectorised for the multi-head classifier.

The same law of samples, kernel and ridge as `lime.lime_text.LimeTextExplainer`; only the random numbers differ.
"""

import numpy as np

from ..errors import unknown
from .documents import deleted_logits, masked_logits, per_document
from .gradient import LABEL

WIDTH = 25.0  # of the kernel, on cosine distances times 100
ALPHA = 1.0  # of the ridge
MODES = ("mask", "delete")


def lime_coefficients(model, ids, *, mode, samples, seed, lengths=None, words=None):
    """LIME's coefficients of the positive logit, one term a position: float64 tensor (batch, T), zero at [cls] and
    padding.

    mode     'mask' replaces tokens by UNK in place, each position a feature (the package's bow=False); 'delete' deletes
             words, all occurrences at once (bow=True, the default of the package and of the paper's figures): a word's
             coefficient in equal shares at its occurrences.
    samples  documents, the intact one among them.
    seed     of every document's draws, whatever its place in the batch.
    ids, lengths, words: see `documents.per_document`; ids are padded with UNK.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES)

    def values_of(terms):
        terms = terms.by_position() if mode == "mask" else terms
        return shares(lime(terms, mode, samples, seed), terms.words)

    return per_document(model, ids, lengths, words, values_of)


def shares(values, words):
    """A word's number in equal shares at its occurrences: (words,) to (n,)."""
    return (values / np.bincount(words))[words]


def lime(terms, mode, samples, seed):
    """LIME's coefficients of one document's words: float64 (words,)."""
    kept = draw(np.random.Generator(np.random.SFC64(seed)), samples, terms.distinct)
    logits = (masked_logits if mode == "mask" else deleted_logits)(terms, kept)[:, LABEL]
    return ridge(kept, logits, kernel(kept))


def draw(generator, samples, count):
    """What is kept of `count` features: float32 0/1 (samples, count), the first row all ones.

    The package draws the number removed uniformly from 1 to count, then which. Removing every feature with a chance
    that is itself uniform in (0, 1) gives numbers from 0 to count with equal chances and, given the number, all choices
    alike; so rows from which nothing is removed are drawn again, and nothing has to be sorted.
    """
    kept = np.ones((samples, count), np.float32)
    rows = np.arange(1, samples)
    while len(rows):
        chance = (generator.random((len(rows), 1)) * 2**32).astype(np.uint32)
        kept[rows] = generator.integers(0, 2**32, (len(rows), count), dtype=np.uint32) >= chance
        rows = rows[kept[rows].all(1)]
    return kept


def kernel(kept):
    """sqrt(exp(-D^2 / 25^2)), D = 100 (1 - cos) to the intact document, cos = sqrt(share kept): float64 (samples,)."""
    distance = 100 * (1 - np.sqrt(kept.mean(1, dtype=np.float64)))
    return np.sqrt(np.exp(-(distance**2) / WIDTH**2))


def ridge(kept, values, weights):
    """Coefficients of the weighted ridge regression with an intercept that is not penalised: float64 (features,)."""
    total = weights.sum()
    centre = weights @ kept / total
    scaled = kept * np.sqrt(weights, dtype=np.float32)[:, None]
    gram = (scaled.T @ scaled).astype(np.float64) - total * np.outer(centre, centre)
    shifted = weights * (values - weights @ values / total)
    gram[np.diag_indices_from(gram)] += ALPHA
    return np.linalg.solve(gram, shifted @ kept)
