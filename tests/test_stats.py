"""Intervals of means: bootstrap, Wilson, t, over seeds and examples; their coverage is simulated."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from plumbline.errors import PlumblineError
from plumbline.seeds import seed_of
from plumbline.stats import (
    bootstrap_interval,
    complete_mean,
    equivalence,
    is_testable,
    mean_interval,
    over_seeds,
    pair_interval,
    paired_differences,
    resampled_counts,
    resampled_means,
    summary_interval,
    t_interval,
    wilson_interval,
)
from tests.simulated import COVERED, EXAMPLES, STANDARD_ERROR, covers, layout

SETTINGS = {"resamples": 1000, "level": 0.95}


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=400)
    lower, upper = bootstrap_interval(values, resamples=4000, level=0.9, seed=seed_of("x"))
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=4000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert abs(lower - theirs.low) < 0.02
    assert abs(upper - theirs.high) < 0.02


@pytest.mark.slow
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


@pytest.mark.slow
def test_resampled_means_are_the_same_to_the_last_bit_however_they_are_summed():
    """BLAS sums some rows in another order where it has more threads, or other rows and columns beside them."""
    values = np.random.default_rng(3).normal(size=(1, 150, 200))
    means = resampled_means(values, resamples=1000, seed=1)
    for threads in (2, 3, 5):
        with threadpool_limits(threads):
            assert (resampled_means(values, resamples=1000, seed=1) == means).all()
    for count in (1, 333, 999):
        assert (resampled_means(values, resamples=count, seed=1) == means[:count]).all()
    for columns in ([0], [5, 3, 199], range(7)):
        part = resampled_means(values[:, :, list(columns)], resamples=1000, seed=1)
        assert (part == means[:, list(columns)]).all()
    draws = resampled_counts(150, resamples=1000, seed=1)
    exact = [
        sum(Fraction(int(n)) * Fraction(x) for n, x in zip(draws[7], column, strict=True)) / 150
        for column in values[0].T[:20]
    ]
    assert np.abs(means[7, :20] - np.array(exact, dtype=float)).max() < 150 * 2.0**-53 * np.abs(values).max()


@pytest.mark.parametrize("scale", [1e-300, 1e-5, 1.0, 1e5, 1e300])
def test_bootstrap_keeps_its_digits_at_every_scale(scale):
    values = np.random.default_rng(5).gamma(2.0, size=(40, 3))
    settings = {"resamples": 200, "level": 0.9, "seed": 1}
    ends = np.array(bootstrap_interval(values, **settings))
    np.testing.assert_allclose(
        np.array(bootstrap_interval(values * scale, **settings)), ends * scale, rtol=1e-13
    )
    # Columns of other sizes, zeros among them, change nothing.
    beside = np.column_stack([values * 1e12, values, np.zeros(40)])
    assert (np.array(bootstrap_interval(beside, **settings))[:, 3:6] == ends).all()


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


def hierarchical_bootstrap(values, rng, resamples=200):
    """The plain one: seeds are drawn, and other examples for each drawn seed. values (seeds, examples)."""
    seeds, examples = values.shape
    drawn = rng.integers(seeds, size=(resamples, seeds))
    which = rng.integers(examples, size=(resamples, seeds, examples))
    return np.quantile(values[drawn[:, :, None], which].mean(axis=(1, 2)), [0.025, 0.975])


@pytest.mark.parametrize("seeds", [3, 5, 8, 12])
@pytest.mark.parametrize("standard_errors", [0, 1, 3])
def test_mean_interval_covers_a_new_seed_and_a_new_example(seeds, standard_errors):
    """With 3 seeds and seed effects of three standard errors the specification's simulation has .92 to .93."""
    rng = np.random.default_rng([seeds, standard_errors])
    runs = layout(rng, seeds, 1500, standard_errors * STANDARD_ERROR)
    low = 0.915 if (seeds, standard_errors) == (3, 3) else COVERED[0]
    assert low <= covers(mean_interval(runs, **SETTINGS, seed=0)) <= COVERED[1]


@pytest.mark.slow
def test_other_intervals_of_a_mean_do_not_cover():
    """Examples alone, seeds alone and the plain hierarchical bootstrap: why the two-way interval stands in the tables."""
    rng = np.random.default_rng(1)
    runs = layout(rng, 5, 300, 3 * STANDARD_ERROR)
    examples_only = bootstrap_interval(runs.mean(axis=0), resamples=200, level=0.95, seed=0)
    assert covers(examples_only) < 0.8
    runs = layout(rng, 5, 300, STANDARD_ERROR)
    nested = np.array([hierarchical_bootstrap(run, rng) for run in np.moveaxis(runs, 2, 0)]).T
    assert covers(nested) < 0.87
    seeds_only = np.array([t_interval(run) for run in runs.mean(axis=1).T]).T
    assert covers(seeds_only) < 0.87


