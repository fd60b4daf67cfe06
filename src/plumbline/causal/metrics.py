"""Metrics of explanations of image classifiers (specification §8). What there is: causal.registry.METRICS.

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
other map's reaches. A correlation without variance on either side is 0: nothing is told; of two equal maps it is 1.
A pixel is filled in all channels. Noise is in units of the image as the model reads it.

Differences from Quantus 0.6 (quantus_adapter.py): it scales maps by the maximum of a batch, IROF's fill is the mean of the batch
as filled so far, its black is the image's smallest value, and flat or zero maps give NaN.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import PlumblineError, unknown
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
    "irof": f"{_SIGNED}; head softmax; fill mean; SLIC, {SEGMENTS} segments; area over the curve, in segments",
    "pixel_flipping": f"{_SIGNED}; head softmax; fill black; {STEPS} steps; area under the curve, in steps",
    "sparseness": f"{_ABSOLUTE}; Gini index",
    "complexity": f"{_ABSOLUTE}; entropy, nats",
    "parameter_randomisation": f"{_ABSOLUTE}; layers drawn anew from the top, cascading; Spearman; mean over layers",
}


@dataclass(frozen=True)
class Subjects:
    """Images whose explanations are measured.

    model     in evaluation mode; images float32 (n, channels, height, width) as it reads them; targets int64 (n,).
    keys      n tuples of names and numbers, such as (dataset, model and seed, image), for seeds; model_key: the same of the model.
    black     colour of an absent pixel as the model reads it, float32 (channels,).
    segments  int (n, height, width), numbers from 0 on; for irof alone.
    """

    model: object
    images: np.ndarray
    targets: np.ndarray
    keys: tuple
    model_key: tuple
    black: np.ndarray
    segments: np.ndarray | None = None


def measure(metric, subjects, maps, again):
    """Values of a metric: {method: float64 (n,)}.

    maps   method -> (n, height, width), raw; again: function of (method, model, images, targets, rows) -> maps of other images,
           copies of the images `rows` that take the same draws, by a model of the same shape.

    Raises PlumblineError for an unknown metric, a map that is not finite, and values that are not.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)

    def checked(method, *arguments):
        found = np.asarray(again(method, *arguments), dtype=np.float64)
        if not np.isfinite(found).all():
            raise PlumblineError(
                f"{metric}: '{method}' gives maps that are not finite for changed images or weights"
            )
        return found

    maps = {method: np.asarray(found, dtype=np.float64) for method, found in maps.items()}
    for method, found in maps.items():
        if not np.isfinite(found).all():
            raise PlumblineError(f"{metric}: the maps of '{method}' are not finite")
    values = _FUNCTIONS[metric](subjects, maps, checked)
    for method, found in values.items():
        if not np.isfinite(found).all():
            key = subjects.keys[int(np.flatnonzero(~np.isfinite(found))[0])]
            raise PlumblineError(f"{metric} of '{method}' is not finite for {key}")
    return values


def scaled(maps):
    """Maps (n, ...) as (n, pixels), each divided by its largest |value|; those of zeros as they are."""
    flat = maps.reshape(len(maps), -1)
    largest = np.abs(flat).max(1, keepdims=True)
    return flat / np.where(largest > 0, largest, 1)


def correlations(a, b):
    """Pearson correlations of the rows of two (n, values); 0 where either does not vary beyond rounding."""
    flat, norm, spreads = np.zeros(len(a), dtype=bool), np.ones(len(a)), []
    for part in (a, b):
        spread = part - part.mean(1, keepdims=True)
        flat |= np.abs(spread).max(1) <= 1e-12 * np.abs(part).max(1)
        norm *= np.linalg.norm(spread, axis=1)
        spreads.append(spread)
    return np.where(flat, 0.0, (spreads[0] * spreads[1]).sum(1) / np.where(norm > 0, norm, 1))


def answers(model, inputs):
    """Logits, float64 (rows, classes), of inputs float32 (rows, channels, height, width); equal ones go through once."""
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


def probabilities(logits):
    """Softmax of (rows, classes)."""
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return shifted / shifted.sum(1, keepdims=True)


