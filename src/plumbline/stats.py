"""Statistics of tables and figures: intervals over examples and training seeds, paired tests, equivalence. No torch.

A number of a table is a mean of x[seed, example], and every seed reads the same examples:

    x = mean + seed effect + example effect + rest.

The statement is about a new seed and a new example, so the variance is that of the two-way layout (Satterthwaite 1946;
Searle, Casella and McCulloch 1992, chapter 4). With one seed there is no seed effect to estimate, and the statement is
about this checkpoint and a new example. tests/test_stats.py simulates what each function promises.

NaN is a missing cell. An example counts where it has a number under every seed (complete examples).
"""

from typing import NamedTuple

import numpy as np

from .arrays import array, is_number, is_whole, whole
from .errors import PlumblineError

MOST_RESAMPLES = 10**7  # more is a slip, and would not fit the memory


def resampled_counts(count, *, resamples, seed):
    """How often each example is drawn, a row a resample.

    Parameters
    ----------
    count : int
        The number of examples.
    resamples : int
        The number of resamples.
    seed : int or numpy.random.Generator
        See `bootstrap_interval`. A generator goes on.

    Returns
    -------
    numpy.ndarray, int64, shape (resamples, count)
        A row sums to `count`.
    """
    whole(resamples, "resamples", low=1, high=MOST_RESAMPLES)
    return _generator(seed).multinomial(count, np.full(count, 1 / count), size=resamples)


def bootstrap_interval(values, *, resamples, level, seed, ragged=False, weights=None):
    """Percentile bootstrap interval of the mean over examples (Efron 1979).

    Parameters
    ----------
    values : array_like of float, shape (examples,) or (examples, columns)
        In any unit. A resample draws the same examples for every column, so columns can be compared and their order changes
        nothing.
    resamples : int
        The number of resamples.
    level : float
        Coverage, in (0, 1).
    seed : int or numpy.random.Generator
        From plumbline.seeds.seed_of and names (what is resampled), never a running number.
    ragged : bool
        True: NaN means that the example lacks that column (a curve that has ended, an undefined correlation). Each mean then runs
        over the examples that have it, in every resample too. A column without any number gives NaN. False: NaN is an error.
    weights : array_like of float, shape (examples,), optional
        Positive. The mean is weighted by them, in every resample too. None: equally.

    Returns
    -------
    lower, upper : float or numpy.ndarray, float64, shape (columns,)
        In the unit of `values`. Floats for one column.

    Raises
    ------
    PlumblineError
        Where there is no example, or a number is not finite.
    """
    values = _numbers(values)
    missing = np.isnan(values)
    if values.ndim not in (1, 2):
        raise PlumblineError(
            f"values must be (examples,) or (examples, columns), not of shape {values.shape}"
        )
    if not len(values):
        raise PlumblineError("a bootstrap interval of no examples was asked for: check the run's `examples`")
    if np.isinf(values).any() or (missing.any() and not ragged):
        raise PlumblineError("a bootstrap interval of numbers that are not finite was asked for")
    _checked(level)
    count = len(values)
    draws = resampled_counts(count, resamples=resamples, seed=seed).astype(np.float64)
    shares = (~missing).astype(np.float64)
    if weights is not None:
        shares *= np.reshape(weights, (-1,) + (1,) * (values.ndim - 1))
    totals = _counted_sums(draws, np.where(missing, 0.0, values) * shares)
    drawn = _counted_sums(draws, shares)
    with np.errstate(invalid="ignore"):
        means = np.where(drawn > 0, totals / np.where(drawn > 0, drawn, 1), np.nan)
    lower, upper = percentiles(means.reshape(resamples, -1), level)
    return (float(lower[0]), float(upper[0])) if values.ndim == 1 else (lower, upper)


def wilson_interval(successes, n, level=0.95):
    """Wilson's score interval of a proportion (Wilson 1927).

    Parameters
    ----------
    successes, n : int
        So many of so many.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : float
        In [0, 1].

    Raises
    ------
    PlumblineError
        For numbers that are not whole, or more successes than `n`.
    """
    from scipy.stats import binomtest

    successes, n = whole(successes, "successes"), whole(n, "n", low=1, high=2**53)
    if successes > n:
        raise PlumblineError(f"a proportion of {successes} in {n} was asked for")
    ends = binomtest(int(successes), int(n)).proportion_ci(_checked(level), method="wilson")
    return float(ends.low), float(ends.high)


def t_interval(values, level=0.95):
    """Student's t interval of the mean of a few independent values (training seeds).

    It answers "these sentences, new seeds". For a mean over examples as well, take `mean_interval`.

    Parameters
    ----------
    values : array_like of float
        In any unit.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : float
        In the unit of `values`.

    Raises
    ------
    PlumblineError
        For fewer than two values, for which there is no such interval.
    """
    values = _numbers(values)
    if not np.isfinite(values).all():
        raise PlumblineError("an interval over seeds needs numbers that are finite")
    if values.size < 2:
        raise PlumblineError("an interval over seeds needs at least two seeds")
    lower, upper = _around(values.mean(), values.var(ddof=1) / values.size, values.size - 1, level)
    return float(lower), float(upper)


