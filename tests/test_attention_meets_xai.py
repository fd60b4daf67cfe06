"""The multi-head classifier's study: training, experiments in shards, what its tables say, what is landed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from plumbline.artefacts import check_file, read_json, read_records, read_rows, write_json
from plumbline.errors import PlumblineError
from plumbline.models.multihead import MultiHeadClassifier
from plumbline.models.multihead_training import fit, load
from plumbline.models.vocabulary import UNK
from plumbline.tables import (
    classifier_accuracy,
    gradient_theorem,
    lime_growth,
    lime_theorem,
    xai_faithfulness,
    xai_published,
)
from plumbline.theory import landed
from plumbline.theory.experiments import document, order, run_shard
from plumbline.theory.explanations import EXPLANATIONS, SEVEN, explain
from plumbline.theory.quant_faithfulness import rows as faithfulness_rows
from tests.synthetic import OPTIONS, STUDY, study


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


def test_a_loss_that_is_not_finite_is_an_error():
    model = MultiHeadClassifier(9, 8, 4, 4, 2, 8)
    data = torch.ones(16, 8, dtype=torch.long), torch.zeros(16, dtype=torch.long)
    training = {"epochs": 1, "batch_size": 8, "learning_rate": float("inf"), "weight_decay": 0.0}
    with pytest.raises(PlumblineError, match="not finite in epoch 1: lower the learning rate"):
        fit(model, data, data, training, seed=0)


def test_vocabulary_has_training_and_validation_words_alone(made):
    root, _ = made
    _, vocabulary, _ = load(**files(root))
    texts = [row["text"] for split in ("train", "validation") for row in read_records(root / f"data/sentiment/{split}.parquet")]  # fmt: skip
    assert {"good", "bad"} < set(vocabulary.tokens[2:]) <= set(" ".join(texts).lower().split())
    metrics = read_json(files(root)["metrics"])
    assert metrics["vocabulary"] == len(vocabulary)
    assert metrics["parameters"] == len(vocabulary) * 8 + 2 * (3 * 4 * 8 + 2 * 4)


# ------------------------------------------------------------------------------------------------- experiments


def test_shards_change_nothing(made, tmp_path):
    """Rows depend on the review alone: not on shard, start or neighbours."""
    root, inputs = made
    for experiment in ("gradient", "lime_delete", "faithfulness"):
        whole = read_rows(inputs[f"theory_{experiment}"][0]["path"])
        run_shard(experiment, output=tmp_path / "part.parquet", start=7, **options(root, size=5, reviews=12))
        part = read_rows(tmp_path / "part.parquet")
        assert check_file(tmp_path / "part.parquet") == []
        pd.testing.assert_frame_equal(part, whole.iloc[7:12].reset_index(drop=True), rtol=1e-3, atol=1e-5)
    assert list(whole["id"]) == list(order("sentiment", 30)[:20])


def test_fewer_reviews_than_asked_for_is_an_error(made, tmp_path):
    with pytest.raises(
        PlumblineError, match=r"has 30 texts, fewer than attention_meets_xai.reviews.gradient \(99\)"
    ):
        run_shard("gradient", output=tmp_path / "x.parquet", **options(made[0], reviews=99))
    assert not list(tmp_path.iterdir())


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
    for name in ("g_avg", "alpha_max", "lime", "random"):
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


# ------------------------------------------------------------------------------------------------------- tables


def test_accuracy_beside_the_published_one(made):
    frame = classifier_accuracy.rows(made[1], OPTIONS)
    facts = [read_json(item["path"]) for item in made[1]["classifier"]]
    assert list(frame["seed"]) == ["0", "1", "mean"]
    assert frame["accuracy"].iloc[2] == pytest.approx(np.mean([fact["accuracy"] for fact in facts]))
    assert frame["published_value"].isna().all()  # another data set


def test_gradient_theorem(made):
    frame = gradient_theorem.rows(made[1], OPTIONS).set_index("quantity")
    assert frame.loc["corrected_worst", "max"] < 1e-10 and frame.loc["published_relative", "max"] < 1e-10
    assert frame.loc["published_first_relative", "median"] > 1e-3
    assert set(frame["examples"]) == {30}


def test_lime_tables_are_means_over_reviews(made):
    frame = lime_theorem.rows(made[1], OPTIONS).set_index(["mode", "formula", "measure"])
    rows = read_rows(made[1]["theory_lime_delete"][0]["path"])
    for formula in ("published", "rho", "mean_field", "masking"):
        mean = frame.loc[("delete", formula, "relative"), "mean"]
        assert mean == pytest.approx(rows[f"{formula}_relative"].mean(), rel=1e-6)
    assert ("mask", "masking", "l2") not in frame.index
    assert frame.loc[("delete", "document", "rho"), "mean"] == pytest.approx(
        np.exp(rows["log_rho"].mean()), rel=1e-5
    )
    growth = lime_growth.rows(made[1], OPTIONS)
    assert growth[growth["quantity"] == "log_rho"].groupby("formula")["examples"].sum().unique() == [30]


def test_faithfulness_table(made):
    frame = xai_faithfulness.rows(made[1], OPTIONS)
    rows = read_rows(made[1]["theory_faithfulness"][0]["path"])
    assert len(frame) == 4 * len(EXPLANATIONS)
    for row in frame.itertuples():
        assert row.mean == pytest.approx(rows[f"{row.explanation}_{row.mode}_{row.kind}"].mean(), abs=1e-6)
        assert row.lower <= row.mean <= row.upper
    assert not frame[frame["control"]]["best"].any() and frame["best"].sum() >= 4


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
        write_json(path, read_json(item["path"]) | {"dataset": "imdb_25k", "accuracy": 0.80 + 0.004 * seed})
        items.append({**item, "path": path})
    row = xai_published.rows(made[1] | {"classifier": items}, OPTIONS).iloc[0]
    assert (row["verdict"], row["published"]) == ("within sampling error", 0.8019)
    assert row["difference"] == pytest.approx(0.802 - 0.8019)
    for item in items:
        write_json(item["path"], read_json(item["path"]) | {"accuracy": 0.7})
    assert xai_published.rows(made[1] | {"classifier": items}, OPTIONS).iloc[0]["verdict"] == "differs"


# ------------------------------------------------------------------------------------------------------- landed


@pytest.fixture
def folders(made, tmp_path):
    results = tmp_path / "small"
    shutil.copytree(made[0], results)
    landed.main(["land", str(results), str(tmp_path / "landed")])
    return results, tmp_path / "landed"


def test_land_and_restore(folders):
    results, folder = folders
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == {"gradient": 30, "lime_mask": 30, "lime_delete": 20}
    assert manifest["versions"]["torch"] and "--configfile config.small.yaml" in manifest["command"]
    assert (folder / "xai_faithfulness.csv").is_file()
    shard = results / "theory/sentiment/seed0/lime_mask/0.parquet"
    before = shard.read_bytes()
    shard.unlink()
    assert landed.main(["restore", str(results), str(folder)]).startswith("1 shards put back")
    assert shard.read_bytes() == before


def test_landed_rows_can_be_computed_again(folders):
    results, folder = folders
    assert landed.main(["check", str(results), str(folder)]).startswith("12 reviews computed again")


def test_landed_faults(folders):
    results, folder = folders
    weights = results / "models/sentiment/multihead/seed0/model.safetensors"
    shutil.copyfile(results / "models/sentiment/multihead/seed1/model.safetensors", weights)
    with pytest.raises(PlumblineError, match="is another model than the one whose shards are landed"):
        landed.main(["restore", str(results), str(folder)])
    (folder / "gradient/0.parquet").write_bytes(b"x")
    with pytest.raises(PlumblineError, match="wrong checksum of .*gradient/0.parquet"):
        landed.main(["check", str(results), str(folder)])
    with pytest.raises(PlumblineError, match="usage: python -m plumbline.theory.landed"):
        landed.main(["land"])
    with pytest.raises(PlumblineError, match="has no multi-head classifier"):
        landed.main(["land", str(folder), str(folder)])
