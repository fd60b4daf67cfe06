"""Intervals against other implementations and against what they promise."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from plumbline.errors import PlumblineError
from plumbline.seeds import seed_of
from plumbline.stats import (
    Resampled,
    all_pairs,
    bootstrap_interval,
    complete_mean,
    equivalence,
    equivalence_of_samples,
    holm,
    is_testable,
    max_statistic_interval,
    mean_interval,
    median_differences,
    pair_interval,
    paired_differences,
    percentiles,
    pseudo_value_interval,
    rank_ranges,
    resampled_counts,
    resampled_interval,
    resampled_means,
    resampled_medians,
    simultaneous_interval,
    summary_interval,
    t_interval,
    told_apart,
    verdict,
    wilson_interval,
)

SETTINGS = {"resamples": 1000, "level": 0.95}


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(1).gamma(2.0, size=400)
    lower, upper = bootstrap_interval(values, resamples=4000, level=0.9, seed=seed_of("x"))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, confidence_level=0.9, method="percentile",
                             rng=np.random.default_rng(2)).confidence_interval  # fmt: skip
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
    exact = [sum(Fraction(int(n)) * Fraction(x) for n, x in zip(draws[7], column, strict=True)) / 150
             for column in values[0].T[:20]]  # fmt: skip
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


# ------------------------------------------------------------------------------------- seeds and examples: coverage

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


# ------------------------------------------------------------------------------------------------- pairs of seeds


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.1, 0.4])
@pytest.mark.parametrize("seeds", [3, 5, 6, 10, 12])
def test_pair_interval_covers_the_mean_over_pairs(seeds, noise):
    """Correlations of seeds that see one signal, each with noise of its own size (log-normal, sd `noise`)."""
    rng = np.random.default_rng([seeds, int(10 * noise)])
    signal = np.random.default_rng(6).normal(size=100)

    def pairs(count, runs):
        sizes = np.exp(noise * rng.normal(size=(runs, count, 1)))
        drawn = signal + sizes * rng.normal(size=(runs, count, 100))
        drawn -= drawn.mean(axis=2, keepdims=True)
        drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
        return drawn @ drawn.transpose(0, 2, 1)

    many = pairs(40, 200)
    truth = ((many.sum(axis=(1, 2)) - 40) / (40 * 39)).mean()
    intervals = np.array([pair_interval(values, level=0.95) for values in pairs(seeds, 600)]).T
    assert COVERED[0] - 0.01 <= covers(intervals, truth) <= COVERED[1] + 0.01


def test_pair_interval_equals_leaving_out_seed_by_seed():
    rng = np.random.default_rng(7)
    values = rng.random((6, 6))
    values = (values + values.T) / 2
    values[1, 2] = values[2, 1] = np.nan
    without = [
        np.mean([values[a, b] for a in range(6) for b in range(a) if seed not in (a, b) and {a, b} != {1, 2}])
        for seed in range(6)
    ]
    mean = np.mean([values[a, b] for a in range(6) for b in range(a) if {a, b} != {1, 2}])
    half = stats.t.ppf(0.95, 5) * (5 / 6 * np.sum((without - np.mean(without)) ** 2)) ** 0.5
    assert pair_interval(values, level=0.9) == pytest.approx((mean - half, mean + half), rel=1e-12)
    # The diagonal does not count, nor does a seed without any pair; seeds have no order.
    more = np.full((7, 7), np.nan)
    more[:6, :6] = values
    np.fill_diagonal(more, 1.0)
    order = rng.permutation(7)
    assert pair_interval(more[order][:, order], level=0.9) == pytest.approx(
        (mean - half, mean + half), rel=1e-12
    )
    shifted = pair_interval(2 - 3 * values, level=0.9)
    assert shifted == pytest.approx((2 - 3 * (mean + half), 2 - 3 * (mean - half)), rel=1e-12)


def test_pair_interval_of_too_few_pairs():
    assert np.isnan(pair_interval(np.full((4, 4), np.nan), level=0.9)).all()
    assert np.isnan(pair_interval(np.ones((2, 2)), level=0.9)).all()
    star = np.full((4, 4), np.nan)
    star[0, 1:] = star[1:, 0] = 0.5  # without the first seed no pair is left
    assert np.isnan(pair_interval(star, level=0.9)).all()


@pytest.mark.parametrize(
    "values", [np.ones((2, 3)), np.ones(4), np.triu(np.ones((3, 3))), np.full((3, 3), np.inf)]
)
def test_pair_interval_refuses_what_is_no_symmetric_matrix(values):
    with pytest.raises(PlumblineError, match=r"square|symmetric"):
        pair_interval(values, level=0.95)


# ------------------------------------------------------------------------------------------------ paired comparisons


def test_holm_by_hand():
    """(.01, .04, .03) of three: 3 x .01, 2 x .03, then .04, which may not fall below .06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, np.nan, 0.04, 0.03])[[0, 2, 3]] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm([0.01, np.nan])[1])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
    assert holm([]).shape == (0,)
    with pytest.raises(PlumblineError, match="p value"):
        holm([1.2])


