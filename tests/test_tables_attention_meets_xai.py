"""Tables of attention_meets_xai: accuracy, both theorems, faithfulness."""

import numpy as np
import pandas as pd
import pytest

from plumbline.artefacts import read_json, read_rows, write_rows
from plumbline.tables import (
    classifier_accuracy,
    gradient_theorem,
    lime_growth,
    lime_theorem,
    xai_faithfulness,
)
from plumbline.theory.explanations import EXPLANATIONS
from tests.synthetic import OPTIONS

# Kernel of a formula and of the LIME that it is held against.
WITHOUT = ("none", "25")
WITH = dict.fromkeys(("rho", "mean_field", "first_order"), ("25", "25"))


@pytest.mark.slow
def test_accuracy_beside_the_published_one(xai_study):
    frame = classifier_accuracy.rows(xai_study[1], OPTIONS)
    facts = [read_json(item["path"]) for item in xai_study[1]["classifier"]]
    assert list(frame["seed"]) == ["0", "1", "mean"]
    assert frame["accuracy"].iloc[2] == pytest.approx(np.mean([fact["accuracy"] for fact in facts]))
    assert frame["published_value"].isna().all()  # another data set


@pytest.mark.slow
def test_gradient_theorem(xai_study):
    frame = gradient_theorem.rows(xai_study[1], OPTIONS).set_index("quantity")
    assert frame.loc["corrected_worst", "max"] < 1e-10 and frame.loc["published_relative", "max"] < 1e-10
    assert frame.loc["published_first_relative", "median"] > 1e-3
    assert set(frame["examples"]) == {30}


@pytest.mark.slow
def test_lime_tables_are_means_over_reviews(xai_study):
    frame = lime_theorem.rows(xai_study[1], OPTIONS).set_index(
        ["mode", "formula", "kernel", "lime_kernel", "measure"]
    )
    frame = frame.sort_index()
    rows = pd.concat(read_rows(item["path"]) for item in xai_study[1]["theory_lime_delete"])
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
    growth = lime_growth.rows(xai_study[1], OPTIONS)
    assert growth[growth["quantity"] == "log_rho"].groupby("formula")["examples"].sum().unique() == [30]


@pytest.mark.slow
def test_intervals_are_over_seeds_and_texts(xai_study, tmp_path):
    """Seeds that differ widen every interval; one seed alone is named as this checkpoint's."""
    items = []
    for seed, item in enumerate(xai_study[1]["theory_lime_mask"]):
        frame = read_rows(item["path"])
        columns = {name: list(frame[name]) for name in frame}
        columns["first_order_relative"] = [0.25 + 0.5 * seed] * len(frame)
        write_rows(tmp_path / f"{seed}.parquet", columns, kind="theory")
        items.append({**item, "path": tmp_path / f"{seed}.parquet"})
    keys = ["mode", "formula", "kernel", "lime_kernel", "measure"]
    frame = lime_theorem.rows(xai_study[1] | {"theory_lime_mask": items}, OPTIONS).set_index(keys)
    row = frame.loc[("mask", "first_order", "25", "25", "relative")]
    # Student's t with one degree of freedom: 12.7 standard errors of .25.
    assert (row["mean"], row["lower"], row["upper"]) == pytest.approx(
        (0.5, 0.5 - 12.706 * 0.25, 0.5 + 12.706 * 0.25), rel=1e-3
    )
    alone = lime_theorem.rows(xai_study[1] | {"theory_lime_mask": items[:1]}, OPTIONS).set_index(keys)
    row = alone.loc[("mask", "first_order", "25", "25", "relative")]
    assert (row["lower"], row["upper"], row["seeds"]) == (0.25, 0.25, "0") and "this checkpoint" in row[
        "interval"
    ]


@pytest.mark.slow
def test_faithfulness_table(xai_study):
    frame = xai_faithfulness.rows(xai_study[1], OPTIONS)
    rows = pd.concat(read_rows(item["path"]) for item in xai_study[1]["theory_faithfulness"])
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
        xai_study[1] | {"theory_faithfulness": xai_study[1]["theory_faithfulness"][:1]}, OPTIONS
    )
    assert {"best", "worse"} <= set(alone["standing"]) and alone["best"].any()


@pytest.mark.slow
def test_faithfulness_table_names_the_columns_rightly(xai_study, tmp_path):
    """Numbers under 'masked' are those of masking; the headings once stood over the other pair."""
    frame = xai_faithfulness.rows(xai_study[1], OPTIONS)
    frame.loc[frame["mode"] == "mask", ["mean", "lower", "upper"]] = 0.25
    text = xai_faithfulness.latex(frame, OPTIONS)
    line = next(line for line in text.splitlines() if line.startswith("random &"))
    masked = [place for place, cell in enumerate(line.split("&")) if "0.250" in cell]
    heads = next(line for line in text.splitlines() if "tokens masked" in line).split("&")
    assert masked == [1, 2] and "tokens masked" in heads[1] and "tokens deleted" in heads[2]
