"""What LIME's coefficients tend to under masking, in three formulas (docs/theory.md derives them)."""

import numpy as np

from ..errors import unknown
from .documents import grouped, in_place, per_document
from .gradient import LABEL
from .lime_sampling import shares

PUBLISHED = 1.5  # the paper's constant, whatever the document
FORMULAS = ("published", "rho", "mean_field")


def lime_limit(model, ids, *, formula, lengths=None, words=None):
    """The limit of LIME's coefficients of the positive logit, one term a position: float64 tensor (batch, T).

    formula  'published': 3/2 (alpha_t v_t - alpha_h,t v_h,t) . w, averaged over heads (Lopardo et al. 2024, Section 5),
             h being the document with every word replaced by UNK; 'rho': each head's 3/2 replaced by `constant(rho)`;
             'mean_field': the expectation over LIME's own law with the other words at their mean, and the regression's
             exact Gram matrix.
    Zero at [cls] and padding; over a word's occurrences the terms sum to its coefficient (mean_field: equal shares).
    ids, lengths, words: see `documents.per_document`; ids are padded with UNK.
    """
    if formula not in FORMULAS:
        raise unknown("formula", formula, FORMULAS)
    return per_document(model, ids, lengths, words, lambda terms: limit(terms, formula))


def limit(terms, formula):
    """The limit for one document, a term a token: float64 (n,)."""
    if formula == "mean_field":
        return shares(mean_field(terms), terms.words)
    kept, masked, _, ratio = _sides(terms)
    constants = PUBLISHED if formula == "published" else constant(ratio)
    return ((kept - masked) * constants).mean(1)


def rho(terms):
    """sum_t g_t / sum_t h_t of each head, over all positions: the weight of the document over that of all UNK, (K,)."""
    return _sides(terms)[3]


def _sides(terms):
    """alpha_t v_t . w and alpha_h,t v_h,t . w, (n, K) each; the sum of h and rho, (K,) each; all float64."""
    kept, masked, fixed = (part.astype(np.float64)[..., [0, 1 + LABEL]] for part in in_place(terms))
    whole, empty = fixed[:, 0] + kept[..., 0].sum(0), fixed[:, 0] + masked[..., 0].sum(0)
    return kept[..., 1] / whole, masked[..., 1] / empty, empty, whole / empty


def constant(ratio):
    """The factor that stands for 3/2 where the document weighs `ratio` times as much as all UNK: float64, as `ratio`.

    C(rho) = int_0^1 6 u (1 - u) rho / (1 + (rho - 1) u) du: 1 at rho = 1, 3/2 near rho = 2.6, towards 3 as rho grows.
    """
    ratio = np.asarray(ratio, np.float64)
    excess = ratio - 1
    near = np.abs(excess) < 1e-2
    small, large = np.where(near, excess, 0.0), np.where(near, 1.0, excess)
    share = (large + 1) / large
    found = 6 * (ratio / large) * (share - 0.5 - share * np.log1p(large) / large)
    # Near 1 the closed form cancels: 6 rho sum_k (-c)^k / ((k + 2) (k + 3)).
    series = 6 * ratio * sum((-small) ** k / ((k + 2) * (k + 3)) for k in range(8))
    return np.where(near, series, found)


def mean_field(terms):
    """The mean-field limit of each word's coefficient: float64 (words,)."""
    present, absent, fixed = (part.astype(np.float64)[..., [0, 1 + LABEL]] for part in in_place(terms))
    present, absent = grouped(present, terms.words), grouped(absent, terms.words)
    count = len(present)
    everything, nothing = present.sum(0), absent.sum(0)
    if count == 1:
        return np.array([_logit(fixed + everything) - _logit(fixed + nothing)])
    number = np.arange(count)  # of words kept, each with the same chance
    share = (number / count)[:, None, None]
    average = _logit(fixed + share * everything + (1 - share) * nothing).mean()
    # Given that word j is kept, m words are with a chance that grows as m, and of the others (m - 1) / (d - 1).
    chance = number[1:] / number.sum()
    other = ((number[1:] - 1) / (count - 1))[:, None, None]
    rest = everything - present, nothing - absent
    given = np.stack(
        [
            chance @ _logit(fixed + present[word] + other * rest[0][word] + (1 - other) * rest[1][word])
            for word in range(count)
        ]
    )
    return gram_solution(given - average, count)


def gram_solution(difference, count):
    """Coefficients from E[f | word kept] - E[f], (words,), by the inverse of LIME's Gram matrix without kernel and ridge.

    With a_p = (d - p) / ((p + 1) d), the chance that p given words are kept, the covariances of two features are
    a_1 - a_1^2 on the diagonal and a_2 - a_1^2 beside it.
    """
    one, two = (count - 1) / (2 * count), (count - 2) / (3 * count)
    moment = one * difference
    aside = two - one**2
    return (moment - aside / (one - two + count * aside) * moment.sum()) / (one - two)


def _logit(sums):
    """(..., K, 2) of weight and weighted value to the logit (...): the mean over heads of their ratios."""
    return (sums[..., 1] / sums[..., 0]).mean(-1)