def null_experiment(rng, seeds, columns=20):
    """Readouts that are equally good: seeds, examples and their interplay with readouts differ by chance.

    A single seed is the checkpoint that the statement is about, so that it has no effect of its own.
    """
    of_seed = STANDARD_ERROR if seeds > 1 else 0
    examples = OF_EXAMPLE * rng.normal(size=(1, EXAMPLES, 1)) + REST * rng.normal(size=(1, EXAMPLES, columns))
    return (
        of_seed * rng.normal(size=(seeds, 1, columns))
        + examples
        + REST * rng.normal(size=(seeds, EXAMPLES, columns))
    )


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3, 5, 10])
def test_any_false_rejection_among_20_readouts_is_rare(seeds):
    """Against a readout that was chosen beforehand, and over all pairs, so against the one that did best too."""
    rng = np.random.default_rng([8, seeds])
    runs = [null_experiment(rng, seeds) for _ in range(120)]
    fixed = [np.nanmin(paired_differences(run, reference=0, level=0.95).adjusted) for run in runs]
    chosen = [np.nanmin(all_pairs(run, level=0.95).adjusted) for run in runs]
    assert np.mean(np.array(fixed) <= 0.05) <= 0.06  # .05 and the chance of 120 runs
    assert np.mean(np.array(chosen) <= 0.05) <= 0.05


def test_naive_tests_of_20_readouts_find_differences_where_none_is():
    """What the tables did: intervals over examples of seed means, each for itself, and the best taken as given."""
    rng = np.random.default_rng(9)
    false = 0
    for _ in range(100):
        means = null_experiment(rng, 5).mean(axis=0)
        best = means.mean(axis=0).argmax()
        lower, _ = bootstrap_interval(
            means[:, [best]] - np.delete(means, best, 1), resamples=200, level=0.95, seed=0
        )
        false += (lower > 0).any()
    assert false > 80


def test_a_single_comparison_holds_its_level_and_has_power():
    rng = np.random.default_rng(10)
    runs = layout(rng, 5, 1000, STANDARD_ERROR)
    paired = np.concatenate([np.zeros((5, EXAMPLES, 1)), runs], axis=2)
    found = paired_differences(paired, reference=0, level=0.95)
    assert np.mean(found.p[1:] <= 0.05) <= 0.06
    away = paired_differences(paired + np.r_[0.0, np.full(1000, 0.3)], reference=0, level=0.95)
    assert np.mean(away.p[1:] <= 0.05) > 0.95
    assert ((found.p[1:] <= 0.05) == ((found.lower[1:] > 0) | (found.upper[1:] < 0))).all()


