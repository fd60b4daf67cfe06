"""The table `xai_published`: numbers that are left out of it, and those beside ours."""

import numpy as np
import pytest

from plumbline.artefacts import read_json, write_json
from plumbline.tables import xai_published
from tests.printed import printed, shipped_of
from tests.synthetic import OPTIONS

# Measurement -> the words in print.
EXPLAINED = {row.measurement: row.about.get("explained") for row in shipped_of("xai_published").itertuples()}


def test_numbers_of_a_sentence_or_document_that_is_not_the_published_one():
    about = {"dataset": "imdb", "explained": ["a", "b"], "distinct_words": 3}
    (sentence,) = printed(
        "xai_published", {"quantity": "sentence, lime, a", "value": 1.0}, **about
    ).itertuples()
    (document,) = printed(
        "xai_published", {"quantity": "document, LIME, a", "value": 1.0}, **about
    ).itertuples()
    here = {"dataset": "imdb", "sentence": {"tokens": ["a", "b"]}, "document": {"words": ["b", "c", "a"]}}
    beside = {"verdict": "not comparable", "why": "another checkpoint: the published one was not released"}
    said = xai_published._verdict
    assert said(sentence, here) == said(document, here) == beside
    for number, kind, other in (
        (sentence, "sentence", {"sentence": {"tokens": ["b", "a"]}}),
        (document, "document", {"document": {"words": ["b", "c", "d"]}}),
        (document, "document", {"document": {"words": ["b", "a"]}}),
    ):
        assert said(number, here | other) == {
            "verdict": "not run",
            "why": f"this configuration shows another {kind}",
        }
    for number in (sentence, document):
        assert said(number, here | {"dataset": "sst2"}) == {
            "verdict": "not run",
            "why": "this scale has another data set (sst2)",
        }


@pytest.mark.slow
def test_published_numbers(xai_study, tmp_path):
    frame = xai_published.rows(xai_study[1], OPTIONS)
    assert frame["verdict"].value_counts().to_dict() == {"not comparable": 1, "not run": len(frame) - 1}
    assert frame["published_checkpoint"].eq("other").all()
    numbers = shipped_of("xai_published")
    assert frame["quantity"].tolist() == numbers["quantity"].tolist()
    assert frame["published"].tolist() == numbers["value"].tolist()
    # The paper's data set, two seeds around the published number.
    items = []
    for seed, item in enumerate(xai_study[1]["classifier"]):
        path = tmp_path / f"{seed}.json"
        write_json(path, read_json(item["path"]) | {"dataset": "imdb_25k", "accuracy": 0.80 + 0.01 * seed})
        items.append({**item, "path": path})
    row = xai_published.rows(xai_study[1] | {"classifier": items}, OPTIONS).iloc[0]
    assert (row["verdict"], row["published"]) == ("within sampling error", 0.8019)
    assert row["difference"] == pytest.approx(0.805 - 0.8019)
    for item in items:
        write_json(item["path"], read_json(item["path"]) | {"accuracy": 0.7})
    assert xai_published.rows(xai_study[1] | {"classifier": items}, OPTIONS).iloc[0]["verdict"] == "differs"
    # The same sentence: means over the seeds' models.
    shown = []
    for seed, item in enumerate(xai_study[1]["shown"]):
        facts = read_json(item["path"])
        words = EXPLAINED["classifier_sentence"]
        weights = {name: [float(seed)] * len(words) for name in facts["sentence"]["weights"]}
        facts["sentence"] |= {"tokens": words, "weights": weights}
        path = tmp_path / f"shown{seed}.json"
        write_json(path, facts | {"dataset": "imdb_25k"})
        shown.append({**item, "path": path})
    frame = xai_published.rows(xai_study[1] | {"shown": shown}, OPTIONS)
    row = frame[frame["quantity"].str.startswith("sentence, alpha_avg")].iloc[0]
    assert (row["verdict"], row["ours"], row["seeds"]) == ("not comparable", 0.5, "0 1")
    assert row["lower"] == pytest.approx(0.5 - 12.706 * 0.5, rel=1e-3)


# The seven kinds of weights of a sentence in print.
WEIGHTS = ["alpha_avg", "alpha_max", "lime", "g_avg", "g_l2", "g_l1", "gxi"]


