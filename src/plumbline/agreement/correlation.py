"""What the rank metrics share: constant rows rank nothing, a correlation of all rows at once, and a pair as two rows."""

import numpy as np


def constant(scores):
    """Find the rows that are constant.

    Parameters
    ----------
    scores : numpy.ndarray of float, shape (readouts, tokens)
        One row a readout.

    Returns
    -------
    numpy.ndarray of bool, shape (readouts,)
    """
    return (scores == scores[:, :1]).all(axis=1)


def without_constant(values, scores):
    """Set a metric's values to NaN wherever a readout's scores are constant.

    Parameters
    ----------
    values : array_like of float, shape (readouts, readouts)
        The metric of all pairs.
    scores : numpy.ndarray of float, shape (readouts, tokens)
        The scores that were compared.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        A copy of `values`.
    """
    rows = constant(scores)
    values = np.array(values, dtype=np.float64)
    values[rows] = values[:, rows] = np.nan
    return values


def cosines(rows):
    """Compute the cosines between all rows.

    Parameters
    ----------
    rows : numpy.ndarray, float64, shape (readouts, any)
        A row of zeros has cosine 0 with every row.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, readouts)
        In [-1, 1].
    """
    lengths = np.sqrt((rows * rows).sum(axis=1))
    lengths[lengths == 0] = 1.0
    rows = rows / lengths[:, None]
    return np.clip(rows @ rows.T, -1.0, 1.0)


def of_pair(pairwise, x, y):
    """Compute a metric of two vectors by its function of all pairs of rows.

    Parameters
    ----------
    pairwise : callable
        Takes scores (readouts, tokens), returns values (readouts, readouts).
    x, y : array_like of float, shape (tokens,)
        The two vectors.

    Returns
    -------
    float
    """
    return float(pairwise(np.stack([x, y]))[0, 1])