def test_paired_differences_of_one_seed_are_paired_t_tests():
    values = np.random.default_rng(11).normal(size=(1, 30, 4))
    values[0, :5, 3] = np.nan
    found = paired_differences(values, reference=1, level=0.9)
    for column in (0, 2, 3):
        whole = ~np.isnan(values[0, :, column])
        theirs = stats.ttest_rel(values[0, whole, column], values[0, whole, 1])
        ends = theirs.confidence_interval(0.9)
        assert found.p[column] == pytest.approx(theirs.pvalue, rel=1e-9)
        assert (found.lower[column], found.upper[column]) == pytest.approx((ends.low, ends.high), rel=1e-9)
    assert np.isnan([found.mean[1], found.lower[1], found.p[1], found.adjusted[1]]).all()
    assert found.adjusted[[0, 2, 3]] == pytest.approx(holm(found.p[[0, 2, 3]]))


def test_paired_differences_of_seeds_that_do_not_vary_by_hand():
    """Two seeds, two examples, difference 1, 3 / 2, 4: mean squares 1, 4 and 0; variance 5 / 4, one degree of freedom."""
    values = np.zeros((2, 2, 2))
    values[:, :, 1] = [[1, 3], [2, 4]]
    found = paired_differences(values, reference=0, level=0.5)
    # Student's t with one degree of freedom is Cauchy's: p = 1 - 2 / pi arctan(t), and its upper quartile is 1.
    assert found.p[1] == pytest.approx(1 - 2 / np.pi * np.arctan(2.5 / 1.25**0.5))
    assert (found.lower[1], found.upper[1]) == pytest.approx((2.5 - 1.25**0.5, 2.5 + 1.25**0.5))


def test_exchanging_the_sides_flips_the_verdict():
    rng = np.random.default_rng(12)
    values = rng.normal(size=(5, 80, 2)) * 0.1 + [0.0, 1.0]
    ahead = paired_differences(values, reference=0, level=0.95)
    behind = paired_differences(values, reference=1, level=0.95)
    assert verdict(ahead.lower[1], ahead.upper[1]) == "better"
    assert verdict(behind.lower[0], behind.upper[0]) == "worse"
    assert (behind.lower[0], behind.upper[0]) == pytest.approx((-ahead.upper[1], -ahead.lower[1]))
    assert behind.p[0] == pytest.approx(ahead.p[1])
    moved = paired_differences(5 + 2 * values, reference=0, level=0.95)
    assert moved.mean[1] == pytest.approx(2 * ahead.mean[1])
    assert moved.p[1] == pytest.approx(ahead.p[1])


def test_verdict_has_three_answers():
    assert verdict(0.1, 0.2) == "better"
    assert verdict(-0.2, -0.1) == "worse"
    for ends in ((-0.1, 0.1), (0.0, 0.2), (-0.2, 0.0), (np.nan, np.nan)):
        assert verdict(*ends) == "not told apart"
    with pytest.raises(PlumblineError, match="above"):
        verdict(0.2, 0.1)


def test_all_pairs_finds_the_best_and_what_equals_it():
    """Two readouts .5 ahead of three; of the two none is told apart from the other."""
    rng = np.random.default_rng(13)
    values = 0.05 * rng.normal(size=(6, 50, 5)) + [0, 0.5, 0, 0.5, 0]
    found = all_pairs(values, level=0.95)
    expected = np.array(
        [[0, 1, 0, 1, 0], [-1, 0, -1, 0, -1], [0, 1, 0, 1, 0], [-1, 0, -1, 0, -1], [0, 1, 0, 1, 0]]
    )
    assert (told_apart(found, level=0.95) == expected).all()
    lowest, highest = rank_ranges(found, level=0.95)
    assert (lowest.tolist(), highest.tolist()) == ([3, 1, 3, 1, 3], [5, 2, 5, 2, 5])
    # The family is that of all ten pairs; one row is the comparison with a column chosen beforehand.
    above = np.triu_indices(5, 1)
    assert found.adjusted[above] == pytest.approx(holm(found.p[above]))
    assert found.adjusted == pytest.approx(found.adjusted.T, nan_ok=True)
    row = paired_differences(values, reference=2, level=0.95)
    assert found.p[2] == pytest.approx(row.p, nan_ok=True)
    assert found.mean[2] == pytest.approx(row.mean, nan_ok=True)
    order = [3, 1, 0, 4, 2]
    turned = all_pairs(values[:, ::-1, order], level=0.95)
    assert turned.adjusted == pytest.approx(found.adjusted[order][:, order], nan_ok=True)
    nothing = all_pairs(np.full((2, 3, 2), np.nan), level=0.95)
    assert (told_apart(nothing, level=0.95) == 0).all()
    assert [part.tolist() for part in rank_ranges(nothing, level=0.95)] == [[1, 1], [2, 2]]


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


