"""Every table: the facts that it must state, equal bytes, clear errors; the tables accuracy, precision and cost."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest

from plumbline import tables
from plumbline.errors import PlumblineError
from tests.synthetic import OPTIONS, write_table
from tests.table_rows import pick, scores_of

pytestmark = pytest.mark.slow


# Those of the study explainn: tests/test_causal_outputs.py.
@pytest.mark.parametrize(
    "table", [name for name, study in tables.TABLES.studies.items() if study != "explainn"]
)
def test_every_table_states_scale_count_seeds_and_interval(table_inputs, made_rows, table, tmp_path):
    paths = [tmp_path / f"t.{kind}" for kind in tables.TABLES[table].formats]
    csv, tex = paths[:2]
    tables.write(table, made_rows(table), table_inputs, OPTIONS, *paths)
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
    first = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    write_table(table, table_inputs, OPTIONS, *paths)
    assert first == [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_csv_files_name_seeds_so_that_they_are_no_count(table_inputs, made_rows, tmp_path):
    """A lone '0' in the column `seeds` reads like no seed at all; readers get the plain text back."""
    from plumbline.collect import table_rows

    path = tmp_path / "comp_suff.csv"
    tables.write("comp_suff", made_rows("comp_suff"), table_inputs, OPTIONS, path, tmp_path / "t.tex")
    assert set(pd.read_csv(path)["seeds"]) == {"seed 0", "seeds 0 1"}
    assert set(table_rows({"tables/comp_suff": [{"path": path}]}, "comp_suff")["seeds"]) == {"0", "0 1"}


def test_accuracy_has_a_row_a_seed_and_their_mean(made_rows):
    frame = made_rows("accuracy")
    found = pick(frame, dataset="sentiment")
    assert found["seed"].tolist() == ["0", "1", "mean"]
    assert found["accuracy"].tolist() == pytest.approx([0.97, 0.98, 0.975])
    assert (found["lower"] < found["accuracy"]).all()
    assert "Student" in found["interval"].iloc[-1]
    assert pick(frame, dataset="sst2")["seed"].tolist() == ["0"]


def test_precision_pairs_the_two_protocols(table_inputs, made_rows):
    frame = pick(made_rows("precision"), dataset="sentiment", kind="comp")
    scores = [
        scores_of(
            table_inputs, dataset="sentiment", method="alti", readout="alti", kind="comp", protocol=protocol
        )
        for protocol in ("standard", "standard_bfloat16")
    ]
    row = frame.set_index("readout").loc["alti"]
    means = [frame["score"].astype(float).mean() for frame in scores]
    assert row["float32"] == pytest.approx(means[0])
    assert row["difference"] == pytest.approx(means[1] - means[0])
    assert row["lower"] <= row["difference"] <= row["upper"]
    change = np.abs(np.stack(scores[1]["probability"]) - np.stack(scores[0]["probability"])).max()
    assert row["largest_change"] == pytest.approx(change)  # both float32
    for block in ("signed", "unsigned"):
        plain = pick(frame, block=block)
        assert sorted(plain["rank"]) == sorted(plain["rank_bfloat16"]) == list(range(1, len(plain) + 1))
        assert plain.set_index("readout")["float32"].idxmax() == plain.set_index("rank").loc[1, "readout"]
    others = frame[~frame["block"].isin(["signed", "unsigned"])]
    assert others["control"].any() and others["rank"].isna().all()


def test_cost_is_a_mean_over_seeds(made_rows):
    frame = made_rows("cost")
    row = pick(frame, dataset="sentiment", stage="attributions", method="alti").iloc[0]
    assert (row["seconds"], row["seconds_per_example"], row["max_rss_mb"]) == (9.0, 0.75, 512.5)
    assert np.isnan(row["rows_per_second"])
    passes = pick(frame, dataset="sentiment", stage="faithfulness", method="alti").iloc[0]
    # Two seeds: 600 rows in 1.5 s.
    assert passes["rows_per_second"] == pytest.approx(400)
    assert passes["padding_share"] == pytest.approx(0.1)
    assert passes["duplicates_share"] == pytest.approx(0.25)


def test_unknown_table_is_named(tmp_path):
    with pytest.raises(PlumblineError, match="did you mean 'comp_suff'"):
        write_table("compsuff", {}, OPTIONS, tmp_path / "a.csv", tmp_path / "a.tex")


def test_csv_has_six_significant_digits(table_inputs, made_rows, tmp_path):
    paths = (tmp_path / "a.csv", tmp_path / "a.tex")
    tables.write("comp_suff", made_rows("comp_suff"), table_inputs, OPTIONS, *paths)
    frame = pd.read_csv(io.StringIO((tmp_path / "a.csv").read_text()), dtype=str)
    assert max(len(value.lstrip("-0.").replace(".", "")) for value in frame["mean"]) <= 6
