"""The multi-head classifier's study: training, experiments in shards, what its tables say, what is landed."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from plumbline.artefacts import check_file, read_json, read_records, read_rows, write_json, write_rows
from plumbline.errors import PlumblineError
from plumbline.models.multihead import MultiHeadClassifier
from plumbline.models.multihead_training import fit, load
from plumbline.models.vocabulary import UNK
from plumbline.seeds import seed_of
from plumbline.tables import (
    classifier_accuracy,
    gradient_theorem,
    lime_growth,
    lime_theorem,
    published,
    xai_faithfulness,
    xai_published,
)
from plumbline.theory import landed, lime_limit, quant_gradient
from plumbline.theory.documents import terms_of
from plumbline.theory.experiments import document, order, run_shard
from plumbline.theory.explanations import EXPLANATIONS, SEVEN, explain
from plumbline.theory.lime_package import package_coefficients, predictor
from plumbline.theory.lime_sampling import lime
from plumbline.theory.quant_faithfulness import rows as faithfulness_rows
from plumbline.theory.quant_gradient import rows as gradient_rows
from plumbline.theory.quant_lime import rows as lime_rows
from plumbline.theory.shown import numbers, write_shown
from tests.synthetic import OPTIONS, STUDY, study

# Kernel of a formula and of the LIME that it is held against.
WITHOUT = ("none", "25")
WITH = dict.fromkeys(("rho", "mean_field", "first_order"), ("25", "25"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / "small"
    return root, study(root)


def files(root):
    folder = root / "models/sentiment/multihead/seed0"
    names = {"weights": "model.safetensors", "vocabulary": "vocabulary.json", "metrics": "metrics.json"}
    return {name: folder / file for name, file in names.items()}


def options(root, **changes):
    return {
        "files": files(root), "data": root / "data/sentiment/test.parquet", "dataset": "sentiment", "seed": 0,
        "samples": STUDY["samples"], "repeats": STUDY["repeats"], "shard": 0, "size": 256, "reviews": 20, **changes,
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------------- training


@pytest.mark.slow
def test_training_learns_and_keeps_the_best_epoch():
    """Label 1 exactly where id 5 stands somewhere; validation accuracy falls when training goes on with wrong labels."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    ids = torch.full((400, 8), UNK)
    ids[:, 0] = 0
    ids[:, 1:4] = torch.from_numpy(draw.integers(5, 9, (400, 3)))
    labels = (ids == 5).any(1).long()
    model = MultiHeadClassifier(9, 8, 4, 4, 2, 8)
    training = {"epochs": 12, "batch_size": 8, "learning_rate": 2e-2, "weight_decay": 0.01}
    found = fit(model, (ids[:300], labels[:300]), (ids[300:], labels[300:]), training, seed=1)
    accuracies = [entry["validation_accuracy"] for entry in found]
    assert max(accuracies) > 0.95
    assert (model(ids[300:]).argmax(1) == labels[300:]).float().mean() == pytest.approx(max(accuracies))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_an_error():
    model = MultiHeadClassifier(9, 8, 4, 4, 2, 8)
    data = torch.ones(16, 8, dtype=torch.long), torch.zeros(16, dtype=torch.long)
    training = {"epochs": 1, "batch_size": 8, "learning_rate": float("inf"), "weight_decay": 0.0}
    with pytest.raises(PlumblineError, match="not finite in epoch 1: lower the learning rate"):
        fit(model, data, data, training, seed=0)


@pytest.mark.slow
def test_vocabulary_has_training_and_validation_words_alone(made):
    root, _ = made
    _, vocabulary, _ = load(**files(root))
    texts = [row["text"] for split in ("train", "validation") for row in read_records(root / f"data/sentiment/{split}.parquet")]  # fmt: skip
    assert {"good", "bad"} < set(vocabulary.tokens[2:]) <= set(" ".join(texts).lower().split())
    metrics = read_json(files(root)["metrics"])
    assert metrics["vocabulary"] == len(vocabulary)
    assert metrics["parameters"] == len(vocabulary) * 8 + 2 * (3 * 4 * 8 + 2 * 4)


# ------------------------------------------------------------------------------------------------- experiments


