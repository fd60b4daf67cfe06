"""Files of the metrics of explanations."""

import numpy as np
import pytest

from plumbline.artefacts import check_file, read_rows, write_rows
from plumbline.causal import baselines
from plumbline.causal import metrics as definitions
from plumbline.causal.graph import read_graph
from plumbline.causal.metrics import SETTINGS
from plumbline.causal.registry import EXPLANATIONS, METRICS
from plumbline.errors import PlumblineError
from tests.small_explanations import write_maps, write_values

pytestmark = pytest.mark.slow


def test_faults_of_the_writers(explained_lenet, written_maps, tmp_path):
    with pytest.raises(PlumblineError, match="no maps at layer 'fc1' of LeNet; legal: conv1, conv2"):
        write_maps(explained_lenet, tmp_path, layer="fc1")
    with pytest.raises(PlumblineError, match="unknown explanation 'gradcam'"):
        write_maps(explained_lenet, tmp_path, methods=["gradcam"])
    output, _ = write_maps(explained_lenet, tmp_path, methods=["input"], images=1)
    with pytest.raises(PlumblineError, match="has no maps of causal, saliency: make it again"):
        write_values(explained_lenet, tmp_path, output, methods=["causal", "saliency", "input"])
    rows = read_rows(output)
    learnt = read_rows(explained_lenet["data"])["id"][read_graph(explained_lenet["graphs"][0]).rows[0]]
    write_rows(output, rows.assign(id=[learnt, *rows["id"][1:]]), kind="explanations")
    with pytest.raises(PlumblineError, match="holds images from which the graph of class '0' was learnt"):
        write_values(explained_lenet, tmp_path, output, methods=["input"])
    write_rows(output, rows.assign(id=rows["id"] + 10**6), kind="explanations")
    with pytest.raises(PlumblineError, match="holds images that are not in"):
        write_values(explained_lenet, tmp_path, output, methods=["input"])


def test_metrics_of_every_method(explained_lenet, written_maps, tmp_path, monkeypatch):
    output, _, folder = written_maps
    monkeypatch.setattr(baselines, "MASKS", 20)
    path = write_values(explained_lenet, folder, output)
    assert check_file(path) == []
    rows = read_rows(path)
    assert len(rows) == 6 * len(EXPLANATIONS) * len(METRICS)
    assert rows["method"].unique().tolist() == list(EXPLANATIONS)
    assert rows["metric"].unique().tolist() == list(METRICS)
    for metric, part in rows.groupby("metric"):
        assert part["settings"].unique().tolist() == [SETTINGS[metric]]
    cells = rows.set_index(["method", "metric"])["value"].sort_index()
    assert (cells["random", "lipschitz"] == 0).all() and (cells["random", "max_sensitivity"] == 0).all()
    for control in ("random", "input"):
        assert (cells[control, "parameter_randomisation"] == 1).all()
    assert (cells["random", "faithfulness_correlation"].abs() < 0.5).all()
    same = write_values(explained_lenet, tmp_path, output)
    assert same.read_bytes() == path.read_bytes()
    for module in (baselines, definitions):
        monkeypatch.setattr(module, "ROWS", 7)
    other = read_rows(
        write_values(explained_lenet, tmp_path, output, methods=["causal", "integrated_gradients"])
    )
    wanted = rows[rows["method"].isin(["causal", "integrated_gradients"])].reset_index(drop=True)
    assert other.drop(columns="value").equals(wanted.drop(columns="value"))
    np.testing.assert_allclose(other["value"], wanted["value"], rtol=1e-3, atol=1e-4)


def test_no_metrics_and_one_method(explained_lenet, written_maps, tmp_path):
    rows = read_rows(
        write_values(explained_lenet, tmp_path, written_maps[0], methods=["input"], metrics=["complexity"])
    )
    assert rows["method"].unique().tolist() == ["input"] and len(rows) == 6