@pytest.fixture
def classifiers(tmp_path):
    """Inputs of three seeds: accuracies, and for seed s logits (s, 10 + s), weights s, LIME 2 + s times half the formula."""

    def run(accuracies=(0.79, 0.80, 0.81), dataset="imdb_25k", tokens=None, words=71):
        inputs = {"classifier": [], "shown": []}
        sentence = EXPLAINED["classifier_sentence"]
        document = (EXPLAINED["classifier_document"] + [f"w{number}" for number in range(100)])[:words]
        formula = np.arange(1.0, words + 1)
        for seed, accuracy in enumerate(accuracies):
            weights = {name: [seed + place / 8 for place in range(7)] for name in WEIGHTS}
            facts = {"dataset": dataset, "seed": seed, "accuracy": accuracy, "examples": 1000}
            shown = {
                "dataset": dataset,
                "seed": seed,
                "sentence": {"tokens": tokens or sentence, "logits": [seed, 10 + seed], "weights": weights},
                "document": {
                    "words": document,
                    "limits": {"published": list(formula)},
                    "lime_delete": [list(formula * (2 + seed) / 2 + shift) for shift in (-0.25, 0.25)],
                },
            }
            for stage, content in (("classifier", facts), ("shown", shown)):
                path = tmp_path / f"{stage}{seed}.json"
                write_json(path, content)
                inputs[stage].append({"dataset": dataset, "seed": seed, "path": path})
        return xai_published.rows(inputs, OPTIONS).set_index("quantity")

    return run


@pytest.mark.slow
def test_numbers_of_the_classifier_are_means_over_seeds(classifiers):
    frame = classifiers()
    # t(2) = 4.3027: of the numbers 0, 1 and 2 the standard error is .57735.
    row = frame.loc["sentence, negative logit"]
    assert (row["ours"], row["published"], row["seeds"], row["examples"]) == (1, -0.64168686, "0 1 2", 1)
    assert row["difference"] == pytest.approx(1.64168686)
    assert (row["lower"], row["upper"]) == pytest.approx((1 - 2.48414, 1 + 2.48414), rel=1e-5)
    assert row["interval"] == "95% Student's t, over 3 seeds"
    assert frame.loc["sentence, positive logit", "ours"] == 11
    assert frame.loc["sentence, lime, based", "ours"] == 1.125
    # LIME of the third word: halves of the formula, 3, twice, thrice and four times.
    assert frame.loc["document, LIME, nothing", ["ours", "published"]].tolist() == [4.5, -0.8870]
    assert frame.loc["document, 3/2 formula, nothing", ["ours", "published"]].tolist() == [3.0, -0.5689]
    assert frame.loc["document, LIME, awful", "ours"] == 1.5
    assert frame.loc["document, LIME against the 3/2 formula, slope", "ours"] == pytest.approx(1.5, abs=0.01)
    assert frame.loc["document, LIME against the 3/2 formula, pearson", "ours"] == pytest.approx(1.0)
    # The error over LIME's norm: 0 / 1, .5 / 1.5 and 1 / 2.
    assert frame.loc["document, LIME against the 3/2 formula, relative", "ours"] == pytest.approx(5 / 18)
    assert set(frame["verdict"][1:]) == {"not comparable"} and set(frame["published_checkpoint"]) == {"other"}
    one = classifiers([0.8]).loc["sentence, negative logit"]
    assert one["ours"] == 0 and np.isnan(one["lower"]) and one["interval"] == "none"
    text = xai_published.latex(frame.reset_index(), {**OPTIONS})
    assert (
        r"sentence, negative logit & $-0.642$ & $1.000_{-1.484}^{3.484}$ & $1.642$ & not comparable" in text
    )
    assert "not comparable: " in text and f"has all {len(frame)} numbers" in text


@pytest.mark.parametrize(
    ("accuracies", "verdict", "difference"),
    [
        ((0.79, 0.80, 0.81), "within sampling error", -0.0019),
        ((0.69, 0.70, 0.71), "differs", -0.1019),
        ((0.89, 0.90, 0.91), "differs", 0.0981),
        ((0.8019,), "not comparable", 0.0),
    ],
)
def test_the_accuracy_of_the_classifier_is_that_of_one_more_seed(
    classifiers, accuracies, verdict, difference
):
    row = classifiers(accuracies).loc["test accuracy"]
    assert (row["verdict"], row["published"], row["examples"]) == (verdict, 0.8019, 1000)
    assert row["difference"] == pytest.approx(difference)


@pytest.mark.slow
def test_another_data_set_sentence_or_document_of_the_classifier_is_no_comparison(classifiers):
    frame = classifiers(dataset="sentiment")
    assert frame["verdict"].tolist() == ["not comparable"] + ["not run"] * (len(frame) - 1)
    assert frame["why"].iloc[0] == "another data set (sentiment)"
    assert frame["why"].iloc[1] == "this scale has another data set (sentiment)"
    kind = [name.split(",")[0] for name in frame.index]
    for changes, other, same in (
        ({"tokens": ["x"]}, "sentence", "document"),
        ({"words": 70}, "document", "sentence"),
    ):
        frame = classifiers(**changes).assign(kind=kind)
        apart, alike = (frame[frame["kind"] == name] for name in (other, same))
        assert (
            set(apart["why"]) == {f"this configuration shows another {other}"} and apart["ours"].isna().all()
        )
        assert set(alike["verdict"]) == {"not comparable"} and alike["ours"].notna().all()
