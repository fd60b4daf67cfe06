"""Limits of LIME's coefficients and closed forms of the gradient, each derived again."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from plumbline.models.vocabulary import UNK
from plumbline.theory import closed_form_gradient, lime_coefficients, lime_limit
from plumbline.theory.comparison import compared
from plumbline.theory.documents import in_place, masked_logits, terms_of
from plumbline.theory.gradient import autograd_gradient
from plumbline.theory.lime_sampling import lime, sampled
from plumbline.theory.limits import constant, first_order, gram_solution, limit, mean_field
from tests.small_theory import choices, diffuse, enumerated, padded, shifted, small, weight


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_corrected_gradient_is_autograds(scale):
    model = small(scale=scale).double()
    ids = torch.stack([padded([5, 6, 7, 5, 9]), padded([UNK, 8])])
    auto, _ = autograd_gradient(model, ids)
    corrected, published = (closed_form_gradient(model, ids, corrected=value) for value in (True, False))
    torch.testing.assert_close(corrected, auto, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(published[:, 1:], auto[:, 1:], atol=1e-12, rtol=1e-9)
    assert (published[:, 0] - auto[:, 0]).norm() > 1e-3 * auto[:, 0].norm()


def test_constant():
    """The integral, and the spec's measured slopes."""
    for ratio in (0.2, 0.995, 1.0, 1.005, 1.5, 2.61, 40.0, 1e4):
        wanted = integrate.quad(lambda u, c=ratio: 6 * u * (1 - u) * c / (1 + (c - 1) * u), 0, 1)[0]
        assert constant(ratio) == pytest.approx(wanted, rel=1e-6)
    with np.errstate(all="raise"):
        assert constant(1e200) == pytest.approx(3)
    for ratio, slope in [
        (1, 1.0),
        (1.9, 1.34),
        (3.3, 1.63),
        (4.5, 1.79),
        (9.8, 2.16),
        (39, 2.62),
        (98, 2.76),
    ]:
        assert constant(ratio) == pytest.approx(slope, abs=0.05)


@pytest.mark.parametrize("width", [None, 25.0])
def test_gram_solution_is_exact(width):
    """With the true conditional means the formula gives the regression over all choices of words."""
    terms = terms_of(small(scale=20), padded([5, 6, 7, 8, 9, 10, 6]))
    d = terms.distinct
    kept, chance = choices(d, width)
    values = masked_logits(terms, kept)[:, 1].astype(np.float64)
    average = chance @ values
    given_word = np.array([(chance * values) @ kept[:, word] / (chance @ kept[:, word]) for word in range(d)])
    np.testing.assert_allclose(
        gram_solution(given_word - average, d, width), enumerated(terms, width), rtol=1e-3, atol=1e-5
    )


@pytest.mark.slow
def test_mean_field_is_near_the_limit_where_attention_is_spread():
    """Relative error a few per cent where the published constant is off by about half."""
    model, tokens = small(scale=1.0, max_len=256, vocabulary=300), list(range(2, 102))
    terms = terms_of(model, padded(tokens, 256))
    runs = np.mean([lime(terms, "mask", 20000, seed) for seed in range(10)], 0)
    size = np.linalg.norm(runs)
    assert np.linalg.norm(mean_field(terms) - runs) < 0.05 * size
    assert np.linalg.norm(limit(terms, "rho") - runs) < 0.15 * size
    assert 0.3 * size < np.linalg.norm(limit(terms, "published") - runs) < 0.7 * size


@pytest.mark.parametrize(
    ("ratio", "wide", "narrow"), [(2.57, 1.50, 1.32), (10, 2.18, 1.61), (30, 2.56, 1.71), (390, 2.93, 1.77)]
)
def test_constant_with_the_kernel(ratio, wide, narrow):
    """The review's values, and the integrals by another rule."""
    for width, value in ((None, wide), (25.0, narrow)):
        assert constant(ratio, width) == pytest.approx(value, abs=0.006)

        def integral(factor, width=width):
            return integrate.quad(lambda u: weight(u, width) * u * (1 - u) * factor(u), 0, 1, limit=200)[0]

        over, under = integral(lambda u: ratio / (1 + (ratio - 1) * u)), integral(lambda u: 1.0)
        assert constant(ratio, width) == pytest.approx(over / under, rel=1e-7)