@pytest.mark.slow
def test_shards_change_nothing(made, tmp_path):
    """Rows depend on the review alone: not on shard, start or neighbours."""
    root, inputs = made
    for experiment in ("gradient", "lime_delete", "faithfulness"):
        whole = read_rows(inputs[f"theory_{experiment}"][0]["path"])  # of seed 0
        run_shard(experiment, output=tmp_path / "part.parquet", start=7, **options(root, size=5, reviews=12))
        part = read_rows(tmp_path / "part.parquet")
        assert check_file(tmp_path / "part.parquet") == []
        pd.testing.assert_frame_equal(part, whole.iloc[7:12].reset_index(drop=True), rtol=1e-3, atol=1e-5)
    assert list(whole["id"]) == list(order("sentiment", 30)[:20])


@pytest.mark.slow
def test_fewer_reviews_than_asked_for_is_an_error(made, tmp_path):
    with pytest.raises(
        PlumblineError, match=r"has 30 texts, fewer than attention_meets_xai.reviews.gradient \(99\)"
    ):
        run_shard("gradient", output=tmp_path / "x.parquet", **options(made[0], reviews=99))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_faithfulness_is_the_models_own(made):
    """Comp and suff of one review by plain forward passes on ids from which tokens went."""
    model, vocabulary, max_len = load(**files(made[0]))
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
def test_rows_of_lime(made, experiment):
    """One review by its own parts: runs of LIME with and without kernel, rho and concentration from the weights."""
    model, vocabulary, max_len = load(**files(made[0]))
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
def test_rows_of_gradient(made):
    """Two reviews, norms from autograd alone: the published form lacks what autograd gains when the query moves too."""
    model, vocabulary, max_len = load(**files(made[0]))
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
def test_norms_of_what_the_published_gradient_lacks(made, monkeypatch):
    """A formula that is off by known numbers at every position: what [cls] lacks and what the rest lacks are apart."""
    model, vocabulary, max_len = load(**files(made[0]))
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
def test_shown_numbers_are_the_parts_own(made):
    """Every number of the figures' file again: weights, gradients and limits by public functions, LIME by its package."""
    root, found = made
    facts = read_json(found["shown"][0]["path"])
    model, vocabulary, max_len = load(**files(root))
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
        "alpha_avg": attention[:, 0, own].mean(0), "alpha_max": attention[:, 0, own].max(0), "g_avg": gradient[own].mean(1),
        "g_l1": np.abs(gradient[own]).sum(1), "g_l2": np.linalg.norm(gradient[own], axis=1),
        "gxi": (gradient * e)[own].sum(1), "lime": runs(sentence, "delete")[0][sentence.words],
    }  # fmt: skip
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
def test_shown(made):
    facts = read_json(made[1]["shown"][0]["path"])
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
def test_words_that_the_vocabulary_lacks_are_said(made, tmp_path):
    root, found = made
    known = read_json(found["shown"][0]["path"])["sentence"]["tokens"][0]
    output = tmp_path / "shown.json"
    write_shown(
        files=files(root), data=root / "data/sentiment/test.parquet", sentence=f"{known} qqqq {known}", document_text=None,
        dataset="sentiment", seed=0, samples=20, repeats=1, output=output,
    )  # fmt: skip
    assert read_json(output)["sentence"]["unknown"] == [0, 1, 0]


# ------------------------------------------------------------------------------------------------------- tables


@pytest.mark.slow
def test_accuracy_beside_the_published_one(made):
    frame = classifier_accuracy.rows(made[1], OPTIONS)
    facts = [read_json(item["path"]) for item in made[1]["classifier"]]
    assert list(frame["seed"]) == ["0", "1", "mean"]
    assert frame["accuracy"].iloc[2] == pytest.approx(np.mean([fact["accuracy"] for fact in facts]))
    assert frame["published_value"].isna().all()  # another data set


@pytest.mark.slow
def test_gradient_theorem(made):
    frame = gradient_theorem.rows(made[1], OPTIONS).set_index("quantity")
    assert frame.loc["corrected_worst", "max"] < 1e-10 and frame.loc["published_relative", "max"] < 1e-10
    assert frame.loc["published_first_relative", "median"] > 1e-3
    assert set(frame["examples"]) == {30}


