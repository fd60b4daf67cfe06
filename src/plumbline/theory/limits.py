"""What LIME's coefficients tend to under masking, in four formulas (docs/studies/attention_meets_xai.md derives them)."""

import functools

import numpy as np

from ..errors import unknown
from .comparison import WIDTH
from .documents import grouped, in_place, per_document
from .gradient import LABEL
from .lime_sampling import checked_width, shares, weight_of

PUBLISHED = 1.5  # the paper's constant, whatever the document
FORMULAS = ("published", "rho", "mean_field", "first_order")
# Nodes of the integrals over the share of words kept: good to 1e-10 for every rho.
NODES = 400
# A variance of the number of words kept below this share of a word's own is rounding.
DEGENERATE = 1e-9


def lime_limit(model, ids, *, formula="first_order", kernel_width=WIDTH, lengths=None, words=None):
    """The limit of LIME's coefficients of the positive logit for many samples, one term a position.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (batch, T)
        Token ids, padded with UNK.
    formula : {'first_order', 'mean_field', 'published', 'rho'}
        'first_order': the logit's whole first derivative in each word, averaged over LIME's law. 'mean_field': the expectation
        over that law with the other words at their mean, and the regression's exact Gram matrix. 'published':
        3/2 (alpha_t v_t - alpha_h,t v_h,t) . w, averaged over heads (Lopardo et al. 2024, Section 5), h being the document with
        every word replaced by UNK. 'rho': each head's 3/2 replaced by `constant(rho)`. The last two lack the derivative of the
        softmax's sum: a constant added to all values moves them, and does not move LIME's coefficients.
    kernel_width : float, optional
        Of LIME's kernel, in the package's unit (25 there). None: no kernel, every sample weighs the same. 'published' has none.
    lengths, words
        See `documents.per_document`.

    Returns
    -------
    torch.Tensor, float64, shape (batch, T)
        In logits; zero at [cls] and padding. Over a word's occurrences the terms sum to its coefficient (mean_field: equal
        shares).

    Raises
    ------
    PlumblineError
        For an unknown formula, a width that is not positive, and what `per_document` refuses.
    """
    if not isinstance(formula, str) or formula not in FORMULAS:
        raise unknown("formula", formula, FORMULAS)
    checked_width(kernel_width)
    return per_document(model, ids, lengths, words, lambda terms: limit(terms, formula, kernel_width))


def limit(terms, formula, kernel_width=WIDTH):
    """Compute the limit of LIME's coefficients for one document, a term a token.

    Parameters
    ----------
    terms : Terms
        Of the document.
    formula, kernel_width
        See `lime_limit`.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        In logits.
    """
    if formula == "mean_field":
        return shares(mean_field(terms, kernel_width), terms.words)
    if formula == "first_order":
        return first_order(terms, kernel_width)
    kept, masked, _, ratio = _sides(terms)
    constants = PUBLISHED if formula == "published" else constant(ratio, kernel_width)
    return ((kept - masked) * constants).mean(1)


def rho(terms):
    """Compute rho: the weight of the document over that of all UNK, sum_t g_t / sum_t h_t over all positions.

    Parameters
    ----------
    terms : Terms
        Of the document.

    Returns
    -------
    numpy.ndarray, float64, shape (K,)
        One a head.
    """
    return _sides(terms)[3]


def _parts(terms):
    """Weight and weighted value of every token as it is, as UNK, (n, K, 2) each, and of what stays, (K, 2); float64."""
    return (part.astype(np.float64)[..., [0, 1 + LABEL]] for part in in_place(terms))


def _sides(terms):
    """alpha_t v_t . w and alpha_h,t v_h,t . w, (n, K) each; the sum of h and rho, (K,) each; all float64."""
    kept, masked, fixed = _parts(terms)
    whole, empty = fixed[:, 0] + kept[..., 0].sum(0), fixed[:, 0] + masked[..., 0].sum(0)
    return kept[..., 1] / whole, masked[..., 1] / empty, empty, whole / empty


