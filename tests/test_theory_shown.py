"""The documents that attention_meets_xai shows, and their numbers."""

import numpy as np
import pytest
import torch

from plumbline.artefacts import read_json, read_rows
from plumbline.models.multihead_training import load
from plumbline.seeds import seed_of
from plumbline.theory import lime_limit
from plumbline.theory.documents import terms_of
from plumbline.theory.experiments import document
from plumbline.theory.explanations import SEVEN
from plumbline.theory.lime_package import package_coefficients, predictor
from plumbline.theory.lime_sampling import lime
from plumbline.theory.shown import numbers, write_shown
from tests.small_xai import files_of


@pytest.mark.slow
def test_shown_numbers_are_the_parts_own(xai_study):
    """Every number of the figures' file again: weights, gradients and limits by public functions, LIME by its package."""
    root, found = xai_study
    facts = read_json(found["shown"][0]["path"])
    model, vocabulary, max_len = load(**files_of(root))
    texts = list(read_rows(root / "data/sentiment/test.parquet")["text"])
    words = max((text.split() for text in texts), key=len)
    assert facts["sentence"]["tokens"] == texts[0].split() and facts["document"]["tokens"] == words
    assert (facts["samples"], facts["repeats"], facts["seed"], facts["dataset"]) == (100, 2, 0, "sentiment")
    names, predict = ("sentiment", "multihead", 0), predictor(model, vocabulary, max_len)
    sentence, text = (
        document(
            {"id": name, "text": " ".join(facts[name]["tokens"]), "label": 0}, vocabulary, max_len, clean=True
        )
        for name in ("sentence", "document")
    )

    def runs(item, mode):
        seeds = [seed_of(*names, item.id, "lime package", repeat) for repeat in range(2)]
        return np.array(
            [package_coefficients(predict, item, mode=mode, samples=100, seed=seed) for seed in seeds]
        )

    def close(one, other):
        np.testing.assert_allclose(np.array(one, float), np.array(other, float), rtol=2e-4, atol=1e-6)

    ids, n = torch.from_numpy(sentence.ids)[None], len(sentence.tokens)
    e = model.embedded(ids).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.head_logits(e)[0, :, 1].mean(), e)
    gradient, e = gradient[0].numpy(), e[0].detach().numpy()
    shown = facts["sentence"]
    attention = model.full_attention(ids)[0].numpy()
    close(shown["attention"], attention[:, : n + 1, : n + 1])
    own = slice(1, n + 1)
    weights = {
        "alpha_avg": attention[:, 0, own].mean(0),
        "alpha_max": attention[:, 0, own].max(0),
        "g_avg": gradient[own].mean(1),
        "g_l1": np.abs(gradient[own]).sum(1),
        "g_l2": np.linalg.norm(gradient[own], axis=1),
        "gxi": (gradient * e)[own].sum(1),
        "lime": runs(sentence, "delete")[0][sentence.words],
    }
    for name, values in weights.items():
        close(shown["weights"][name], values)
    assert shown["unknown"] == [int(word not in vocabulary.number) for word in sentence.tokens]
    close(shown["logits"], model(ids)[0].detach().numpy())
    close(shown["gradients"]["autograd"], gradient[: n + 3])
    close(shown["gradients"]["corrected"], gradient[: n + 3])
    close(np.array(shown["gradients"]["published"])[1:], gradient[1 : n + 3])
    assert np.abs(np.array(shown["gradients"]["published"])[0] - gradient[0]).max() > 1e-7

    ids, shown = torch.from_numpy(text.ids)[None], facts["document"]
    assert shown["words"] == sorted(set(words))
    close(shown["logits"], model(ids)[0].detach().numpy())
    close(np.mean(shown["head_logits"], 0), shown["logits"])
    close(shown["lime_delete"], runs(text, "delete"))
    placed = runs(text, "mask")
    summed = [[run[text.words == word].sum() for word in range(len(shown["words"]))] for run in placed]
    close(shown["lime_mask"], summed)
    terms = terms_of(model, ids[0], len(words), text.words)
    for mode in ("delete", "mask"):
        each = [
            lime(terms, mode, 100, seed_of(*names, "document", f"lime_{mode}", repeat), None)
            for repeat in range(2)
        ]
        close(shown[f"lime_{mode}_no_kernel"], np.mean(each, 0))
    for formula, values in shown["limits"].items():
        each = lime_limit(model, ids, formula=formula, lengths=[len(words)], words=[text.words]).numpy()[
            0, 1:
        ]
        each = each[: len(words)]
        close(values, [each[text.words == word].sum() for word in range(len(shown["words"]))])


def test_digits_of_what_is_shown():
    assert numbers(np.array([[1 / 3, 12345678.9]])) == [[0.3333333, 12345680.0]]


@pytest.mark.slow
def test_shown(xai_study):
    facts = read_json(xai_study[1]["shown"][0]["path"])
    sentence, text = facts["sentence"], facts["document"]
    n = len(sentence["tokens"])
    assert set(sentence["weights"]) == set(SEVEN)
    assert {len(values) for values in sentence["weights"].values()} == {n}
    assert np.array(sentence["attention"]).shape == (2, n + 1, n + 1)
    np.testing.assert_allclose(np.mean(sentence["head_logits"], 0), sentence["logits"], atol=1e-5)
    corrected, auto = (np.array(sentence["gradients"][name]) for name in ("corrected", "autograd"))
    np.testing.assert_allclose(corrected, auto, atol=1e-5)
    assert np.array(text["lime_delete"]).shape == np.array(text["lime_mask"]).shape == (2, len(text["words"]))


@pytest.mark.slow
def test_words_that_the_vocabulary_lacks_are_said(xai_study, tmp_path):
    root, found = xai_study
    known = read_json(found["shown"][0]["path"])["sentence"]["tokens"][0]
    output = tmp_path / "shown.json"
    write_shown(
        files=files_of(root),
        data=root / "data/sentiment/test.parquet",
        sentence=f"{known} qqqq {known}",
        document_text=None,
        dataset="sentiment",
        seed=0,
        samples=20,
        repeats=1,
        output=output,
    )
    assert read_json(output)["sentence"]["unknown"] == [0, 1, 0]
