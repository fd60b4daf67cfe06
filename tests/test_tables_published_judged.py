"""Which number of ours stands beside which published one, and what is said of it (`tables/published.py`)."""

import pandas as pd
import pytest

from plumbline.tables import published
from tests.printed import SAMPLE, printed, shipped, shipped_of, together
from tests.synthetic import OPTIONS

nan = float("nan")
# 400 drawn sentences of SST-2, which are a data set of their own.
DRAWN = SAMPLE | {"dataset": "sst2_drawn"}
MODELS = {  # (data set, model) -> metrics.json
    **{
        (dataset, "one"): {"architecture": "roberta", "source": "hub", "repo": "x/one", "epochs": 0}
        for dataset in ("sst2", "sst2_drawn", "imdb")
    },
    ("sst2", "two"): {"architecture": "bert", "source": "hub", "repo": "y/two", "epochs": 0},
}
KENDALL = {"reference": "r", "metric": "kendall"}


def rollout(value, **more):
    """A row of numbers.csv on the rollout."""
    return {"readout": "rollout", "value": value, **more}


def number_of_ours(mean=0.1, dataset="sst2", model="one", **more):
    """A row of a table: 400 examples, a 95% interval of .0196 to either side, so a standard error of .01."""
    return {
        "dataset": dataset,
        "model": model,
        "mean": mean,
        "lower": mean - 0.0196,
        "upper": mean + 0.0196,
        "examples": 400,
        "seeds": "0",
        "interval": "i",
        **more,
    }


def judged(numbers, rows, *, split="test", examples=400, faithfulness=()):
    """What is said of each row beside each published number: [(place of the row, columns)]."""
    options = {
        **OPTIONS,
        "faithfulness": faithfulness,
        "datasets": {name: {"source": "hub"} for name in ("sst2", "sst2_drawn", "imdb")},
        "runs": [
            {"dataset": dataset, "model": model, "split": split, "examples": examples, "within": None}
            for dataset, model in MODELS
        ],
    }
    found = published.judged(numbers, pd.DataFrame(rows), MODELS, options)
    return [(place, columns) for _, place, columns in found]


@pytest.mark.parametrize("table", sorted(set(shipped()["table"]) - {"xai_published"}))
def test_a_number_stands_beside_the_one_row_that_has_all_its_keys(table):
    """Of the real numbers; each row of ours that differs in one key, and one that lacks none, are made up here."""
    numbers = shipped_of(table)
    number = numbers.iloc[-1]
    keys = {key: number[key] for key in published.KEYS if number[key]} | number["about"]["where"]
    assert keys
    same = {key: float(value) if key in ("strength", "threshold") else value for key, value in keys.items()}
    others = [same | {key: -1.0 if isinstance(value, float) else "other"} for key, value in same.items()]
    found = published.matched(numbers.tail(1), pd.DataFrame([*others, same, *others]))
    assert found["row"].tolist() == [len(others)] and found["number"].tolist() == [numbers.index[-1]]
    assert published.matched(numbers.tail(1), pd.DataFrame(others)).empty
    assert published.matched(numbers, pd.DataFrame()).empty


def test_numbers_stand_in_their_order_and_ours_in_theirs():
    numbers = together(
        printed("t", rollout(2.0, step="1"), rollout(1.0, step="0"), where={"class": 3}),
        printed("t", rollout(3.0, strength="0.50")),
    )
    ours = pd.DataFrame(
        {"readout": "rollout", "step": [0, 1, 0], "class": ["3", "3", "all"], "strength": [0.5, nan, 0.5]},
        index=[7, 8, 9],
    )
    found = published.matched(numbers, ours)
    assert found[["value", "row"]].to_numpy().tolist() == [[2, 8], [1, 7], [3, 7], [3, 9]]
    # A column `quantity` alone decides.
    ours = pd.DataFrame({"quantity": ["number 1", "number 0"]})
    assert published.matched(numbers[:2], ours)["row"].tolist() == [1, 0]


def test_numbers_are_judged_beside_those_of_their_data_set_and_architecture():
    rows = [
        number_of_ours(dataset=dataset, model=model, readout=readout, **KENDALL)
        for dataset, model, readout in (
            ("imdb", "one", "rollout"),
            ("sst2", "two", "rollout"),
            ("sst2", "one", "rollout"),
            ("sst2_drawn", "one", "rollout"),
            ("sst2", "one", "random"),
        )
    ]
    numbers = printed("agreement", rollout(0.1032), where=KENDALL, sample=DRAWN)
    # Of the drawn sentences the number is determined: .0032 is more than .001. Of others it is within sampling error.
    assert [
        (place, row["model"], row["verdict"], row["our_sample"]) for place, row in judged(numbers, rows)
    ] == [
        (2, "one", "within sampling error", "SST-2: first 400 of the test split"),
        (3, "one", "differs", "SST-2 (500 drawn): first 400 of the test split"),
    ]
    (_, first), (_, second) = judged(numbers, rows, split="validation")
    assert first["why"] == second["why"] == "other examples (validation split)"
    assert first["difference"] == pytest.approx(-0.0032) and first["verdict"] == "not comparable"


def test_two_models_are_judged_in_the_order_of_the_measurement():
    about = {"other_architecture": "bert", "where": {"metric": "kendall"}, "sample": DRAWN}
    numbers = printed("model_consistency", rollout(0.1), checkpoint="x/one ; y/two", **about)
    rows = [
        number_of_ours(model=model, other=other, readout="rollout", metric="kendall")
        for model, other in (("one", "two"), ("two", "one"), ("one", "one"))
    ]
    ((place, row),) = judged(numbers, rows)
    assert (place, row["verdict"], row["published_checkpoint"]) == (0, "within sampling error", "same")
    ((_, row),) = judged(
        printed("model_consistency", rollout(0.1), checkpoint="y/two ; x/one", **about), rows
    )
    assert (row["verdict"], row["published_checkpoint"]) == ("not comparable", "other")
    assert row["why"] == "another checkpoint (x/one); another checkpoint (y/two)"