@functools.lru_cache(maxsize=8)
def _shares_kept(kernel_width):
    """Nodes u of the share of words kept, and LIME's law there, each weighted by the kernel and by u (1 - u), summing
    to 1: float64 (NODES,) each."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    # Near 0 and 1 the integrands turn within 1 / rho or rho: nodes gather there as the fourth power.
    middle = (points + 1) / 2
    share = middle**2 * (3 - 2 * middle)
    law = weights * middle * (1 - middle) * share * (1 - share) * weight_of(share, kernel_width)
    return share, law / law.sum()


def constant(ratio, kernel_width=None):
    """Compute the factor that stands for 3/2 where the document weighs `ratio` times as much as all UNK.

    C(rho) = int_0^1 w(u) u (1 - u) rho / (1 + (rho - 1) u) du / int_0^1 w(u) u (1 - u) du, w the kernel. Without one
    (None) it is 1 at rho = 1, 3/2 near rho = 2.6, towards 3 as rho grows; with the package's width of 25 1, 1.32, 1.77.

    Parameters
    ----------
    ratio : array_like of float
        rho.
    kernel_width : float, optional
        See `lime_limit`.

    Returns
    -------
    numpy.ndarray, float64
        Of the shape of `ratio`.
    """
    share, law = _shares_kept(kernel_width)
    ratio = np.asarray(ratio, np.float64)[..., None]
    return (law / ((1 - share) / ratio + share)).sum(-1)


def first_order(terms, kernel_width=None):
    """Compute the first-order limit, a term a token.

    beta_j = int w(u) u (1 - u) [dN_j - f(u) dD_j] / D(u) du / int w(u) u (1 - u) du, averaged over heads: a head's
    logit is N / D, D(u) and N(u) are their means where a share u of the words is kept, f = N / D, and keeping word j
    changes them by dD_j = g_j - h_j and dN_j = g_j u_j - h_j u_h,j.

    Parameters
    ----------
    terms : Terms
        Of the document.
    kernel_width : float, optional
        See `lime_limit`.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        In logits.
    """
    kept, masked, fixed = _parts(terms)
    share, law = _shares_kept(kernel_width)
    share, law = share[:, None, None], law[:, None]
    sums = fixed + share * kept.sum(0) + (1 - share) * masked.sum(0)
    inverse = 1 / sums[..., 0]
    change = kept - masked
    first = change[..., 1] * (law * inverse).sum(0)
    return (first - change[..., 0] * (law * inverse**2 * sums[..., 1]).sum(0)).mean(1)


def mean_field(terms, kernel_width=None):
    """Compute the mean-field limit of each word's coefficient.

    E[f | word j and m - 1 others kept] is taken as the logit where each of the others is kept to a share of
    (m - 1) / (d - 1); E[f | m kept] is the mean of these over j, as it is of the true ones.

    Parameters
    ----------
    terms : Terms
        Of the document.
    kernel_width : float, optional
        See `lime_limit`.

    Returns
    -------
    numpy.ndarray, float64, shape (words,)
        In logits.
    """
    present, absent, fixed = _parts(terms)
    present, absent = grouped(present, terms.words), grouped(absent, terms.words)
    count = len(present)
    everything, nothing = present.sum(0), absent.sum(0)
    if count == 1:
        return np.array([_logit(fixed + everything) - _logit(fixed + nothing)])
    number = np.arange(1, count)
    other = ((number - 1) / (count - 1))[:, None, None]
    given = np.stack(
        [
            _logit(fixed + here + other * (everything - here) + (1 - other) * (nothing - gone))
            for here, gone in zip(present, absent, strict=True)
        ]
    )
    chance = _chances(count, kernel_width)
    average = chance @ np.append(_logit(fixed + nothing), given.mean(0))
    # Given that word j is kept, m words are with a chance that grows as m.
    share = chance[1:] * number
    return gram_solution(given @ share / share.sum() - average, count, kernel_width)


def _chances(count, kernel_width):
    """That 0 to count - 1 of the words are kept, weighted by the kernel, summing to 1: float64 (count,)."""
    chance = weight_of(np.arange(count) / count, kernel_width)
    # All are 0 where the kernel is so narrow that the intact document alone weighs anything: no regression is left.
    return chance / chance.sum() if chance.any() else np.full(count, np.nan)


def gram_solution(difference, count, kernel_width=None):
    """Compute coefficients from E[f | word kept] - E[f] by the inverse of LIME's Gram matrix without ridge.

    Expectations are over LIME's law times its kernel. With a_p, the chance that p given words of `count` are kept, the
    covariances of two features are a_1 - a_1^2 on the diagonal and a_2 - a_1^2 beside it: eigenvalues a_1 - a_2 and, of
    what all words share, the variance of the number kept over `count`.

    Parameters
    ----------
    difference : numpy.ndarray, float64, shape (words,)
        E[f | word kept] - E[f], in logits.
    count : int
        The number of words.
    kernel_width : float, optional
        See `lime_limit`.

    Returns
    -------
    numpy.ndarray, float64, shape (words,)
        In logits. NaN where the kernel leaves none of that variance.
    """
    number, chance = np.arange(count), _chances(count, kernel_width)
    mean = chance @ number
    own = chance @ (number * (count - number)) / (count * (count - 1))
    shared = chance @ (number - mean) ** 2 / count
    moment = mean / count * difference
    if not shared > DEGENERATE * own:
        return np.full(count, np.nan)
    return (moment - moment.mean()) / own + moment.mean() / shared


def _logit(sums):
    """(..., K, 2) of weight and weighted value to the logit (...): the mean over heads of their ratios."""
    return (sums[..., 1] / sums[..., 0]).mean(-1)