@pytest.mark.slow
def test_lime_tables_are_means_over_reviews(made):
    frame = lime_theorem.rows(made[1], OPTIONS).set_index(
        ["mode", "formula", "kernel", "lime_kernel", "measure"]
    )
    frame = frame.sort_index()
    rows = pd.concat(read_rows(item["path"]) for item in made[1]["theory_lime_delete"])
    assert len(rows) == 2 * 20
    for formula in ("published", "rho", "mean_field", "first_order", "masking"):
        mean = frame.loc[("delete", formula, *WITH.get(formula, WITHOUT), "relative"), "mean"]
        assert mean == pytest.approx(rows[f"{formula}_relative"].mean(), rel=1e-6)
    for place, prefix in ((("none", "25"), "plain_"), (("none", "none"), "both_plain_")):
        mean = frame.loc[("delete", "first_order", *place, "slope"), "mean"]
        assert mean == pytest.approx(rows[f"{prefix}first_order_slope"].mean(), rel=1e-6)
    assert ("mask", "masking", *WITHOUT, "l2") not in frame.index
    document = frame.loc[("delete", "document", *WITHOUT, "rho")]
    assert document["mean"] == pytest.approx(np.exp(rows["log_rho"].mean()), rel=1e-5)
    # What is put right: differences of errors, text by text, add up from C(rho) without kernel to the first order with it.
    steps = frame.xs("delete")["mean"]
    whole = steps[("rho", "none", "25", "relative")] - steps[("first_order", "25", "25", "relative")]
    causes = steps[("missing", *WITHOUT, "relative")] + steps[("kernel", *WITHOUT, "relative")]
    assert causes == pytest.approx(whole, abs=1e-5)
    causes = steps[("kernel_half", *WITHOUT, "relative")] + steps[("missing_kernel", *WITHOUT, "relative")]
    assert causes == pytest.approx(whole, abs=1e-5)
    assert set(frame["seeds"]) == {"0 1"} and set(frame["interval"]) == {
        "95% over training seeds and examples (two-way layout, Satterthwaite's degrees of freedom)"
    }
    growth = lime_growth.rows(made[1], OPTIONS)
    assert growth[growth["quantity"] == "log_rho"].groupby("formula")["examples"].sum().unique() == [30]


@pytest.mark.slow
def test_intervals_are_over_seeds_and_texts(made, tmp_path):
    """Seeds that differ widen every interval; one seed alone is named as this checkpoint's."""
    items = []
    for seed, item in enumerate(made[1]["theory_lime_mask"]):
        frame = read_rows(item["path"])
        columns = {name: list(frame[name]) for name in frame}
        columns["first_order_relative"] = [0.25 + 0.5 * seed] * len(frame)
        write_rows(tmp_path / f"{seed}.parquet", columns, kind="theory")
        items.append({**item, "path": tmp_path / f"{seed}.parquet"})
    keys = ["mode", "formula", "kernel", "lime_kernel", "measure"]
    frame = lime_theorem.rows(made[1] | {"theory_lime_mask": items}, OPTIONS).set_index(keys)
    row = frame.loc[("mask", "first_order", "25", "25", "relative")]
    # Student's t with one degree of freedom: 12.7 standard errors of .25.
    assert (row["mean"], row["lower"], row["upper"]) == pytest.approx(
        (0.5, 0.5 - 12.706 * 0.25, 0.5 + 12.706 * 0.25), rel=1e-3
    )
    alone = lime_theorem.rows(made[1] | {"theory_lime_mask": items[:1]}, OPTIONS).set_index(keys)
    row = alone.loc[("mask", "first_order", "25", "25", "relative")]
    assert (row["lower"], row["upper"], row["seeds"]) == (0.25, 0.25, "0") and "this checkpoint" in row[
        "interval"
    ]


@pytest.mark.slow
def test_faithfulness_table(made):
    frame = xai_faithfulness.rows(made[1], OPTIONS)
    rows = pd.concat(read_rows(item["path"]) for item in made[1]["theory_faithfulness"])
    assert len(frame) == 4 * len(EXPLANATIONS)
    for row in frame.itertuples():
        assert row.mean == pytest.approx(rows[f"{row.explanation}_{row.mode}_{row.kind}"].mean(), abs=1e-6)
        assert row.lower <= row.mean <= row.upper
    assert not frame[frame["control"]]["best"].any() and not frame[frame["control"]]["standing"].any()
    # Scores with a sign and without are compared among themselves, and every signed one has a twin without.
    assert set(frame[frame["block"] == "signed"]["explanation"]) == {
        "lime",
        "lime_mask",
        "g_avg",
        "gxi",
        "attention_value",
    }
    twins = {f"{name}_abs" for name in frame[frame["block"] == "signed"]["explanation"]}
    assert twins < set(frame[frame["block"] == "unsigned"]["explanation"])
    for (mode, kind, block), part in frame.groupby(["mode", "kind", "block"]):
        if block != "control":
            best = part["mean"].max() if kind == "comp" else part["mean"].min()
            (row,) = part[part["standing"] == "best"].itertuples()
            assert row.mean == best and row.rank == 1, (mode, kind)
    # Two seeds tell nothing apart.
    assert set(frame[~frame["control"]]["standing"]) == {"best", "not testable"} and not frame["best"].any()
    assert set(frame[frame["fitted"] == "delete"]["explanation"]) == {"lime", "lime_abs"}
    text = xai_faithfulness.latex(frame, OPTIONS)
    assert "Not testable: 2 training seeds" in text and "fitted to this very perturbation" in text
    # One checkpoint is tested over its texts.
    alone = xai_faithfulness.rows(
        made[1] | {"theory_faithfulness": made[1]["theory_faithfulness"][:1]}, OPTIONS
    )
    assert {"best", "worse"} <= set(alone["standing"]) and alone["best"].any()


