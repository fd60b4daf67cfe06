"""The classifier, its gradients, attention and LIME against golden cases of the reference."""

import json

import numpy as np
import pytest
import torch

from plumbline.models.vocabulary import UNK
from plumbline.theory import MultiHeadClassifier, closed_form_gradient, lime_coefficients, lime_limit
from plumbline.theory.documents import grouped
from plumbline.theory.explanations import attention_scores, gradient_scores
from plumbline.theory.gradient import autograd_gradient
from tests.conftest import GOLDEN
from tests.small_theory import padded

FOLDER = GOLDEN / "lopardo"
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
        "model": golden_model(variant),
        "ids": torch.from_numpy(found["ids"]).long()[None],
        "tokens": tokens,
        "words": np.unique(tokens, return_inverse=True)[1],
        "found": found,
        "atol": TOLERANCE[variant],
    }


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
    keys = {
        "alpha_avg": "attn_avg",
        "alpha_max": "attn_max",
        "g_avg": "grad_mean",
        "g_l1": "grad_l1",
        "g_l2": "grad_l2",
        "gxi": "grad_xinput",
    }
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
