"""Files of causal graphs."""

import os
import subprocess
import sys
from pathlib import Path

import networkx as nx
import pytest

from plumbline import causal
from plumbline.artefacts import read_json, write_json
from plumbline.causal.graph import CausalGraph, read_graph
from plumbline.causal.learn import (
    learn_graph,
    ready,
)
from plumbline.errors import PlumblineError
from tests.small_networks import graphs_of


@pytest.mark.slow
def test_lenet_learns_the_digits(trained_lenet):
    assert read_json(trained_lenet / "model" / "metrics.json")["accuracy"] > 0.85


@pytest.mark.slow
def test_graph_files(trained_lenet):
    for label in (0, 3):
        folder = trained_lenet / "graphs" / f"class{label}"
        graph = read_graph(folder / "graph.json")
        assert (graph.target, graph.label, graph.n_used, graph.seed) == (label, str(label), 60, 0)
        model, _, images, labels = ready(trained_lenet / "model", trained_lenet / "test.parquet", "cpu", 1)
        assert learn_graph(model, images, labels, label, samples=60) == graph
        found = nx.read_graphml(folder / "graph.graphml")
        assert nx.is_directed_acyclic_graph(found)
        assert found.number_of_edges() == len(graph.edges)
        assert len(graph.edges) == sum(len(record.causes) * len(record.effects) for record in graph.layers)
        assert found.number_of_nodes() == 1 + sum(len(record.causes) for record in graph.layers)
        assert (found.graph["target"], found.graph["label"]) == (label, str(label))
        for node, facts in found.nodes(data=True):
            assert nx.has_path(found, "input:0", node) and nx.has_path(found, node, f"fc3:{label}")
            assert node == f"{facts['layer']}:{facts['index']}"
        for node in graph.layer("fc1").nodes:
            if node.selected:
                assert found.nodes[f"conv2:{node.index}"]["effect"] == node.te
        weights = {(edge.layer, edge.cause, edge.effect): edge.weight for edge in graph.edges}
        below = {"fc3": "fc2", "fc2": "fc1", "fc1": "conv2", "conv2": "conv1", "conv1": "input"}
        for (layer, cause, effect), weight in weights.items():
            facts = found.edges[f"{below[layer]}:{cause}", f"{layer}:{effect}"]
            assert facts == {"layer": layer, "weight": weight}


@pytest.mark.slow
def test_graph_files_are_the_same_bytes_again(trained_lenet):
    graphs_of(trained_lenet, "again")
    for label in (0, 3):
        for file in ("graph.json", "graph.graphml"):
            first, second = (trained_lenet / name / f"class{label}" / file for name in ("graphs", "again"))
            assert first.read_bytes() == second.read_bytes()
    json = trained_lenet / "graphs" / "class3" / "graph.json"
    write_json(trained_lenet / "copy.json", read_graph(json).to_dict())
    assert (trained_lenet / "copy.json").read_bytes() == json.read_bytes()
    code = (
        f"from plumbline.causal.graph import read_graph; print(read_graph({str(json)!r}).graphml(), end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(causal.__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "77"},
    )
    assert done.stdout == json.with_suffix(".graphml").read_text(), done.stderr


@pytest.mark.slow
def test_graph_files_that_cannot_be_read(trained_lenet):
    with pytest.raises(PlumblineError, match="missing file .*nowhere.json"):
        read_graph(trained_lenet / "nowhere.json")
    content = read_json(trained_lenet / "graphs" / "class3" / "graph.json")
    for version in (1, 3):
        with pytest.raises(PlumblineError, match=f"schema version {version}, 2 is read: learn it again"):
            CausalGraph.from_dict(content | {"schema_version": version})
    with pytest.raises(PlumblineError, match="schema version None"):
        CausalGraph.from_dict([])
    for broken in (
        {**content, "colour": 1},
        {name: value for name, value in content.items() if name != "edges"},
    ):
        with pytest.raises(PlumblineError, match="lacks a key or has one too many"):
            CausalGraph.from_dict(broken)
    with pytest.raises(
        PlumblineError, match="unknown layer of the graph of class '3' 'conv3': did you mean 'conv"
    ):
        CausalGraph.from_dict(content).layer("conv3")
    with pytest.raises(PlumblineError, match="dataset 'digits_half' has classes 0 to 9, not 10"):
        graphs_of(trained_lenet, "wrong", classes=(10,))
