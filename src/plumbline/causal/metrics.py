"""Metrics of explanations of image classifiers. What there is: causal.registry.METRICS.

A map a is divided by its largest |a| before any metric; one of zeros stays as it is. Robustness, complexity and randomisation
read |a|; faithfulness reads a with its sign, because what speaks against the class should not go first. What is drawn (noise,
subsets, weights) has a seed of its own and is the same for all methods. Every definition, of an image x with m pixels:

lipschitz        max over 10 draws of ||a(x) - a(x')||_2 / ||x - x'||_2, x' = x + Gaussian noise of mean 0.1 and standard
                 deviation 0.1, as published; a map that does not read the image has 0.
max_sensitivity  max over 10 draws of ||a(x) - a(x')||_2 / ||a(x)||_2, x' = x + uniform noise in [-0.2, 0.2].
faithfulness_correlation
                 Pearson correlation, over 100 random subsets of 7/32 of the pixels (224 of 1024), of the sum of a over the
                 subset and how far the logit falls when the subset is black.
irof             Area over the curve of p(x with the first k segments filled) / p(x), k = 1 ... K, in segments: K minus its
                 area. Segments (SLIC) go by mean a, the largest first; fill: the image's mean colour; p: softmax.
pixel_flipping   Area under the curve of p(x with the first k steps black), k = 1 ... 64, in steps; m / 64 pixels a step, the
                 largest a first. Areas are by the trapezoidal rule at unit distance, as in Quantus: at most K - 1 and 63.
sparseness       Gini index of |a| + 1e-7: 0 where all pixels have the same.
complexity       Entropy of |a| / sum |a|, in nats, at most log m.
parameter_randomisation
                 Spearman correlation of |a| before and after the weights of the layers from the top down to some layer are
                 drawn anew, mean over these layers. Causal maps keep their graph, so that weights above the layer of the
                 maps do not count.

Edge cases. A map of zeros: sparseness 0 and complexity log m, as for a flat map; max_sensitivity's denominator is 1, which any
other map's reaches. A correlation without variance on either side is 0: nothing is told; of two equal maps it is 1. Equal scores have no order:
pixels and segments that tie go in a random one, mean over several (`ties` is their share).
A pixel is filled in all channels. Noise is in units of the image as the model reads it.

Differences from Quantus 0.6 (quantus_adapter.py): it scales maps by the maximum of a batch, IROF's fill is the mean of the batch
as filled so far, its black is the image's smallest value, and flat or zero maps give NaN.
"""

from dataclasses import dataclass

import numpy as np

from .. import arrays
from ..errors import PlumblineError, unknown
from ..faithfulness.ranking import DRAWS as ORDERS
from ..faithfulness.ranking import ranked, tied_share
from ..seeds import seed_of
from .registry import METRICS

DRAWS = 10  # perturbed copies of an image
MEAN, DEVIATION = 0.1, 0.1  # of the Gaussian noise of lipschitz
RADIUS = 0.2  # of the uniform noise of max_sensitivity
RUNS, SUBSET = 100, 7 / 32  # of faithfulness_correlation
STEPS = 64  # of pixel_flipping
SEGMENTS = 100  # asked of SLIC, whose default it is
ROWS = 256  # images of a pass through the model; changes no result beyond rounding
_ABSOLUTE, _SIGNED = "|map| / max", "map / max |map|"
SETTINGS = {
    "lipschitz": f"{_ABSOLUTE}; {DRAWS} draws of Gaussian noise, mean {MEAN}, sd {DEVIATION}; Euclidean; largest",
    "max_sensitivity": f"{_ABSOLUTE}; {DRAWS} draws of uniform noise, radius {RADIUS}; Euclidean; largest",
    "faithfulness_correlation": f"{_SIGNED}; head logit; fill black; {RUNS} subsets of {SUBSET:.3f} of the pixels; Pearson",
    "irof": f"{_SIGNED}; head softmax; fill mean; SLIC, {SEGMENTS} segments; ties: mean of {ORDERS} orders; area over the curve, in segments",
    "pixel_flipping": f"{_SIGNED}; head softmax; fill black; {STEPS} steps; ties: mean of {ORDERS} orders; area under the curve, in steps",
    "sparseness": f"{_ABSOLUTE}; Gini index",
    "complexity": f"{_ABSOLUTE}; entropy, nats",
    "parameter_randomisation": f"{_ABSOLUTE}; layers drawn anew from the top, cascading; Spearman; mean over layers",
}