def segments_of(images):
    """Superpixels (SLIC, Achanta et al. 2012) of images (n, channels, height, width) with values in [0, 1]: int
    (n, height, width), numbers from 0 on without a gap."""
    from skimage.segmentation import slic

    pictures = np.moveaxis(np.asarray(images, dtype=np.float64), 1, -1)
    found = [slic(picture, n_segments=SEGMENTS, start_label=0, channel_axis=-1) for picture in pictures]
    return np.stack([np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in found])


def noisy(subjects, metric):
    """Perturbed copies of the images for a metric of robustness: float32 (n, DRAWS, channels, height, width)."""

    def noise(key, repeat):
        draw = np.random.default_rng(seed_of(*key, metric, repeat))
        size = subjects.images.shape[1:]
        if metric == "lipschitz":
            return draw.normal(MEAN, DEVIATION, size)
        return draw.uniform(-RADIUS, RADIUS, size)

    found = np.stack([[noise(key, repeat) for repeat in range(DRAWS)] for key in subjects.keys])
    return subjects.images[:, None] + found.astype(np.float32)


def filled(image, gone, colour):
    """Copies of an image (channels, height, width) with the pixels `gone`, bool (copies, pixels), in a colour (channels,)."""
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
    """Area under each method's curve of p(target) of an image filled ever more, gone: method -> bool (steps, pixels); and p
    of the whole image."""
    image = subjects.images[row]
    inputs = [image[None], *(filled(image, steps, colour) for steps in gone.values())]
    chances = probabilities(answers(subjects.model, np.concatenate(inputs)))[:, subjects.targets[row]]
    curves = np.split(chances[1:], np.cumsum([len(steps) for steps in gone.values()])[:-1])
    return {method: np.trapezoid(curve) for method, curve in zip(gone, curves, strict=True)}, chances[0]


def _irof(subjects, maps, again):
    maps = {method: scaled(found) for method, found in maps.items()}
    values = {method: np.empty(len(subjects.images)) for method in maps}
    for row, image in enumerate(subjects.images):
        segments = subjects.segments[row].ravel()
        sizes = np.bincount(segments)
        gone = {}
        for method, found in maps.items():
            means = np.bincount(segments, weights=found[row]) / sizes
            places = np.argsort(np.argsort(-means, kind="stable"), kind="stable")  # segment -> when it goes
            gone[method] = places[segments] <= np.arange(len(sizes))[:, None]
        areas, whole = _areas(subjects, row, gone, image.mean((1, 2)))
        for method, area in areas.items():
            values[method][row] = len(sizes) - area / whole
    return values


def _pixel_flipping(subjects, maps, again):
    maps = {method: scaled(found) for method, found in maps.items()}
    values = {method: np.empty(len(subjects.images)) for method in maps}
    for row in range(len(subjects.images)):
        gone = {}
        for method, found in maps.items():
            order = np.argsort(-found[row], kind="stable")
            pixels = len(order)
            step = -(-pixels // STEPS)
            places = np.argsort(order, kind="stable")
            gone[method] = places < np.minimum(np.arange(1, -(-pixels // step) + 1) * step, pixels)[:, None]
        areas, _ = _areas(subjects, row, gone, subjects.black)
        for method, area in areas.items():
            values[method][row] = area
    return values


def sparseness(maps):
    """Gini index of |maps| (n, ...): (n,); 0 for flat ones."""
    values = np.sort(np.abs(scaled(maps)), axis=1) + 1e-7
    m = values.shape[1]
    return (values * (2 * np.arange(1, m + 1) - m - 1)).sum(1) / (m * values.sum(1))


def complexity(maps):
    """Entropy, nats, of the shares of |maps| (n, ...) in their sum: (n,); log m for those of zeros."""
    values = np.abs(scaled(maps))
    values = np.where(values.any(1, keepdims=True), values, 1.0)
    shares = values / values.sum(1, keepdims=True)
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)


def rank_correlations(a, b):
    """Spearman correlations of the rows of two (n, values), ties by mean rank: 1 for equal rows, else 0 where either is flat."""
    from scipy.stats import rankdata

    found = correlations(rankdata(a, axis=1), rankdata(b, axis=1))
    return np.where((a == b).all(1), 1.0, found)


def randomised(subjects):
    """Copies of the model whose convolutions and linear layers are drawn anew from the top down to one more layer each time.

    The model itself is left as it is; norms keep their statistics. The weights hang on the model's key alone.
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
