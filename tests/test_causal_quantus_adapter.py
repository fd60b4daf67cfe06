"""The metrics of explanations beside those of Quantus."""

from dataclasses import replace

import numpy as np
import pytest

from plumbline.causal import quantus_adapter
from plumbline.causal.metrics import measure
from plumbline.errors import PlumblineError
from tests.small_explanations import subjects_of

pytestmark = pytest.mark.slow


def quantus():
    if quantus_adapter.version() is None:
        pytest.skip("Quantus is not installed: pip install -e '.[quantus]'")


def compared(explained_digits):
    """Subjects with maps without ties, because Quantus breaks ties at random."""
    subjects, maps, again = subjects_of(explained_digits)
    draw = np.random.default_rng(0)
    noise = draw.normal(size=(3, 32, 32))
    peaked = np.abs(maps["saliency"]) + 1e-3 * draw.random((3, 32, 32))
    return subjects, {"noise": noise, "peaked": peaked, "causal": maps["causal"]}, again


@pytest.mark.parametrize("metric", ["sparseness", "complexity", "pixel_flipping", "irof"])
def test_quantus_agrees_where_nothing_is_drawn(explained_digits, metric):
    quantus()
    subjects, maps, again = compared(explained_digits)
    ours = measure(metric, subjects, maps, again)
    before, state = {name: values.copy() for name, values in maps.items()}, np.random.get_state()[1].copy()
    theirs = quantus_adapter.measure(metric, subjects, maps, again)
    for method, values in ours.items():
        np.testing.assert_allclose(theirs[method], values, rtol=1e-5, atol=1e-5)
        assert np.array_equal(before[method], maps[method])
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity", "faithfulness_correlation"])
def test_quantus_agrees_on_average_where_something_is(explained_digits, metric):
    """Means over draws of other seeds, within 3 standard errors of their difference."""
    quantus()
    subjects, maps, again = subjects_of(explained_digits)
    maps = {method: maps[method] for method in ("causal", "input_x_gradient")}
    ours, theirs = {method: [] for method in maps}, {method: [] for method in maps}
    repeats = 12
    for repeat in range(repeats):
        keys = tuple((*key, repeat) for key in subjects.keys)
        found = measure(metric, replace(subjects, keys=keys), maps, again)
        other = quantus_adapter.measure(metric, subjects, maps, again, seed=repeat)
        for method in maps:
            ours[method].append(found[method])
            theirs[method].append(other[method])
    for method in maps:
        a, b = np.array(ours[method]), np.array(theirs[method])
        error = ((a.var(0, ddof=1) + b.var(0, ddof=1)) / repeats) ** 0.5
        assert (np.abs(a.mean(0) - b.mean(0)) < 3 * error + 1e-9).all(), (metric, method)
        assert error.max() < 0.1


def test_quantus_still_needs_trapz():
    """Fails when it no longer does: then take `quantus_adapter.trapz` away."""
    quantus()
    from quantus.helpers.utils import calculate_auc

    assert not hasattr(np, "trapz")
    with pytest.raises(AttributeError, match="trapz"):
        calculate_auc(np.array([1.0, 2.0]))
    with pytest.raises(RuntimeError), quantus_adapter.trapz():
        assert calculate_auc(np.array([1.0, 2.0])) == 1.5
        raise RuntimeError
    assert not hasattr(np, "trapz")


def test_the_adapter_refuses_what_it_cannot_compare(explained_digits, monkeypatch):
    subjects, maps, again = subjects_of(explained_digits)
    quantus()
    with pytest.raises(PlumblineError, match="unknown metric of Quantus 'parameter_randomisation'"):
        quantus_adapter.measure("parameter_randomisation", subjects, maps, again)
    colour = replace(subjects, images=np.repeat(subjects.images, 3, axis=1))
    with pytest.raises(PlumblineError, match="grey images alone"):
        quantus_adapter.measure("irof", colour, maps, again)
    monkeypatch.setattr(quantus_adapter, "version", lambda: None)
    with pytest.raises(PlumblineError, match="Quantus is not installed"):
        quantus_adapter.measure("irof", subjects, maps, again)
