"""The table `agreement`: both directions of a pair, and where there is no reference."""

import pandas as pd
import pytest

from plumbline.artefacts import read_rows
from plumbline.errors import PlumblineError
from plumbline.tables import (
    agreement,
)
from tests.synthetic import OPTIONS, make
from tests.table_rows import pick

pytestmark = pytest.mark.slow


def test_agreement_takes_both_directions_of_a_pair(table_inputs, made_rows):
    frame = made_rows("agreement")
    stored = pd.concat(
        [read_rows(i["path"]) for i in table_inputs["agreement"] if i["dataset"] == "sentiment"]
    )
    for readout, pair in (
        ("alti", {"readout": "alti", "other": "blankout"}),
        ("random", {"readout": "blankout", "other": "random"}),
    ):
        row = pick(frame, dataset="sentiment", reference="blankout", metric="kendall", readout=readout).iloc[
            0
        ]
        assert row["mean"] == pytest.approx(pick(stored, metric="kendall", **pair)["mean"].mean(), abs=1e-12)
    assert "uniform" not in set(frame["readout"])
    assert set(pick(frame, model="distilbert")["reference"]) == {"grad_l2"}
    without = {"agreement": [i for i in table_inputs["agreement"] if i["dataset"] == "none"]}
    with pytest.raises(PlumblineError, match="no artefact"):
        agreement.rows(without, OPTIONS)


def test_agreement_without_any_reference_says_so(tmp_path):
    found = make(tmp_path, methods=("alti", "attention"), examples=4)
    with pytest.raises(PlumblineError, match="blankout and grad_l2"):
        agreement.rows(found, OPTIONS)
