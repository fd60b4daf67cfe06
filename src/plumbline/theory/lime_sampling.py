"""LIME for text (Ribeiro et al. 2016, as the package `lime` 0.2 computes it), vectorised for the multi-head classifier.

The same law of samples, kernel and ridge as `lime.lime_text.LimeTextExplainer`; only the random numbers differ.
"""

from numbers import Integral, Real

import numpy as np

from ..errors import PlumblineError, unknown
from .comparison import WIDTH
from .documents import deleted_logits, masked_logits, per_document
from .gradient import LABEL

ALPHA = 1.0  # of the ridge
MODES = ("mask", "delete")
MOST_SAMPLES = 10**8  # above which the draws would not fit any memory


def lime_coefficients(model, ids, *, mode, samples, seed, kernel_width=WIDTH, lengths=None, words=None):
    """LIME's coefficients of the positive logit, one term a position.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (batch, T)
        Token ids, padded with UNK.
    mode : {'mask', 'delete'}
        'mask' replaces tokens by UNK in place, each position a feature (the package's bow=False). 'delete' deletes words, all
        occurrences at once (bow=True, the default of the package and of the paper's figures): a word's coefficient stands in
        equal shares at its occurrences.
    samples : int
        Documents, the intact one among them; at least 2.
    seed : int
        Of every document's draws, whatever its place in the batch; at least 0.
    kernel_width : float, optional
        Of the kernel, 25 in the package. None: every sample weighs the same.
    lengths, words
        See `documents.per_document`.

    Returns
    -------
    torch.Tensor, float64, shape (batch, T)
        In logits; zero at [cls] and padding.

    Raises
    ------
    PlumblineError
        For an unknown mode, a number out of these ranges, and what `per_document` refuses.
    """
    if not isinstance(mode, str) or mode not in MODES:
        raise unknown("mode", mode, MODES)
    if not _whole(samples) or not 2 <= samples <= MOST_SAMPLES:
        raise PlumblineError(
            f"samples is {samples!r}: give a whole number of at least 2, as 5000, at most {MOST_SAMPLES}"
        )
    if not _whole(seed) or seed < 0:
        raise PlumblineError(f"seed is {seed!r}: give a whole number that is not negative")
    checked_width(kernel_width)

    def values_of(terms):
        terms = terms.by_position() if mode == "mask" else terms
        return shares(lime(terms, mode, samples, seed, kernel_width), terms.words)

    return per_document(model, ids, lengths, words, values_of)


def shares(values, words):
    """Give a word's number in equal shares to its occurrences.

    Parameters
    ----------
    values : numpy.ndarray, float, shape (words,)
        One a word.
    words : numpy.ndarray, int, shape (n,)
        See documents.Terms.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
    """
    return (values / np.bincount(words))[words]


def _whole(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def checked_width(width):
    """Check the width of a kernel.

    Parameters
    ----------
    width : float, optional
        None: no kernel.

    Raises
    ------
    PlumblineError
        Unless it is a positive number or None.
    """
    if width is None or (isinstance(width, Real) and not isinstance(width, bool) and 0 < width < np.inf):
        return
    raise PlumblineError(
        f"kernel_width is {width!r}: give a positive number, as {WIDTH:g}, or None for no kernel"
    )


def lime(terms, mode, samples, seed, kernel_width=WIDTH):
    """Compute LIME's coefficients of one document's words.

    Parameters
    ----------
    terms : Terms
        Of the document.
    mode, samples, seed, kernel_width
        See `lime_coefficients`.

    Returns
    -------
    numpy.ndarray, float64, shape (words,)
        In logits.
    """
    kept, logits = sampled(terms, mode, samples, seed)
    return ridge(kept, logits, kernel(kept, kernel_width))


def sampled(terms, mode, samples, seed):
    """Draw LIME's samples of a document.

    Parameters
    ----------
    terms : Terms
        Of the document.
    mode, samples, seed
        See `lime_coefficients`.

    Returns
    -------
    kept : numpy.ndarray, float32, shape (samples, words)
        0 or 1: what is kept of the document's words.
    logits : numpy.ndarray, shape (samples,)
        The positive logit.
    """
    kept = draw(np.random.Generator(np.random.SFC64(seed)), samples, terms.distinct)
    return kept, (masked_logits if mode == "mask" else deleted_logits)(terms, kept)[:, LABEL]


def draw(generator, samples, count):
    """Draw what is kept of features.

    The package draws the number removed uniformly from 1 to count, then which. Removing every feature with a chance
    that is itself uniform in (0, 1) gives numbers from 0 to count with equal chances and, given the number, all choices
    alike; so rows from which nothing is removed are drawn again, and nothing has to be sorted.

    Parameters
    ----------
    generator : numpy.random.Generator
        It goes on.
    samples : int
        The number of rows.
    count : int
        The number of features.

    Returns
    -------
    numpy.ndarray, float32, shape (samples, count)
        0 or 1, the first row all ones.
    """
    kept = np.ones((samples, count), np.float32)
    rows = np.arange(1, samples)
    while len(rows):
        chance = (generator.random((len(rows), 1)) * 2**32).astype(np.uint32)
        kept[rows] = generator.integers(0, 2**32, (len(rows), count), dtype=np.uint32) >= chance
        rows = rows[kept[rows].all(1)]
    return kept


def kernel(kept, width=WIDTH):
    """Compute the samples' weights.

    Parameters
    ----------
    kept : numpy.ndarray, float32, shape (samples, words)
        See `sampled`.
    width : float, optional
        See `weight_of`.

    Returns
    -------
    numpy.ndarray, float64, shape (samples,)
    """
    return weight_of(kept.mean(1, dtype=np.float64), width)


def weight_of(share, width):
    """Compute LIME's kernel.

    It is sqrt(exp(-D^2 / width^2)), D = 100 (1 - cos) the distance to the intact document, cos = sqrt(share).

    Parameters
    ----------
    share : numpy.ndarray, float64
        The share of the words that is kept, in [0, 1].
    width : float, optional
        On cosine distances times 100. None: the kernel is 1.

    Returns
    -------
    numpy.ndarray, float64
        Of the shape of `share`.
    """
    if width is None:
        return np.ones_like(share, np.float64)
    return np.exp(-((100 * (1 - np.sqrt(share))) ** 2) / (2 * width**2))


def ridge(kept, values, weights):
    """Compute the coefficients of the weighted ridge regression, with an intercept that is not penalised.

    Parameters
    ----------
    kept : numpy.ndarray, float32, shape (samples, features)
        The features.
    values : numpy.ndarray, float, shape (samples,)
        What is regressed.
    weights : numpy.ndarray, float64, shape (samples,)
        Of the samples.

    Returns
    -------
    numpy.ndarray, float64, shape (features,)
        In the unit of `values`.
    """
    total = weights.sum()
    shifted = weights * (values - weights @ values / total)
    sums, moment = np.stack([weights, shifted]) @ kept
    scaled = kept * np.sqrt(weights, dtype=np.float32)[:, None]
    gram = (scaled.T @ scaled).astype(np.float64) - np.outer(sums, sums) / total
    gram[np.diag_indices_from(gram)] += ALPHA
    return np.linalg.solve(gram, moment)
