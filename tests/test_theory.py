"""The multi-head classifier's closed forms: golden outputs, derivations re-done, LIME against its package."""

import copy
import itertools
import json
from dataclasses import replace
from functools import partial
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances

from plumbline.errors import PlumblineError
from plumbline.models.multihead import sinusoids
from plumbline.models.vocabulary import UNK, Vocabulary, cleaned, tokens_of
from plumbline.theory import MultiHeadClassifier, closed_form_gradient, lime_coefficients, lime_limit
from plumbline.theory.comparison import compared
from plumbline.theory.documents import Terms, deleted_logits, grouped, in_place, masked_logits, terms_of
from plumbline.theory.experiments import document, order, rounded
from plumbline.theory.explanations import attention_scores, gradient_scores
from plumbline.theory.gradient import autograd_gradient
from plumbline.theory.lime_package import package_coefficients, predictor
from plumbline.theory.lime_sampling import draw, kernel, lime, ridge, sampled
from plumbline.theory.limits import constant, first_order, gram_solution, limit, mean_field
from tests.conftest import GOLDEN

FOLDER = GOLDEN / "lopardo"
META = json.loads((FOLDER / "meta.json").read_text())
TOLERANCE = {"init": 1e-5, "sharp": 1e-4}


def golden_model(variant):
    state = dict(np.load(FOLDER / f"state_dict_{variant}.npz"))
    positions = state.pop("pe_constant_not_in_state_dict")
    model = MultiHeadClassifier(50, 16, 8, 8, 3, 24)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()}, strict=True)
    np.testing.assert_allclose(model.positions, positions[0], atol=1e-6)
    return model


@pytest.fixture(params=[("init", 0), ("init", 1), ("sharp", 0), ("sharp", 1)], ids=str)
def golden(request):
    variant, example = request.param
    found = np.load(FOLDER / f"{variant}_ex{example}.npz")
    tokens = [str(token) for token in found["tokens"]]
    return {
        "model": golden_model(variant), "ids": torch.from_numpy(found["ids"]).long()[None], "tokens": tokens,
        "words": np.unique(tokens, return_inverse=True)[1], "found": found, "atol": TOLERANCE[variant],
    }  # fmt: skip


def small(heads=3, scale=1.0, seed=0, max_len=24, vocabulary=40):
    torch.manual_seed(seed)
    model = MultiHeadClassifier(vocabulary, 16, 8, 8, heads, max_len)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight *= (
                scale if "query" in name or "key" in name else 10 if "value" in name or "class" in name else 1
            )
    return model


def padded(tokens, max_len=24):
    ids = torch.full((max_len,), UNK)
    ids[0] = 0
    ids[1 : 1 + len(tokens)] = torch.tensor(tokens)
    return ids


# ------------------------------------------------------------------------------------------------- golden cases


def test_golden_model(golden):
    model, found, atol = golden["model"], golden["found"], golden["atol"]
    embedded = model.embedded(golden["ids"])
    pairs = {
        "predict_proba": model(golden["ids"]),
        "head_logits": model.head_logits(embedded)[0],
        "attention_full": model.full_attention(golden["ids"])[0][:, None],
        "attention_cls_heads": model.attention_of(embedded)[0][:, None],
        "e": embedded,
        "x_unk": padded([UNK] * 23)[None],
    }
    for name, ours in pairs.items():
        np.testing.assert_allclose(ours.detach(), found[name], atol=atol, err_msg=name)


def test_golden_gradients(golden):
    found, atol = golden["found"], golden["atol"]
    for name, corrected in (("grad_closed_mean", False), ("grad_closed_plus_query_mean", True)):
        ours = closed_form_gradient(golden["model"], golden["ids"], corrected=corrected)
        np.testing.assert_allclose(ours[0], found[name], atol=atol, err_msg=name)
    ours, logits = autograd_gradient(golden["model"], golden["ids"])
    np.testing.assert_allclose(ours[0], found["grad_autograd"], atol=atol)
    np.testing.assert_allclose(logits, found["predict_proba"], atol=atol)