def test_equal_columns_are_not_told_apart():
    values = np.repeat(np.random.default_rng(14).normal(size=(3, 20, 1)), 2, axis=2)
    assert paired_differences(values, reference=0, level=0.95).p[1] == 1
    apart = paired_differences(values + [0, 1], reference=0, level=0.95)
    assert apart.p[1] == pytest.approx(0, abs=1e-12)
    with pytest.raises(PlumblineError, match="reference 2"):
        paired_differences(values, reference=2, level=0.95)
    with pytest.raises(PlumblineError, match="reference -1"):
        paired_differences(values, reference=-1, level=0.95)


def test_few_seeds_cannot_test_many_readouts():
    """Three seeds leave two degrees of freedom: Bonferroni's critical value for 20 comparisons is 28, not 3."""
    assert not is_testable(3, 20, level=0.95)
    assert not is_testable(2, 1, level=0.95)
    assert is_testable(3, 1, level=0.95)
    assert is_testable(3, 2, level=0.95)
    assert not is_testable(3, 3, level=0.95)
    assert is_testable(5, 20, level=0.95)
    assert is_testable(1, 1000, level=0.95)


# ------------------------------------------------------------------------------------ selected, equivalent, no mean


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 5])
@pytest.mark.parametrize("correlation", [0.3, 0.8])
def test_interval_of_the_selected_threshold_covers(seeds, correlation):
    """Ten thresholds that do nothing; the best is reported. The usual interval of it says 'better' far too often."""
    rng = np.random.default_rng([15, seeds, int(10 * correlation)])
    naive = held = 0
    for run in range(200):
        shared = correlation**0.5 * layout(rng, seeds, 1, 0)
        own = (1 - correlation) ** 0.5 * layout(rng, seeds, 10, 0)
        values = shared + own
        best = values.mean(axis=(0, 1)).argmax()
        lower, _ = max_statistic_interval(values, resamples=200, level=0.95, seed=run)
        held += lower[best] > 0
        naive += mean_interval(values[:, :, best], resamples=200, level=0.95, seed=run)[0] > 0
    assert naive / 200 > 0.05
    assert held / 200 <= 0.05


def test_max_statistic_interval_of_one_candidate_is_the_ordinary_one():
    values = np.random.default_rng(16).normal(size=(4, 50, 1))
    lower, upper = max_statistic_interval(values, resamples=4000, level=0.95, seed=0)
    expected = mean_interval(values[:, :, 0], **SETTINGS, seed=0)
    assert (lower[0], upper[0]) == pytest.approx(expected, rel=0.06)
    twins = np.repeat(values, 6, axis=2)
    same = max_statistic_interval(twins, resamples=4000, level=0.95, seed=0)
    assert same[0] == pytest.approx(np.full(6, lower[0]), rel=1e-9)  # six equal candidates are one
    twins[0, :, 3] = np.nan
    twins[0, 0, 4] = np.nan
    gaps = max_statistic_interval(twins, resamples=4000, level=0.95, seed=0)
    assert np.isnan(gaps[0][3])
    assert gaps[0][4] == pytest.approx(mean_interval(values[:, 1:, 0], **SETTINGS, seed=0)[0], rel=0.1)


def test_simultaneous_interval_of_independent_normals():
    """The largest of k independent standard normals stays below the quantile that Sidak's formula gives."""
    rng = np.random.default_rng(17)
    resampled = rng.normal(size=(20000, 8)) * np.arange(1, 9)
    lower, upper = simultaneous_interval(np.zeros(8), resampled, level=0.95)
    steps = stats.norm.isf((1 - 0.95 ** (1 / 8)) / 2)
    assert upper == pytest.approx(steps * np.arange(1, 9), rel=0.03)
    assert lower == pytest.approx(-upper)


