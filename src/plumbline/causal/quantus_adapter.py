"""Quantus 0.6.0 (Hedström et al. 2023) beside the native metrics, with the same settings; optional (`pip install -e '.[quantus]'`).

Nothing but this module knows of it, and the workflow does without. numpy 2.4 took away `np.trapz`, which Quantus calls: it is
put back while a call runs, and only where it is missing.

Where Quantus would do otherwise it is told to do the same: maps are scaled image by image, not by the maximum of a batch;
IROF's fill is the mean of the whole image, not of the batch as filled so far; black is the given colour, not the image's
smallest value. It cuts an image into superpixels itself, as the model reads it: the same ones for grey images in [0, 1].
"""

import contextlib

import numpy as np

from ..errors import PlumblineError, unknown
from . import metrics as native


def version():
    """Return the version of Quantus, None where it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version("quantus")
    except importlib.metadata.PackageNotFoundError:
        return None


@contextlib.contextmanager
def trapz():
    """Put np.trapz back while the block runs, where numpy has none."""
    missing = not hasattr(np, "trapz")
    if missing:
        np.trapz = np.trapezoid
    try:
        yield
    finally:
        if missing:
            del np.trapz


def _metric(quantus, name, subjects, row):
    """(Quantus's metric, its output head is softmax) with the settings of the native one."""
    from quantus.functions.norm_func import fro_norm
    from quantus.functions.similarity_func import (
        correlation_pearson,
        difference,
        distance_euclidean,
        lipschitz_constant,
    )

    def scaled(maps):
        return native.scaled(maps).reshape(maps.shape)

    signed = {
        "abs": False,
        "normalise": True,
        "normalise_func": scaled,
        "disable_warnings": True,
        "display_progressbar": False,
        "return_aggregate": False,
    }
    absolute = {**signed, "abs": True}
    pixels = subjects.images[row, 0].size
    black, mean = float(subjects.black[0]), float(subjects.images[row].mean())
    made = {
        "lipschitz": lambda: quantus.LocalLipschitzEstimate(
            nr_samples=native.DRAWS,
            perturb_mean=native.MEAN,
            perturb_std=native.DEVIATION,
            similarity_func=lipschitz_constant,
            norm_numerator=distance_euclidean,
            norm_denominator=distance_euclidean,
            **absolute,
        ),
        "max_sensitivity": lambda: quantus.MaxSensitivity(
            nr_samples=native.DRAWS,
            lower_bound=native.RADIUS,
            similarity_func=difference,
            norm_numerator=fro_norm,
            norm_denominator=fro_norm,
            **absolute,
        ),
        "faithfulness_correlation": lambda: quantus.FaithfulnessCorrelation(
            nr_runs=native.RUNS,
            subset_size=round(native.SUBSET * pixels),
            perturb_baseline=black,
            similarity_func=correlation_pearson,
            **signed,
        ),
        "irof": lambda: quantus.IROF(segmentation_method="slic", perturb_baseline=mean, **signed),
        "pixel_flipping": lambda: quantus.PixelFlipping(
            features_in_step=-(-pixels // native.STEPS),
            perturb_baseline=black,
            return_auc_per_sample=True,
            **signed,
        ),
        "sparseness": lambda: quantus.Sparseness(**absolute),
        "complexity": lambda: quantus.Complexity(**absolute),
    }
    if name not in made:
        raise unknown("metric of Quantus", name, made)
    return made[name](), name in ("irof", "pixel_flipping")


def measure(metric, subjects, maps, again, *, seed=0):
    """Compute with Quantus what `metrics.measure` computes natively; parameter_randomisation is not compared.

    Parameters
    ----------
    metric, subjects, maps, again
        See `metrics.measure`.
    seed : int
        Of Quantus's draws, for all images and methods together.

    Returns
    -------
    dict
        Method -> numpy.ndarray, float64, (n,).

    Raises
    ------
    PlumblineError
        Where Quantus is missing, for images with more than one channel, and for another metric.
    """
    if version() is None:
        raise PlumblineError("Quantus is not installed: run `pip install -e '.[quantus]'`")
    if subjects.images.shape[1] != 1:
        raise PlumblineError("Quantus fills channels apart: compare with it on grey images alone")
    import quantus

    state = np.random.get_state()
    found = {}
    try:
        np.random.seed(seed)
        with trapz():
            for method, scores in maps.items():
                found[method] = np.array(
                    [
                        _value(quantus, metric, subjects, method, scores, again, row)
                        for row in range(len(scores))
                    ]
                )
    finally:
        np.random.set_state(state)
    return found


def _value(quantus, metric, subjects, method, scores, again, row):
    def explain(model, inputs, targets, **_):
        rows = np.full(len(inputs), row)
        return np.asarray(again(method, model, np.asarray(inputs, dtype=np.float32), targets, rows))[:, None]

    one, softmax = _metric(quantus, metric, subjects, row)
    part = slice(row, row + 1)
    value = one(
        model=subjects.model,
        x_batch=subjects.images[part].copy(),
        y_batch=subjects.targets[part],
        a_batch=scores[part, None].astype(np.float64),
        explain_func=explain,
        softmax=softmax,
        channel_first=True,
        device=str(next(subjects.model.parameters()).device),
        batch_size=1,
    )
    return float(np.ravel(value)[0])
