"""Files of explanations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from plumbline.artefacts import check_file, read_rows, write_json
from plumbline.causal.explanations import explain, image_seeds
from plumbline.causal.graph import read_graph
from plumbline.causal.learn import held_out_rows, ready
from plumbline.causal.registry import EXPLANATIONS
from plumbline.errors import PlumblineError
from tests.small_explanations import CLASSES, write_maps

pytestmark = pytest.mark.slow


def test_explanations_of_the_first_right_images(explained_lenet, written_maps, explained_digits):
    output, nodes, _ = written_maps
    assert check_file(output) == [] and check_file(nodes) == []
    rows = read_rows(output)
    model, _, images, labels = ready(explained_lenet["model"], explained_lenet["data"], "cpu", 1)
    predicted = model(images).argmax(1).numpy()
    data = read_rows(explained_lenet["data"])
    kept = np.isin(np.arange(len(labels)), held_out_rows(labels, 0.5))
    wanted = [
        number
        for target in CLASSES
        for number in data["id"][kept & (labels == target) & (predicted == target)].tolist()[:2]
    ]
    learnt = {row for graph in explained_digits[3].values() for row in graph.rows}
    assert not learnt & {data["id"].tolist().index(number) for number in wanted}
    assert rows["id"].tolist() == wanted and rows["label"].tolist() == rows["target"].tolist()
    assert rows["label"].tolist() == [target for target in CLASSES for _ in range(2)]
    assert (rows["height"] == 32).all() and {f"scores_{name}" for name in EXPLANATIONS} < set(rows)
    graphs = explained_digits[3]
    place = data["id"].tolist().index(wanted[3])
    for method in ("causal", "rise", "lrp", "random"):
        alone = explain(
            method,
            model,
            images[[place]],
            torch.tensor([3]),
            graphs=graphs,
            seeds=image_seeds("digits_half", "lenet/seed0", [wanted[3]], method),
        )
        np.testing.assert_allclose(rows[f"scores_{method}"][3], alone.flatten(), rtol=1e-3, atol=1e-5)
    assert rows["probability"][3] == pytest.approx(model(images[[place]]).softmax(-1)[0, 3].item(), rel=1e-5)
    kept = read_rows(nodes)
    assert kept["id"].unique().tolist() == wanted[::2]
    for (number, mode), part in kept.groupby(["id", "mode"]):
        graph = graphs[part["target"].iloc[0]]
        assert part["node"].tolist() == list(graph.layer("conv2").effects)
        side = 32 if mode == "released" else 10
        assert (part["height"] == side).all() and (part["width"] == side).all()
        stacked = np.stack(part["scores"].to_numpy())
        whole = functional.interpolate(
            torch.from_numpy(stacked.sum(0)).view(1, 1, side, side), size=(32, 32), mode="bilinear"
        )
        name = {"released": "causal", "forward": "causal_forward"}[mode]
        scores = rows.set_index("id").loc[number, f"scores_{name}"]
        np.testing.assert_allclose(scores, whole.flatten(), rtol=1e-3, atol=1e-5)
        if mode == "released":
            assert stacked.sum(1) == pytest.approx(1, abs=1e-4)


def test_files_are_the_same_on_every_run(explained_lenet, written_maps, tmp_path):
    output, nodes, _ = written_maps
    again = write_maps(explained_lenet, tmp_path, graphs=explained_lenet["graphs"][::-1])
    assert again[0].read_bytes() == output.read_bytes() and again[1].read_bytes() == nodes.read_bytes()


def test_a_class_whose_graph_ends_above_is_left_out(explained_lenet, tmp_path):
    graph = read_graph(explained_lenet["graphs"][1])
    record = replace(graph.layer("fc1"), causes=(), rule="none")
    cut = replace(graph, layers=(*graph.layers[:2], record), truncated=True)
    write_json(tmp_path / "cut.json", cut.to_dict())
    graphs = [explained_lenet["graphs"][0], tmp_path / "cut.json"]
    with pytest.warns(UserWarning, match="class 3: the graph ends above 'conv2', its images are left out"):
        output, _ = write_maps(explained_lenet, tmp_path, graphs=graphs, methods=["causal", "saliency"])
    assert read_rows(output)["target"].tolist() == [0, 0]
    with pytest.raises(
        PlumblineError, match="no class of digits_half, lenet/seed0, has a causal graph down to layer 'conv2'"
    ):
        write_maps(explained_lenet, tmp_path, graphs=graphs[1:])
