"""The table `xai_published`: numbers that are left out of it, and those beside ours."""

import pytest

from plumbline.artefacts import read_json, write_json
from plumbline.tables import (
    published,
    xai_published,
)
from tests.synthetic import OPTIONS


def test_numbers_of_a_sentence_or_document_that_is_not_the_published_one():
    said = xai_published._verdict
    here, entry = {"dataset": "imdb"}, {"dataset": "imdb"}
    assert said(here, "", entry) == {
        "verdict": "not comparable",
        "why": "another checkpoint: the published one was not released",
    }
    assert said(here, "sentence", entry) == {
        "verdict": "not run",
        "why": "this configuration shows another sentence",
    }
    assert said({"dataset": "sst2"}, "", entry) == {
        "verdict": "not run",
        "why": "this scale has another data set (sst2)",
    }


@pytest.mark.slow
def test_published_numbers(xai_study, tmp_path):
    frame = xai_published.rows(xai_study[1], OPTIONS)
    assert frame["verdict"].value_counts().to_dict() == {"not comparable": 1, "not run": len(frame) - 1}
    assert frame["published_checkpoint"].eq("other").all()
    numbers = [(quantity, value) for quantity, value, _ in xai_published.published_numbers()]
    assert list(zip(frame["quantity"], frame["published"], strict=True)) == numbers
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
        entry = next(iter(published.all_entries("sentence")))
        weights = {name: [float(seed)] * len(entry["words"]) for name in facts["sentence"]["weights"]}
        facts["sentence"] |= {"tokens": entry["words"], "weights": weights}
        path = tmp_path / f"shown{seed}.json"
        write_json(path, facts | {"dataset": "imdb_25k"})
        shown.append({**item, "path": path})
    frame = xai_published.rows(xai_study[1] | {"shown": shown}, OPTIONS)
    row = frame[frame["quantity"].str.startswith("sentence, alpha_avg")].iloc[0]
    assert (row["verdict"], row["ours"], row["seeds"]) == ("not comparable", 0.5, "0 1")
    assert row["lower"] == pytest.approx(0.5 - 12.706 * 0.5, rel=1e-3)