def mean_interval(values, *, level, resamples, seed, weights=None):
    """Interval of the mean over training seeds and examples, for a new seed and a new example.

    From two seeds on: mean +- t sqrt(V) of the two-way layout, with Satterthwaite's degrees of freedom, at least the number of
    seeds less one. One seed: percentile bootstrap over examples, for this checkpoint alone.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples) or (seeds, examples, columns)
        In any unit. Every seed has the same examples. NaN: a missing cell; a column's interval is around the mean of its complete
        examples.
    level : float
        Coverage, in (0, 1).
    resamples, seed
        Of the bootstrap that stands in for the two-way interval where there is one seed, see `bootstrap_interval`.
    weights : array_like of float, shape (examples,), optional
        Positive. The mean is weighted by them (values that an example pools). None: equally.

    Returns
    -------
    lower, upper : float or numpy.ndarray, float64, shape (columns,)
        In the unit of `values`. Floats for values (seeds, examples). NaN for a column with fewer than two complete examples.

    Raises
    ------
    PlumblineError
        For another shape, no cell, or a number that is infinite.

    Notes
    -----
    Simulated coverage of 95%: 94 to 97%; 92 to 93% for 3 seeds that differ by more than twice the standard error over
    examples. The bootstrap that resamples seeds and other examples for each of them covers 61 to 85%.
    """
    cells = _cells(values)
    (
        whole(resamples, "resamples", low=1, high=MOST_RESAMPLES),
        _generator(seed),
    )  # said too where they are not needed
    if len(cells) == 1:
        settings = {"resamples": resamples, "level": level, "seed": seed, "weights": weights}
        lower, upper = bootstrap_interval(cells[0], **settings, ragged=True)
        few = np.count_nonzero(~np.isnan(cells[0]), axis=0) < 2
        lower, upper = np.where(few, np.nan, lower), np.where(few, np.nan, upper)
    else:
        error = _two_way(_linear(cells, weights))
        lower, upper = _around(error.mean, error.variance, error.df, level)
    return (float(lower[0]), float(upper[0])) if _numbers(values).ndim == 2 else (lower, upper)


def complete_mean(values, weights=None):
    """The mean that `mean_interval` is around, and the number of examples in it.

    Parameters
    ----------
    values, weights
        See `mean_interval`.

    Returns
    -------
    mean : float or numpy.ndarray, float64, shape (columns,)
        A float for values (seeds, examples). NaN where no example is complete.
    examples : int or numpy.ndarray, int64, shape (columns,)
        The number of complete examples.
    """
    error = _two_way(_linear(_cells(values), weights))
    if _numbers(values).ndim == 2:
        return float(error.mean[0]), int(error.examples[0])
    return error.mean, error.examples


def over_seeds(values, *, level, resamples, seed, weights=None):
    """Means of columns over training seeds and examples, with their intervals. A column may lack a seed as a whole.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, columns)
        In any unit. NaN: a missing cell. A column's numbers are over the seeds that it has at all.
    level, resamples, seed, weights
        See `mean_interval`.

    Returns
    -------
    dict of str to numpy.ndarray, shape (columns,)
        mean, lower, upper: float64, those of `complete_mean` and `mean_interval`; NaN for a column without any number.
        examples: int64, the number of complete examples.

    Raises
    ------
    PlumblineError
        As `mean_interval` does.
    """
    cells = _cells(values, ndim=3)
    settings = {"level": _checked(level), "resamples": resamples, "seed": seed, "weights": weights}
    found = {name: np.full(cells.shape[2], np.nan) for name in ("mean", "lower", "upper")}
    found["examples"] = np.zeros(cells.shape[2], dtype=np.int64)
    there = ~np.isnan(cells).all(axis=1)  # (seeds, columns)
    for pattern in np.unique(there, axis=1).T:
        places = np.flatnonzero((there == pattern[:, None]).all(axis=0))
        if not pattern.any():
            continue
        own = cells[pattern][:, :, places]
        found["mean"][places], found["examples"][places] = complete_mean(own, weights)
        found["lower"][places], found["upper"][places] = mean_interval(own, **settings)
    return found


def summary_interval(means, deviations, examples, *, level):
    """`mean_interval` where each seed's numbers over its examples are at hand, and the examples' values are not.

    How far examples agree between seeds is then unknown. All of their spread counts as shared by the seeds, which makes
    the interval at most wider. V = variance of the means / seeds + mean of deviation^2 / (examples - 1).

    Parameters
    ----------
    means, deviations, examples : array_like of float, shape (seeds, columns)
        Mean, population standard deviation and number of examples of each seed.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : numpy.ndarray, float64, shape (columns,)
        Around the mean of the means, in their unit. NaN where a seed has fewer than two examples.

    Raises
    ------
    PlumblineError
        For fewer than two seeds, whose own interval is the one over its examples, for other shapes, and for negative deviations
        or numbers of examples.
    """
    means, deviations, examples = (
        _numbers(part, name, (2,))
        for part, name in ((means, "means"), (deviations, "deviations"), (examples, "examples"))
    )
    if not means.shape == deviations.shape == examples.shape:
        raise PlumblineError(
            f"means, deviations and examples must have one shape, not {means.shape}, {deviations.shape}, {examples.shape}"
        )
    if (deviations < 0).any() or (examples < 0).any() or np.isinf([means, deviations, examples]).any():
        raise PlumblineError("deviations and numbers of examples are at least 0, and all numbers finite")
    if len(means) < 2:
        raise PlumblineError("an interval over seeds needs at least two seeds")
    degrees = np.where(examples > 1, examples - 1, np.nan)
    of_seed = means.var(axis=0, ddof=1) / len(means)
    of_example = (deviations**2 / degrees).mean(axis=0)
    freedom = degrees.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        df = (of_seed + of_example) ** 2 / (of_seed**2 / (len(means) - 1) + of_example**2 / freedom)
    return _around(means.mean(axis=0), of_seed + of_example, np.fmax(len(means) - 1, df), level)


