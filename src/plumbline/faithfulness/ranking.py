"""From scores to an order: the one rule for tokens, patches and pixels. No torch is imported here.

Equal scores have no order of their own. An order that is needed anyway, since something has to go first, takes them in a
random one, drawn from a seed by name; where the expectation over those orders is known in closed form, it is taken.
"""

import numbers

import numpy as np

from ..arrays import array
from ..errors import PlumblineError

# Orders to average over where candidates are tied. A tie that no point of a curve cuts gives the same inputs in every order,
# which then run once (`Passes`), so five orders cost little; they leave 1/5 of the variance that one draw of the ties adds.
DRAWS = 5
MOST_DRAWS = 10**6


def real(scores):
    """Scores as a NumPy array.

    Parameters
    ----------
    scores : array_like
        Numbers, bool, or tensors of any real dtype, bfloat16 too, on any device.

    Returns
    -------
    numpy.ndarray
        Of their shape.

    Raises
    ------
    PlumblineError
        For what is not a real number, and for NaN or infinite values.
    """
    found = array(scores, "scores")
    if not np.isfinite(found).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(found))[0])
        raise PlumblineError(
            f"scores must be finite: {found[place]} at {', '.join(map(str, place))} has no place in an order"
        )
    return found


def _row(scores):
    found = real(scores)
    if found.ndim != 1:
        raise PlumblineError(
            f"scores to rank must be (candidates,), not of shape {found.shape}: give one row"
        )
    return found


def ranked(scores, *, seed, draws=1):
    """Put candidates in order, the most important one first, and equal scores in a random order.

    Parameters
    ----------
    scores : array_like of float, shape (candidates,)
        As `real` takes them. Higher is more important.
    seed : int
        At least 0.
    draws : int
        The number of orders.

    Returns
    -------
    numpy.ndarray, int64, shape (draws, candidates)
        An order a row. Orders are alike where nothing is tied, and the first ones are the same for any number of draws.

    Raises
    ------
    PlumblineError
        As `real` does, and for another shape, seed or number of draws.
    """
    found = _row(scores)
    _check_whole("seed", seed, 0)
    _check_whole("draws", draws, 1)
    if draws > MOST_DRAWS:
        raise PlumblineError(f"draws must be at most {MOST_DRAWS}, not {draws}")
    # Numbers of equal scores, 0 the lowest: no negation of the scores, which unsigned integers would not survive.
    levels = np.unique(found, return_inverse=True)[1].reshape(-1).astype(np.int64)
    random = np.random.default_rng(int(seed))
    places = np.stack([random.permutation(len(found)) for _ in range(draws)]).astype(np.int64)
    return np.argsort(places - levels * len(found), axis=1)


def _check_whole(name, value, least):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool | np.bool_) or value < least:
        raise PlumblineError(f"{name} must be a whole number, at least {least}, not {value!r}")


def tied_share(scores):
    """Compute the share of candidates whose score another one has too.

    Parameters
    ----------
    scores : array_like of float, shape (candidates,)
        As `real` takes them.

    Returns
    -------
    float
        In [0, 1]; 0 where there is no candidate.

    Raises
    ------
    PlumblineError
        As `ranked` does.
    """
    found = _row(scores)
    counts = np.unique(found, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(1, len(found)))


def candidates(tokens, position=None, fixed=None):
    """List the positions that a ranking holds: all but the first, the last, the one that is read, and the fixed ones.

    Parameters
    ----------
    tokens : int
        The number of tokens.
    position : int, optional
        The position that is read.
    fixed : numpy.ndarray, bool, shape (tokens,), optional
        Which tokens are special, see `special`.

    Returns
    -------
    numpy.ndarray, int64, shape (candidates,)
        Positions, in their order.
    """
    places = np.arange(1, tokens - 1)
    if fixed is not None:
        places = places[~fixed[places]]
    return places if position is None else places[places != position]


def special(tokens, known=()):
    """Which tokens are special, as the [SEP] between the sentences of a pair is.

    Parameters
    ----------
    tokens : numpy.ndarray, shape (n,)
        Ids or names.
    known : collection
        The ids or names of the class token and the separator. Empty: those of the first and the last token.

    Returns
    -------
    numpy.ndarray, bool, shape (n,)
        True at special tokens.
    """
    tokens = np.asarray(tokens)
    return np.isin(tokens, list(known) or [tokens[0], tokens[-1]])


def top_chances(scores, count):
    """Compute each candidate's chance to be among the top ones when equal scores are put in a random order.

    Parameters
    ----------
    scores : array_like of float, shape (..., candidates)
        As `real` takes them.
    count : int
        The number of top candidates.

    Returns
    -------
    numpy.ndarray, float64, shape (..., candidates)
        Chances, which sum to min(count, candidates) a row.
    """
    from scipy.stats import rankdata

    found = real(scores)
    highest, lowest = (rankdata(found, method=method, axis=-1) for method in ("max", "min"))
    above, tied = found.shape[-1] - highest, highest - lowest + 1
    return np.clip((count - above) / tied, 0, 1)
