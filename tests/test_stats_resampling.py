"""Statistics by resampling and pseudo-values: the selected of several, medians, ratios; their coverage is simulated."""

import numpy as np
import pytest
from scipy import stats

from plumbline.stats import (
    Resampled,
    max_statistic_interval,
    mean_interval,
    median_differences,
    percentiles,
    pseudo_value_interval,
    resampled_counts,
    resampled_interval,
    resampled_medians,
    simultaneous_interval,
)
from tests.simulated import STANDARD_ERROR, covers, layout

SETTINGS = {"resamples": 1000, "level": 0.95}


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
    theirs = stats.bootstrap(
        (values[:, 1], first),
        lambda x, y: np.median(x) - np.median(y),
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
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
