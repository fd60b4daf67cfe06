"""Intervals: bootstrap over examples, Wilson for proportions, Student's t over training seeds. No torch."""

from statistics import NormalDist

import numpy as np

from .errors import PlumblineError


def resampled_counts(count, *, resamples, seed):
    """How often each of `count` examples is drawn, a row a resample: int64 (resamples, count)."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)


def bootstrap_interval(values, *, resamples, level, seed, ragged=False, weights=None):
    """Percentile bootstrap interval of the mean over examples (Efron 1979), in the unit of `values`.

    values     float array (examples,), or (examples, columns): a resample draws the same examples for every
               column, so columns can be compared and their order changes nothing.
    resamples  number of resamples; level: coverage in (0, 1).
    seed       an integer, from plumbline.seeds.seed_of and names (what is resampled), never a running number.
    ragged     NaN means that the example lacks that column (a curve that has ended, an undefined
               correlation): each mean then runs over the examples that have it, in every resample too.
               A column without any number gives NaN. Without `ragged`, NaN is an error.
    weights    positive floats (examples,): the mean is weighted by them, in every resample too; None: equally.

    Returns (lower, upper): floats for one column, float64 arrays (columns,) for several.
    Raises PlumblineError where there is no example, or a number is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    missing = np.isnan(values)
    if not len(values):
        raise PlumblineError("a bootstrap interval of no examples was asked for: check the run's `examples`")
    if np.isinf(values).any() or (missing.any() and not ragged):
        raise PlumblineError("a bootstrap interval of numbers that are not finite was asked for")
    if not 0 < level < 1 or resamples < 1:
        raise PlumblineError(
            f"bootstrap: level {level} must be inside (0, 1), resamples {resamples} at least 1"
        )
    count = len(values)
    # Resampled means are one matrix product.
    draws = resampled_counts(count, resamples=resamples, seed=seed).astype(np.float64)
    shares = (~missing).astype(np.float64)
    if weights is not None:
        shares *= np.reshape(weights, (-1,) + (1,) * (values.ndim - 1))
    totals = draws @ (np.where(missing, 0.0, values) * shares)
    drawn = draws @ shares
    with np.errstate(invalid="ignore"):
        means = np.where(drawn > 0, totals / np.where(drawn > 0, drawn, 1), np.nan)
    ends = [(1 - level) / 2, (1 + level) / 2]
    if values.ndim == 1:
        means = means[:, None]
    bounds = np.full((2, means.shape[1]), np.nan)
    # The two cases apart, because nanquantile is slow.
    whole = ~np.isnan(means).any(axis=0)
    bounds[:, whole] = np.quantile(means[:, whole], ends, axis=0)
    for column in np.flatnonzero(~whole & ~np.isnan(means).all(axis=0)):
        bounds[:, column] = np.nanquantile(means[:, column], ends)
    if values.ndim == 1:
        return float(bounds[0, 0]), float(bounds[1, 0])
    return bounds[0], bounds[1]


def wilson_interval(successes, n, level=0.95):
    """Wilson's score interval of a proportion (Wilson 1927): (lower, upper), in [0, 1]."""
    if not 0 <= successes <= n or n < 1:
        raise PlumblineError(f"a proportion of {successes} in {n} was asked for")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def t_interval(values, level=0.95):
    """Student's t interval of the mean of a few independent values (training seeds): (lower, upper).

    Raises PlumblineError for fewer than two values, for which there is no such interval.
    """
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        raise PlumblineError("an interval over seeds needs at least two seeds")
    half = stdtrit(values.size - 1, (1 + level) / 2) * values.std(ddof=1) / values.size**0.5
    return float(values.mean() - half), float(values.mean() + half)


def pair_bootstrap_interval(values, *, resamples, level, seed):
    """Percentile bootstrap interval of the mean over pairs of seeds, in the unit of `values`.

    Seeds are resampled, not pairs, which are not independent of each other: a resample's mean runs over its pairs of
    distinct seeds, each as often as its two seeds were drawn together.

    values  float array (seeds, seeds), symmetric; the diagonal does not count, NaN is a pair that is not defined.
    resamples, level, seed: see `bootstrap_interval`. Returns (lower, upper); NaN where no pair is defined.
    """
    values = np.array(values, dtype=np.float64)
    np.fill_diagonal(values, np.nan)
    defined = ~np.isnan(values)
    if not defined.any():
        return float("nan"), float("nan")
    count = len(values)
    weights = resampled_counts(count, resamples=resamples, seed=seed).astype(np.float64)
    totals = ((weights @ np.where(defined, values, 0.0)) * weights).sum(axis=1)
    drawn = ((weights @ defined.astype(np.float64)) * weights).sum(axis=1)
    # A resample that is one seed alone, again and again, has no pair.
    means = totals[drawn > 0] / drawn[drawn > 0]
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def resampled_medians(values, *, resamples, seed):
    """Medians of bootstrap resamples of the examples: float64 (resamples, columns), in the unit of `values`.

    values  float array (examples, columns); NaN where an example lacks a column, whose medians then run over the
            others. A resample draws the same examples for every column, the ones that `bootstrap_interval` draws with
            the same seed, so medians of columns can be set against each other. NaN where a resample has no example.
    resamples, seed: see `bootstrap_interval`.
    """
    values = np.asarray(values, dtype=np.float64)
    count = len(values)
    draws = resampled_counts(count, resamples=resamples, seed=seed)
    medians = np.full((resamples, values.shape[1]), np.nan)
    for place, column in enumerate(values.T):
        order = np.argsort(column, kind="stable")[: np.count_nonzero(~np.isnan(column))]
        if not len(order):
            continue
        # The n-th smallest of a resample is the first value that so many draws have reached.
        reached = draws[:, order].cumsum(axis=1)
        total = reached[:, -1]
        lower, upper = (
            column[order][(reached > middle[:, None]).argmax(axis=1)]
            for middle in ((total - 1) // 2, total // 2)
        )
        medians[:, place] = np.where(total > 0, (lower + upper) / 2, np.nan)
    return medians


def percentiles(resampled, level):
    """The percentile interval of each column of resampled values (resamples, columns): (lower, upper), (columns,) each.

    Resamples that are NaN do not count; NaN where a column has no other.
    """
    bounds = np.full((2, resampled.shape[1]), np.nan)
    some = ~np.isnan(resampled).all(axis=0)
    ends = [(1 - level) / 2, (1 + level) / 2]
    bounds[:, some] = np.nanquantile(resampled[:, some], ends, axis=0)
    return bounds[0], bounds[1]
