"""Metrics of explanations: each by hand, their properties and edge cases."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn

from plumbline.causal import metrics as definitions
from plumbline.causal.metrics import Subjects, measure
from plumbline.causal.registry import METRICS
from plumbline.errors import PlumblineError
from plumbline.seeds import seed_of
from tests.small_explanations import chance, residual, state_of, subjects_of, unit

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity"])
def test_robustness_by_hand(explained_digits, metric):
    subjects, maps, again = subjects_of(explained_digits)
    found = measure(metric, subjects, maps, again)
    for method, row in (("causal", 0), ("saliency", 1), ("input_x_gradient", 2)):
        before, values = np.abs(unit(maps[method][row])), []
        for repeat in range(10):
            draw = np.random.default_rng(seed_of("digits_half", "lenet/seed0", row, metric, repeat))
            noise = (
                draw.normal(0.1, 0.1, (1, 32, 32))
                if metric == "lipschitz"
                else draw.uniform(-0.2, 0.2, (1, 32, 32))
            )
            copied = (subjects.images[row] + noise.astype(np.float32))[None]
            after = again(method, subjects.model, copied, subjects.targets[[row]], np.array([row]))
            change = np.linalg.norm(np.abs(unit(after)) - before)
            values.append(change / np.linalg.norm(noise if metric == "lipschitz" else before))
        assert found[method][row] == pytest.approx(max(values), rel=1e-3)
    assert found["random"].tolist() == [0, 0, 0]


def test_faithfulness_correlation_by_hand(explained_digits):
    subjects, maps, again = subjects_of(explained_digits)
    found = measure("faithfulness_correlation", subjects, maps, again)
    row, sums, falls = 1, {method: [] for method in maps}, []
    with torch.no_grad():
        whole = subjects.model(torch.from_numpy(subjects.images[[row]]))[0, subjects.targets[row]].item()
        for repeat in range(100):
            draw = np.random.default_rng(
                seed_of("digits_half", "lenet/seed0", row, "faithfulness_correlation", repeat)
            )
            chosen = draw.permutation(1024)[:224]
            image = subjects.images[row].copy().ravel()
            image[chosen] = 0.1
            logits = subjects.model(torch.from_numpy(image).view(1, 1, 32, 32))
            falls.append(whole - logits[0, subjects.targets[row]].item())
            for method, values in maps.items():
                sums[method].append(unit(values[row])[chosen].sum())
    for method in maps:
        assert found[method][row] == pytest.approx(np.corrcoef(sums[method], falls)[0, 1], abs=1e-4)


def test_irof_by_hand(explained_digits):
    subjects, maps, again = subjects_of(explained_digits)
    found = measure("irof", subjects, maps, again)
    row, segments = 2, subjects.segments[2]
    count = segments.max() + 1
    assert set(np.unique(segments)) == set(range(count)) and count > 40
    untied = 0
    for method, values in maps.items():
        means = [values[row][segments == number].mean() for number in range(count)]
        if len(set(means)) < count:  # tied segments: see test_ties_go_in_every_order_alike
            continue
        untied += 1
        image, curve = subjects.images[row].copy(), []
        for number in sorted(range(count), key=lambda number: -unit(means)[number]):
            image[0][segments == number] = subjects.images[row].mean()
            curve.append(chance(subjects, row, image) / chance(subjects, row, subjects.images[row]))
        area = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        assert found[method][row] == pytest.approx(count - area, rel=1e-4)
    assert untied >= 2


def test_pixel_flipping_by_hand(explained_digits):
    subjects, maps, again = subjects_of(explained_digits)
    found = measure("pixel_flipping", subjects, maps, again)
    row, untied = 0, 0
    for method, values in maps.items():
        if len(np.unique(values[row])) < 1024:
            continue
        untied += 1
        order = sorted(range(1024), key=lambda pixel: -values[row].ravel()[pixel])
        image, curve = subjects.images[row].copy(), []
        for start in range(0, 1024, 16):
            image.reshape(-1)[order[start : start + 16]] = 0.1
            curve.append(chance(subjects, row, image))
        area = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        assert found[method][row] == pytest.approx(area, rel=1e-4)
    assert untied


@pytest.mark.parametrize("metric", ["irof", "pixel_flipping"])
def test_ties_go_in_every_order_alike(monkeypatch, metric):
    """Four pixels, three of them tied: the mean over the six orders, not that of the pixels' numbers or of its reverse."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).requires_grad_(False)
    model[1].weight.mul_(4)
    image = np.array([[[[0.9, 0.2], [0.5, 0.7]]]], dtype=np.float32)
    segments = np.arange(4).reshape(1, 2, 2)
    subjects = Subjects(
        model, image, np.array([1]), (("a",),), ("a",), np.zeros(1, dtype=np.float32), segments
    )
    maps = {"flat": np.array([[[0.0, 0.0], [3.0, 0.0]]]), "sorted": np.array([[[4.0, 3.0], [2.0, 1.0]]])}
    fill = image.mean() if metric == "irof" else 0.0

    def area(order):
        changed, curve = image.copy().ravel(), []
        for pixel in order:
            changed[pixel] = fill
            curve.append(model(torch.from_numpy(changed)[None]).softmax(-1)[0, 1].item())
        found = sum((left + right) / 2 for left, right in zip(curve, curve[1:], strict=False))
        whole = model(torch.from_numpy(image)).softmax(-1)[0, 1].item()
        return 4 - found / whole if metric == "irof" else found

    every = [area((2, *order)) for order in itertools.permutations((0, 1, 3))]
    assert max(every) - min(every) > 0.02
    monkeypatch.setattr(definitions, "ORDERS", 3000)
    found = measure(metric, subjects, maps, None)
    assert found["flat"][0] == pytest.approx(np.mean(every), abs=4 * np.std(every) / 3000**0.5)
    assert found["sorted"][0] == pytest.approx(area((0, 1, 2, 3)), rel=1e-5)
    assert definitions.ties(metric, subjects, maps) == {"flat": [0.75], "sorted": [0.0]}
    assert definitions.ties("sparseness", subjects, maps) is None
    # A few orders are of the same draws for all maps, and are drawn by the image's key.
    monkeypatch.setattr(definitions, "ORDERS", 2)
    twins = {"one": maps["flat"], "other": 7 * maps["flat"]}
    few = measure(metric, subjects, twins, None)
    assert few["one"] == few["other"]