@pytest.mark.slow
def test_faithfulness_table_names_the_columns_rightly(made, tmp_path):
    """Numbers under 'masked' are those of masking; the headings once stood over the other pair."""
    frame = xai_faithfulness.rows(made[1], OPTIONS)
    frame.loc[frame["mode"] == "mask", ["mean", "lower", "upper"]] = 0.25
    text = xai_faithfulness.latex(frame, OPTIONS)
    line = next(line for line in text.splitlines() if line.startswith("random &"))
    masked = [place for place, cell in enumerate(line.split("&")) if "0.250" in cell]
    heads = next(line for line in text.splitlines() if "tokens masked" in line).split("&")
    assert masked == [1, 2] and "tokens masked" in heads[1] and "tokens deleted" in heads[2]


@pytest.mark.slow
def test_attention_times_value_adds_up_to_the_logit(made):
    """Per head as the paper writes it: softmax of q . k, times W_l W_v e_t; the rest stands at [cls] and padding."""
    model, vocabulary, max_len = load(**files(made[0]))
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
def test_published_numbers(made, tmp_path):
    frame = xai_published.rows(made[1], OPTIONS)
    assert frame["verdict"].value_counts().to_dict() == {"not comparable": 1, "not run": len(frame) - 1}
    assert frame["published_checkpoint"].eq("other").all()
    numbers = [(quantity, value) for quantity, value, _ in xai_published.published_numbers()]
    assert list(zip(frame["quantity"], frame["published"], strict=True)) == numbers
    # The paper's data set, two seeds around the published number.
    items = []
    for seed, item in enumerate(made[1]["classifier"]):
        path = tmp_path / f"{seed}.json"
        write_json(path, read_json(item["path"]) | {"dataset": "imdb_25k", "accuracy": 0.80 + 0.01 * seed})
        items.append({**item, "path": path})
    row = xai_published.rows(made[1] | {"classifier": items}, OPTIONS).iloc[0]
    assert (row["verdict"], row["published"]) == ("within sampling error", 0.8019)
    assert row["difference"] == pytest.approx(0.805 - 0.8019)
    for item in items:
        write_json(item["path"], read_json(item["path"]) | {"accuracy": 0.7})
    assert xai_published.rows(made[1] | {"classifier": items}, OPTIONS).iloc[0]["verdict"] == "differs"
    # The same sentence: means over the seeds' models.
    shown = []
    for seed, item in enumerate(made[1]["shown"]):
        facts = read_json(item["path"])
        entry = next(iter(published.all_entries("sentence")))
        weights = {name: [float(seed)] * len(entry["words"]) for name in facts["sentence"]["weights"]}
        facts["sentence"] |= {"tokens": entry["words"], "weights": weights}
        path = tmp_path / f"shown{seed}.json"
        write_json(path, facts | {"dataset": "imdb_25k"})
        shown.append({**item, "path": path})
    frame = xai_published.rows(made[1] | {"shown": shown}, OPTIONS)
    row = frame[frame["quantity"].str.startswith("sentence, alpha_avg")].iloc[0]
    assert (row["verdict"], row["ours"], row["seeds"]) == ("not comparable", 0.5, "0 1")
    assert row["lower"] == pytest.approx(0.5 - 12.706 * 0.5, rel=1e-3)


# ------------------------------------------------------------------------------------------------------- landed


@pytest.mark.slow
def test_floats_of_rows_hold_twelve_binary_digits_and_whole_numbers_are_whole(made):
    """A file of floats of 24 digits is half as large again; an identity must stay what it is."""
    root, _ = made
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


@pytest.fixture
def folders(made, tmp_path):
    results = tmp_path / "small"
    shutil.copytree(made[0], results)
    landed.main(["land", str(results), str(tmp_path / "landed")])
    return results, tmp_path / "landed"


