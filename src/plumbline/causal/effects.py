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
    """TE = y^do - y in logits, (k, n); exactly 0 where the difference is rounding alone, as of a node that is never active.

    Without that, the paired test would find in such noise what it is sure of.
    """
    found = intervened - observed
    found[np.abs(found) <= ROUNDING * np.abs(observed).max()] = 0.0
    return found


def relative_effects(effects, observed):
    """Mean of TE / y = y^do / y - 1 over the images where y is not 0, (k,); 0 where there is none."""
    there = observed != 0
    return (effects[:, there] / observed[there]).mean(1) if there.any() else np.zeros(len(effects))


def divergences(observed, intervened):
    """Mean KL(p^do || p) in nats of the softmax p of logits: observed (n, classes), intervened (k, n, classes) -> (k,)."""
    from scipy.special import log_softmax

    base, found = log_softmax(observed, axis=-1), log_softmax(intervened, axis=-1)
    return np.maximum((np.exp(found) * (found - base)).sum(-1), 0.0).mean(1)


def z_welch(mean, variance, observed_mean, observed_variance, n):
    """z of two samples of n each (Welch 1947), as published: (mean(y^do) - mean(y)) / sqrt(var(y^do)/n + var(y)/n)."""
    return _ratio(mean - observed_mean, np.sqrt(variance / n + observed_variance / n))


def z_paired(te, te_variance, n):
    """z of the differences of pairs: mean(TE) / sqrt(var(TE)/n)."""
    return _ratio(te, np.sqrt(te_variance / n))


def _ratio(difference, error):
    """Their ratio; without error 0 where the difference is 0, else the largest number with its sign."""
    difference, error = np.broadcast_arrays(np.asarray(difference, float), np.asarray(error, float))
    sure = np.sign(difference) * sys.float_info.max
    return np.divide(difference, error, out=sure, where=error > 0)


def p_values(z):
    """One-sided p value of z under a standard normal distribution, lower tail: small where the logit falls."""
    from scipy.special import ndtr

    return ndtr(z)


def falls(te, observed_mean):
    """The fallback's rule: mean TE < -0.001 |mean y|, (k,) -> bool (k,).

    As published by relative effect where y > 0; an absolute threshold keeps the sign where y is near 0 or negative.
    """
    return te < FALLBACK * abs(observed_mean)


def select(z, p, te, observed_mean, *, correction, level):
    """(bool (k,) of the causes, the rule that found them: test, fallback or none)."""
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
    """Everything but the divergence, from y (n,) and y^do (k, n): (dict of (k,) arrays, rule).

    The dict has the names of NodeEffect: selected, mean, variance, te, te_variance, rte, z, p.
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