def test_columns_over_seeds_count_the_seeds_that_they_have():
    values = np.random.default_rng(6).normal(size=(3, 20, 3))
    values[2, :, 1], values[:, :, 2] = np.nan, np.nan
    found = over_seeds(values, **SETTINGS, seed=4)
    for column, seeds in ((0, 3), (1, 2)):
        own = values[:seeds, :, column]
        assert found["mean"][column] == pytest.approx(own.mean())
        lower, upper = mean_interval(own, **SETTINGS, seed=4)
        assert (found["lower"][column], found["upper"][column]) == pytest.approx((lower, upper))
    assert found["examples"].tolist() == [20, 20, 0]
    assert np.isnan([found[name][2] for name in ("mean", "lower", "upper")]).all()


def test_mean_interval_of_one_seed_is_the_bootstrap_of_its_examples():
    values = np.random.default_rng(2).normal(size=(1, 40, 3))
    values[0, 3:, 2] = np.nan
    values[0, 1:, 1] = np.nan
    lower, upper = mean_interval(values, **SETTINGS, seed=4)
    assert (lower[0], upper[0]) == pytest.approx(
        bootstrap_interval(values[0, :, 0], **SETTINGS, seed=4), abs=1e-12
    )
    assert np.isnan([lower[1], upper[1]]).all()  # one example says nothing of others
    assert lower[2] < upper[2]
    assert mean_interval(values[:, :, 0], **SETTINGS, seed=4) == pytest.approx(
        (lower[0], upper[0]), abs=1e-12
    )


def test_mean_interval_equals_analysis_of_variance_by_hand():
    """Mean squares from the textbook's sums over a table of 2 seeds and 3 examples, in fractions."""
    values = [[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]]
    # Means: seeds 3 and 5, examples 2, 2, 8, all 4. Mean squares: 3 (1 + 1) / 1 = 6; 2 (4 + 4 + 16) / 2 = 24;
    # residuals 0, 1, -1, 0, -1, 1: 4 / 2 = 2. Variance (6 + 24 - 2) / 6; df = 28^2 / (6^2 / 1 + 24^2 / 2 + 2^2 / 2).
    variance, df = 28 / 6, 28**2 / (36 + 288 + 2)
    half = stats.t.ppf(0.975, df) * variance**0.5
    assert mean_interval(values, **SETTINGS, seed=0) == pytest.approx((4 - half, 4 + half), rel=1e-12)
    assert complete_mean(values) == (4.0, 3)


def test_mean_interval_takes_complete_examples():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, 30, 2))
    values[1, :10, 1] = np.nan
    values[2, 12, 1] = np.nan
    found = mean_interval(values, **SETTINGS, seed=0)
    whole = [place for place in range(10, 30) if place != 12]
    alone = mean_interval(values[:, whole, 1], **SETTINGS, seed=0)
    assert (found[0][1], found[1][1]) == pytest.approx(alone, abs=1e-12)
    mean, count = complete_mean(values)
    assert (mean[1], count[1]) == (pytest.approx(values[:, whole, 1].mean()), 19)
    values[0, :, 0] = np.nan
    assert np.isnan(mean_interval(values, **SETTINGS, seed=0)[0][0])


def test_mean_interval_is_invariant():
    """Shift and scale go through; the order of seeds and of examples changes nothing."""
    rng = np.random.default_rng(5)
    values = rng.gamma(2.0, size=(4, 25, 3))
    expected = np.array(mean_interval(values, **SETTINGS, seed=0))
    assert np.allclose(mean_interval(7 + 3 * values, **SETTINGS, seed=0), 7 + 3 * expected)
    flipped = np.array(mean_interval(-values, **SETTINGS, seed=0))
    assert np.allclose(-flipped[::-1], expected)
    mixed = values[rng.permutation(4)][:, rng.permutation(25)]
    assert np.allclose(mean_interval(mixed, **SETTINGS, seed=0), expected)
    level = {**SETTINGS, "level": 0.99}
    wider = mean_interval(values, **level, seed=0)
    assert (wider[0] < expected[0]).all()
    assert (wider[1] > expected[1]).all()
    constant = mean_interval(np.full((3, 5), 0.25), **SETTINGS, seed=0)
    assert constant == (0.25, 0.25)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], np.zeros((2, 0)), [[1.0, np.inf], [0.0, 1.0]], np.zeros((1, 2, 3, 4))]
)
def test_mean_interval_refuses_what_is_no_table(values):
    with pytest.raises(PlumblineError, match=r"shape|no examples|not finite"):
        mean_interval(values, **SETTINGS, seed=0)


