"""Simulated numbers of seeds and examples, and what an interval of them has to cover."""

import numpy as np

COVERED = (0.93, 0.975)
EXAMPLES = 60
OF_EXAMPLE, REST = 0.2, 0.15


# The standard error over EXAMPLES examples, with which the seeds' effects are measured.
STANDARD_ERROR = (OF_EXAMPLE**2 / EXAMPLES) ** 0.5


def layout(rng, seeds, runs, of_seed, examples=EXAMPLES, columns=None):
    """x[seed, example, run] = seed effect + example effect + rest, all of mean 0; with columns a fourth axis."""
    more = (runs,) if columns is None else (runs, columns)
    return (
        of_seed * rng.normal(size=(seeds, 1, *more))
        + OF_EXAMPLE * rng.normal(size=(1, examples, *more))
        + REST * rng.normal(size=(seeds, examples, *more))
    )


def covers(interval, truth=0.0):
    return np.mean((interval[0] <= truth) & (truth <= interval[1]))