@dataclass(frozen=True)
class Subjects:
    """Images whose explanations are measured.

    Attributes
    ----------
    model : torch.nn.Module
        In evaluation mode.
    images : numpy.ndarray, float32, shape (n, channels, height, width)
        As the model reads them.
    targets : numpy.ndarray, int64, shape (n,)
        The explained classes.
    keys : tuple
        n tuples of names and numbers, such as (dataset, model and seed, image), for seeds.
    model_key : tuple
        The same of the model.
    black : numpy.ndarray, float32, shape (channels,)
        Colour of an absent pixel as the model reads it.
    segments : numpy.ndarray, int, shape (n, height, width), optional
        Numbers from 0 on; for irof alone.
    """

    model: object
    images: np.ndarray
    targets: np.ndarray
    keys: tuple
    model_key: tuple
    black: np.ndarray
    segments: np.ndarray | None = None


def measure(metric, subjects, maps, again):
    """Compute the values of a metric for every method and image; definitions: see the module.

    Parameters
    ----------
    metric : str
        An id of METRICS.
    subjects : Subjects
        The images.
    maps : dict
        Method -> array_like of float, (n, height, width), raw.
    again : callable
        Function of (method, model, images, targets, rows) -> maps of other images: copies of the images `rows` that take the
        same draws, by a model of the same shape.

    Returns
    -------
    dict
        Method -> numpy.ndarray, float64, (n,).

    Raises
    ------
    PlumblineError
        For an unknown metric, a map of another shape or that is not finite, and values that are not finite.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)

    def checked(method, *arguments):
        found = _numbers(again(method, *arguments), f"maps of '{method}'")
        if not np.isfinite(found).all():
            raise PlumblineError(
                f"{metric}: '{method}' gives maps that are not finite for changed images or weights"
            )
        return found

    maps = {method: _numbers(found, f"maps of '{method}'") for method, found in maps.items()}
    expected = len(subjects.images), *subjects.images.shape[2:]
    for method, found in maps.items():
        if found.shape != expected:
            raise PlumblineError(
                f"{metric}: the maps of '{method}' are of shape {found.shape}, not {expected}"
            )
        if not np.isfinite(found).all():
            raise PlumblineError(f"{metric}: the maps of '{method}' are not finite")
    values = _FUNCTIONS[metric](subjects, maps, checked)
    for method, found in values.items():
        if not np.isfinite(found).all():
            key = subjects.keys[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise PlumblineError(f"{metric} of '{method}' is not finite for {key}")
    return values


def _numbers(values, name="maps"):
    """What a user hands over, float64: an array, a tensor on any device or one with a gradient, lists."""
    return arrays.tensor(values, name).double().cpu().numpy()


def _finite(values):
    found = _numbers(values)
    if not np.isfinite(found).all() or not found.size:
        raise PlumblineError(
            f"maps must be numbers, none of them NaN or infinite; these are of shape {found.shape}"
        )
    return found


def scaled(maps):
    """Divide each map by its largest |value|.

    Parameters
    ----------
    maps : numpy.ndarray, float, shape (n, ...)
        The maps.

    Returns
    -------
    numpy.ndarray, float, shape (n, pixels)
        Maps of zeros stay as they are.
    """
    flat = maps.reshape(len(maps), -1)
    largest = np.abs(flat).max(1, keepdims=True)
    return flat / np.where(largest > 0, largest, 1)


def correlations(a, b):
    """Compute Pearson correlations row by row.

    Parameters
    ----------
    a, b : numpy.ndarray, float, shape (n, values)
        The rows.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        0 where either does not vary beyond rounding.
    """
    flat, norm, spreads = np.zeros(len(a), dtype=bool), np.ones(len(a)), []
    for part in (a, b):
        spread = part - part.mean(1, keepdims=True)
        flat |= np.abs(spread).max(1) <= 1e-12 * np.abs(part).max(1)
        norm *= np.linalg.norm(spread, axis=1)
        spreads.append(spread)
    return np.where(flat, 0.0, (spreads[0] * spreads[1]).sum(1) / np.where(norm > 0, norm, 1))


def answers(model, inputs):
    """Compute a model's logits; equal inputs go through once.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    inputs : numpy.ndarray, float32, shape (rows, channels, height, width)
        As the model reads them.

    Returns
    -------
    numpy.ndarray, float64, shape (rows, classes)
    """
    import torch

    places, distinct = {}, []
    for row, one in enumerate(inputs):
        key = one.tobytes()
        if key not in places:
            places[key] = len(distinct)
            distinct.append(row)
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = torch.from_numpy(inputs[distinct]).split(ROWS)
        logits = np.concatenate([model(part.to(device)).cpu().numpy() for part in parts])
    return logits.astype(np.float64)[[places[one.tobytes()] for one in inputs]]


def segments_of(images):
    """Cut images into superpixels (SLIC, Achanta et al. 2012).

    Parameters
    ----------
    images : array_like of float, shape (n, channels, height, width)
        Values in [0, 1].

    Returns
    -------
    numpy.ndarray, int, shape (n, height, width)
        Numbers from 0 on without a gap.
    """
    from skimage.segmentation import slic

    pictures = np.moveaxis(np.asarray(images, dtype=np.float64), 1, -1)
    found = [slic(picture, n_segments=SEGMENTS, start_label=0, channel_axis=-1) for picture in pictures]
    return np.stack([np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in found])


def noisy(subjects, metric):
    """Draw perturbed copies of the images for a metric of robustness.

    Parameters
    ----------
    subjects : Subjects
        The images, and the keys of their seeds.
    metric : {'lipschitz', 'max_sensitivity'}
        Which noise is drawn.

    Returns
    -------
    numpy.ndarray, float32, shape (n, DRAWS, channels, height, width)
    """

    def noise(key, repeat):
        draw = np.random.default_rng(seed_of(*key, metric, repeat))
        size = subjects.images.shape[1:]
        if metric == "lipschitz":
            return draw.normal(MEAN, DEVIATION, size)
        return draw.uniform(-RADIUS, RADIUS, size)

    found = np.stack([[noise(key, repeat) for repeat in range(DRAWS)] for key in subjects.keys])
    return subjects.images[:, None] + found.astype(np.float32)


def filled(image, gone, colour):
    """Copy an image with some of its pixels in one colour.

    Parameters
    ----------
    image : numpy.ndarray, float32, shape (channels, height, width)
        The image.
    gone : numpy.ndarray, bool, shape (copies, pixels)
        Which pixels are filled.
    colour : numpy.ndarray, float, shape (channels,)
        The colour.

    Returns
    -------
    numpy.ndarray, float32, shape (copies, channels, height, width)
    """
    gone = gone.reshape(len(gone), 1, *image.shape[1:])
    return np.where(gone, colour.astype(np.float32)[:, None, None], image)


def _robustness(metric):
    def values(subjects, maps, again):
        n, size = len(subjects.images), subjects.images.shape[1:]
        copies = noisy(subjects, metric)
        rows = np.repeat(np.arange(n), DRAWS)
        moved = copies.astype(np.float64) - subjects.images[:, None]
        moved = np.linalg.norm(moved.reshape(n, DRAWS, -1), axis=2)
        found = {}
        for method, before in maps.items():
            after = again(method, subjects.model, copies.reshape(-1, *size), subjects.targets[rows], rows)
            before, after = np.abs(scaled(before)), np.abs(scaled(after)).reshape(n, DRAWS, -1)
            change = np.linalg.norm(after - before[:, None], axis=2)
            least = np.maximum(np.linalg.norm(before, axis=1), 1.0)[:, None]
            found[method] = (change / (moved if metric == "lipschitz" else least)).max(1)
        return found

    return values


def _faithfulness_correlation(subjects, maps, again):
    maps = {method: scaled(found) for method, found in maps.items()}
    values = {method: np.empty(len(subjects.images)) for method in maps}
    for row, (image, key) in enumerate(zip(subjects.images, subjects.keys, strict=True)):
        pixels = image[0].size
        gone = np.zeros((RUNS, pixels), dtype=bool)
        for repeat in range(RUNS):
            draw = np.random.default_rng(seed_of(*key, "faithfulness_correlation", repeat))
            gone[repeat, draw.permutation(pixels)[: max(1, round(SUBSET * pixels))]] = True
        inputs = np.concatenate([image[None], filled(image, gone, subjects.black)])
        logits = answers(subjects.model, inputs)[:, subjects.targets[row]]
        fall = (logits[0] - logits[1:])[None]
        for method, found in maps.items():
            values[method][row] = correlations((gone @ found[row])[None], fall)[0]
    return values


def _areas(subjects, row, gone, colour):
    """Area under each curve of p(target) of an image filled ever more, gone: name -> bool (steps, pixels); and p of the whole
    image."""
    from scipy.special import softmax

    image = subjects.images[row]
    inputs = [image[None], *(filled(image, steps, colour) for steps in gone.values())]
    chances = softmax(answers(subjects.model, np.concatenate(inputs)), axis=1)[:, subjects.targets[row]]
    curves = np.split(chances[1:], np.cumsum([len(steps) for steps in gone.values()])[:-1])
    return {name: np.trapezoid(curve) for name, curve in zip(gone, curves, strict=True)}, chances[0]


def _orders(subjects, row, metric, scores):
    """Orders of candidates, the highest score first: {(method, draw): places int64 (candidates,)}, when each of them goes.

    scores  method -> (candidates,). Equal scores go in a random order that the image's key draws, the same for all methods, in
    several ones where there are any.
    """
    found = {}
    for method, values in scores.items():
        draws = ORDERS if tied_share(values) else 1
        orders = ranked(values, seed=seed_of(*subjects.keys[row], metric, "ties"), draws=draws)
        found |= {(method, draw): places for draw, places in enumerate(np.argsort(orders, axis=1))}
    return found


def _by_method(areas):
    """Mean over draws: {(method, draw): area} -> {method: area}."""
    found = {}
    for (method, _), area in areas.items():
        found.setdefault(method, []).append(area)
    return {method: np.mean(drawn) for method, drawn in found.items()}


def _segment_means(segments, scores):
    """Mean score of each segment; segments int (pixels,), scores (pixels,)."""
    return np.bincount(segments, weights=scores) / np.bincount(segments)


def ties(metric, subjects, maps):
    """Compute which share of an image's pixels or segments ties with another one.

    Parameters
    ----------
    metric : str
        An id of METRICS.
    subjects : Subjects
        The images.
    maps : dict
        Method -> array_like of float, (n, height, width), raw.

    Returns
    -------
    dict or None
        Method -> numpy.ndarray, float64, (n,): of the pixels (pixel_flipping) or segments (irof). None for metrics without an
        order.
    """
    if metric not in ("irof", "pixel_flipping"):
        return None
    found = {}
    for method, scores in maps.items():
        rows = scaled(np.asarray(scores, dtype=np.float64))
        if metric == "irof":
            rows = [
                _segment_means(own.ravel(), row) for own, row in zip(subjects.segments, rows, strict=True)
            ]
        found[method] = np.array([tied_share(row) for row in rows])
    return found


def _irof(subjects, maps, again):
    maps = {method: scaled(found) for method, found in maps.items()}
    values = {method: np.empty(len(subjects.images)) for method in maps}
    for row, image in enumerate(subjects.images):
        segments = subjects.segments[row].ravel()
        count = segments.max() + 1
        means = {method: _segment_means(segments, found[row]) for method, found in maps.items()}
        gone = {
            name: places[segments] <= np.arange(count)[:, None]
            for name, places in _orders(subjects, row, "irof", means).items()
        }
        areas, whole = _areas(subjects, row, gone, image.mean((1, 2)))
        for method, area in _by_method(areas).items():
            values[method][row] = count - area / whole
    return values


def _pixel_flipping(subjects, maps, again):
    maps = {method: scaled(found) for method, found in maps.items()}
    values = {method: np.empty(len(subjects.images)) for method in maps}
    for row, image in enumerate(subjects.images):
        pixels = image[0].size
        step = -(-pixels // STEPS)
        ends = np.minimum(np.arange(1, -(-pixels // step) + 1) * step, pixels)[:, None]
        scores = {method: found[row] for method, found in maps.items()}
        gone = {
            name: places < ends for name, places in _orders(subjects, row, "pixel_flipping", scores).items()
        }
        areas, _ = _areas(subjects, row, gone, subjects.black)
        for method, area in _by_method(areas).items():
            values[method][row] = area
    return values


def sparseness(maps):
    """Compute the Gini index of |maps|.

    Parameters
    ----------
    maps : array_like of float, shape (n, ...)
        The maps.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        0 for flat maps.

    Raises
    ------
    PlumblineError
        Where the maps are not finite.
    """
    values = np.sort(np.abs(scaled(_finite(maps))), axis=1) + 1e-7
    m = values.shape[1]
    return (values * (2 * np.arange(1, m + 1) - m - 1)).sum(1) / (m * values.sum(1))


def complexity(maps):
    """Compute the entropy of the shares of |maps| in their sum.

    Parameters
    ----------
    maps : array_like of float, shape (n, ...)
        The maps, of m pixels each.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        In nats; log m for maps of zeros.

    Raises
    ------
    PlumblineError
        Where the maps are not finite.
    """
    values = np.abs(scaled(_finite(maps)))
    values = np.where(values.any(1, keepdims=True), values, 1.0)
    shares = values / values.sum(1, keepdims=True)
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)


def rank_correlations(a, b):
    """Compute Spearman correlations row by row, ties by mean rank.

    Parameters
    ----------
    a, b : numpy.ndarray, float, shape (n, values)
        The rows.

    Returns
    -------
    numpy.ndarray, float64, shape (n,)
        1 for equal rows, else 0 where either is flat.
    """
    from scipy.stats import rankdata

    found = correlations(rankdata(a, axis=1), rankdata(b, axis=1))
    return np.where((a == b).all(1), 1.0, found)


def randomised(subjects):
    """Draw the model's convolutions and linear layers anew, from the top down to one more layer each time.

    The model itself is left as it is; norms keep their statistics. The weights depend on the model's key alone.

    Parameters
    ----------
    subjects : Subjects
        Their model and its key.

    Yields
    ------
    torch.nn.Module
        A copy of the model.
    """
    import copy

    import torch
    from torch import nn

    names = [
        name for name, module in subjects.model.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    model = copy.deepcopy(subjects.model)
    for number, name in enumerate(reversed(names)):
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(*subjects.model_key, "parameter_randomisation", number))
            layer = copy.deepcopy(model.get_submodule(name)).cpu()
            layer.reset_parameters()
            model.get_submodule(name).load_state_dict(layer.state_dict())
        yield copy.deepcopy(model)


def _parameter_randomisation(subjects, maps, again):
    rows = np.arange(len(subjects.images))
    totals = {method: np.zeros(len(rows)) for method in maps}
    models = list(randomised(subjects))
    for model in models:
        for method, before in maps.items():
            after = again(method, model, subjects.images, subjects.targets, rows)
            totals[method] += rank_correlations(np.abs(scaled(before)), np.abs(scaled(after)))
    return {method: total / len(models) for method, total in totals.items()}


_FUNCTIONS = {
    "lipschitz": _robustness("lipschitz"),
    "max_sensitivity": _robustness("max_sensitivity"),
    "faithfulness_correlation": _faithfulness_correlation,
    "irof": _irof,
    "pixel_flipping": _pixel_flipping,
    "sparseness": lambda subjects, maps, again: {name: sparseness(found) for name, found in maps.items()},
    "complexity": lambda subjects, maps, again: {name: complexity(found) for name, found in maps.items()},
    "parameter_randomisation": _parameter_randomisation,
}