def test_a_table_of_another_shape_is_told_which_one_is_wanted():
    flat, deep = np.ones((2, 3)), np.ones((2, 3, 1))
    with pytest.raises(
        PlumblineError, match=r"must have the shape \(seeds, examples, columns\), not \(2, 3\)"
    ):
        paired_differences(flat, reference=0, level=0.95)
    with pytest.raises(PlumblineError, match=r"must have the shape \(seeds, examples\), not \(2, 3, 1\)"):
        equivalence(deep, 1, 0.1, level=0.95)
    with pytest.raises(
        PlumblineError, match=r"must have the shape \(seeds, examples\[, columns\]\), not \(2,\)"
    ):
        mean_interval(np.ones(2), **SETTINGS, seed=0)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_levels_outside_the_unit_interval_are_refused(level):
    for make in (
        lambda: mean_interval(np.eye(3), resamples=10, level=level, seed=0),
        lambda: mean_interval(np.eye(3)[:1], resamples=10, level=level, seed=0),
        lambda: pair_interval(np.eye(3), level=level),
        lambda: t_interval([1.0, 2.0], level),
        lambda: wilson_interval(1, 2, level),
        lambda: is_testable(3, 2, level=level),
    ):
        with pytest.raises(PlumblineError, match="inside"):
            make()


def test_weighted_means_of_several_seeds():
    """Integer weights are repeated examples; equal weights are none; one seed is the weighted bootstrap."""
    rng = np.random.default_rng(23)
    values, weights = rng.normal(size=(3, 40, 2)), rng.integers(1, 5, size=40)
    mean, count = complete_mean(values, weights)
    assert mean == pytest.approx(np.average(values.mean(axis=0), axis=0, weights=weights))
    assert count.tolist() == [40, 40]
    even = mean_interval(values, **SETTINGS, seed=0, weights=np.full(40, 7.0))
    assert np.allclose(even, mean_interval(values, **SETTINGS, seed=0))
    lower, upper = mean_interval(values, **SETTINGS, seed=0, weights=weights)
    assert (lower + upper) / 2 == pytest.approx(mean)
    one = mean_interval(values[:1], **SETTINGS, seed=5, weights=weights)
    assert np.allclose(one, bootstrap_interval(values[0], **SETTINGS, seed=5, weights=weights))
    gaps = values.copy()
    gaps[1, :5, 1] = np.nan
    assert complete_mean(gaps, weights)[0][1] == pytest.approx(
        np.average(values[:, 5:, 1].mean(axis=0), weights=weights[5:])
    )
    assert np.array(mean_interval(gaps, **SETTINGS, seed=0, weights=weights))[:, 1] == pytest.approx(
        np.array(mean_interval(values[:, 5:], **SETTINGS, seed=0, weights=weights[5:]))[:, 1]
    )


def test_weighted_means_cover():
    rng = np.random.default_rng(24)
    runs = layout(rng, 4, 1500, STANDARD_ERROR)
    weights = rng.integers(1, 6, size=EXAMPLES)
    assert COVERED[0] <= covers(mean_interval(runs, **SETTINGS, seed=0, weights=weights)) <= COVERED[1]


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_summary_interval_covers_and_is_at_most_wider(seeds):
    rng = np.random.default_rng([25, seeds])
    runs = layout(rng, seeds, 1500, STANDARD_ERROR)
    means, deviations = runs.mean(axis=1), runs.std(axis=1)
    interval = summary_interval(means, deviations, np.full(means.shape, EXAMPLES), level=0.95)
    assert covers(interval) >= 0.94
    full = mean_interval(runs, **SETTINGS, seed=0)
    ratio = np.mean(interval[1] - interval[0]) / np.mean(full[1] - full[0])
    assert 1 <= ratio < 1.3
    with pytest.raises(PlumblineError, match="two seeds"):
        summary_interval(means[:1], deviations[:1], np.full((1, 1500), EXAMPLES), level=0.95)


def test_summary_interval_by_hand():
    """Means 1 and 3 (variance 2, halved), deviations 3 of 10 examples (9 / 9): V = 2; df = 4 / (1 / 1 + 1 / 9) = 3.6."""
    lower, upper = summary_interval([[1.0], [3.0]], [[3.0], [3.0]], [[10], [10]], level=0.95)
    half = stats.t.ppf(0.975, 3.6) * 2**0.5
    assert (lower[0], upper[0]) == pytest.approx((2 - half, 2 + half))
    assert np.isnan(summary_interval([[1.0], [3.0]], [[0.0], [0.0]], [[1], [1]], level=0.95)[0][0])
