"""Experiments of attention_meets_xai: shards, rows of LIME, gradient and faithfulness, order and rounding."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from plumbline.artefacts import check_file, read_rows
from plumbline.errors import PlumblineError
from plumbline.models.multihead_training import load
from plumbline.models.vocabulary import UNK
from plumbline.seeds import seed_of
from plumbline.theory import lime_limit, quant_gradient
from plumbline.theory.comparison import compared
from plumbline.theory.documents import terms_of
from plumbline.theory.experiments import document, order, rounded, run_shard
from plumbline.theory.explanations import EXPLANATIONS, explain
from plumbline.theory.lime_sampling import lime
from plumbline.theory.quant_faithfulness import rows as faithfulness_rows
from plumbline.theory.quant_gradient import rows as gradient_rows
from plumbline.theory.quant_lime import rows as lime_rows
from tests.small_xai import files_of, shard_options


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


@pytest.mark.slow
def test_shards_change_nothing(xai_study, tmp_path):
    """Rows depend on the review alone: not on shard, start or neighbours."""
    root, inputs = xai_study
    for experiment in ("gradient", "lime_delete", "faithfulness"):
        whole = read_rows(inputs[f"theory_{experiment}"][0]["path"])  # of seed 0
        run_shard(
            experiment, output=tmp_path / "part.parquet", start=7, **shard_options(root, size=5, reviews=12)
        )
        part = read_rows(tmp_path / "part.parquet")
        assert check_file(tmp_path / "part.parquet") == []
        pd.testing.assert_frame_equal(part, whole.iloc[7:12].reset_index(drop=True), rtol=1e-3, atol=1e-5)
    assert list(whole["id"]) == list(order("sentiment", 30)[:20])


@pytest.mark.slow
def test_fewer_reviews_than_asked_for_is_an_error(xai_study, tmp_path):
    with pytest.raises(
        PlumblineError, match=r"has 30 texts, fewer than attention_meets_xai.reviews.gradient \(99\)"
    ):
        run_shard("gradient", output=tmp_path / "x.parquet", **shard_options(xai_study[0], reviews=99))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_faithfulness_is_the_models_own(xai_study):
    """Comp and suff of one review by plain forward passes on ids from which tokens went."""
    model, vocabulary, max_len = load(**files_of(xai_study[0]))
    row = {"id": 3, "text": "the good film was not a bad bad story", "label": 1}
    item = document(row, vocabulary, max_len, clean=True)
    names = ("sentiment", "multihead", 0)
    (found,) = faithfulness_rows(model, [item], "faithfulness", samples=100, names=names)
    ((_, logits, scores),) = explain(model, [item], samples=100, names=names)
    target = int(logits.argmax())

    def probability(kept, mask):
        ids = np.full(max_len, UNK)
        ids[0] = 0
        tokens = [item.ids[place + 1] if keep else UNK for place, keep in enumerate(kept)]
        tokens = tokens if mask else [token for token, keep in zip(tokens, kept, strict=True) if keep]
        ids[1 : 1 + len(tokens)] = tokens
        return model(torch.from_numpy(ids)[None]).softmax(1)[0, target].item()

    n = len(item.tokens)
    # LIME's coefficient of "bad" is tied at its two places; what follows has an order of its own.
    assert (
        found["lime_tied"] == pytest.approx(2 / n) and found["g_avg_tied"] == 0 and found["uniform_tied"] == 1
    )
    assert found["uniform_mask_comp"] != found["position_mask_comp"]
    for name in ("g_avg", "alpha_max", "lime_mask", "lime_mask_abs", "attention_value", "random"):
        sign = -1 if EXPLANATIONS[name].signed and target == 0 else 1
        ranked = np.argsort(-sign * scores[name], kind="stable")
        for mode in ("delete", "mask"):
            comp, suff = [], []
            for share in (0.01, 0.05, 0.1, 0.2, 0.5):
                top = np.zeros(n, bool)
                top[ranked[: int(np.ceil(n * share))]] = True
                comp.append(probability(np.ones(n), True) - probability(~top, mode == "mask"))
                suff.append(probability(np.ones(n), True) - probability(top, mode == "mask"))
            assert found[f"{name}_{mode}_comp"] == pytest.approx(np.mean(comp), abs=1e-5), (name, mode)
            assert found[f"{name}_{mode}_suff"] == pytest.approx(np.mean(suff), abs=1e-5), (name, mode)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["lime_mask", "lime_delete"])
def test_rows_of_lime(xai_study, experiment):
    """One review by its own parts: runs of LIME with and without kernel, rho and concentration from the weights."""
    model, vocabulary, max_len = load(**files_of(xai_study[0]))
    row = {"id": 3, "text": "the good film was not a bad bad story", "label": 1}
    item = document(row, vocabulary, max_len, clean=True)
    names, mode = ("sentiment", "multihead", 0), experiment.removeprefix("lime_")
    (found,) = lime_rows(model, [item], experiment, samples=80, repeats=3, names=names)
    terms = terms_of(model, torch.from_numpy(item.ids), len(item.tokens), item.words)

    def runs(way, width):
        return np.array(
            [lime(terms, way, 80, seed_of(*names, 3, f"lime_{way}", repeat), width) for repeat in range(3)]
        )

    means = {width: runs(mode, width).mean(0) for width in (25.0, None)}
    for prefix, width in (("lime", 25.0), ("lime_plain", None)):
        assert found[f"{prefix}_norm"] == pytest.approx(np.linalg.norm(means[width]))
        error = np.std(runs(mode, width), axis=0, ddof=1) / 3**0.5
        assert found[f"{prefix}_noise"] == pytest.approx(np.linalg.norm(error))
    for prefix, own, width in (("", 25.0, 25.0), ("plain_", None, 25.0), ("both_plain_", None, None)):
        for formula in ("published", "rho", "mean_field", "first_order"):
            if (prefix, formula) == ("plain_", "published"):
                assert "plain_published_l2" not in found
                continue
            # Per word: the public function's terms, summed over its places.
            each = lime_limit(
                model, item.ids[None], formula=formula, kernel_width=own, lengths=[9], words=[item.words]
            )
            wanted = np.array([each[0, 1:10][item.words == word].sum() for word in range(terms.distinct)])
            apart = np.linalg.norm(wanted - means[width])
            assert found[f"{prefix}{formula}_l2"] == pytest.approx(apart, rel=1e-5), (prefix, formula)
            assert found[f"{prefix}{formula}_relative"] == pytest.approx(
                apart / np.linalg.norm(means[width]), rel=1e-5
            )
    assert found["no_kernel_l2"] == pytest.approx(np.linalg.norm(means[None] - means[25.0]))
    assert ("masking_l2" in found) == (mode == "delete")
    if mode == "delete":
        assert found["masking_l2"] == pytest.approx(np.linalg.norm(runs("mask", 25.0).mean(0) - means[25.0]))
    ids = torch.from_numpy(item.ids)[None]
    attention = model.attention_of(model.embedded(ids))[0].detach().numpy()
    assert found["concentration"] == pytest.approx((attention**2).sum(1).mean(), rel=1e-5)
    empty = torch.where(torch.arange(max_len) < 1, 0, UNK)[None]
    q, k = ([getattr(head, name).weight.detach() for head in model.heads] for name in ("query", "key"))
    sums = []
    for document_ids in (ids, empty):
        e = model.embedded(document_ids)[0].detach()
        sums.append(
            [
                ((e @ key.T) @ (e[0] @ query.T) / 4**0.5).exp().sum().item()
                for query, key in zip(q, k, strict=True)
            ]
        )
    ratios = np.log(np.array(sums[0]) / np.array(sums[1]))
    assert found["log_rho"] == pytest.approx(ratios.mean(), abs=1e-5)
    assert (found["log_rho_lowest"], found["log_rho_highest"]) == pytest.approx(
        (ratios.min(), ratios.max()), abs=1e-5
    )
    assert (found["tokens"], found["words"]) == (9, 8)
    assert found["logit"] == pytest.approx(model(ids)[0, 1].item(), abs=1e-6)


@pytest.mark.slow
def test_rows_of_gradient(xai_study):
    """Two reviews, norms from autograd alone: the published form lacks what autograd gains when the query moves too."""
    model, vocabulary, max_len = load(**files_of(xai_study[0]))
    items = [
        document({"id": number, "text": text, "label": 0}, vocabulary, max_len, clean=False)
        for number, text in enumerate(("the good film", "a bad story, not good"))
    ]
    found = gradient_rows(model, items, "gradient")
    model = model.double()
    for item, row in zip(items, found, strict=True):
        e = model.embedded(torch.from_numpy(item.ids)[None]).detach().requires_grad_()
        (whole,) = torch.autograd.grad(model.head_logits(e)[0, :, 1].mean(), e)
        # The query held fixed: its [cls] is another tensor of the same values.
        query = model.keys_of_query(e.detach())[0]
        weights = (e[0] @ query.T).softmax(0)
        logit = torch.einsum("tk,td,kd->k", weights, e[0], model.readout(1)).mean()
        (held,) = torch.autograd.grad(logit, e)
        missing = (held - whole)[0, 0].detach()
        largest = whole[0].norm(dim=-1).max().item()
        assert row["tokens"] == len(item.tokens)
        assert row["logit"] == pytest.approx(logit.item()) and row["gradient_norm"] == pytest.approx(largest)
        assert row["published_first_max"] == pytest.approx(missing.abs().max().item())
        assert row["published_first_relative"] == pytest.approx((missing.norm() / whole[0, 0].norm()).item())
        assert 0 < row["published_max"] < 1e-12 and 0 < row["published_relative"] < 1e-12
        assert 0 < row["corrected_worst"] < 1e-12


@pytest.mark.slow
def test_norms_of_what_the_published_gradient_lacks(xai_study, monkeypatch):
    """A formula that is off by known numbers at every position: what [cls] lacks and what the rest lacks are apart."""
    model, vocabulary, max_len = load(**files_of(xai_study[0]))
    item = document({"id": 0, "text": "a bad story, not good", "label": 0}, vocabulary, max_len, clean=False)
    auto = quant_gradient.autograd_gradient(model.double(), torch.from_numpy(item.ids)[None])[0]
    off = torch.from_numpy(np.random.default_rng(3).normal(size=auto.shape))
    monkeypatch.setattr(
        quant_gradient,
        "closed_form_gradient",
        lambda model, ids, corrected: auto + (2 * off if corrected else off),
    )
    (row,) = gradient_rows(model, [item], "gradient")
    auto, off = auto[0].numpy(), off[0].numpy()
    wanted = {
        "published_max": np.abs(off[1:]).max(),
        "published_relative": (np.square(off[1:]).sum() / np.square(auto[1:]).sum()) ** 0.5,
        "published_first_max": np.abs(off[0]).max(),
        "published_first_relative": (np.square(off[0]).sum() / np.square(auto[0]).sum()) ** 0.5,
        "corrected_worst": 2 * (np.square(off).sum(1).max() / np.square(auto).sum(1).max()) ** 0.5,
    }
    assert {name: row[name] for name in wanted} == pytest.approx(wanted)


@pytest.mark.slow
def test_attention_times_value_adds_up_to_the_logit(xai_study):
    """Per head as the paper writes it: softmax of q . k, times W_l W_v e_t; the rest stands at [cls] and padding."""
    model, vocabulary, max_len = load(**files_of(xai_study[0]))
    item = document(
        {"id": 3, "text": "the good film was not a bad story", "label": 1}, vocabulary, max_len, clean=True
    )
    ((_, logits, scores),) = explain(model, [item], samples=50, names=("sentiment", "multihead", 0))
    e = model.embedded(torch.from_numpy(item.ids)[None])[0]
    parts = 0
    for head in model.heads:
        q, k, v = (e @ getattr(head, name).weight.T for name in ("query", "key", "value"))
        parts = parts + (q[0] @ k.T / 4**0.5).softmax(0) * (v @ head.classifier.weight[1]) / len(model.heads)
    parts = parts.detach().numpy()
    assert parts.sum() == pytest.approx(logits[1], abs=1e-6)
    np.testing.assert_allclose(scores["attention_value"], parts[1 : len(item.tokens) + 1], atol=1e-6)
    for name in ("attention_value", "lime", "gxi"):
        np.testing.assert_array_equal(scores[f"{name}_abs"], np.abs(scores[name]))


@pytest.mark.slow
def test_floats_of_rows_hold_twelve_binary_digits_and_whole_numbers_are_whole(xai_study):
    """A file of floats of 24 digits is half as large again; an identity must stay what it is."""
    root, _ = xai_study
    frame = pd.read_parquet(root / "theory/sentiment/seed0/gradient/0.parquet")
    floats = frame.select_dtypes("float32")
    assert floats.shape[1] > 2
    for values in floats.to_numpy().T:
        values = values[np.isfinite(values) & (values != 0)]
        mantissa = np.frexp(values.astype(float))[0] * 2**12
        assert np.array_equal(mantissa, np.round(mantissa))
    whole = frame.select_dtypes("integer")
    assert {"id", "label"} <= set(whole)


def test_which_explanations_have_a_sign_and_what_they_were_fitted_to():
    """Sizes and attention have none; LIME fits deletion or masking, its absolute value the same."""
    from plumbline.theory.explanations import EXPLANATIONS

    blocks = {name: entry.block for name, entry in EXPLANATIONS.items()}
    signed = {"lime", "lime_mask", "g_avg", "gxi", "attention_value"}
    assert {name for name, block in blocks.items() if block == "signed"} == signed
    assert {name for name, block in blocks.items() if block == "control"} == {"random", "position", "uniform"}
    unsigned = {"alpha_avg", "alpha_max", "g_l1", "g_l2", *(f"{name}_abs" for name in signed)}
    assert {name for name, block in blocks.items() if block == "unsigned"} == unsigned
    fitted = {name: entry.fitted for name, entry in EXPLANATIONS.items() if entry.fitted}
    assert fitted == {"lime": "delete", "lime_abs": "delete", "lime_mask": "mask", "lime_mask_abs": "mask"}