def test_golden_word_scores(golden):
    """The reference's dictionaries: of a word's occurrences the last one counts."""
    model, found = golden["model"], golden["found"]
    embedded = model.embedded(golden["ids"])
    scores = attention_scores(model.attention_of(embedded)[0].detach().numpy())
    scores |= gradient_scores(found["grad_autograd"], embedded[0].detach().numpy())
    keys = {"alpha_avg": "attn_avg", "alpha_max": "attn_max", "g_avg": "grad_mean", "g_l1": "grad_l1", "g_l2": "grad_l2", "gxi": "grad_xinput"}  # fmt: skip
    for name, key in keys.items():
        wanted = json.loads(str(found[f"{key}_words"]))
        ours = {token: scores[name][place] for place, token in enumerate(golden["tokens"], 1)}
        assert wanted.keys() == ours.keys()
        for word, value in wanted.items():
            assert ours[word] == pytest.approx(value, abs=10 * golden["atol"]), (name, word)


def test_golden_limit(golden):
    options = {"formula": "published", "lengths": [len(golden["tokens"])]}
    terms = lime_limit(golden["model"], golden["ids"], **options)[0].numpy()
    ours = grouped(terms[1 : 1 + len(golden["tokens"])], golden["words"])
    wanted = json.loads(str(golden["found"]["lime_limit_words"]))
    assert sorted(wanted) == sorted(set(golden["tokens"]))
    np.testing.assert_allclose(ours, [wanted[word] for word in sorted(wanted)], atol=golden["atol"])


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mask", "delete"])
def test_golden_lime(golden, mode):
    """The package's five runs lie where ours do: means within what both scatter, by a t-like number."""
    n, words = len(golden["tokens"]), golden["words"]
    options = {"mode": mode, "samples": 5000, "lengths": [n], "words": [words]}
    runs = np.stack(
        [
            lime_coefficients(golden["model"], golden["ids"], seed=seed, **options)[0, 1 : n + 1]
            for seed in range(30)
        ]
    )
    if mode == "delete":
        runs = np.stack([grouped(run, words) for run in runs])
    wanted = golden["found"]["lime_bowFalse_5reps_per_position" if mode == "mask" else "lime_bowTrue_5reps"]
    spread = runs.std(0, ddof=1)
    apart = np.abs(wanted.mean(0) - runs.mean(0)) / (spread * np.sqrt(1 / 5 + 1 / 30))
    assert apart.max() < 4  # of up to 17 coefficients
    # The scatter is the same too: a chi-square of 4 degrees of freedom a coefficient.
    ratio = (wanted.var(0, ddof=1) / spread**2).mean()
    assert 0.5 < ratio < 1.8


def test_initial_weights_are_the_references():
    """torch.manual_seed(42) just before construction: the reference's order of draws."""
    torch.manual_seed(42)
    model = MultiHeadClassifier(50, 16, 8, 8, 3, 24)
    for name, weight in np.load(FOLDER / "state_dict_init.npz").items():
        if name != "pe_constant_not_in_state_dict":
            np.testing.assert_allclose(model.state_dict()[name], weight, atol=1e-7, err_msg=name)


# ---------------------------------------------------------------------------------------------------- equations


def test_forward_is_the_references_equations():
    """Keys, values and T x T attention formed as the paper writes them, in a few einsums."""
    model, ids = small(scale=10), torch.stack([padded([5, 6, 7, 5]), padded([8, 9])])
    e = model.embedding(ids) + sinusoids(24, 16)
    logits = []
    for head in model.heads:
        q, k, v = (
            torch.einsum("btd,ad->bta", e, getattr(head, name).weight) for name in ("query", "key", "value")
        )
        a = (torch.einsum("bsa,bta->bst", q, k) / 8**0.5).softmax(-1)
        logits.append(torch.einsum("bt,bta,ca->bc", a[:, 0], v, head.classifier.weight))
    torch.testing.assert_close(model(ids), torch.stack(logits).mean(0), atol=1e-5, rtol=1e-5)