@pytest.mark.slow
def test_median_differences_are_paired():
    rng = np.random.default_rng(18)
    first = rng.normal(size=200)
    values = np.stack([first, first + 0.5, np.where(np.arange(200) < 50, first - 1, np.nan)], axis=1)
    difference, lower, upper, lowest, uppermost = median_differences(
        values[None], reference=0, **SETTINGS, seed=1
    )
    # A constant shift is known for certain when pairs are kept together.
    assert difference == pytest.approx([0, 0.5, -1])
    assert (lower, upper) == (pytest.approx([0, 0.5, -1]), pytest.approx([0, 0.5, -1]))
    values[:, 1] += rng.normal(size=200)
    difference, lower, upper, lowest, uppermost = median_differences(
        values[None], reference=0, **SETTINGS, seed=1
    )
    theirs = stats.bootstrap((values[:, 1], first), lambda x, y: np.median(x) - np.median(y), paired=True, vectorized=False,
                             n_resamples=2000, method="percentile", rng=np.random.default_rng(2)).confidence_interval  # fmt: skip
    assert (lower[1], upper[1]) == pytest.approx((theirs.low, theirs.high), abs=0.06)
    assert lowest[1] < difference[1] < uppermost[1]
    turned = median_differences(values[None][:, :, [1, 0]], reference=0, **SETTINGS, seed=1)
    assert (turned[1][1], turned[2][1]) == pytest.approx((-upper[1], -lower[1]))


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("standard_errors", [0, 1, 3])
def test_intervals_of_medians_cover_a_new_seed_and_a_new_example(seeds, standard_errors):
    """Medians, differences and ratios of medians; resampling the examples alone fails where seeds differ."""
    rng = np.random.default_rng([26, seeds, standard_errors])
    first, second = (layout(rng, seeds, 400, standard_errors * STANDARD_ERROR) for _ in range(2))
    settings = {"resamples": 200, "seed": 1}
    one, other, twice = (resampled_medians(part, **settings) for part in (first, second, 2 + first))
    ratio = twice.beside(resampled_medians(1 + second, **settings), np.divide)
    for found, truth in ((one, 0), (one.beside(other, np.subtract), 0), (ratio, 2)):
        assert 0.92 <= covers(resampled_interval(found, level=0.95), truth) <= 0.995
    if standard_errors == 3:
        assert covers(percentiles(one.drawn, 0.95)) < 0.9
    # The difference that a verdict rests on is this one.
    pair = np.stack([first[:, :, 0], second[:, :, 0]], axis=2)
    ends = median_differences(pair, reference=1, level=0.95, **settings)
    expected = resampled_interval(one.beside(other, np.subtract), level=0.95)
    assert (ends[1][0], ends[2][0]) == pytest.approx((expected[0][0], expected[1][0]))


def test_intervals_of_medians_of_seeds_by_hand():
    """Seeds that only shift all examples: the jackknife gives their means' variance, the resamples that of one seed."""
    shifts, values = np.array([0.0, 1.0, 5.0]), np.random.default_rng(27).normal(size=41)
    found = resampled_medians((shifts[:, None] + values)[:, :, None], resamples=500, seed=2)
    assert found.value[0] == pytest.approx(np.median(values) + 2)
    of_seed, of_example = shifts.var(ddof=1) / 3, found.drawn[:, 0].var(ddof=1)
    df = (of_seed + of_example) ** 2 / (of_seed**2 / 2 + of_example**2 / 40)
    half = stats.t.ppf(0.975, df) * (of_seed + of_example) ** 0.5
    lower, upper = resampled_interval(found, level=0.95)
    assert (lower[0], upper[0]) == pytest.approx((found.value[0] - half, found.value[0] + half))
    one = resampled_medians(values[None, :, None], resamples=500, seed=2)
    assert resampled_interval(one, level=0.95) == pytest.approx(
        np.quantile(one.drawn, [0.025, 0.975], axis=0)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3, 5, 10])
