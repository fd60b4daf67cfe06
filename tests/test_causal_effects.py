"""Effects of interventions, their tests and corrections, by hand."""

import numpy as np
import pytest
import torch

from plumbline.causal import effects as estimates


def test_effects_of_a_small_example_by_hand():
    observed, intervened = np.array([2.0, 4.0, 0.0]), np.array([[1.0, 4.0, 3.0], [2.0, 4.0, 1e-13]])
    found, rule = estimates.tested(observed, intervened, test="welch", correction="none", level=0.05)
    assert found["te"].tolist() == [2 / 3, 0.0] and found["te_variance"].tolist() == pytest.approx(
        [13 / 3, 0]
    )
    assert found["rte"].tolist() == [-0.25, 0.0]
    assert found["mean"].tolist() == pytest.approx([8 / 3, 2]) and found[
        "variance"
    ].tolist() == pytest.approx([7 / 3, 4])
    assert found["z"].tolist() == pytest.approx([(8 / 3 - 2) / ((7 / 3 + 4) / 3) ** 0.5, 0])
    assert rule == "none" and not found["selected"].any()
    paired, _ = estimates.tested(observed, intervened, test="paired", correction="none", level=0.05)
    assert paired["z"].tolist() == pytest.approx([(2 / 3) / (13 / 9) ** 0.5, 0])
    assert paired["p"].tolist() == pytest.approx([0.7105, 0.5], abs=1e-4)


def test_a_difference_without_variance_is_certain_and_finite():
    z = estimates.z_paired(np.array([-0.1, 0.0, 0.1]), np.zeros(3), 5)
    assert np.isfinite(z).all() and estimates.p_values(z).tolist() == [0.0, 0.5, 1.0]


def test_divergence_is_that_of_torch():
    draw = np.random.default_rng(1)
    base, found = draw.normal(size=(6, 4)) * 20, draw.normal(size=(3, 6, 4)) * 20
    logs = torch.from_numpy(base).log_softmax(-1).expand(3, -1, -1), torch.from_numpy(found).log_softmax(-1)
    wanted = torch.nn.functional.kl_div(*logs, log_target=True, reduction="none").sum(-1).mean(1)
    np.testing.assert_allclose(estimates.divergences(base, found), wanted, rtol=1e-10)
    assert estimates.divergences(base, base[None])[0] == 0


def test_the_correction_is_that_of_benjamini_and_hochberg():
    """Their step-up rule: the largest i with p_(i) <= i / k times the level, and all up to it."""
    draw = np.random.default_rng(2)
    for count in (1, 5, 40):
        for power in (1, 3, 8):
            p = draw.random(count) ** power
            bounds = [value for i, value in enumerate(sorted(p), 1) if value <= i / count * 0.05]
            wanted = p <= max(bounds, default=-1)
            zeros = np.zeros(count)
            chosen, rule = estimates.select(zeros, p, zeros, 1.0, correction="bh", level=0.05)
            assert np.array_equal(chosen, wanted)
            assert rule == ("test" if wanted.any() else "none")


def test_fallback_keeps_what_lowers_a_negative_logit_too():
    """With relative effects the sign would turn round where the logit is negative."""
    te = np.array([-0.2, -0.0009, 0.2])
    for mean in (1.0, -1.0):
        chosen, rule = estimates.select(np.zeros(3), np.full(3, 0.5), te, mean, correction="none", level=0.05)
        assert (chosen.tolist(), rule) == ([True, False, False], "fallback")