documents_of = st.lists(st.integers(2, 39), min_size=1, max_size=23)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(documents_of, st.sampled_from([1.0, 10.0, 40.0]), st.integers(0, 100))
def test_perturbed_documents_without_a_forward_pass(tokens, scale, seed):
    """Masking and deletion, term by term, against the model on the perturbed ids.

    The model in double precision: where heads are sharp the single-precision forward pass is itself off by 9e-6.
    """
    model, ids = small(scale=scale, seed=seed % 5), padded(tokens)
    terms, exact = terms_of(model, ids, len(tokens)), copy.deepcopy(model).double()
    kept = np.random.default_rng(seed).integers(0, 2, (20, terms.distinct)).astype(np.float32)
    kept[0], kept[1] = 0, 1
    mask, delete = [], []
    for row in kept[:, terms.words] > 0:
        mask.append(padded([token if keep else UNK for token, keep in zip(tokens, row, strict=True)]))
        delete.append(padded([token for token, keep in zip(tokens, row, strict=True) if keep]))
    with torch.no_grad():
        for rows, ours in ((mask, masked_logits), (delete, deleted_logits)):
            wanted = exact(torch.stack(rows)).numpy()
            np.testing.assert_allclose(ours(terms, kept), wanted, atol=1e-5 * max(1, np.abs(wanted).max()))


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


def weight(share, width):
    """The package's kernel of a share kept, from its own formula."""
    return 1.0 if width is None else np.sqrt(np.exp(-((100 * (1 - share**0.5)) ** 2) / width**2))


def choices(d, width=None):
    """Every choice of words but all, 0/1 (N, d), and its chance under LIME's law times its kernel, summing to 1."""
    kept = np.array(list(itertools.product([0.0, 1.0], repeat=d))[:-1], np.float32)
    chance = np.array([1 / (d * comb(d, int(number))) for number in kept.sum(1)])
    assert chance.sum() == pytest.approx(1)
    chance *= [weight(share, width) for share in kept.mean(1)]
    return kept, chance / chance.sum()


def enumerated(terms, width=None):
    """LIME's limit without ridge, by least squares over every choice of words, weighted by its chance."""
    kept, chance = choices(terms.distinct, width)
    values = masked_logits(terms, kept)[:, 1]
    design = np.column_stack([np.ones(len(kept)), kept]) * np.sqrt(chance)[:, None]
    return np.linalg.lstsq(design, values * np.sqrt(chance), rcond=None)[0][1:]


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


def diffuse(rho, seed, words=60, heads=3, shift=0.0, values=1.0):
    """Terms of a document of `words` words, each with about the same weight: each head's document weighs about rho (a
    number a head) times as much as all UNK, no padding; every value has `shift` added."""
    rng = np.random.default_rng(seed)
    weigh = rng.lognormal(sigma=0.3, size=(words, heads))
    weigh /= weigh.sum(0)
    terms = Terms(
        token=weigh, unk=1 / (words * np.broadcast_to(rho, heads)), place=np.ones((words + 1, heads)),
        token_value=values * rng.normal(size=(words, heads, 2)), unk_value=values * rng.normal(size=(heads, 2)),
        place_value=np.zeros((words + 1, heads, 2)), fixed=np.full(heads, 1e-4), fixed_value=np.zeros((heads, 2)),
        words=np.arange(words),
    )  # fmt: skip
    return shifted(terms, shift)


def shifted(terms, shift):
    """The terms with a constant added to all values, those of UNK and [cls] too: every logit rises by it."""
    return replace(
        terms, token_value=terms.token_value + shift, unk_value=terms.unk_value + shift,
        fixed_value=terms.fixed_value + shift * terms.fixed[:, None],
    )  # fmt: skip