def test_equivalence_rarely_says_same_at_the_margin(seeds):
    """The true mean lies a margin away from the published number: 'same' in at most 5% of the runs."""
    rng = np.random.default_rng([19, seeds])
    runs = layout(rng, seeds, 400, STANDARD_ERROR if seeds > 1 else 0)
    found = [equivalence(run, -0.1, 0.1, level=0.95) for run in np.moveaxis(runs, 2, 0)]
    assert np.mean([one.verdict == "same" for one in found]) <= 0.07  # .05 and the chance of 400 runs
    centred = [equivalence(run, 0.0, 0.3, level=0.95).verdict for run in np.moveaxis(runs, 2, 0)]
    assert np.mean(np.array(centred) == "same") > 0.8


def test_equivalence_has_three_answers():
    rng = np.random.default_rng(20)
    values = 0.5 + 0.01 * rng.normal(size=(5, 40))
    assert equivalence(values, 0.5, 0.05, level=0.95).verdict == "same"
    assert equivalence(values, 0.8, 0.05, level=0.95).verdict == "different"
    wide = 0.5 + 2 * rng.normal(size=(5, 40))
    assert equivalence(wide, 0.5, 0.05, level=0.95).verdict == "undecided"
    one = values[:1]
    found = equivalence(one, 0.52, 0.05, level=0.95)
    theirs = [
        stats.ttest_1samp(one[0], 0.52 + margin, alternative=side).pvalue
        for margin, side in ((-0.05, "greater"), (0.05, "less"))
    ]
    assert found.p == pytest.approx(max(theirs), rel=1e-9)
    assert (found.lower, found.upper) == pytest.approx(
        tuple(stats.ttest_1samp(one[0], 0).confidence_interval(0.95))
    )
    turned = equivalence(-one, -0.52, 0.05, level=0.95)
    assert turned.p == pytest.approx(found.p)
    stricter = equivalence(one, 0.52, 0.05, level=0.95, rounding=0.005)
    assert stricter.p == pytest.approx(equivalence(one, 0.52, 0.045, level=0.95).p)
    assert equivalence(np.full((2, 3), 0.5), 0.5, 0.01, level=0.95).verdict == "same"
    assert equivalence(np.full((2, 3), 0.5), 0.6, 0.01, level=0.95).verdict == "different"
    for published, margin, rounding in ((np.nan, 0.1, 0), (0.5, 0, 0), (0.5, 0.01, 0.02)):
        with pytest.raises(PlumblineError, match="equivalence"):
            equivalence(values, published, margin, level=0.95, rounding=rounding)


@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_pseudo_value_interval_of_a_ratio_covers(seeds):
    rng = np.random.default_rng([21, seeds])
    ratio = lambda means: means[..., 0] / means[..., 1]  # noqa: E731
    runs = layout(rng, seeds, 300, STANDARD_ERROR if seeds > 1 else 0, columns=2) + [2.0, 1.0]
    intervals = [pseudo_value_interval(runs[:, :, run], ratio, level=0.95, seed=run) for run in range(300)]
    assert 0.91 <= covers(np.array(intervals).T, 2.0) <= 0.99


def test_pseudo_value_interval_of_a_mean_is_that_of_the_mean():
    """A mean's pseudo-values are the cells themselves, where every group is one example."""
    values = np.random.default_rng(22).normal(size=(3, 20, 1))
    found = pseudo_value_interval(values, lambda means: means[..., 0], level=0.95, seed=0, groups=20)
    assert found == pytest.approx(mean_interval(values[:, :, 0], **SETTINGS, seed=0), rel=1e-9)
    gaps = np.concatenate([values, np.full((3, 1, 1), np.nan)], axis=1)
    assert pseudo_value_interval(
        gaps, lambda means: means[..., 0], level=0.95, seed=0, groups=20
    ) == pytest.approx(found)
    assert np.isnan(
        pseudo_value_interval(values[:, :1], lambda means: means[..., 0], level=0.95, seed=0)
    ).all()


