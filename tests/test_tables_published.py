"""How a published number is judged and which row of ours stands beside it (`tables/published.py`), word by word."""

import numpy as np
import pandas as pd
import pytest
import yaml

from plumbline.attribution import READOUTS
from plumbline.tables import (
    published,
    published_vs_reproduced,
)

nan = float("nan")
ENTRY = {"digits": 3, "tolerance": 0.0005, "margin": 0.02, "sample": {"texts": "t", "size": 400, "block": {}}}


def test_a_published_number_is_judged_word_by_word():
    judge, ours = published.judge, published.Ours
    exact = ours(0.2699, 0.2, 0.3, 0.95, 400)
    assert judge(exact, 0.269, ENTRY, determined=True) == (
        "same",
        "the same texts; off by no more than 0.001 (rounding and tolerance)",
    )
    assert judge(exact, 0.259, ENTRY, determined=True) == (
        "differs",
        "the same texts; off by 0.011, more than 0.001 (rounding and tolerance)",
    )
    # Standard errors .005 of 100 texts and .0025 of 400: .00559 of the difference.
    half = 1.959964 * 0.005
    other = [ours(value, value - half, value + half, 0.95, 100) for value in (0.105, 0.115, 0.055)]
    found = [judge(number, 0.1, ENTRY, determined=False) for number in other]
    assert found == [
        ("within sampling error", "other texts; difference +0.005 [-0.006, +0.016], equivalent within 0.02"),
        (
            "differs",
            "other texts; difference +0.015 [+0.004, +0.026], not shown to be equivalent within 0.02",
        ),
        (
            "differs",
            "other texts; difference -0.045 [-0.056, -0.034], not shown to be equivalent within 0.02",
        ),
    ]
    bare = {key: value for key, value in ENTRY.items() if key != "margin"}
    assert (
        judge(other[0], 0.1, bare, determined=False)[1] == "other texts; difference +0.005 [-0.006, +0.016]"
    )
    nothing = ("not comparable", "other texts, and no interval of the difference can be made")
    assert judge(ours(0.1, nan, nan, 0.95, 100), 0.1, ENTRY, determined=False) == nothing
    assert judge(ours(0.1, 0.0, 0.2, 0.95, None), 0.1, ENTRY, determined=False) == nothing
    assert (
        judge(ours(0.1, 0.0, 0.2, 0.95, 100), 0.1, ENTRY | {"sample": {"size": None}}, determined=False)
        == nothing
    )
    assert judge(ours(nan, nan, nan, 0.95, 100), 0.1, ENTRY, determined=True, reasons=["a", "b"]) == (
        "not comparable", "a; b; ours is not defined",
    )  # fmt: skip


def test_a_number_of_one_seed_is_judged_word_by_word():
    judge = published.judge_seed
    assert judge([0.8], 0.8, ENTRY, level=0.95) == (
        "not comparable",
        "one training seed each: no interval of the difference can be made",
    )
    # sd .01, t(2) = 4.3027: +- .0497.
    seeds = [0.79, 0.80, 0.81]
    assert judge(seeds, 0.82, ENTRY, level=0.95) == (
        "within sampling error",
        "another training seed; difference -0.02 [-0.07, +0.03]",
    )
    assert judge(seeds, 0.74, ENTRY, level=0.95) == (
        "differs",
        "another training seed; difference +0.06 [+0.01, +0.11]",
    )


def test_which_checkpoint_a_published_number_is_of():
    entry = {"checkpoint": "textattack/one ; two"}
    hub = {"source": "hub", "epochs": 0}
    one, two = {**hub, "repo": "elsewhere/one"}, {**hub, "repo": "two"}
    assert published.checkpoint(entry, one, two) == "same"
    for models in (
        (two, one),
        (one,),
        (one, {**two, "epochs": 1}),
        (one, {**two, "source": "package"}),
        (one, {**two, "repo": None}),
    ):
        assert published.checkpoint(entry, *models) == "other"
    rows = pd.DataFrame({"published_source": ["a", "b"], "published_checkpoint": "same"})
    assert published.in_print(rows) == "In print: a."
    rows.loc[1, "published_checkpoint"] = "other"
    assert published.in_print(rows) == "In print (another checkpoint than this model): a."