@pytest.mark.parametrize(("depth", "count"), [(2, 3), (1, 0), (3, 0)])
def test_layers_are_judged_between_models_of_equal_depth(depth, count):
    """Two layers of transformed vectors in print; embeddings have one layer more and do not count."""
    definition = {"definition": "published"}
    rows = [
        number_of_ours(vectors=vectors, layer=layer, **definition)
        for vectors, last in (("transformed", depth), ("embeddings", 3))
        for layer in range(last)
    ]
    rows += [
        number_of_ours(model="two", vectors="transformed", layer=layer, **definition) for layer in range(2)
    ]
    layers = (("transformed", "0"), ("transformed", "1"), ("embeddings", "0"))
    numbers = printed(
        "isotropy",
        *({"value": 0.1, "vectors": name, "layer": layer} for name, layer in layers),
        where=definition,
    )
    assert len(judged(numbers, rows)) == count


def test_released_seeds_are_determined_and_ours_are_not_judged_beside_them():
    numbers = printed(
        "seed_consistency", rollout(0.1009), rollout(0.0989, column="median"), where={"metric": "kendall"}
    )
    rows = [
        number_of_ours(source=source, readout="rollout", metric="kendall", median=0.1, model="one")
        for source in ("seeds 0 1", "released scores")
    ]
    (place, mean), (_, median) = judged(numbers, rows)
    assert (place, mean["verdict"], median["verdict"]) == (1, "same", "differs")
    assert (mean["our_sample"], mean["published_checkpoint"]) == ("the released arrays", "same")
    assert (mean["interval"], median["interval"]) == ("i", "none")


@pytest.mark.parametrize(
    ("examples", "protocols", "verdict"),
    [
        (None, [("published_bins", 400, None)], "same"),
        (900, [("published_bins", 400, None)], "same"),
        (400, [("published_bins", 900, None)], "same"),
        (400, [("published_bins", None, None)], "same"),
        (None, [("published_bins", 400, ["sst2_drawn"])], "same"),
        (None, [("published_bins", 400, ["imdb"])], "within sampling error"),
        (None, [("mask", 400, None)], "within sampling error"),
        (300, [("published_bins", 400, None)], "within sampling error"),
        (None, [("published_bins", 399, None)], "within sampling error"),
    ],
)
def test_a_protocol_of_fewer_examples_is_of_these(examples, protocols, verdict):
    """The very sample is the first 400 of the drawn sentences, as far as the run and its protocol take them."""
    where = {"texts": "whole", "protocol": "published_bins"}
    rows = [
        number_of_ours(kind=kind, dataset="sst2_drawn", readout="rollout", **where)
        for kind in ("comp", "suff")
    ]
    blocks = [dict(zip(("protocol", "examples", "datasets"), block, strict=True)) for block in protocols]
    numbers = printed(
        "comp_suff", rollout(0.1, kind="comp"), rollout(0.1, kind="suff"), where=where, sample=DRAWN
    )
    found = judged(numbers, rows, examples=examples, faithfulness=blocks)
    assert [(place, row["verdict"]) for place, row in found] == [(0, verdict), (1, verdict)]


def test_a_spread_in_print_is_that_of_texts_or_of_values():
    """Off by .2: twenty of our standard errors, but well within those of texts whose spread is 5."""
    ours = number_of_ours(readout="rollout", token="all", definition="published", **KENDALL)
    ((_, row),) = judged(printed("agreement", rollout(0.3, sd=5.0), where=KENDALL, sample=DRAWN), [ours])
    assert row["verdict"] == "within sampling error"
    # The spread of ranks over tokens, not over texts.
    ((_, row),) = judged(
        printed("special_tokens", rollout(0.3, sd=5.0), where={"token": "all"}, sample=DRAWN), [ours]
    )
    assert row["verdict"] == "differs"


def test_the_first_of_two_measurements_counts_and_each_statistic_has_its_verdict(monkeypatch):
    where = {"metric": "kendall"}
    numbers = together(
        printed("seed_consistency", rollout(0.1), rollout(0.3, column="median"), where=where),
        printed("seed_consistency", rollout(0.9), rollout(0.9, column="median"), where=where, source="later"),
    )
    monkeypatch.setattr(published, "read", lambda: numbers)
    rows = [
        number_of_ours(source=source, readout="rollout", metric="kendall", median=0.1)
        for source in ("released scores", "seeds 0 1")
    ]
    frame = published.beside(
        pd.DataFrame(rows),
        "seed_consistency",
        {**OPTIONS, "runs": []},
        statistics=[("mean", "mean"), ("median", "median")],
    )
    names = [
        f"published_{name}"
        for name in ("mean", "median", "verdict", "median_verdict", "source", "checkpoint")
    ]
    assert frame.loc[0, names].tolist() == [0.1, 0.3, "same", "differs", "s", "same"]
    assert frame.loc[1, names].isna().all()
    assert "off by 0.2," in frame.loc[0, "published_median_why"]
    one = published.beside(
        pd.DataFrame(rows), "seed_consistency", {**OPTIONS, "runs": []}, statistics=[("median", "value")]
    )
    assert one["published_value"][0] == 0.3 and "published_mean" not in one