def test_steps_of_an_image_that_they_do_not_divide():
    """Of 5 x 20 pixels a step is 2, so that there are 50."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3)).requires_grad_(False)
    images = np.random.default_rng(0).random((1, 1, 5, 20), dtype=np.float32)
    subjects = Subjects(model, images, np.array([1]), (("a",),), ("a",), np.zeros(1, dtype=np.float32))
    scores = np.arange(100.0).reshape(1, 5, 20)
    found = measure("pixel_flipping", subjects, {"a": scores}, None)["a"][0]
    curve = [chance(subjects, 0, np.where(scores >= 98 - 2 * step, 0, images[0])) for step in range(50)]
    assert found == pytest.approx(np.trapezoid(curve), rel=1e-5)


def test_sparseness_and_complexity_by_hand():
    maps = np.random.default_rng(0).normal(size=(2, 4, 5))
    for row, values in enumerate(maps):
        values = np.abs(values).ravel()
        gini = np.abs(values[:, None] - values).sum() / (2 * 20 * values.sum())
        assert definitions.sparseness(maps)[row] == pytest.approx(gini, rel=1e-4)
        shares = values / values.sum()
        assert definitions.complexity(maps)[row] == pytest.approx(-(shares * np.log(shares)).sum())
    one = np.zeros((1, 10, 10))
    one[0, 3, 3] = -2.0
    assert definitions.sparseness(one)[0] == pytest.approx(0.99, abs=1e-3)
    assert definitions.complexity(one)[0] == 0


def test_parameter_randomisation_by_hand(explained_digits):
    subjects, maps, again = subjects_of(explained_digits)
    before = state_of(subjects.model)
    found = measure("parameter_randomisation", subjects, maps, again)
    assert state_of(subjects.model) == before
    models = list(definitions.randomised(subjects))
    assert len(models) == 5
    for method, values in maps.items():
        for row in (0, 2):
            correlations = []
            for model in models:
                after = again(method, model, subjects.images, subjects.targets, np.arange(3))[row]
                correlations.append(spearmanr(np.abs(values[row]).ravel(), np.abs(after).ravel())[0])
            assert found[method][row] == pytest.approx(np.mean(correlations), abs=1e-4)
    assert found["random"].tolist() == [1, 1, 1]
    # What lies above the layer of the maps reaches them through the graph alone.
    for model in models[:3]:
        after = again("causal", model, subjects.images, subjects.targets, np.arange(3))
        np.testing.assert_allclose(after, maps["causal"], rtol=1e-6)


def test_layers_are_drawn_anew_from_the_top_and_the_given_model_stays(explained_digits):
    subjects, *_ = subjects_of(explained_digits)
    state = torch.get_rng_state()
    own = subjects.model.state_dict()
    models = [model.state_dict() for model in definitions.randomised(subjects)]
    for number, weights in enumerate(models):
        changed = {name.split(".")[0] for name in own if not torch.equal(own[name], weights[name])}
        assert changed == set(("fc3", "fc2", "fc1", "conv2", "conv1")[: number + 1])
        for name in changed - {("fc3", "fc2", "fc1", "conv2", "conv1")[number]}:
            assert torch.equal(weights[f"{name}.weight"], models[number - 1][f"{name}.weight"])
    assert torch.equal(torch.get_rng_state(), state)
    again = [
        model.state_dict() for model in definitions.randomised(replace(subjects, images=subjects.images[:1]))
    ]
    assert all(torch.equal(again[4][name], models[4][name]) for name in own)
    other = next(iter(definitions.randomised(replace(subjects, model_key=("digits_half", "lenet/seed1")))))
    assert not torch.equal(other.state_dict()["fc3.weight"], models[0]["fc3.weight"])


def test_layers_of_a_network_with_norms():
    model, images, labels, _ = residual()
    subjects = Subjects(model, images.numpy(), labels.numpy(), ((0,),) * 3, (0,), np.zeros(3))
    *_, last = definitions.randomised(subjects)
    own, weights = model.state_dict(), last.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert not torch.equal(own[f"{name}.weight"], weights[f"{name}.weight"])
        elif isinstance(module, nn.BatchNorm2d):
            assert torch.equal(own[f"{name}.running_var"], weights[f"{name}.running_var"])


@pytest.mark.parametrize("metric", list(METRICS))
def test_scale_order_and_neighbours_change_no_value(explained_digits, metric):
    """Maps in another unit, images in another order, and methods beside one change nothing."""
    subjects, maps, again = subjects_of(explained_digits)
    whole = measure(metric, subjects, maps, again)
    for values in whole.values():
        assert values.shape == (3,) and values.dtype == np.float64
    larger = {method: 1024 * values for method, values in maps.items()}
    found = measure(metric, subjects, larger, lambda *arguments: 1024 * again(*arguments))
    turned = replace(
        subjects,
        images=subjects.images[::-1].copy(),
        targets=subjects.targets[::-1].copy(),
        keys=subjects.keys[::-1],
        segments=subjects.segments[::-1],
    )
    alone = {"causal": maps["causal"][::-1]}
    other = measure(metric, turned, alone, lambda *given: again(*given[:4], 2 - given[4]))
    for method, values in whole.items():
        np.testing.assert_allclose(found[method], values, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(other["causal"][::-1], whole["causal"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("metric", ["lipschitz", "max_sensitivity", "parameter_randomisation"])
def test_all_methods_meet_the_same_inputs_and_weights(explained_digits, metric):
    subjects, maps, again = subjects_of(explained_digits)
    seen = {}

    def recorded(method, model, images, targets, rows):
        weights = model.state_dict()["conv1.weight"].numpy().tobytes()
        seen.setdefault(method, []).append((images.tobytes(), targets.tobytes(), rows.tobytes(), weights))
        return again(method, model, images, targets, rows)

    measure(metric, subjects, maps, recorded)
    assert len(seen) == 4 and all(calls == seen["causal"] for calls in seen.values())


def test_noise_of_an_image_hangs_on_its_key(explained_digits):
    subjects, *_ = subjects_of(explained_digits)
    same = replace(subjects, images=np.repeat(subjects.images[:1], 3, axis=0))
    for metric, mean, deviation in (("lipschitz", 0.1, 0.1), ("max_sensitivity", 0, 0.2 / 3**0.5)):
        noise = definitions.noisy(same, metric) - same.images[:, None]
        assert noise.mean() == pytest.approx(mean, abs=0.002) and noise.std() == pytest.approx(
            deviation, rel=0.02
        )
        draws = noise.reshape(30, -1).astype(np.float64)
        assert np.abs(np.corrcoef(draws) - np.eye(30)).max() < 0.2
    assert np.abs(noise).max() <= 0.2 + 1e-6


@pytest.mark.parametrize("metric", list(METRICS))
def test_maps_of_zeros_and_flat_maps_have_finite_values(explained_digits, metric):
    subjects, _, again = subjects_of(explained_digits)
    maps = {
        "zero": np.zeros((3, 32, 32)),
        "flat": np.full((3, 32, 32), 0.3),
        "saliency": np.zeros((3, 32, 32)),
    }

    def changed(method, model, images, targets, rows):
        if method == "saliency":  # zeros at first, something afterwards
            return again(method, model, images, targets, rows)
        return np.full((len(images), 32, 32), 0.0 if method == "zero" else 0.7)

    found = measure(metric, subjects, maps, changed)
    wanted = {
        "lipschitz": 0,
        "max_sensitivity": 0,
        "faithfulness_correlation": 0,
        "sparseness": 0,
        "complexity": np.log(1024),
        "parameter_randomisation": 1,
    }
    assert all(np.isfinite(values).all() for values in found.values())
    for method in ("zero", "flat"):
        if metric in wanted:
            assert found[method] == pytest.approx(wanted[metric], abs=1e-9), method
        else:
            assert found[method].tolist() == found["zero"].tolist()
    if metric == "parameter_randomisation":
        assert found["saliency"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("metric", list(METRICS))
def test_maps_that_are_not_finite_are_refused(explained_digits, metric):
    subjects, maps, again = subjects_of(explained_digits)
    broken = {"saliency": maps["saliency"].copy()}
    broken["saliency"][1, 3, 3] = np.nan
    with pytest.raises(PlumblineError, match=f"{metric}: the maps of 'saliency' are not finite"):
        measure(metric, subjects, broken, again)
    if metric in ("lipschitz", "max_sensitivity", "parameter_randomisation"):
        with pytest.raises(PlumblineError, match=f"{metric}: 'causal' gives maps that are not finite"):
            measure(metric, subjects, maps, lambda *given: np.full((len(given[2]), 32, 32), np.inf))


def test_an_unknown_metric(explained_digits):
    with pytest.raises(PlumblineError, match="unknown metric 'iroff': did you mean 'irof'"):
        measure("iroff", None, {}, None)


ROWS_OF_NUMBERS = st.lists(
    st.lists(st.integers(-6, 6).map(lambda value: value / 4), min_size=6, max_size=6), min_size=2, max_size=2
)


@settings(max_examples=100, deadline=None)
@given(ROWS_OF_NUMBERS)
def test_correlations_are_those_of_scipy(rows):
    a, b = (np.array([row]) for row in rows)
    pearson, spearman = definitions.correlations(a, b)[0], definitions.rank_correlations(a, b)[0]
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert (pearson, spearman) == (0, float((a == b).all()))
    else:
        assert pearson == pytest.approx(np.corrcoef(a[0], b[0])[0, 1], abs=1e-9)
        assert spearman == pytest.approx(spearmanr(a[0], b[0])[0], abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(ROWS_OF_NUMBERS, st.permutations(range(6)))
def test_sparseness_and_complexity_lie_in_their_ranges_and_do_not_see_places(rows, places):
    maps = np.array(rows)
    for function, most in ((definitions.sparseness, 1), (definitions.complexity, np.log(6))):
        found = function(maps)
        assert (found >= -1e-12).all() and (found <= most + 1e-9).all()
        np.testing.assert_allclose(function(-maps[:, places]), found, atol=1e-9)


def test_equal_inputs_go_through_once():
    passed = []

    class Counted(nn.Linear):
        def forward(self, x):
            passed.append(len(x))
            return super().forward(x)

    model = nn.Sequential(nn.Flatten(), Counted(4, 2))
    inputs = np.random.default_rng(0).random((3, 1, 2, 2), dtype=np.float32)[[0, 1, 0, 2, 1, 0]]
    found = definitions.answers(model, inputs)
    assert passed == [3]
    np.testing.assert_allclose(found, model(torch.from_numpy(inputs)).detach().numpy(), rtol=1e-5)