@pytest.mark.parametrize(("ratio", "wide", "narrow"), [(2.57, 1.50, 1.32), (10, 2.18, 1.61), (30, 2.56, 1.71), (390, 2.93, 1.77)])  # fmt: skip
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
    """(S - T) / d of docs/theory.md: zero without a kernel, a small share of the coefficients with the package's."""
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
    st.sampled_from([0.05, 1.0, 30.0, 1e4]), st.integers(1, 30), st.floats(-1e3, 1e3), st.integers(0, 1000),
    st.sampled_from([None, 25.0, 60.0]),
)  # fmt: skip
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


# --------------------------------------------------------------------------------------------------------- LIME


def test_law_of_samples():
    """The number removed is uniform on 1 to d; every word is removed alike; the first row is the document."""
    kept = draw(np.random.Generator(np.random.SFC64(1)), 40001, 8)
    assert kept[0].all()
    counts = np.bincount((8 - kept[1:].sum(1)).astype(int), minlength=9)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    assert stats.chisquare((1 - kept[1:]).sum(0)).pvalue > 1e-3
    # Given that two of eight are removed, all 28 pairs are alike.
    pairs = kept[1:][kept[1:].sum(1) == 6]
    numbers = np.unique(pairs, axis=0, return_counts=True)[1]
    assert len(numbers) == 28 and stats.chisquare(numbers).pvalue > 1e-3