def test_constant_of_extreme_ratios():
    """Towards 3 without a kernel, towards int w (1 - u) / int w u (1 - u) = 1.7708 with it; 1 at rho = 1, any kernel."""
    tops = [integrate.quad(lambda u, p=p: weight(u, 25.0) * u**p * (1 - u), 0, 1)[0] for p in (0, 1)]
    assert constant(1e200, 25.0) == pytest.approx(tops[0] / tops[1], rel=1e-9)
    for width in (None, 25.0, 5.0, 100.0):
        assert constant(1.0, width) == pytest.approx(1)
        np.testing.assert_allclose(
            constant(np.array([1e-9, 1e9]), width), [constant(r, width) for r in (1e-9, 1e9)]
        )
    np.testing.assert_allclose(constant(np.array([1e-9, 1e-30])), [3e-9, 3e-30], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("width", [None, 25.0])
@pytest.mark.parametrize("rho", [0.2, 30.0, 390.0])
def test_constant_is_limes_slope_away_from_one(rho, width):
    """Values without a mean and UNK's at zero: what the softmax's sum adds is small, and C(rho) stands alone.

    At rho = 30 C without kernel is 2.56 and with it 1.71: a formula without the kernel is off by half.
    """
    terms = diffuse(rho, seed=1, words=120)
    mean = (terms.token[..., None] * terms.token_value).sum(0)
    terms = replace(terms, token_value=terms.token_value - mean, unk_value=np.zeros((3, 2)))
    runs = lime(terms, "mask", 60000, 3, width)
    own = limit(terms, "rho", width)
    assert own @ runs / (own @ own) == pytest.approx(1, abs=0.1)
    if rho == 30:
        other = limit(terms, "rho", 25.0 if width is None else None)
        assert abs(other @ runs / (other @ other) - 1) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("width", [None, 25.0])
@pytest.mark.parametrize("seed", range(3))
def test_first_order_is_limes_limit_where_attention_is_diffuse(seed, width):
    """Relative error at most .15 and slope within .1 of 1, where the formula with half the derivative is far off."""
    terms = diffuse([3.0, 30.0, 300.0], seed, shift=1.0)
    runs = lime(terms, "mask", 60000, seed, width)
    found = {
        name: compared("x", limit(terms, name, width), runs)
        for name in ("first_order", "mean_field", "rho", "published")
    }
    assert found["first_order"]["x_relative"] < 0.15
    assert found["first_order"]["x_slope"] == pytest.approx(1, abs=0.1)
    assert found["rho"]["x_relative"] > 0.3
    # With the other width the formula is visibly not this LIME's.
    other = compared("x", limit(terms, "first_order", None if width else 25.0), runs)
    assert other["x_relative"] > 2 * found["first_order"]["x_relative"]


@pytest.mark.parametrize("width", [None, 25.0])
@pytest.mark.parametrize(("heads", "share"), [("diffuse", 1e-3), ("sharp", 1e-2)])
def test_what_first_order_leaves_out_of_the_kernel_is_small(heads, share, width):
    """(S - T) / d of docs/studies/attention_meets_xai.md: zero without a kernel, a small share of the coefficients with the package's."""
    terms = (
        diffuse([3.0, 30.0, 300.0], 0)
        if heads == "diffuse"
        else terms_of(small(scale=10), padded([*range(5, 27)]))
    )
    kept, masked, fixed = (part.astype(float)[..., [0, 2]] for part in in_place(terms))

    def logit(u):
        sums = fixed + u * kept.sum(0) + (1 - u) * masked.sum(0)
        return (sums[:, 1] / sums[:, 0]).mean()

    def integral(function):
        return integrate.quad(lambda u: weight(u, width) * function(u), 0, 1, limit=500)[0]

    middle = integral(lambda u: u) / integral(lambda u: 1.0)
    slope = integral(lambda u: (u - middle) * logit(u)) / integral(lambda u: (u - middle) ** 2)
    derivative = integral(lambda u: u * (1 - u) * (logit(u + 1e-6) - logit(u - 1e-6)) / 2e-6)
    average = derivative / integral(lambda u: u * (1 - u))
    left = abs(slope - average) / len(kept) ** 0.5  # the norm of a vector of (S - T) / d
    assert left < (1e-4 if width is None else share) * np.linalg.norm(first_order(terms, width))


@pytest.mark.slow
def test_first_order_on_random_classifiers():
    """Whole models, padding and all, through the public functions; a word that occurs twice."""
    for seed in range(2):
        model = small(scale=2.0, seed=seed, max_len=64, vocabulary=80)
        with torch.no_grad():
            # UNK in each head weighs 30 times less than the words do.
            direction = model.keys_of_query(model.embedded(padded([5], 64)[None]))[0]
            unk = model.embedding.weight[UNK]
            unk += torch.linalg.pinv(direction) @ (-np.log(30) - direction @ unk)
        tokens = [2, *range(2, 52)]
        ids = padded(tokens, 64)[None]
        runs = lime_coefficients(model, ids, mode="mask", samples=60000, seed=seed)[0].numpy()
        ours = lime_limit(model, ids)[0].numpy()
        assert np.linalg.norm(ours - runs) < 0.15 * np.linalg.norm(runs)
        assert ours @ runs / (ours @ ours) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("width", [None, 25.0, 60.0])
def test_first_order_is_the_mean_derivative(width):
    """By numerical differentiation of the logit at a share u of every word, and another quadrature."""
    terms = diffuse([0.1, 2.0, 50.0], seed=4, words=7)
    kept = terms.token * terms.place[1:]
    masked = terms.unk * terms.place[1:]

    def logit(share):
        share = share[:, None]
        weights = share * kept + (1 - share) * masked
        values = share * kept * terms.token_value[..., 1] + (1 - share) * masked * terms.unk_value[:, 1]
        return ((terms.fixed_value[:, 1] + values.sum(0)) / (terms.fixed + weights.sum(0))).mean()

    def derivative(u, word, step=1e-5):
        ends = []
        for sign in (1, -1):
            share = np.full(7, u)
            share[word] += sign * step
            ends.append(logit(share))
        return (ends[0] - ends[1]) / (2 * step)

    total = integrate.quad(lambda u: weight(u, width) * u * (1 - u), 0, 1)[0]
    wanted = [
        integrate.quad(lambda u, j=j: weight(u, width) * u * (1 - u) * derivative(u, j), 0, 1, epsrel=1e-7)[0]
        / total
        for j in range(7)
    ]
    np.testing.assert_allclose(first_order(terms, width), wanted, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([0.05, 1.0, 30.0, 1e4]),
    st.integers(1, 30),
    st.floats(-1e3, 1e3),
    st.integers(0, 1000),
    st.sampled_from([None, 25.0, 60.0]),
)
def test_a_constant_added_to_all_values_moves_no_coefficient(rho, words, shift, seed, width):
    """Attention sums to one, so the logit of every perturbed document rises by the constant, which is LIME's intercept."""
    terms = diffuse(rho, seed, words=words)
    moved = shifted(terms, shift)
    tolerance = {"rtol": 1e-6, "atol": 1e-9 * (1 + abs(shift))}
    for formula in ("mean_field", "first_order"):
        np.testing.assert_allclose(
            limit(moved, formula, width), limit(terms, formula, width), **tolerance, err_msg=formula
        )
    # LIME itself, to single precision's rounding of the logits.
    runs = [lime(part, "mask", 200, seed, width) for part in (terms, moved)]
    np.testing.assert_allclose(*runs, rtol=1e-3, atol=1e-3 * (1 + abs(shift)))


@pytest.mark.parametrize("formula", ["published", "rho"])
def test_the_published_limit_is_not_invariant(formula):
    """The finding: each bracket alpha_j v_j - alpha_h,j v_h,j moves with a constant, LIME does not."""
    terms = diffuse([3.0, 30.0, 300.0], seed=0)
    for shift in (0.5, 2.0):
        moved = limit(shifted(terms, shift), formula) - limit(terms, formula)
        assert np.linalg.norm(moved) > 0.1 * shift * np.linalg.norm(limit(terms, formula))


def test_without_kernel_every_sample_weighs_the_same():
    """kernel_width None: scikit-learn's ridge without weights, on the same samples."""
    from sklearn.linear_model import Ridge

    model, ids = small(scale=10), padded([5, 6, 7, 8, 9])[None]
    ours = lime_coefficients(model, ids, mode="mask", samples=300, seed=1, kernel_width=None)[0, 1:6]
    kept, values = sampled(terms_of(model, ids[0]).by_position(), "mask", 300, 1)
    np.testing.assert_allclose(ours, Ridge(alpha=1.0).fit(kept, values).coef_, rtol=1e-3, atol=1e-5)
    assert (ours - lime_coefficients(model, ids, mode="mask", samples=300, seed=1)[0, 1:6]).abs().max() > 1e-3


def test_mean_field_of_few_words():
    model = small(scale=3)
    one, two = (terms_of(model, padded(tokens)) for tokens in ([5], [5, 6]))
    both = masked_logits(one, np.array([[1.0], [0.0]], np.float32))[:, 1]
    np.testing.assert_allclose(mean_field(one), both[:1] - both[1:], atol=1e-6)
    for width in (None, 25.0, 60.0):
        # Two words: nothing is averaged over, so the formula is exact, also where the kernel leaves hardly any variance.
        np.testing.assert_allclose(mean_field(two, width), enumerated(two, width), rtol=1e-3)


def test_mean_field_with_the_kernel():
    """Seven words of like weight, far from rho = 1: within some per cent of the regression over all choices."""
    terms = diffuse(20.0, seed=3, words=7)
    for width in (None, 25.0):
        wanted = enumerated(terms, width)
        assert np.linalg.norm(mean_field(terms, width) - wanted) < 0.1 * np.linalg.norm(wanted)


def test_limits_sum_to_a_words_coefficient():
    """A repeated word: published terms add up; mean_field has equal shares."""
    model, ids = small(scale=10), padded([5, 6, 5, 7])
    for formula in ("published", "rho", "first_order", "mean_field"):
        terms = lime_limit(model, ids[None], formula=formula)[0]
        assert terms[0] == 0 and not terms[5:].any()
        assert (terms[1:5] != 0).all()
    assert terms[1] == terms[3]
    coefficients = lime_coefficients(model, ids[None], mode="delete", samples=1000, seed=3)[0]
    assert coefficients[1] == coefficients[3] and coefficients[0] == 0 and not coefficients[5:].any()


@pytest.mark.parametrize("width", [None, 25.0])
def test_a_formula_is_the_one_that_its_name_says(width):
    """Through the public function, the kernel's width included, of a document with a word that occurs twice."""
    model, ids = small(scale=10), padded([5, 6, 5, 7])
    terms = terms_of(model, ids)
    by_word = mean_field(terms, width)[[0, 1, 0, 2]] / [2, 1, 2, 1]
    wanted = {"first_order": first_order(terms, width), "mean_field": by_word}
    for formula, numbers in wanted.items():
        found = lime_limit(model, ids[None], formula=formula, kernel_width=width)[0, 1:5]
        np.testing.assert_allclose(found, numbers, rtol=1e-9)
        other = lime_limit(model, ids[None], formula=formula, kernel_width=None if width else 25.0)[0, 1:5]
        assert not np.allclose(found, other, rtol=1e-3)
    assert not np.allclose(*wanted.values(), rtol=1e-2)
    ours = lime_limit(model, ids[None])[0, 1:5]  # the defaults
    np.testing.assert_allclose(ours, first_order(terms, 25.0), rtol=1e-9)