def test_the_mark_of_a_verdict_behind_a_number_in_print():
    marks = {"same": "s", "within sampling error": "w", "differs": "d", "not comparable": "n"}
    for verdict, mark in marks.items():
        assert published.printed(0.25, verdict) == f"$0.250$$^{{{mark}}}$"
        assert f"{mark}, {verdict}" in published.MARKED
    assert published.printed(0.25, "same", "x") == "$0.250$ x$^{s}$"


def test_which_readouts_are_the_corrected_ones():
    corrected = published.is_corrected
    assert (
        corrected("alti", {}) and corrected("globenc", {}) and not corrected("alti", {"corrected": ["alti"]})
    )
    assert not any(
        corrected(name, {}) for name in ("alti_published", "rollout", "norm_rollout", "no_readout")
    )


TARGETS = {  # table -> (entry, [(readout, quantity, where, value, standard deviation)])
    "comp_suff": (
        {"protocol": "published_bins", "values": {"a": [0.1, 0.2]}},
        [("a", "comp, published_bins", {"readout": "a", "texts": "whole", "protocol": "published_bins", "kind": "comp"}, 0.1, None),
         ("a", "suff, published_bins", {"readout": "a", "texts": "whole", "protocol": "published_bins", "kind": "suff"}, 0.2, None)],
    ),
    "agreement": (
        {"reference": "r", "metric": "kendall", "values": {"a": [0.1, 0.2]}},
        [("a", "kendall with r", {"readout": "a", "reference": "r", "metric": "kendall"}, 0.1, 0.2)],
    ),
    "special_tokens": (
        {"values": {"a": [0.1, 0.2]}},
        [("a", "dense rank / n, all tokens", {"readout": "a", "token": "all", "definition": "published"}, 0.1, 0.2)],
    ),
    "isotropy": (
        {"values": {"embeddings": [0.1, 0.2]}},
        [("", "embeddings, layer 0", {"vectors": "embeddings", "layer": 0, "definition": "published"}, 0.1, None),
         ("", "embeddings, layer 1", {"vectors": "embeddings", "layer": 1, "definition": "published"}, 0.2, None)],
    ),
    "seed_consistency": (
        {"metric": "kendall", "values": {"a": {"mean": 0.1, "median": 0.2}}},
        [("a", "kendall, mean over pairs", {"readout": "a", "metric": "kendall"}, 0.1, None),
         ("a", "kendall, median over pairs", {"readout": "a", "metric": "kendall"}, 0.2, None)],
    ),
    "model_consistency": (
        {"metric": "kendall", "other_architecture": "bert", "values": {"a": [0.1, 0.2]}},
        [("a", "kendall with bert", {"readout": "a", "metric": "kendall"}, 0.1, 0.2)],
    ),
    "selective_rollout": (
        {"metric": "spearman_dense", "statistic": "ratio", "layers": [3, 4], "depth": 6, "threshold": 1.0, "values": {"a": [[0.1, None], [0.2, 0.3]]}},
        [("a", f"spearman_dense with input_gradient_published, ratio, layer {layer} of 6",
          {"readout": "a", "depth": 6, "layer": layer, "definition": "published", "metric": "spearman_dense", "threshold": 1.0}, value, sd)
         for layer, value, sd in ((3, 0.1, None), (4, 0.2, 0.3))],
    ),
    "deletion_curves": (
        {"kind": "suff", "values": {"a": [0.1, 0.2]}},
        [("a", f"suff, step {step}", {"readout": "a", "kind": "suff", "step": step}, value, None) for step, value in ((0, 0.1), (1, 0.2))],
    ),
    "network_diffusion": (
        {"protocol": "chefer", "values": {"raw": [17.0, 40.0]}},
        [("raw", "positive_auc", {"map": "raw", "metric": "positive_auc", "protocol": "chefer"}, 0.17, None),
         ("raw", "negative_auc", {"map": "raw", "metric": "negative_auc", "protocol": "chefer"}, 0.4, None)],
    ),
    "causal_graphs": (
        {"class": 3, "values": {"fc": 7}},
        [("", "causes at fc, class 3", {"layer": "fc", "class": "3"}, 7, None)],
    ),
    "causal_stability": (
        {"class": 3, "values": {"set_size": {0.1: 7.5}}},
        [("", "set_size, strength 0.1, class 3", {"kind": "strength", "class": "3", "measure": "set_size", "strength": 0.1}, 7.5, None)],
    ),
    "explanation_metrics": (
        {"metric": "lipschitz", "values": {"causal": [0.1, 0.2]}},
        [("", "lipschitz, causal", {"metric": "lipschitz", "method": "causal"}, 0.1, 0.2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TARGETS)
def test_why_a_published_number_stands_beside_which_row_of_ours(table):
    """Which row of the table has the same definition: as published, and comp, suff, layer, class and direction its own."""
    entry, wanted = TARGETS[table]
    found = published.targets(table, entry)
    assert {target["table"] for target in found} == {table}
    names = ("readout", "quantity", "where", "published", "published_sd")
    assert [tuple(target[name] for name in names) for target in found] == wanted
    statistics = {"seed_consistency": ["mean", "median"], "selective_rollout": ["ratio"] * 2}
    assert [target["statistic"] for target in found] == statistics.get(table, ["mean"] * len(wanted))
    assert set(TARGETS) == set(published_vs_reproduced.TABLES)
    if table == "selective_rollout":
        free = published.targets(table, entry | {"threshold": None})
        assert all("threshold" not in target["where"] for target in free)


def test_why_a_number_is_read_from_its_column():
    row = next(pd.DataFrame([{"mean": 1.0, "lower": 2.0, "upper": 3.0, "ratio": 4.0, "ratio_lower": 5.0, "ratio_upper": 6.0,
                              "median": 7.0, "examples": 8}]).itertuples())  # fmt: skip
    options, number = {"bootstrap": {"level": 0.9}}, published._number
    assert number(row, {"statistic": "mean"}, options) == (1.0, 2.0, 3.0, 0.9, 8)
    assert number(row, {"statistic": "ratio"}, options) == (4.0, 5.0, 6.0, 0.9, 8)
    value, *ends, level, examples = number(row, {"statistic": "median"}, options)
    assert (value, level, examples) == (7.0, 0.9, 8) and np.isnan(ends).all()
    assert number(row._replace(examples=nan), {"statistic": "mean"}, options).examples is None


def test_why_a_number_is_not_compared_word_by_word():
    entry = {"checkpoint": "x/one", "sample": {"texts": "t"}}
    hub = {"source": "hub", "repo": "x/one", "epochs": 0}
    said = published._reasons
    run = {"split": "test"}
    assert said({"readout": "alti_published"}, entry, [hub], [run]) == []
    other = {**hub, "repo": "x/two"}
    assert said({"readout": "rollout"}, entry, [other], [run]) == ["another checkpoint (x/two)"]
    own = {"source": "package", "repo": None, "epochs": 2}
    assert said({"readout": "alti"}, entry, [own, own], [{"split": "validation"}, run]) == [
        "another checkpoint (source package, trained here for 2 epochs)", "other examples (validation split)",
        "the corrected definition, in print another",
    ]  # fmt: skip
    assert said({"readout": "rollout"}, entry, [], []) == []
    assert said({"readout": "rollout"}, entry, [hub], [{}]) == ["of which texts ours is was not told"]


def test_of_what_sample_ours_is():
    text = published._sample_text
    row = next(pd.DataFrame({"dataset": ["sst2"]}).itertuples())
    assert text(row, []) == "the released arrays"
    assert text(row, [{"examples": None, "split": "test"}]) == "SST-2: all of the test split"
    assert text(row, [{"examples": 9, "split": "validation"}]) == "SST-2: first 9 of the validation split"


def test_published_numbers_name_known_readouts():

    entries = yaml.safe_load(published.PUBLISHED.read_text())["comp_suff"]
    assert {(entry["dataset"], entry["architecture"]) for entry in entries} == {
        ("sst2", "roberta"), ("imdb", "roberta"), ("yelp", "roberta"), ("sva", "roberta"), ("sst2", "distilbert"),
    }  # fmt: skip
    for entry in entries:
        assert set(entry["values"]) <= set(READOUTS)
        assert entry["source"]
        assert entry["measured"]
        assert len(entry["values"]) == (8 if entry["architecture"] == "distilbert" else 10)
