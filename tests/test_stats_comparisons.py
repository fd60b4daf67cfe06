"""Statistics of comparisons: pairs of seeds, paired differences, Holm, equivalence; their coverage is simulated."""

import numpy as np
import pytest
from scipy import stats

from plumbline.errors import PlumblineError
from plumbline.stats import (
    all_pairs,
    bootstrap_interval,
    equivalence,
    equivalence_of_samples,
    holm,
    is_testable,
    pair_interval,
    paired_differences,
    rank_ranges,
    told_apart,
    verdict,
)
from tests.simulated import COVERED, EXAMPLES, OF_EXAMPLE, REST, STANDARD_ERROR, covers, layout


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
        (0.8015, 0.02, "different"),
        (0.7785, 0.02, "different"),
        (0.8, 0.015, "undecided"),
        (0.8, None, "undecided"),
        (0.7, None, "different"),
        (0.9, None, "different"),
    ):
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