def pair_interval(values, *, level):
    """Interval of the mean over pairs of training seeds (consistency): jackknife over seeds with Student's t.

    Pairs that share a seed are not independent, so seeds are left out one by one (Arvesen 1969, jackknife of a U-statistic).
    Simulated coverage of 95%: 95 to 98%, from 3 seeds on.

    Parameters
    ----------
    values : array_like of float, shape (seeds, seeds)
        Symmetric, in any unit. The diagonal does not count, NaN is an undefined pair. A seed without any pair does not count.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : float
        In the unit of `values`. NaN for fewer than three seeds, or where one seed takes part in every defined pair.

    Raises
    ------
    PlumblineError
        Where `values` is not square and symmetric, or a number is infinite.
    """
    values = _numbers(values).copy()
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise PlumblineError(f"pairs of seeds must be a square matrix, not of shape {values.shape}")
    if np.isinf(values).any() or not np.allclose(values, values.T, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise PlumblineError(
            "pairs of seeds must be a symmetric matrix of finite numbers (NaN: an undefined pair)"
        )
    np.fill_diagonal(values, np.nan)
    defined = ~np.isnan(values)
    kept = defined.any(axis=1)
    values, defined = values[kept][:, kept], defined[kept][:, kept]
    count = len(values)
    left = defined.sum() - 2 * defined.sum(axis=1)  # each pair stands twice
    if count < 3 or not left.all():
        return float("nan"), float("nan")
    without = (np.nansum(values) - 2 * np.nansum(values, axis=1)) / left
    variance = (count - 1) / count * ((without - without.mean()) ** 2).sum()
    lower, upper = _around(np.nansum(values) / defined.sum(), variance, count - 1, level)
    return float(lower), float(upper)


# ------------------------------------------------------------------------------------------ paired comparisons


class Differences(NamedTuple):
    """Paired differences; NaN for the reference itself.

    Attributes
    ----------
    mean : numpy.ndarray, float64, shape (columns,)
        Column less reference, over the examples that both have under every seed.
    lower, upper : numpy.ndarray, float64, shape (columns,)
        Its interval, not adjusted for the number of comparisons.
    p : numpy.ndarray, float64, shape (columns,)
        Two-sided; at most 1 - level where the interval does not hold 0.
    adjusted : numpy.ndarray, float64, shape (columns,)
        p after Holm's correction over all comparisons made.
    """

    mean: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p: np.ndarray
    adjusted: np.ndarray


def paired_differences(values, *, reference, level):
    """Compare each column with one that was chosen beforehand, on the error term of seeds and examples.

    The statistic is mean / sqrt(V) of the two-way layout with seeds less one degrees of freedom, which keeps the rate of
    any false rejection among 20 comparisons at or below 5% (Satterthwaite's degrees of freedom give 6 to 11%). One seed:
    the paired t test over examples, for this checkpoint alone. See `is_testable`.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, columns)
        In any unit. NaN: a missing cell, whose example drops out of that comparison.
    reference : int
        The column's place. Where these numbers chose it (the best), take `all_pairs`.
    level : float
        Coverage of the intervals, in (0, 1).

    Returns
    -------
    Differences
        Of arrays (columns,).

    Raises
    ------
    PlumblineError
        As `mean_interval` does, and for a reference that is no column.
    """
    cells = _cells(values, ndim=3)
    columns = cells.shape[2]
    if not is_whole(reference) or not 0 <= reference < columns:
        raise PlumblineError(f"reference {reference!r} is not one of {columns} columns")
    mean, lower, upper, p = _compared(cells, reference, level)
    return Differences(mean, lower, upper, p, holm(p))


def all_pairs(values, *, level):
    """Compare every column with every other one, on the error term of `paired_differences`, with Holm's correction over all pairs.

    Whatever is selected by these numbers (the best, a rank), no pair that is alike is told apart in more than 5% of runs.

    Parameters
    ----------
    values, level
        See `paired_differences`.

    Returns
    -------
    Differences
        Of arrays (columns, columns): [reference, column] is column less reference. NaN on the diagonal.

    Raises
    ------
    PlumblineError
        As `mean_interval` does.
    """
    cells = _cells(values, ndim=3)
    columns = cells.shape[2]
    compared = [_compared(cells, reference, level) for reference in range(columns)]
    mean, lower, upper, p = (np.stack(part) for part in zip(*compared, strict=True))
    above = np.triu_indices(columns, 1)  # each pair once
    adjusted = np.full((columns, columns), np.nan)
    adjusted[above] = adjusted.T[above] = holm(p[above])
    return Differences(mean, lower, upper, p, adjusted)


def told_apart(pairs, *, level):
    """What `all_pairs` tells apart.

    Parameters
    ----------
    pairs : Differences
        Of `all_pairs`.
    level : float
        Of `all_pairs`.

    Returns
    -------
    numpy.ndarray, int64, shape (columns, columns)
        1 where the column is above the reference, -1 where it is below, else 0.
    """
    found = (pairs.adjusted <= 1 - _checked(level)) * np.sign(np.nan_to_num(pairs.mean))
    return found.astype(np.int64)


def rank_ranges(pairs, *, level):
    """The ranks that each column may have, 1 the highest.

    Those told apart as better stand before a column, those told apart as worse behind it. All ranges hold together with
    probability `level` (Mohamad, Goeman and van Zwet 2019).

    Parameters
    ----------
    pairs : Differences
        Of `all_pairs`.
    level : float
        Of `all_pairs`.

    Returns
    -------
    lowest, highest : numpy.ndarray, int64, shape (columns,)
        The lowest and the highest rank.
    """
    signs = told_apart(pairs, level=level)
    return 1 + (signs < 0).sum(axis=0), signs.shape[0] - (signs > 0).sum(axis=0)


def holm(p):
    """Holm's step-down correction (Holm 1979).

    Parameters
    ----------
    p : array_like of float
        In [0, 1]. NaN is no comparison, is not counted and stays NaN.

    Returns
    -------
    numpy.ndarray, float64
        Adjusted p values, of the same shape.

    Raises
    ------
    PlumblineError
        For a p outside [0, 1].
    """
    p = _numbers(p, "p")
    if ((p < 0) | (p > 1)).any():
        raise PlumblineError("a p value must be in [0, 1]")
    places = np.flatnonzero(~np.isnan(p))
    order = places[np.argsort(p.ravel()[places], kind="stable")]
    adjusted = np.full(p.size, np.nan)
    steps = p.ravel()[order] * (order.size - np.arange(order.size))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.reshape(p.shape)


def is_testable(seeds, comparisons, *, level):
    """Whether so few seeds can tell anything apart in a family of so many comparisons.

    Parameters
    ----------
    seeds, comparisons : int
        Their numbers.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    bool
        False where the critical value of Holm's first step is more than three times that of infinitely many seeds: 3 seeds test at
        most 2 comparisons, 4 seeds 16, 5 seeds 107. One seed is tested over its examples: True.
    """
    from scipy.stats import norm, t

    seeds = whole(seeds, "seeds", low=1, high=MOST_RESAMPLES)
    comparisons, level = whole(comparisons, "comparisons"), _checked(level)
    if seeds == 1 or comparisons < 1:
        return True
    tail = (1 - level) / (2 * comparisons)
    return bool(t.isf(tail, seeds - 1) <= 3 * norm.isf(tail))


def verdict(lower, upper):
    """What the interval of a paired difference says whose positive side is better.

    Parameters
    ----------
    lower, upper : float
        The ends. NaN: no interval could be made.

    Returns
    -------
    {'better', 'worse', 'not told apart'}
        NaN tells nothing apart.

    Raises
    ------
    PlumblineError
        Where `lower` is above `upper`.
    """
    ends = [array(end, "an interval's end") for end in (lower, upper)]
    if any(end.ndim or end.dtype.kind == "b" for end in ends):
        raise PlumblineError("an interval's ends are one number each")
    if lower > upper:
        raise PlumblineError(f"an interval's lower end {lower:g} is above its upper end {upper:g}")
    if lower > 0:
        return "better"
    return "worse" if upper < 0 else "not told apart"


class Equivalence(NamedTuple):
    """What `equivalence` finds of one mean.

    Attributes
    ----------
    mean : float
        The mean; of two samples the difference of means. In the unit of the values.
    lower, upper : float
        Its interval, in the unit of the values.
    p : float
        The larger one of the two one-sided tests.
    verdict : {'same', 'different', 'undecided'}
        See `equivalence`.
    """

    mean: float
    lower: float
    upper: float
    p: float
    verdict: str


def equivalence(values, published, margin, *, level, rounding=0.0):
    """Whether a mean is the published value, up to a margin: two one-sided tests (Schuirmann 1987).

    Error term and degrees of freedom are those of `mean_interval`; with one seed, of Student's t over examples.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples)
        NaN: see `mean_interval`.
    published : float
        The printed number, in the unit of `values`.
    margin : float
        Half the width, above 0, inside which a difference does not matter.
    level : float
        Coverage of the interval that decides 'different'. Each one-sided test is at 1 - level.
    rounding : float
        Half a unit of the last printed digit (.0005 for three), which is taken off the margin: the test must hold for every
        number that would be printed so.

    Returns
    -------
    Equivalence
        (mean, lower, upper, p, verdict). p is the larger one of the two tests. verdict is 'same' where p is at most 1 - level,
        'different' where the interval does not meet published +- rounding, else 'undecided'. A mean inside the margin for sure
        and off the printed value for sure is 'same', as the margin says that it does not matter.

    Raises
    ------
    PlumblineError
        As `mean_interval` does, for a margin that is not above the rounding, or a published NaN.
    """
    from scipy.stats import t

    if not all(map(is_number, (published, margin, rounding))) or not 0 <= rounding < margin:
        raise PlumblineError(
            f"equivalence: published {published!r} must be a number, and margin {margin!r} above rounding {rounding!r}"
        )
    error = _two_way(_cells(values, ndim=2))
    mean, variance, df = (float(part[0]) for part in (error.mean, error.variance, error.df))
    lower, upper = (float(end) for end in _around(mean, variance, df, level))
    scale = variance**0.5
    room = margin - rounding - abs(mean - published)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = float(t.sf(np.divide(room, scale), df))
    if p <= 1 - level:
        word = "same"
    elif lower > published + rounding or upper < published - rounding:
        word = "different"
    else:
        word = "undecided"
    return Equivalence(mean, lower, upper, p, word)


def equivalence_of_samples(mean, error, published, published_error, margin, *, level, rounding=0.0):
    """`equivalence` of two independent samples of which means and standard errors are at hand alone.

    Parameters
    ----------
    mean, published : float
        Of the two samples, in one unit.
    error, published_error : float
        Their standard errors, known well enough for the normal distribution (hundreds of examples).
    margin : float or None
        As for `equivalence`. None: equivalence is not tested.
    level, rounding
        See `equivalence`.

    Returns
    -------
    Equivalence
        mean, lower and upper are those of the difference mean - published.

    Raises
    ------
    PlumblineError
        For a margin that is not above the rounding, a negative error, or a number that is not finite.
    """
    from scipy.stats import norm

    given = (mean, error, published, published_error, rounding, 1.0 if margin is None else margin)
    if not all(map(is_number, given)) or min(error, published_error) < 0:
        raise PlumblineError(
            "equivalence: means, margin and rounding must be numbers, errors numbers of at least 0"
        )
    if rounding < 0 or (margin is not None and rounding >= margin):
        raise PlumblineError(
            f"equivalence: margin {margin!r} must be above rounding {rounding!r}, at least 0"
        )
    difference, variance = mean - published, error**2 + published_error**2
    lower, upper = (float(end) for end in _around(difference, variance, np.inf, level))
    room = -np.inf if margin is None else margin - rounding - abs(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = float(norm.sf(np.divide(room, variance**0.5)))
    if p <= 1 - level:
        word = "same"
    elif lower > rounding or upper < -rounding:
        word = "different"
    else:
        word = "undecided"
    return Equivalence(difference, lower, upper, p, word)


# ------------------------------------------------------------------------------- selection, and what is no mean


def simultaneous_interval(estimates, resampled, *, level, errors=None, df=np.inf):
    """Intervals of several estimates that hold all at once, so that one may be selected by what it shows.

    The maximum statistic: the quantile of max |resampled - estimate| / sd over resamples says how many standard errors all
    estimates stay within together. Correlated estimates need fewer than Bonferroni's.

    Parameters
    ----------
    estimates : array_like of float, shape (columns,)
        In any unit.
    resampled : array_like of float, shape (resamples, columns)
        The same estimates of resamples.
    level : float
        Coverage of all intervals together, in (0, 1).
    errors : array_like of float, shape (columns,), optional
        Standard errors. None: the resamples' own.
    df : float or array_like of float, shape (columns,)
        Degrees of freedom of `errors`.

    Returns
    -------
    lower, upper : numpy.ndarray, float64, shape (columns,)
        In the unit of the estimates. NaN where an estimate is NaN.
    """
    from scipy.stats import norm, t

    estimates = _numbers(estimates, "estimates")
    spread = _spread(resampled)
    used = (spread > 0) & ~np.isnan(estimates)
    width = 0.0
    if used.any():
        steps = np.abs(resampled[:, used] - estimates[used]) / spread[used]
        # A resample may lack every example that a rare column has.
        steps = steps[~np.isnan(steps).all(axis=1)]
        width = np.quantile(np.nanmax(steps, axis=1), _checked(level))
    # So many standard errors of the normal distribution leave this tail, which Student's t leaves further out.
    half = t.isf(norm.sf(width), df) * (spread if errors is None else errors)
    return estimates - half, estimates + half


def max_statistic_interval(values, *, level, resamples, seed):
    """Intervals of the means of several candidates, one of which is then selected (a threshold, a readout).

    The means of the resamples set the width in standard errors (see `simultaneous_interval`). The two-way layout sets the
    standard error and its degrees of freedom. Seeds and examples are resampled independently of each other.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, candidates)
        Differences or scores. NaN: see `mean_interval`. For the best of several thresholds against a rival, give the differences
        to that rival.
    level, resamples, seed
        See `bootstrap_interval`.

    Returns
    -------
    lower, upper : numpy.ndarray, float64, shape (candidates,)
        In the unit of `values`.
    """
    error = _two_way(_cells(values, ndim=3))
    resampled = resampled_means(values, resamples=resamples, seed=seed)
    return simultaneous_interval(error.mean, resampled, level=level, errors=error.variance**0.5, df=error.df)


def resampled_means(values, *, resamples, seed):
    """Means over resamples of seeds and examples, which are drawn independently of each other.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, columns)
        NaN: see `mean_interval`. A resample draws the same seeds and examples for every column.
    resamples, seed
        See `bootstrap_interval`. A generator goes on.

    Returns
    -------
    numpy.ndarray, float64, shape (resamples, columns)
        In the unit of `values`. NaN where a resample holds no complete example.
    """
    cells = _cells(values, ndim=3)
    whole = ~np.isnan(cells).any(axis=0)
    filled = np.where(whole, cells, 0.0)
    generator = _generator(seed)
    draws = resampled_counts(cells.shape[1], resamples=resamples, seed=generator).astype(np.float64)
    shares = resampled_counts(len(cells), resamples=resamples, seed=generator) / len(cells)
    totals = sum(
        share[:, None] * _counted_sums(draws, part) for share, part in zip(shares.T, filled, strict=True)
    )
    drawn = draws @ whole
    return np.divide(totals, drawn, out=np.full_like(totals, np.nan), where=drawn > 0)


def pseudo_value_interval(values, statistic, *, level, seed, groups=30):
    """Interval of a smooth function of means over seeds and examples (a ratio of means), not of medians.

    Pseudo-values (Tukey 1958) of the cells of seeds and groups of examples, whose mean has the two-way layout of
    `mean_interval`. Simulated coverage of 95% for a ratio: 92 to 98%.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, columns)
        Examples that lack any cell are left out.
    statistic : callable
        A function of means, from shape (..., columns) to (...), such as lambda means: means[..., 0] / means[..., 1].
    level : float
        Coverage, in (0, 1).
    seed : int
        Of the draw of groups.
    groups : int
        Into how many groups the examples are drawn, at most their number.

    Returns
    -------
    lower, upper : float
        In the unit of the statistic. NaN for fewer than two complete examples.

    Raises
    ------
    PlumblineError
        As `mean_interval` does.
    """
    cells = _cells(values, ndim=3)
    cells = cells[:, ~np.isnan(cells).any(axis=(0, 2))]
    seeds, count, columns = cells.shape
    if count < 2:
        return float("nan"), float("nan")
    groups = min(groups, count)
    place = _generator(seed).permutation(count) % groups
    sums = np.stack([cells[:, place == group].sum(axis=1) for group in range(groups)], axis=1)
    sizes = np.bincount(place, minlength=groups)[:, None]
    theta = statistic(sums.sum(axis=(0, 1)) / (seeds * count))
    without = statistic((sums.sum(axis=(0, 1)) - sums) / (seeds * count - sizes))
    cells = seeds * groups
    error = _two_way((cells * theta - (cells - 1) * without)[:, :, None])
    lower, upper = _around(theta, error.variance[0], error.df[0], level)
    return float(lower), float(upper)


class Resampled(NamedTuple):
    """A statistic that is no mean, such as a median, and what its interval is made from.

    Attributes
    ----------
    value : numpy.ndarray, float64, shape (columns,)
        Of all seeds and examples.
    drawn : numpy.ndarray, float64, shape (resamples, columns)
        Of resamples of the examples, under all seeds together.
    without : numpy.ndarray, float64, shape (seeds, columns)
        Of all seeds but one; of one seed alone, that of it.
    examples : numpy.ndarray, shape (columns,)
        The number of examples.
    """

    value: np.ndarray
    drawn: np.ndarray
    without: np.ndarray
    examples: np.ndarray

    def beside(self, other, function):
        """The statistic function(own, other's), such as a difference of two; both were resampled with one seed."""
        pairs = zip(self[:-1], other[:-1], strict=True)
        return Resampled(*(function(own, theirs) for own, theirs in pairs), self.examples)


def resampled_interval(found, *, level):
    """Interval of each column of a Resampled statistic, for a new seed and a new example.

    One seed: percentiles of the resamples, for this checkpoint alone. From two seeds on: value +- t sqrt(V), where V is the
    variance over resamples of the examples plus the jackknife's over seeds, with Satterthwaite's degrees of freedom, at least
    the seeds less one. What seeds and examples share counts twice, which makes the interval at most wider. Simulated
    coverage of 95% for medians and differences of medians: 93 to 98%.

    Parameters
    ----------
    found : Resampled
        The statistic.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : numpy.ndarray, float64, shape (columns,)
        In the unit of the statistic.
    """
    if len(found.without) == 1:
        return percentiles(found.drawn, level)
    variance, df = _variance(found)
    return _around(found.value, variance, df, level)


def median_differences(values, *, reference, level, resamples, seed, families=None, medians=None):
    """Median of each column less that of a reference column: paired, with ordinary and simultaneous intervals.

    Parameters
    ----------
    values, reference, resamples, seed, medians
        See `paired_medians`.
    level : float
        Coverage, in (0, 1).
    families : sequence, shape (columns,), optional
        Names: among which columns one may be selected. None: among all.

    Returns
    -------
    difference : numpy.ndarray, float64, shape (columns,)
        In the unit of `values`.
    lower, upper : numpy.ndarray, float64, shape (columns,)
        Those of `resampled_interval`, for a column chosen beforehand.
    lowest, uppermost : numpy.ndarray, float64, shape (columns,)
        They hold for all columns of a family at once, for one that was selected (`simultaneous_interval`, the width from the
        resamples of examples).
    """
    settings = {"resamples": resamples, "seed": seed}
    own, other = paired_medians(values, reference=reference, medians=medians, **settings)
    found = own.beside(other, np.subtract)
    lower, upper = resampled_interval(found, level=level)
    variance, df = _variance(found)
    errors, df = variance**0.5, np.broadcast_to(df, variance.shape)
    places = {}
    for place in range(len(variance)):
        places.setdefault(None if families is None else families[place], []).append(place)
    ends = np.full((2, len(variance)), np.nan)
    for part in places.values():
        ends[:, part] = simultaneous_interval(
            found.value[part], found.drawn[:, part], level=level, errors=errors[part], df=df[part]
        )
    return found.value, lower, upper, *ends


def paired_medians(values, *, reference, resamples, seed, medians=None):
    """Medians of each column and of its reference column, over the examples that both have.

    Parameters
    ----------
    values, resamples, seed
        See `resampled_medians`.
    reference : int or array_like of int, shape (columns,)
        The reference column's place, or one for each column.
    medians : Resampled, optional
        Those of all columns, each over its own examples, where they are at hand. None: they are made here.

    Returns
    -------
    own, reference : Resampled
        Of the columns and of their references.
    """
    values = _cells(values, ndim=3)
    columns = values.shape[2]
    places = [whole(place, "reference", high=columns - 1) for place in np.atleast_1d(reference)]
    if len(places) == 1:
        places *= columns
    settings = {"resamples": resamples, "seed": seed}
    if medians is None:
        medians = resampled_medians(values, **settings)
    lacks = np.isnan(values).any(axis=0)  # (examples, columns): an example that one seed lacks does not count
    either = lacks | lacks[:, places]
    sides = []
    for of in (list(range(columns)), places):
        side = Resampled(*(part[..., of] for part in medians))
        # Columns that lose an example beside the other side.
        fewer = (either & ~lacks[:, of]).any(axis=0)
        if fewer.any():
            kept = np.where(either[:, fewer], np.nan, values[:, :, np.array(of)[fewer]])
            for part, found in zip(side, resampled_medians(kept, **settings), strict=True):
                part[..., fewer] = found
        sides.append(side)
    return tuple(sides)


def resampled_medians(values, *, resamples, seed):
    """Medians over examples of the means over seeds.

    Parameters
    ----------
    values : array_like of float, shape (seeds, examples, columns)
        In any unit. NaN: a missing cell, whose example drops out of that column. A resample draws the same examples for every
        column, the ones that `bootstrap_interval` draws with the same seed, so medians of columns can be compared.
    resamples, seed
        See `bootstrap_interval`.

    Returns
    -------
    Resampled
        In the unit of `values`. A median of no example is NaN.
    """
    cells = _cells(values, ndim=3)
    seeds = len(cells)
    total = cells.sum(axis=0)  # NaN where a seed lacks the cell
    means = total / seeds
    others = [means] if seeds == 1 else [(total - own) / (seeds - 1) for own in cells]
    return Resampled(
        _medians(means),
        _drawn_medians(means, resampled_counts(len(means), resamples=resamples, seed=seed)),
        np.stack([_medians(part) for part in others]),
        (~np.isnan(means)).sum(axis=0),
    )


def percentiles(resampled, level):
    """The percentile interval of each column of resampled values.

    Parameters
    ----------
    resampled : numpy.ndarray, float, shape (resamples, columns)
        Resamples that are NaN do not count.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    lower, upper : numpy.ndarray, float64, shape (columns,)
        In the unit of `resampled`. NaN where a column has no number.
    """
    bounds = np.full((2, resampled.shape[1]), np.nan)
    ends = [(1 - level) / 2, (1 + level) / 2]
    # The two cases apart, because nanquantile is slow.
    missing = np.isnan(resampled)
    complete = ~missing.any(axis=0)
    bounds[:, complete] = np.quantile(resampled[:, complete], ends, axis=0)
    for column in np.flatnonzero(~complete & ~missing.all(axis=0)):
        bounds[:, column] = np.nanquantile(resampled[:, column], ends)
    return bounds[0], bounds[1]


# ---------------------------------------------------------------------------------------------- the two-way layout


class _Error(NamedTuple):
    """Of each column: mean of complete examples, variance of that mean, degrees of freedom, number of examples."""

    mean: np.ndarray
    variance: np.ndarray
    df: np.ndarray
    examples: np.ndarray


def _cells(values, ndim=None):
    """`values` as float64 (seeds, examples, columns); PlumblineError for another shape, no cell, or an infinity."""
    values = _numbers(values)
    if values.ndim not in ((2, 3) if ndim is None else (ndim,)):
        wanted = {2: "(seeds, examples)", 3: "(seeds, examples, columns)"}.get(
            ndim, "(seeds, examples[, columns])"
        )
        raise PlumblineError(f"values must have the shape {wanted}, not {values.shape}")
    if not values.size:
        raise PlumblineError("statistics of no examples were asked for: check the run's `examples`")
    if np.isinf(values).any():
        raise PlumblineError("statistics of numbers that are not finite were asked for")
    return values if values.ndim == 3 else values[:, :, None]


def _two_way(cells):
    """_Error of cells (seeds, examples, columns): mean squares of seeds, examples and the rest, column by column."""
    whole = ~np.isnan(cells).any(axis=0)
    examples = whole.sum(axis=0)
    seeds = len(cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_seed = np.where(whole, cells, 0.0).sum(axis=1) / examples
        mean = of_seed.mean(axis=0)
        of_example = np.where(whole, cells.mean(axis=0), 0.0)
        between_examples = (np.where(whole, of_example - mean, 0.0) ** 2).sum(axis=0) / (examples - 1)
        if seeds == 1:
            variance, df = between_examples / examples, examples - 1.0
        else:
            rest = np.where(whole, cells - of_seed[:, None] - of_example + mean, 0.0)
            # Mean squares: of seeds, of examples, of what both leave.
            row = examples * ((of_seed - mean) ** 2).sum(axis=0) / (seeds - 1)
            column = seeds * between_examples
            residual = (rest**2).sum(axis=(0, 1)) / ((seeds - 1) * (examples - 1))
            both = row + column - residual
            variance = np.maximum(np.maximum(both, row), column) / (seeds * examples)
            spread = row**2 / (seeds - 1) + column**2 / (examples - 1)
            spread += residual**2 / ((seeds - 1) * (examples - 1))
            df = np.fmax(seeds - 1, both**2 / spread)
    few = examples < 2
    return _Error(mean, np.where(few, np.nan, variance), np.where(few, np.nan, df), examples)


def _linear(cells, weights):
    """Cells whose plain mean is the weighted mean, to first order with its variance (a ratio of two means)."""
    if weights is None:
        return cells
    weights = np.asarray(weights, dtype=np.float64)[:, None]
    whole = ~np.isnan(cells).any(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(whole, weights, 0.0) / np.where(whole, weights, 0.0).sum(axis=0)
        mean = (shares * np.where(whole, cells, 0.0)).sum(axis=1).mean(axis=0)
        return mean + whole.sum(axis=0) * shares * (cells - mean)


def _around(mean, variance, df, level):
    """mean -+ t sqrt(variance), arrays of one shape; a variance of zero gives the mean twice."""
    from scipy.stats import t

    half = t.ppf((1 + _checked(level)) / 2, df) * np.sqrt(variance)
    return mean - half, mean + half


def _compared(cells, reference, level):
    """(mean, lower, upper, p) of every column less the reference, (columns,) each, NaN for the reference."""
    from scipy.stats import t

    error = _two_way(cells - cells[:, :, [reference]])
    df = error.df if len(cells) == 1 else np.where(np.isnan(error.df), np.nan, len(cells) - 1)
    lower, upper = _around(error.mean, error.variance, df, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        # 0 / 0: two columns that are equal everywhere are not told apart.
        statistic = np.where(error.mean == 0, 0.0, np.abs(error.mean) / np.sqrt(error.variance))
    found = np.array([error.mean, lower, upper, 2 * t.sf(statistic, df)])
    found[:, reference] = np.nan
    return tuple(found)


def _spread(resampled):
    """Standard deviation of each column of resamples (resamples, columns); NaN where a column has none."""
    some = ~np.isnan(resampled).all(axis=0)
    spread = np.full(resampled.shape[1], np.nan)
    spread[some] = np.nanstd(resampled[:, some], axis=0, ddof=1)
    return spread


def _variance(found):
    """(variance, degrees of freedom) of each column of a Resampled statistic."""
    of_example, seeds = _spread(found.drawn) ** 2, len(found.without)
    if seeds == 1:
        return of_example, np.inf
    of_seed = (seeds - 1) / seeds * ((found.without - found.without.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = of_seed**2 / (seeds - 1) + of_example**2 / (found.examples - 1)
        df = (of_seed + of_example) ** 2 / spread
    return of_seed + of_example, np.fmax(seeds - 1, df)


def _counted_sums(counts, values):
    """The matrix product counts @ values, the same to the last bit in whatever order it is summed.

    counts  whole numbers, float64 (resamples, examples), fewer than 2**26 examples drawn; values: float64 (examples,), or
            (examples, columns), finite.

    A matrix product of BLAS sums some rows in another order where it has more threads or other rows beside them, and differs
    in the last bit. Each value is therefore split into a high and a low part of at most 27 bits, multiples of a power of two
    that is the column's. Sums of such parts are exact in any order (Rump, Ogita and Oishi 2008, section 3). What a value has
    below 2**-53 of its column's largest one is dropped.
    """
    _, exponents = np.frexp(np.abs(values).max(axis=0))
    high = _rounded(values, exponents - 26)
    low = _rounded(values - high, exponents - 53)
    return counts @ high + counts @ low


def _rounded(values, exponents):
    """Values as the nearest multiples of 2**exponents, one exponent a column."""
    return np.ldexp(np.rint(np.ldexp(values, -exponents)), exponents)


def _drawn_medians(values, draws):
    """Medians of columns (examples, columns) in resamples, `draws` as `resampled_counts` gives them: (resamples, columns)."""
    medians = np.full((len(draws), values.shape[1]), np.nan)
    counts = np.ascontiguousarray(
        draws.T, dtype=np.int32
    )  # half the memory, and a resample's sums lie side by side
    for place, column in enumerate(values.T):
        order = np.argsort(column, kind="stable")[: np.count_nonzero(~np.isnan(column))]
        if not len(order):
            continue
        # The n-th smallest of a resample is the first value that so many draws have reached.
        reached = counts[order].cumsum(axis=0, dtype=np.int32)
        total = reached[-1]
        lower, upper = (
            column[order[np.minimum(np.count_nonzero(reached <= middle, axis=0), len(order) - 1)]]
            for middle in ((total - 1) // 2, total // 2)
        )
        medians[:, place] = np.where(total > 0, (lower + upper) / 2, np.nan)
    return medians


def _medians(values):
    """Medians of columns (examples, columns) over what is not NaN; NaN where nothing is left."""
    some = ~np.isnan(values).all(axis=0)
    medians = np.full(values.shape[1], np.nan)
    medians[some] = np.nanmedian(values[:, some], axis=0)
    return medians


def _numbers(values, name="values", dimensions=None):
    """`values` as float64; PlumblineError for what are no real numbers, or of none of the given numbers of dimensions."""
    found = array(values, name).astype(np.float64)
    if dimensions is not None and found.ndim not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise PlumblineError(f"{name} must have {wanted} dimensions, not the shape {found.shape}")
    return found


def _generator(seed):
    return seed if isinstance(seed, np.random.Generator) else np.random.default_rng(whole(seed, "seed"))


def _checked(level):
    if not is_number(level) or not 0 < level < 1:
        raise PlumblineError(f"level {level!r} must be inside (0, 1)")
    return level