def test_pseudo_values_of_a_ratio_by_hand():
    """Groups of unlike sizes: each cell of seed and group is left out in a plain loop."""
    values = np.random.default_rng(2).uniform(1, 3, size=(2, 7, 2))
    place = np.random.default_rng(5).permutation(7) % 3
    whole, pseudo = values[:, :, 0].sum() / values[:, :, 1].sum(), np.empty((2, 3))
    for seed in range(2):
        for group in range(3):
            kept = np.ones((2, 7), bool)
            kept[seed, place == group] = False
            pseudo[seed, group] = 6 * whole - 5 * values[kept][:, 0].sum() / values[kept][:, 1].sum()
    lower, upper = mean_interval(pseudo, level=0.9, resamples=1, seed=0)
    half = (upper - lower) / 2
    found = pseudo_value_interval(
        values, lambda means: means[..., 0] / means[..., 1], level=0.9, seed=5, groups=3
    )
    assert found == pytest.approx((whole - half, whole + half))


def test_medians_of_one_seed_are_those_of_its_examples():
    values = np.random.default_rng(4).normal(size=(1, 25, 3))
    values[0, 4, 1] = np.nan
    # A column without any number stands between them and takes nothing from those behind it.
    found = resampled_medians(np.insert(values, 1, np.nan, axis=2), resamples=50, seed=7)
    assert np.isnan(found.drawn[:, 1]).all() and np.isnan(found.value[1])
    found = Resampled(*(np.delete(part, 1, axis=-1) for part in found))
    plain = np.nanmedian(values[0], axis=0)
    np.testing.assert_allclose(found.value, plain)
    np.testing.assert_allclose(found.without, plain[None])
    assert found.examples.tolist() == [25, 24, 25]
    drawn = [
        np.nanmedian(np.repeat(values[0], counts, axis=0), axis=0)
        for counts in resampled_counts(25, resamples=50, seed=7)
    ]
    np.testing.assert_allclose(found.drawn, drawn)
    np.testing.assert_allclose(resampled_interval(found, level=0.9), np.quantile(drawn, [0.05, 0.95], axis=0))


def test_equivalence_of_two_samples_by_hand():
    """Errors of .003 and .004 make one of .005: 1.8 of them lie between a difference of .01 and a margin of .02 - .001."""
    found = equivalence_of_samples(0.8, 0.003, 0.79, 0.004, 0.02, level=0.95, rounding=0.001)
    assert found.mean == pytest.approx(0.01) and found.verdict == "same"
    assert (found.lower, found.upper) == pytest.approx((0.01 - 1.959964 * 0.005, 0.01 + 1.959964 * 0.005))
    assert found.p == pytest.approx(0.0359303, rel=1e-4)
    assert equivalence_of_samples(
        0.79, 0.004, 0.8, 0.003, 0.02, level=0.95, rounding=0.001
    ).p == pytest.approx(found.p)
    for mean, margin, word in (
        (0.8015, 0.02, "different"), (0.7785, 0.02, "different"), (0.8, 0.015, "undecided"), (0.8, None, "undecided"),
        (0.7, None, "different"), (0.9, None, "different"),
    ):  # fmt: skip
        found = equivalence_of_samples(mean, 0.003, 0.79, 0.004, margin, level=0.95, rounding=0.001)
        assert (found.verdict, found.p == 1) == (word, margin is None), (mean, margin)
    # The rounding decides: the interval (.0002, .0198) meets +-.001, and not +-.0001.
    words = [
        equivalence_of_samples(0.8, 0.003, 0.79, 0.004, None, level=0.95, rounding=size).verdict
        for size in (0.001, 0.0001)
    ]
    assert words == ["undecided", "different"]
    for change, said in (
        ({"margin": 0.001}, "margin 0.001 must be above rounding 0.001"),
        ({"mean": np.nan}, "equivalence: means, margin and rounding must be numbers"),
        ({"error": np.inf}, "equivalence: means, margin and rounding must be numbers"),
    ):
        given = {
            "mean": 0.8,
            "error": 0.003,
            "published": 0.79,
            "published_error": 0.004,
            "margin": 0.02,
        } | change
        with pytest.raises(PlumblineError, match=said):
            equivalence_of_samples(**given, level=0.95, rounding=0.001)
