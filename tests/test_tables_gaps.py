"""Gaps and steps of integrated gradients (`tables/gaps.py`, `tables/ig_gaps.py`)."""

import pandas as pd
import pytest

from plumbline import tables
from plumbline.artefacts import read_rows
from plumbline.tables import (
    gaps,
    ig_gaps,
)
from tests.synthetic import OPTIONS, make

pytestmark = pytest.mark.slow


# Their readouts are of the multi-head classifier and of images: none integrates.
WITHOUT_TEXTS = {"network_diffusion", "explainn", "attention_meets_xai"}


@pytest.mark.parametrize(
    "table",
    [
        name
        for name, study in tables.TABLES.studies.items()
        if study not in WITHOUT_TEXTS and name != "ig_gaps"
    ],
)
def test_gap_and_steps_stand_beside_every_number_of_integrated_gradients(
    table_inputs, made_rows, table, tmp_path
):
    paths = [tmp_path / f"t.{ending}" for ending in tables.TABLES[table].formats]
    tables.write(table, made_rows(table), table_inputs, OPTIONS, *paths)
    frame = pd.read_csv(tmp_path / "t.csv", keep_default_na=False, na_values=[""])
    if "readout" not in frame or table in ("published_vs_reproduced", "saliency"):
        return
    integrated = frame["readout"].astype(str).str.startswith("ig_")
    if "source" in frame:
        integrated &= ~frame["source"].str.startswith("released")
    if not integrated.any():
        return
    assert frame.loc[~integrated, ["gap_median", "steps_max"]].isna().all(axis=None)
    for row in frame[integrated].itertuples():
        method = "ig_published" if row.readout.endswith("_published") else "ig"
        ends = []
        for model in {row.model, getattr(row, "other", row.model)}:
            paths = [
                item["path"]
                for item in table_inputs["attributions"]
                if (item["dataset"], item["model"], item["method"]) == (row.dataset, model, method)
            ]
            read = pd.concat([read_rows(path) for path in paths])
            gaps, steps = (sorted(read[name]) for name in ("completeness_gap", "steps"))
            middle, late = (-(-len(gaps) * share // 100) - 1 for share in (50, 99))
            ends.append((gaps[middle], gaps[late], gaps[-1], steps[middle], steps[-1]))
        wanted = [max(values) for values in zip(*ends, strict=True)]
        found = [row.gap_median, row.gap_q99, row.gap_max, row.steps_median, row.steps_max]
        assert found == pytest.approx(wanted, rel=1e-5), row.readout
    assert "completeness gap" in (tmp_path / "t.tex").read_text()


def test_the_order_of_files_and_of_rows_moves_no_gap(table_inputs, made_rows):
    frame = made_rows("comp_suff")
    wanted = gaps.beside(frame, table_inputs["gaps"])
    assert wanted["gap_max"].notna().any()
    turned = gaps.beside(frame[::-1], table_inputs["gaps"][::-1])[::-1]
    pd.testing.assert_frame_equal(turned, wanted)
    others = [item for item in table_inputs["gaps"] if item["dataset"] != "sentiment"]
    left = gaps.beside(frame, others)
    kept = frame["dataset"] != "sentiment"
    pd.testing.assert_frame_equal(left[kept], wanted[kept])
    assert left.loc[~kept, "gap_max"].isna().all()


def test_gaps_of_integrated_gradients(tmp_path):
    """Of gaps .3, .075, .0333, ..., .3 / k^2; the first example's steps are 800, the others' 50."""
    found = make(tmp_path, examples=10)
    frame = ig_gaps.rows(found, OPTIONS)
    row = frame[(frame["dataset"] == "sentiment") & (frame["method"] == "ig")].iloc[0]
    assert row["gap_max"] == pytest.approx(0.3)
    # Two seeds of ten examples: ten of twenty gaps do not exceed the fifth smallest of ten, eighteen not the second largest.
    assert row["gap_median"] == pytest.approx(0.3 / 6**2)
    assert row["gap_q90"] == pytest.approx(0.3 / 2**2)
    assert (row["above_01"], row["above_05"]) == (0.5, 0.2)
    assert (row["steps_median"], row["steps_max"]) == (50, 800)
    assert row["examples"] == 10
    assert set(frame["method"]) == {"ig", "ig_published"}
