"""What the rank metrics share: constant rows rank nothing, a correlation of all rows at once, and a pair as two rows."""

import numpy as np


def constant(scores):
    """Which rows of scores (readouts, tokens) are constant: bool (readouts,)."""
    return (scores == scores[:, :1]).all(axis=1)


def without_constant(values, scores):
    """The float64 matrix values (readouts, readouts) with NaN wherever a readout's scores are constant."""
    rows = constant(scores)
    values = np.array(values, dtype=np.float64)
    values[rows] = values[:, rows] = np.nan
    return values


def cosines(rows):
    """Cosines between all rows of a float64 array (readouts, any): float64 (readouts, readouts)."""
    lengths = np.sqrt((rows * rows).sum(axis=1))
    lengths[lengths == 0] = 1.0
    rows = rows / lengths[:, None]
    return np.clip(rows @ rows.T, -1.0, 1.0)


def of_pair(pairwise, x, y):
    """A metric of two 1-D arrays, as a float: its function of all pairs of rows on these two."""
    return float(pairwise(np.stack([x, y]))[0, 1])
