"""Tables of the study selective_rollout: medians, joint resampling, published ratios, the claim in words; runs shown."""

import numpy as np
import pandas as pd
import pytest

from plumbline.agreement import spearman
from plumbline.artefacts import read_rows
from plumbline.attribution import flow
from plumbline.tables import gradient_vs_comprehensiveness
from plumbline.tables import selective_rollout as table
from tests.synthetic import OPTIONS, TEN, make, merge


def test_medians_are_resampled_together(tmp_path):
    found = make(tmp_path, seeds=(0, 1), examples=30)
    frame = table.rows(found, OPTIONS)
    stored = pd.concat([read_rows(item["path"]) for item in found["rollouts"]])
    stored = stored[(stored["definition"] == "corrected") & (stored["layer"] == 2)].astype(
        {"spearman": float}
    )
    own = frame[
        (frame["definition"] == "corrected") & (frame["metric"] == "spearman") & (frame["layer"] == 2)
    ]
    cells = {
        (row.readout, None if np.isnan(row.threshold) else row.threshold): row for row in own.itertuples()
    }
    for (readout, threshold), row in cells.items():
        values = stored[stored["readout"] == readout]
        values = values if threshold is None else values[values["threshold"] == threshold]
        each = values.groupby("id")["spearman"].mean()
        assert row.median == pytest.approx(each.median(), abs=1e-7)
        assert row.mean == pytest.approx(each.mean(), abs=1e-7)
        assert row.median_lower <= row.median <= row.median_upper
        assert row.examples == len(each)
    chosen, joint, first = (
        cells[key]
        for key in (("selective_rollout_max", 1.0), ("rollout_max", None), ("first_layer_max", None))
    )
    assert chosen.ratio == pytest.approx(chosen.median / joint.median)
    assert chosen.over_first == pytest.approx(chosen.median - first.median)
    assert (joint.ratio_lower, joint.ratio_upper) == (1, 1)
    assert 1 <= chosen.used <= 3


def test_ratio_of_fewer_examples_is_against_the_same_ones(tmp_path):
    """Attention flow exists for the short texts alone, and its ratio takes rollout's median over these."""
    found = make(tmp_path, examples=30)
    frame = table.rows(found, OPTIONS)
    row = frame.query(
        "definition == 'corrected' and metric == 'spearman' and layer == 1 and readout == 'flow_max'"
    ).iloc[0]
    rows = read_rows(found["rollouts"][0]["path"]).astype({"spearman": float})
    rows = rows[(rows["definition"] == "corrected") & (rows["layer"] == 1)].set_index("id")
    flowing = rows[rows["readout"] == "flow_max"]["spearman"]
    assert 0 < row["examples"] == len(flowing) < 30
    joint = rows[rows["readout"] == "rollout_max"]["spearman"][flowing.index]
    assert row["ratio"] == pytest.approx(flowing.median() / joint.median(), abs=1e-6)


def test_summary_speaks_of_every_control(tmp_path):
    frame = table.rows(make(tmp_path, examples=20), OPTIONS)
    text = table.summary(frame, OPTIONS)
    for phrase in (
        "layer 1 of 0 to 2", "rounding noise", "1e-08", "first layer alone", "largest distance", "layers used",
        "gain over rollout",
    ):  # fmt: skip
        assert phrase in text
    assert "layer 2 of 0 to 2" in table.summary(frame, {**OPTIONS, "selective_rollout": {"layer": 2}})


def test_published_ratio_stands_beside_a_model_as_deep(tmp_path):
    hub = {"dataset": "sst2", "source": "hub", "repo": "textattack/bert-base-uncased-SST-2", "epochs": 0, "oracle": False,
           "examples": 6, "methods": ("selective",)}  # fmt: skip
    frame = table.rows(make(tmp_path, model="base", layers=12, **hub), OPTIONS)
    (row,) = frame.dropna(subset="published_value").itertuples()
    assert (row.layer, row.definition, row.metric) == (10, "published", "spearman_dense")
    assert (row.readout, row.threshold) == ("selective_rollout_max", 1)
    assert (row.published_value, row.published_checkpoint) == (6.5, "same")
    assert "in print 6.5" in table.summary(frame, OPTIONS)
    assert "Ratio in print: 6.5, layer 10" in table.latex(frame, OPTIONS)
    assert table.rows(make(tmp_path, model="small", **hub), OPTIONS)["published_value"].isna().all()


def test_models_without_the_reference_are_left_out(tmp_path):
    found = merge(make(tmp_path, examples=10), make(tmp_path, model="other", methods=TEN, examples=10))
    frame = gradient_vs_comprehensiveness.rows(found, OPTIONS)
    assert set(frame["model"]) == {"bert"}
    groups, own = frame[frame["readout"] == ""], frame[frame["readout"] != ""]
    assert len(groups) == 2
    assert (groups["comp_lower"] <= groups["comp_upper"]).all()
    assert {"random", "position"} <= set(own["readout"])
    assert "input_gradient" not in set(own["readout"])
    chosen = own[~own["control"]]
    expected = spearman.compute(chosen["spearman"].to_numpy(), chosen["comp"].to_numpy())
    assert groups["comp"].iloc[0] == pytest.approx(expected)


def test_flow_that_diagonals_cannot_carry_is_found_in_the_whole_graph():
    matrices = np.stack([np.roll(np.eye(4), layer + 1, axis=1) * 0.7 + 0.075 for layer in range(6)])
    found, middle = flow.flows(matrices), matrices[1:-1][::-1]
    small = flow.Graph(middle, [0, 3])
    whole = flow.Graph(middle, range(4))
    ends = [(matrices[-1][i], matrices[0][:, j]) for i in range(4) for j in range(4)]
    np.testing.assert_allclose(found.ravel(), [whole.solve(*pair) for pair in ends], atol=2e-9)
    assert any(small.solve(*pair) < whole.solve(*pair) - 0.1 for pair in ends)