@pytest.mark.slow
def test_land_and_restore(folders):
    results, folder = folders
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == {
        "gradient": {"0": 30, "1": 30}, "lime_mask": {"0": 30, "1": 30}, "lime_delete": {"0": 20, "1": 20},
    }  # fmt: skip
    assert manifest["versions"]["torch"] and "--configfile config.small.yaml" in manifest["command"]
    assert (folder / "xai_faithfulness.csv").is_file()
    assert [(item["experiment"], item["seed"], item["shard"]) for item in manifest["shards"]] == [
        (name, seed, 0) for name in ("gradient", "lime_mask", "lime_delete") for seed in (0, 1)
    ]
    for item in manifest["shards"]:
        assert len(read_rows(folder / item["file"])) == item["rows"] and item["seconds"] is None
        assert hashlib.sha256((folder / item["file"]).read_bytes()).hexdigest() == item["sha256"]
    assert manifest["lime"] == {"samples": 100, "repeats": 2} and manifest["scale"] == "small"
    for seed, about in manifest["classifiers"].items():
        metrics = json.loads((results / f"models/sentiment/multihead/seed{seed}/metrics.json").read_text())
        assert json.loads((folder / about["metrics"]).read_text()) == metrics
        assert (about["accuracy"], about["dataset"]) == (metrics["accuracy"], "sentiment")
    landed.main(["land", str(results), str(folder)])  # a second time, over what is there
    shard = results / "theory/sentiment/seed0/lime_mask/0.parquet"
    before = shard.read_bytes()
    shutil.rmtree(shard.parents[2])
    assert landed.main(["restore", str(results), str(folder)]).startswith("6 shards put back")
    shard.unlink()
    assert landed.main(["restore", str(results), str(folder)]).startswith("1 shards put back")
    assert shard.read_bytes() == before


@pytest.mark.slow
def test_landed_rows_can_be_computed_again(folders):
    results, folder = folders
    assert landed.main(["check", str(results), str(folder)]).startswith("24 reviews computed again")


@pytest.mark.slow
def test_landed_rows_that_differ_are_told(folders):
    """A number of a landed shard is moved, and its checksum with it: only computing it again can find that."""
    results, folder = folders
    file, manifest = folder / "lime_mask/seed1/0.parquet", json.loads((folder / "manifest.json").read_text())
    for factor, told in ((1.0005, False), (1.01, True)):
        rows = read_rows(results / "theory/sentiment/seed1/lime_mask/0.parquet")
        rows.loc[2, "lime_norm"] *= factor
        write_rows(file, rows.to_dict("list"), kind="theory")
        manifest["shards"] = [item for item in manifest["shards"] if folder / item["file"] == file]
        manifest["shards"][0]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        if told:
            with pytest.raises(
                PlumblineError, match=f"review {rows['id'][2]}, lime_norm is .*, computed again"
            ):
                landed.main(["check", str(results), str(folder)])
        else:
            landed.main(["check", str(results), str(folder)])


@pytest.mark.slow
def test_seconds_of_a_landed_shard_are_its_benchmarks(folders, tmp_path):
    results, _ = folders
    benchmark = results / "benchmarks/theory/sentiment/seed1/gradient/0.json"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text('{"seconds": 12.5, "cpu_seconds": 11.0, "max_rss_mb": 99.0}')
    said = landed.main(["land", str(results), str(tmp_path / "again")])
    assert said == f"6 shards, 160 rows in {tmp_path / 'again'}"
    shards = json.loads((tmp_path / "again/manifest.json").read_text())["shards"]
    assert [item["seconds"] for item in shards] == [None, 12.5, None, None, None, None]


@pytest.mark.slow
def test_landed_faults(folders):
    results, folder = folders
    weights = results / "models/sentiment/multihead/seed0/model.safetensors"
    shutil.copyfile(results / "models/sentiment/multihead/seed1/model.safetensors", weights)
    with pytest.raises(PlumblineError, match="is another model than the one whose shards are landed"):
        landed.main(["restore", str(results), str(folder)])
    (folder / "gradient/seed0/0.parquet").write_bytes(b"x")
    with pytest.raises(PlumblineError, match="wrong checksum of .*gradient/seed0/0.parquet"):
        landed.main(["check", str(results), str(folder)])
    with pytest.raises(PlumblineError, match="usage: python -m plumbline.theory.landed"):
        landed.main(["land"])
    with pytest.raises(PlumblineError, match="has no multi-head classifier"):
        landed.main(["land", str(folder), str(folder)])