def test_kernel_and_ridge_are_the_packages():
    from lime.lime_text import LimeTextExplainer

    kept = draw(np.random.Generator(np.random.SFC64(2)), 500, 12)
    kept[1] = 0
    distances = pairwise_distances(kept, kept[:1], metric="cosine").ravel() * 100
    np.testing.assert_allclose(kernel(kept), LimeTextExplainer().base.kernel_fn(distances), rtol=1e-4)
    values = np.random.default_rng(0).normal(size=500)
    wanted = Ridge(alpha=1, fit_intercept=True).fit(kept, values, sample_weight=kernel(kept)).coef_
    np.testing.assert_allclose(ridge(kept, values, kernel(kept)), wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mask", "delete"])
def test_lime_is_the_packages_in_distribution(mode):
    """A text with a repeated and an unknown word: means within three standard errors over repeats."""
    vocabulary = Vocabulary(["[cls]", "UNK", *[f"w{number}" for number in range(38)]])
    model = small(scale=10)
    item = document({"id": 0, "text": "w3 w4 w3 w5 zzz w6 w7", "label": 0}, vocabulary, 24, clean=True)
    predict = predictor(model, vocabulary, 24)
    package = np.stack(
        [package_coefficients(predict, item, mode=mode, samples=1000, seed=seed) for seed in range(12)]
    )
    ids = torch.from_numpy(item.ids)[None]
    options = {"lengths": [7], "words": [item.words], "mode": mode, "samples": 1000}
    ours = np.stack(
        [lime_coefficients(model, ids, seed=seed, **options)[0, 1:8].numpy() for seed in range(12)]
    )
    if mode == "delete":
        ours = np.stack([grouped(run, item.words) for run in ours])
    error = np.sqrt((package.var(0, ddof=1) + ours.var(0, ddof=1)) / 12)
    assert (np.abs(package.mean(0) - ours.mean(0)) < 3 * error).all()


def test_seeds_of_the_package_are_taken_modulo_32_bits():
    vocabulary, model = Vocabulary(["[cls]", "UNK", *[f"w{number}" for number in range(38)]]), small(scale=10)
    item = document({"id": 0, "text": "w3 w4 w5 w6 w7 w8", "label": 0}, vocabulary, 24, clean=True)
    first, same, other = (
        package_coefficients(predictor(model, vocabulary, 24), item, mode="delete", samples=20, seed=seed)
        for seed in (7, 2**32 + 7, 2**31 + 7)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_lime_does_not_depend_on_the_batch():
    model, ids = small(), torch.stack([padded([5, 6, 7]), padded([8, 9])])
    together = lime_coefficients(model, ids, mode="mask", samples=200, seed=1)
    np.testing.assert_array_equal(
        together[1:], lime_coefficients(model, ids[1:], mode="mask", samples=200, seed=1)
    )


LIME = {"mode": "mask", "samples": 10, "seed": 0}
DOCUMENT = padded([5, 6])[None]
SPOILT = {"nan": float("nan"), "inf": float("inf")}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (DOCUMENT.float(), "ids are of torch.float32"), (DOCUMENT.bool(), "ids are of torch.bool"),
        (DOCUMENT[0], "ids have the shape"), (DOCUMENT[:, :0], "ids have the shape"), (DOCUMENT[None], "ids have the shape"),
        (DOCUMENT - 1, "ids reach from -1 to 5"), (DOCUMENT + 39, "ids reach from 39 to 45: the vocabulary has 0 to 39"),
        (np.array([["a", "b"]]), "ids are ndarray"), ([[0, 1], [0]], "ids are list"), (None, "ids are NoneType"),
    ],
)  # fmt: skip
def test_ids_that_the_closed_forms_refuse(ids, message):
    model = small()
    calls = [
        partial(closed_form_gradient, model, corrected=True), partial(lime_limit, model),
        partial(lime_coefficients, model, **LIME),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(PlumblineError, match=message) as fault:
            call(ids)
        assert "\n" not in str(fault.value)


def test_ids_of_any_whole_dtype():
    model = small()
    for ids in (DOCUMENT.int(), DOCUMENT.to(torch.uint8), DOCUMENT.numpy(), DOCUMENT.tolist()):
        torch.testing.assert_close(lime_limit(model, ids), lime_limit(model, DOCUMENT))
        torch.testing.assert_close(
            closed_form_gradient(model, ids, corrected=True),
            closed_form_gradient(model, DOCUMENT, corrected=True),
        )


@pytest.mark.parametrize("name", ["embedding.weight", "heads.1.key.weight"])
@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT)
def test_weights_that_are_not_finite(name, value):
    model = small()
    with torch.no_grad():
        dict(model.named_parameters())[name][0, 0] = value
    for call in (
        partial(closed_form_gradient, corrected=False),
        lime_limit,
        partial(lime_coefficients, **LIME),
    ):
        with pytest.raises(PlumblineError, match=f"weights {name} are not finite"):
            call(model, DOCUMENT)
    with pytest.raises(PlumblineError, match="are the MultiHeadClassifier's: got Linear"):
        lime_limit(torch.nn.Linear(2, 2), DOCUMENT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples is 0"), ({"samples": 1}, "samples is 1"), ({"samples": -5}, "samples is -5"),
        ({"samples": 10**8 + 1}, "samples is 100000001: .* at most 100000000$"),
        ({"samples": 2.5}, "samples is 2.5"), ({"samples": True}, "samples is True"), ({"samples": "10"}, "samples is '10'"),
        ({"seed": -1}, "seed is -1"), ({"seed": None}, "seed is None"), ({"seed": 0.5}, "seed is 0.5"),
        ({"kernel_width": 0}, "kernel_width is 0"), ({"kernel_width": -25.0}, "kernel_width is -25"),
        ({"kernel_width": float("nan")}, "kernel_width is nan"), ({"kernel_width": float("inf")}, "kernel_width is inf"),
        ({"kernel_width": "25"}, "kernel_width is '25'"), ({"kernel_width": True}, "kernel_width is True"),
        ({"lengths": [24]}, "length 24"), ({"lengths": [-1]}, "length -1"), ({"lengths": [1.5]}, "length 1.5"),
        ({"lengths": [1, 2]}, "lengths are of 2 documents, ids of 1"), ({"words": []}, "words are of 0 documents"),
        ({"words": [[0]]}, "words must be 2 whole numbers"), ({"words": [[0, 2]]}, "without a gap"),
        ({"words": [[-1, 0]]}, "without a gap"), ({"words": [[0.0, 1.0]]}, "words must be 2 whole numbers"),
        ({"words": [["a", "b"]]}, "words must hold real numbers"),
    ],
)  # fmt: skip
def test_arguments_out_of_range(changes, message):
    model = small()
    with pytest.raises(PlumblineError, match=message) as fault:
        lime_coefficients(model, DOCUMENT, **LIME | changes)
    assert "\n" not in str(fault.value)
    if not {"samples", "seed"} & set(changes):
        with pytest.raises(PlumblineError, match=message):
            lime_limit(model, DOCUMENT, **changes)


