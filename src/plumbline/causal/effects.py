"""Effects of an intervention and the test that makes a node a cause: pure functions on float64 arrays, no torch.

y is the target's logit of n images, observed (n,) and under the intervention on each of k candidates, y^do (k, n).
"""

import sys

import numpy as np

from .graph import FALLBACK, THRESHOLD

TESTS = ("welch", "paired")
CORRECTIONS = ("none", "bh")
ROUNDING = 1e-11  # differences below this share of the largest |y| are what float64 leaves of none


def total_effects(observed, intervened):
    """Compute total effects, TE = y^do - y.

    An effect is exactly 0 where the difference is rounding alone, as of a node that is never active. Without that, the paired
    test would find in such noise what it is sure of.

    Parameters
    ----------
    observed : numpy.ndarray, float64, shape (n,)
        y, in logits.
    intervened : numpy.ndarray, float64, shape (k, n)
        y^do, in logits.

    Returns
    -------
    numpy.ndarray, float64, shape (k, n)
        In logits.
    """
    found = intervened - observed
    found[np.abs(found) <= ROUNDING * np.abs(observed).max()] = 0.0
    return found


def relative_effects(effects, observed):
    """Compute mean relative effects, the mean of TE / y = y^do / y - 1.

    Parameters
    ----------
    effects : numpy.ndarray, float64, shape (k, n)
        TE, in logits.
    observed : numpy.ndarray, float64, shape (n,)
        y, in logits.

    Returns
    -------
    numpy.ndarray, float64, shape (k,)
        Over the images where y is not 0; 0 where there is none.
    """
    there = observed != 0
    return (effects[:, there] / observed[there]).mean(1) if there.any() else np.zeros(len(effects))


def divergences(observed, intervened):
    """Compute the mean Kullback-Leibler divergence KL(p^do || p) of the softmax p of logits.

    Parameters
    ----------
    observed : numpy.ndarray, float64, shape (n, classes)
        Logits.
    intervened : numpy.ndarray, float64, shape (k, n, classes)
        Logits under each intervention.

    Returns
    -------
    numpy.ndarray, float64, shape (k,)
        In nats.
    """
    from scipy.special import log_softmax

    base, found = log_softmax(observed, axis=-1), log_softmax(intervened, axis=-1)
    return np.maximum((np.exp(found) * (found - base)).sum(-1), 0.0).mean(1)


def z_welch(mean, variance, observed_mean, observed_variance, n):
    """Compute z of two samples of n each (Welch 1947), as published.

    It is (mean(y^do) - mean(y)) / sqrt(var(y^do)/n + var(y)/n).

    Parameters
    ----------
    mean, variance : numpy.ndarray, float64, shape (k,)
        Of y^do, in logits and their square.
    observed_mean, observed_variance : float
        Of y.
    n : int
        The number of images.

    Returns
    -------
    numpy.ndarray, float64, shape (k,)
        Without variance 0 where the means are equal, else the largest number with the difference's sign.
    """
    return _ratio(mean - observed_mean, np.sqrt(variance / n + observed_variance / n))


def z_paired(te, te_variance, n):
    """Compute z of the differences of pairs, mean(TE) / sqrt(var(TE)/n).

    Parameters
    ----------
    te, te_variance : numpy.ndarray, float64, shape (k,)
        Mean and sample variance of TE, in logits and their square.
    n : int
        The number of images.

    Returns
    -------
    numpy.ndarray, float64, shape (k,)
        Without variance 0 where TE is 0, else the largest number with its sign.
    """
    return _ratio(te, np.sqrt(te_variance / n))


def _ratio(difference, error):
    """Their ratio; without error 0 where the difference is 0, else the largest number with its sign."""
    difference, error = np.broadcast_arrays(np.asarray(difference, float), np.asarray(error, float))
    sure = np.sign(difference) * sys.float_info.max
    return np.divide(difference, error, out=sure, where=error > 0)


def p_values(z):
    """Compute the one-sided p value of z under a standard normal distribution.

    Parameters
    ----------
    z : numpy.ndarray, float64, shape (k,)
        See `z_welch` and `z_paired`.

    Returns
    -------
    numpy.ndarray, float64, shape (k,)
        Lower tail: small where the logit falls.
    """
    from scipy.special import ndtr

    return ndtr(z)


def falls(te, observed_mean):
    """Apply the fallback's rule: mean TE < -0.001 |mean y|.

    As published by relative effect where y > 0; an absolute threshold keeps the sign where y is near 0 or negative.

    Parameters
    ----------
    te : numpy.ndarray, float64, shape (k,)
        Mean total effects, in logits.
    observed_mean : float
        Mean y, in logits.

    Returns
    -------
    numpy.ndarray, bool, shape (k,)
    """
    return te < FALLBACK * abs(observed_mean)


def select(z, p, te, observed_mean, *, correction, level):
    """Select the causes among candidates.

    Parameters
    ----------
    z, p, te : numpy.ndarray, float64, shape (k,)
        See `NodeEffect`.
    observed_mean : float
        Mean y, in logits.
    correction : {'none', 'bh'}
        bh: Benjamini-Hochberg.
    level : float
        False discovery rate of bh.

    Returns
    -------
    causes : numpy.ndarray, bool, shape (k,)
        Which candidates are causes.
    rule : {'test', 'fallback', 'none'}
        The rule that found them.
    """
    if correction == "none":
        tested = z < THRESHOLD
    else:
        from scipy.stats import false_discovery_control

        tested = false_discovery_control(p, method="bh") <= level
    if tested.any():
        return tested, "test"
    fallen = falls(te, observed_mean)
    return fallen, "fallback" if fallen.any() else "none"


def tested(observed, intervened, *, test, correction, level):
    """Estimate and test the effects of candidates: all of `NodeEffect` but the divergence.

    Parameters
    ----------
    observed : numpy.ndarray, float64, shape (n,)
        y, in logits.
    intervened : numpy.ndarray, float64, shape (k, n)
        y^do, in logits.
    test : {'welch', 'paired'}
        Which z is computed.
    correction, level
        See `select`.

    Returns
    -------
    found : dict of numpy.ndarray, shape (k,)
        The names of NodeEffect: selected, mean, variance, te, te_variance, rte, z, p.
    rule : {'test', 'fallback', 'none'}
        See `select`.
    """
    n = len(observed)
    effects = total_effects(observed, intervened)
    intervened = observed + effects
    found = {
        "mean": intervened.mean(1),
        "variance": intervened.var(1, ddof=1),
        "te": effects.mean(1),
        "te_variance": effects.var(1, ddof=1),
        "rte": relative_effects(effects, observed),
    }
    if test == "welch":
        found["z"] = z_welch(found["mean"], found["variance"], observed.mean(), observed.var(ddof=1), n)
    else:
        found["z"] = z_paired(found["te"], found["te_variance"], n)
    found["p"] = p_values(found["z"])
    found["selected"], rule = select(
        found["z"], found["p"], found["te"], observed.mean(), correction=correction, level=level
    )
    return found, rule
