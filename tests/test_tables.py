"""Tables: right numbers, every fact that a table must state, equal bytes, clear errors."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import average_precision_score

from plumbline import tables
from plumbline.artefacts import read_rows
from plumbline.errors import PlumblineError
from plumbline.tables import accuracy, agreement, comp_suff, cost, latex, rationale
from tests.synthetic import OPTIONS, TEN, make, merge


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    full = make(root, seeds=(0, 1))
    small = make(root, dataset="agreement", model="distilbert", architecture="distilbert", methods=TEN)
    # A real data set, a checkpoint of the hub, no oracle: where published numbers exist.
    real = make(root, dataset="sst2", model="roberta", architecture="roberta", oracle=False,
                source="hub", repo="textattack/roberta-base-SST-2", epochs=0)  # fmt: skip
    return merge(full, small, real)


def pick(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def scores_of(inputs, **values):
    """All faithfulness rows of one model and readout, with the seed."""
    items = [
        i
        for i in inputs["faithfulness"]
        if (i["dataset"], i["method"]) == (values["dataset"], values["method"])
    ]
    rows = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    return pick(rows, readout=values["readout"], protocol=values["protocol"], kind=values["kind"])


@pytest.mark.parametrize("table", list(tables.TABLES))
def test_every_table_states_scale_count_seeds_and_interval(inputs, table, tmp_path):
    csv, tex = tmp_path / "t.csv", tmp_path / "t.tex"
    tables.write(table, inputs, OPTIONS, csv, tex)
    frame = pd.read_csv(csv)
    assert set(frame["scale"]) == {"small"}
    for column in ("examples", "seeds", "interval", "dataset", "model"):
        assert column in frame
    text = tex.read_text()
    for phrase in (
        "cale: small",
        "seed",
        "nterval",
        "toprule",
        "bottomrule",
        "-{}-configfile config.paper.yaml",
    ):
        assert phrase in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") > 0
    # As many cells in every row as the tabular has columns.
    for part in text.split(r"\begin{tabular}{")[1:]:
        width = len(part.split("}")[0])
        lines = [line for line in part.split("\n")[1:] if line.endswith(r"\\")]
        heads = [line for line in lines if r"\multicolumn" not in line]
        assert {line.replace(r"\&", "").count("&") + 1 for line in heads} == {width}
    first = [hashlib.sha256(path.read_bytes()).digest() for path in (csv, tex)]
    tables.write(table, inputs, OPTIONS, csv, tex)
    assert first == [hashlib.sha256(path.read_bytes()).digest() for path in (csv, tex)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.tex"]


def test_comp_suff_averages_seeds_then_examples(inputs):
    frame = comp_suff.rows(inputs, OPTIONS)
    row = pick(frame, dataset="sentiment", readout="alti", protocol="standard", kind="comp").iloc[0]
    scores = scores_of(
        inputs, dataset="sentiment", method="alti", readout="alti", protocol="standard", kind="comp"
    )
    per_example = scores.groupby("id")["score"].mean()
    assert row["mean"] == pytest.approx(per_example.mean(), abs=1e-6)
    assert row["lower"] < row["mean"] < row["upper"]
    assert (row["examples"], row["seeds"]) == (12, "0 1")
    # The interval of a mean over seeds is narrower than one over all scores as if they were independent examples.
    assert row["upper"] - row["lower"] == pytest.approx(
        2 * 1.96 * per_example.std(ddof=0) / 12**0.5, rel=0.35
    )
    assert "published_steps" not in set(frame["protocol"])


def test_comp_suff_best_is_no_control_and_follows_the_direction(inputs):
    frame = comp_suff.rows(inputs, OPTIONS)
    for (_, _, _, kind), part in frame.groupby(["dataset", "model", "protocol", "kind"]):
        means = part.loc[~part["control"], "mean"]
        assert part.loc[part["best"], "mean"].tolist() == [means.max() if kind == "comp" else means.min()]
        assert set(part["direction"]) == {"higher" if kind == "comp" else "lower"}
    assert len(pick(frame, dataset="sentiment")["readout"].unique()) == 37
    assert r"\mathbf{" in comp_suff.latex(frame, OPTIONS)


def test_published_numbers_stand_beside_their_own_definition(inputs, tmp_path):
    frame = comp_suff.rows(inputs, OPTIONS)
    beside = frame.dropna(subset="published_value")
    assert set(beside["dataset"]) == {"sst2"}
    assert set(beside["protocol"]) == {"published_bins"}
    row = pick(beside, readout="alti_published", kind="suff").iloc[0]
    assert (row["published_value"], row["published_checkpoint"]) == (0.057, "same")
    assert "alti" not in set(beside["readout"])
    text = comp_suff.latex(pick(frame, dataset="sst2"), OPTIONS)
    assert "in print" in text
    assert "another checkpoint" not in text
    other = make(tmp_path, dataset="sst2", model="roberta", architecture="roberta", oracle=False, examples=4,
                 source="hub", repo="textattack/roberta-base-SST-2", epochs=1)  # fmt: skip
    frame = comp_suff.rows(other, OPTIONS)
    assert set(frame.dropna(subset="published_value")["published_checkpoint"]) == {"other"}
    assert "another checkpoint" in comp_suff.latex(frame, OPTIONS)
    # Another architecture has no published number.
    bert = make(tmp_path, dataset="sst2", model="minilm", oracle=False, examples=4)
    assert comp_suff.rows(bert, OPTIONS)["published_value"].isna().all()


def test_published_numbers_name_known_readouts():
    from plumbline.attribution import READOUTS

    entries = yaml.safe_load(comp_suff.PUBLISHED.read_text())["comp_suff"]
    assert {(entry["dataset"], entry["architecture"]) for entry in entries} == {
        ("sst2", "roberta"), ("imdb", "roberta"), ("yelp", "roberta"), ("sva", "roberta"), ("sst2", "distilbert"),
    }  # fmt: skip
    for entry in entries:
        assert set(entry["values"]) <= set(READOUTS)
        assert entry["source"]
        assert entry["measured"]
        assert len(entry["values"]) == (8 if entry["architecture"] == "distilbert" else 10)


def test_agreement_takes_both_directions_of_a_pair(inputs):
    frame = agreement.rows(inputs, OPTIONS)
    stored = pd.concat([read_rows(i["path"]) for i in inputs["agreement"] if i["dataset"] == "sentiment"])
    for readout, pair in (("alti", {"readout": "alti", "other": "blankout"}),
                          ("random", {"readout": "blankout", "other": "random"})):  # fmt: skip
        row = pick(frame, dataset="sentiment", reference="blankout", metric="kendall", readout=readout).iloc[
            0
        ]
        assert row["mean"] == pytest.approx(pick(stored, metric="kendall", **pair)["mean"].mean(), abs=1e-12)
    assert "uniform" not in set(frame["readout"])
    assert set(pick(frame, model="distilbert")["reference"]) == {"grad_l2"}
    without = {"agreement": [i for i in inputs["agreement"] if i["dataset"] == "none"]}
    with pytest.raises(PlumblineError, match="no artefact"):
        agreement.rows(without, OPTIONS)


def test_agreement_without_any_reference_says_so(tmp_path):
    found = make(tmp_path, methods=("alti", "attention"), examples=4)
    with pytest.raises(PlumblineError, match="blankout and grad_l2"):
        agreement.rows(found, OPTIONS)


def test_rationale_oracle_is_perfect_and_controls_are_not(inputs):
    frame = rationale.rows(inputs, OPTIONS)
    assert set(frame["dataset"]) == {"sentiment", "agreement"}
    assert (pick(frame, readout="oracle")["mean"] == 1).all()
    assert (pick(frame, readout="random")["mean"] < 0.9).all()
    assert not frame.loc[frame["control"], "best"].any()
    with pytest.raises(PlumblineError, match="known-truth"):
        rationale.rows(
            {"attributions": [i for i in inputs["attributions"] if i["dataset"] == "sst2"]}, OPTIONS
        )


def test_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.integers(-2, 4, size=(3, 11)).astype(np.float32)
        truth = rng.random(11) < 0.3
        truth[rng.integers(11)] = True
        theirs = [average_precision_score(truth, row) for row in scores]
        assert rationale.average_precision(scores, truth) == pytest.approx(theirs, abs=1e-12)


def test_r_precision_breaks_ties_by_position():
    truth = np.array([False, True, True, False])
    scores = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 2.0, 9.0], [0.0, 3.0, 2.0, 1.0]])
    assert rationale.r_precision(scores, truth).tolist() == [0.5, 0.5, 1.0]


def test_accuracy_has_a_row_a_seed_and_their_mean(inputs):
    frame = accuracy.rows(inputs, OPTIONS)
    found = pick(frame, dataset="sentiment")
    assert found["seed"].tolist() == ["0", "1", "mean"]
    assert found["accuracy"].tolist() == pytest.approx([0.97, 0.98, 0.975])
    assert (found["lower"] < found["accuracy"]).all()
    assert "Student" in found["interval"].iloc[-1]
    assert pick(frame, dataset="sst2")["seed"].tolist() == ["0"]


def test_cost_is_a_mean_over_seeds(inputs):
    frame = cost.rows(inputs, OPTIONS)
    row = pick(frame, dataset="sentiment", stage="attributions", method="alti").iloc[0]
    assert (row["seconds"], row["seconds_per_example"], row["max_rss_mb"]) == (9.0, 0.75, 512.5)
    assert np.isnan(row["rows_per_second"])
    passes = pick(frame, dataset="sentiment", stage="faithfulness", method="alti").iloc[0]
    # Two seeds: 600 rows in 1.5 s.
    assert passes["rows_per_second"] == pytest.approx(400)
    assert passes["padding_share"] == pytest.approx(0.1)
    assert passes["duplicates_share"] == pytest.approx(0.25)
    assert np.isnan(
        pick(frame, dataset="sentiment", stage="attributions", method="uniform").iloc[0]["max_rss_mb"]
    )


def test_latex_escapes():
    assert latex.escape("50% of_a & G×I (|sum|) #1") == r"50\% of\_a \& G$\times$I ($|$sum$|$) \#1"
    assert latex.number(0.1234, 0.1, 0.2, bold=True) == r"$\mathbf{0.123}_{0.100}^{0.200}$"
    assert latex.number(float("nan")) == "--"


def test_unknown_table_is_named(tmp_path):
    with pytest.raises(PlumblineError, match="did you mean 'comp_suff'"):
        tables.write("compsuff", {}, OPTIONS, tmp_path / "a.csv", tmp_path / "a.tex")


def test_csv_has_six_significant_digits(inputs, tmp_path):
    tables.write("comp_suff", inputs, OPTIONS, tmp_path / "a.csv", tmp_path / "a.tex")
    frame = pd.read_csv(io.StringIO((tmp_path / "a.csv").read_text()), dtype=str)
    assert max(len(value.lstrip("-0.").replace(".", "")) for value in frame["mean"]) <= 6
