"""The table `deletion_curves`: which texts and seeds it is of."""

import numpy as np
import pandas as pd
import pytest

from plumbline.artefacts import read_rows
from plumbline.errors import PlumblineError
from plumbline.tables import (
    deletion_curves,
)
from tests.synthetic import OPTIONS, TEN, make
from tests.table_rows import pick, two_way

pytestmark = pytest.mark.slow


def test_deletion_curves_are_of_all_texts_and_have_an_interval_over_seeds(table_inputs, tmp_path):
    """A text that has ended keeps its last value; beside it the published mean and band; cut texts stay out."""
    options = {**OPTIONS, "dataset": "sentiment", "model": "bert"}
    frame = pick(deletion_curves.rows(table_inputs, options), kind="comp", readout="alti")
    items = [i for i in table_inputs["faithfulness"] if (i["dataset"], i["method"]) == ("sentiment", "alti")]
    rows = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    rows = rows.query("readout == 'alti' and protocol == 'published_steps' and kind == 'comp'")
    means = [
        [np.mean([c[k] for c in part["probability"] if len(c) > k]) for k in range(len(frame))]
        for _, part in rows.groupby("seed")
    ]
    assert frame["mean_published"].to_numpy() == pytest.approx(np.mean(means, axis=0), rel=1e-6)
    assert frame["sd_seeds"].to_numpy() == pytest.approx(np.std(means, axis=0), abs=1e-6)
    for step in (1, len(frame) - 1):
        last = rows.assign(value=[float(c[min(step, len(c) - 1)]) for c in rows["probability"]])
        row = frame.iloc[step]
        assert row["mean"] == pytest.approx(last["value"].mean())
        assert (row["lower"], row["upper"]) == pytest.approx(two_way(last, "value"))
    assert set(frame["seeds"]) == {"0 1"}
    assert "training seeds and examples" in frame["interval"].iloc[0]
    alone = deletion_curves.rows(make(tmp_path, examples=6, cut=(1, 4)), options)
    assert alone.query("step == 0")["examples"].unique().tolist() == [4]
    assert (alone["lower"] <= alone["mean"]).all() and (alone["mean"] <= alone["upper"]).all()
    assert "this checkpoint" in alone["interval"].iloc[0]
    with pytest.raises(PlumblineError, match="no published_steps curves of sentiment/bert"):
        deletion_curves.rows(make(tmp_path / "none", examples=4, methods=TEN, steps=False), options)


def test_a_mean_of_running_minima_never_rises():
    """A short text with a low probability ends: the mean over those left rises, the mean of all does not."""
    curves = np.full((1, 2, 4), np.nan)
    curves[0, 0, :2] = [0.2, 0.1]
    curves[0, 1] = [1.0, 0.9, 0.8, 0.7]
    found = deletion_curves.summary(curves, OPTIONS, 0)
    assert found["mean_published"] == pytest.approx([0.6, 0.5, 0.8, 0.7])
    assert found["mean"] == pytest.approx([0.6, 0.5, 0.45, 0.4])
    assert found["examples"].tolist() == [2, 2, 1, 1]
    rng = np.random.default_rng(0)
    curves = np.minimum.accumulate(rng.random((3, 40, 12)), axis=2)
    for example in range(40):
        curves[:, example, rng.integers(1, 12) :] = np.nan
    assert (np.diff(deletion_curves.summary(curves, OPTIONS, 0)["mean"]) <= 0).all()
    assert (np.diff(deletion_curves.summary(1 - curves, OPTIONS, 0)["mean"]) >= 0).all()
