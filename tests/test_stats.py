"""Intervals against other implementations and against what they promise."""

import numpy as np
import pytest
from scipy import stats

from plumbline.errors import PlumblineError
from plumbline.seeds import seed_of
from plumbline.stats import bootstrap_interval, t_interval, wilson_interval

SETTINGS = {"resamples": 1000, "level": 0.95}


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=400)
    lower, upper = bootstrap_interval(values, resamples=4000, level=0.9, seed=seed_of("x"))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, confidence_level=0.9, method="percentile",
                             rng=np.random.default_rng(2)).confidence_interval  # fmt: skip
    assert abs(lower - theirs.low) < 0.02
    assert abs(upper - theirs.high) < 0.02


def test_bootstrap_covers_the_true_mean():
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(60, 400))
    covered = 0
    for number, sample in enumerate(samples.T):
        lower, upper = bootstrap_interval(sample, resamples=300, level=0.95, seed=number)
        covered += lower <= 0 <= upper
    assert 0.90 <= covered / 400 <= 0.98


def test_bootstrap_of_columns_equals_bootstrap_of_each():
    values = np.random.default_rng(4).normal(size=(50, 3))
    lower, upper = bootstrap_interval(values, **SETTINGS, seed=5)
    for column in range(3):
        one = bootstrap_interval(values[:, column], **SETTINGS, seed=5)
        assert one == pytest.approx((lower[column], upper[column]), abs=1e-14)
    assert not np.array_equal(lower, bootstrap_interval(values, **SETTINGS, seed=6)[0])


def test_bootstrap_of_ragged_columns():
    values = np.random.default_rng(7).normal(size=(200, 3))
    values[100:, 1] = np.nan
    values[:, 2] = np.nan
    with pytest.raises(PlumblineError, match="not finite"):
        bootstrap_interval(values, **SETTINGS, seed=0)
    lower, upper = bootstrap_interval(values, **SETTINGS, seed=0, ragged=True)
    alone = bootstrap_interval(values[:100, 1], **SETTINGS, seed=0)
    assert (lower[1], upper[1]) == pytest.approx(alone, abs=0.05)
    assert np.isnan([lower[2], upper[2]]).all()
    # One example of two has the column: resamples that miss it are left out, not counted as zero.
    lower, upper = bootstrap_interval([[1.0], [np.nan]], **SETTINGS, seed=0, ragged=True)
    assert (lower[0], upper[0]) == (1.0, 1.0)


def test_bootstrap_of_weighted_means():
    """Weights count as so many values of one example, drawn together; equal weights change nothing."""
    rng = np.random.default_rng(8)
    values, weights = rng.normal(size=(60, 2)), rng.integers(1, 9, size=60)
    even = bootstrap_interval(values, **SETTINGS, seed=1, weights=np.full(60, 3.0))
    assert np.allclose(even, bootstrap_interval(values, **SETTINGS, seed=1), atol=1e-12)
    lower, upper = bootstrap_interval(values, **SETTINGS, seed=1, weights=weights)
    assert (lower < np.average(values, axis=0, weights=weights)).all()
    assert (upper > np.average(values, axis=0, weights=weights)).all()
    counts = rng.multinomial(60, np.full(60, 1 / 60), size=4000) * weights
    means = counts @ values / counts.sum(axis=1, keepdims=True)
    assert np.quantile(means, [0.025, 0.975], axis=0) == pytest.approx(np.array([lower, upper]), abs=0.05)
    values[::2, 1] = np.nan
    ragged = bootstrap_interval(values, **SETTINGS, seed=1, weights=weights, ragged=True)
    alone = bootstrap_interval(values[1::2, 1], **SETTINGS, seed=1, weights=weights[1::2])
    assert (ragged[0][1], ragged[1][1]) == pytest.approx(alone, abs=0.1)


def test_bootstrap_refuses_no_examples_and_infinities():
    with pytest.raises(PlumblineError, match="no examples"):
        bootstrap_interval([], **SETTINGS, seed=0)
    with pytest.raises(PlumblineError, match="not finite"):
        bootstrap_interval([1.0, np.inf], **SETTINGS, seed=0, ragged=True)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (7, 9), (870, 872), (436, 872)])
def test_wilson_equals_scipy(successes, n):
    theirs = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_t_interval_equals_scipy():
    values = [0.861, 0.866, 0.858]
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    with pytest.raises(PlumblineError, match="two seeds"):
        t_interval([0.9])
