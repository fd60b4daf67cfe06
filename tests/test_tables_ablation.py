"""The table `ablation`: one defect at a time, and reversals."""

import numpy as np
import pandas as pd
import pytest

from plumbline.artefacts import read_rows
from plumbline.tables import (
    ablation,
)
from tests.synthetic import OPTIONS
from tests.table_rows import pick

pytestmark = pytest.mark.slow


def test_ablation_puts_back_one_defect_at_a_time(table_inputs, made_rows):
    frame = made_rows("ablation")
    frame = pick(frame, dataset="sentiment", kind="suff")
    items = [
        i for i in table_inputs["faithfulness"] if (i["dataset"], i["method"]) == ("sentiment", "gradient")
    ]
    rows = pd.concat([read_rows(i["path"]) for i in items])
    rows = rows.query("readout == 'grad_l2' and protocol == 'standard' and kind == 'suff'")
    curves = np.stack(rows["probability"])[:, 1:].astype(float)
    full = rows["score"].to_numpy() + curves.mean(axis=1)
    running = np.maximum.accumulate(np.stack(rows["probability"]), axis=1)[:, 1:]
    cell = frame.set_index(["defect", "readout"])
    assert cell.loc[("envelope", "grad_l2"), "with_defect"] == pytest.approx(
        np.mean(full - running.mean(axis=1))
    )
    assert cell.loc[("division", "grad_l2"), "with_defect"] == pytest.approx(rows["score"].mean() * 5 / 6)
    assert ("doubled_embedding", "alti") not in cell.index
    # DeYoung et al.'s sum over |B| + 1 rescales and moves no rank: a convention, no defect.
    assert set(frame[frame["convention"]]["defect"]) == {"division"}
    assert not frame[frame["convention"]][["ranking_changed", "best_changed"]].any(axis=None)
    assert (frame[frame["convention"]]["rank"] == frame[frame["convention"]]["rank_with_defect"]).all()
    twin = made_rows("comp_suff").query(
        "protocol == 'standard' and kind == 'suff' and dataset == 'sentiment'"
    )
    twin = twin.set_index("readout")["mean"]
    for defect, readout in [
        ("doubled_embedding", "ig_l2"),
        ("ddof", "alti"),
        ("raw_norms", "globenc"),
        ("sigmoid", "blankout"),
    ]:
        row = cell.loc[(defect, readout)]
        assert row["with_defect"] == pytest.approx(twin[f"{readout}_published"])
        assert row["difference"] == pytest.approx(row["with_defect"] - row["corrected"])
    for _, part in pick(frame, defect="envelope").groupby("block"):
        assert part["rank"].sort_values().tolist() == list(range(1, len(part) + 1))
        assert part.set_index("readout")["rank"][part.set_index("readout")["corrected"].idxmin()] == 1
    assert set(frame["block"]) == {"signed", "unsigned"}
    # A convention that rescales can turn no pair round.
    assert (pick(frame, defect="division")["reversals"] == 0).all()


def test_a_reversal_is_told_apart_on_both_sides():
    """Two readouts a clear .5 apart that change places, and a pair whose order is noise."""
    rng = np.random.default_rng(1)
    scores = {
        name: mean + 0.01 * rng.normal(size=(1, 60))
        for name, mean in (("grad_l2", 0.0), ("gxi_l2", 0.5), ("rollout", 0.2))
    }
    scores["norm_rollout"] = scores["rollout"] + 0.01 * rng.normal(size=(1, 60))
    start = ablation._Compared(scores, "comp", OPTIONS)
    swapped = {**scores, "grad_l2": scores["gxi_l2"], "gxi_l2": scores["grad_l2"]}
    end = ablation._Compared(swapped, "comp", OPTIONS)
    # grad_l2 below both rollouts and gxi_l2, then above them; gxi_l2 likewise; the rollouts among themselves not.
    assert start.reversals(end) == end.reversals(start) == 5
    assert start.reversals(start) == 0