def test_a_kernel_too_narrow_is_no_answer():
    """Of two words, none kept weighs nothing: the number of words kept does not vary, and no regression is left."""
    for width in (0.1, 10.0):
        with pytest.raises(
            PlumblineError, match="document 0: coefficients are not finite; widen kernel_width"
        ):
            lime_limit(small(), DOCUMENT, formula="mean_field", kernel_width=width)


def test_unknown_names_and_long_texts():
    model, ids = small(), padded([5])[None]
    with pytest.raises(PlumblineError, match="unknown mode 'masked': did you mean 'mask'"):
        lime_coefficients(model, ids, mode="masked", samples=10, seed=0)
    with pytest.raises(PlumblineError, match="unknown formula 'mean'"):
        lime_limit(model, ids, formula="mean")
    with pytest.raises(PlumblineError, match="30 tokens are more than the model's 24"):
        model(torch.zeros(1, 30, dtype=torch.long))
    for call in (
        partial(lime_limit, model),
        partial(lime_coefficients, model, **LIME),
        partial(closed_form_gradient, model, corrected=True),
    ):
        with pytest.raises(PlumblineError, match="30 tokens are more than the model's 24"):
            call(torch.zeros(1, 30, dtype=torch.long))
    with pytest.raises(PlumblineError, match="no letter or digit"):
        document({"id": 3, "text": "?!", "label": 0}, Vocabulary(["[cls]", "UNK"]), 24, clean=True)


# ------------------------------------------------------------------------------------------- tokens, experiments


def test_tokens():
    assert tokens_of("It's (\"good\"); really,<br /><br />no? Yes: 3.5!") == [
        "it", "'", "s", "(", "good", ")", "really", ",", "no", "?", "yes", "3", ".", "5", "!"]  # fmt: skip
    assert cleaned("It's -- good.<br />") == "It s good br"


def test_vocabulary():
    vocabulary = Vocabulary.of(["b a b", "c a b UNK"])
    assert vocabulary.tokens == ["[cls]", "UNK", "b", "a", "c", "unk"]
    assert list(vocabulary.ids(["a", "zzz", "b"], 6)) == [0, 3, 1, 2, 1, 1]
    assert list(vocabulary.ids(["a"] * 9, 4)) == [0, 3, 3, 3]


def test_compared():
    found = compared("x", np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.5]))
    assert found["x_l2"] == pytest.approx(np.sqrt(1 + 4 + 3.5**2))
    assert found["x_relative"] == pytest.approx(found["x_l2"] / np.linalg.norm([2, 4, 6.5]))
    assert found["x_slope"] == pytest.approx((2 + 8 + 19.5) / 14)
    assert found["x_pearson"] == pytest.approx(stats.pearsonr([1, 2, 3], [2, 4, 6.5])[0])
    assert found["x_spearman"] == pytest.approx(1)


def test_rounding_and_order():
    values = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-5, 5).repeat(100)
    np.testing.assert_allclose(rounded(values), values, rtol=2.0**-12)
    assert sorted(order("sentiment", 1000)) == list(range(1000))
    assert not np.array_equal(order("sentiment", 1000), order("imdb_25k", 1000))
