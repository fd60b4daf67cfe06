"""Two vectors of coefficients beside each other. No torch."""

import numpy as np

WIDTH = 25.0  # of the kernel of LIME's package, on cosine distances times 100
# How the experiments hold a formula of LIME's limit against LIME: prefix of the columns -> kernel width of the formula and
# of LIME, None for none. The published formula has no kernel.
SETTINGS = {"": (WIDTH, WIDTH), "plain_": (None, WIDTH), "both_plain_": (None, None)}


def compared(name, formula, runs):
    """Compare a formula's coefficients with LIME's.

    Parameters
    ----------
    name : str
        Prefix of the columns.
    formula, runs : numpy.ndarray, float, shape (words,)
        Coefficients of the formula and of LIME, in logits.

    Returns
    -------
    dict
        name_l2: norm of the difference (the published error). name_relative: over LIME's norm. name_pearson, name_spearman:
        correlations, 0 where one side is constant. name_slope: of LIME on the formula, through the origin.
    """
    from scipy.stats import rankdata  # the workflow reads this module's importers at every start

    apart, size = np.linalg.norm(formula - runs), np.linalg.norm(runs)
    square = formula @ formula
    return {
        f"{name}_l2": apart,
        f"{name}_relative": apart / size if size else 0.0,
        f"{name}_pearson": _pearson(formula, runs),
        f"{name}_spearman": _pearson(rankdata(formula), rankdata(runs)),
        f"{name}_slope": formula @ runs / square if square else 0.0,
    }


def _pearson(one, other):
    one, other = one - one.mean(), other - other.mean()
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return one @ other / norms if norms else 0.0
