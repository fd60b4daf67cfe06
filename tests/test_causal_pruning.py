"""Pruning by a causal graph is that of modified copies; its file and its quality."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from plumbline.artefacts import check_file, read_rows, write_json
from plumbline.causal.graph import read_graph
from plumbline.causal.learn import (
    held_out_rows,
    ready,
)
from plumbline.causal.pruning import CONDITIONS, dropped_nodes, pruned_weights, quality, write_pruning
from plumbline.errors import PlumblineError
from tests.small_networks import graphs_of


def pruning_of(trained_lenet, output):
    write_pruning(
        dataset="digits_half",
        model=trained_lenet / "model",
        seed=0,
        data=trained_lenet / "few.parquet",
        output=output,
        draws=3,
        graphs=[trained_lenet / "graphs" / f"class{label}" / "graph.json" for label in (0, 3)],
    )
    return read_rows(output)


def plainly_pruned(model, graph, condition, dropped):
    """A copy of the model, pruned weight by weight."""
    found = copy.deepcopy(model)
    with torch.no_grad():
        for node in dropped:
            found.fc3.weight[graph.target, node] = 0
        for record in graph.layers if condition.startswith("graph") else ():
            weight = found.get_submodule(record.layer).weight
            size = weight.shape[1] // record.candidates
            for effect in range(len(weight)):
                for node in range(record.candidates):
                    inside = effect in record.effects and node in record.causes
                    if not inside and (condition == "graph_layer" or effect in record.effects):
                        weight[effect, node * size : (node + 1) * size] = 0
    return found


@pytest.mark.slow
def test_pruning_is_that_of_modified_copies(trained_lenet):
    rows = pruning_of(trained_lenet, trained_lenet / "pruning.parquet")
    assert check_file(trained_lenet / "pruning.parquet") == []
    pruning_of(trained_lenet, trained_lenet / "pruning-again.parquet")
    assert (trained_lenet / "pruning.parquet").read_bytes() == (
        trained_lenet / "pruning-again.parquet"
    ).read_bytes()
    model, _, images, labels = ready(trained_lenet / "model", trained_lenet / "few.parquet", "cpu", 1)
    model, images = model.double(), images.double()
    for label in (0, 3):
        graph = read_graph(trained_lenet / "graphs" / f"class{label}" / "graph.json")
        found = rows[rows["class"] == label].set_index(["condition", "draw"])
        assert list(dict.fromkeys(found.index.get_level_values(0))) == list(CONDITIONS)
        plan = dropped_nodes(graph.layer("fc3").causes, 84, 3, ("digits_half", 0, label))
        plan += [("graph_edge", 0, ()), ("graph_layer", 0, ())]
        assert len(found) == len(plan) == 11
        for condition, draw, dropped in plan:
            logits = plainly_pruned(model, graph, condition, dropped)(images).numpy()
            own = labels == label
            wins = logits[own, label][:, None] - logits[~own, label]
            auc = (wins > 0).mean() + (wins == 0).mean() / 2
            row = found.loc[condition, draw]
            assert row["recall"] == pytest.approx((logits[own].argmax(1) == label).mean()), condition
            assert row["auc"] == pytest.approx(auc, abs=1e-9), condition
        nodes = sum(len(record.causes) for record in graph.layers[:-1]) / 226
        kept = sum(
            len(record.causes) * len(record.effects) * size
            for record, size in zip(graph.layers, (1, 1, 25, 25, 25), strict=True)
        )
        weights = kept / (61706 - 236)  # the biases do not count
        assert found["node_share"].to_numpy() == pytest.approx(nodes) and found[
            "weight_share"
        ].to_numpy() == pytest.approx(weights)


@pytest.mark.slow
def test_pruning_is_scored_on_the_images_held_out(trained_lenet):
    """A graph is scored on none of its own images: against an AUC and recall of the others alone, counted here."""
    graphs = graphs_of(trained_lenet, "halves", held_out=0.5)
    output = trained_lenet / "halves.parquet"
    write_pruning(
        dataset="digits_half",
        model=trained_lenet / "model",
        seed=0,
        data=trained_lenet / "test.parquet",
        output=output,
        draws=2,
        graphs=graphs,
    )
    rows, model = read_rows(output), ready(trained_lenet / "model", trained_lenet / "test.parquet", "cpu", 1)
    model, _, images, labels = model
    for label, path in zip((0, 3), graphs, strict=True):
        graph = read_graph(path)
        assert 30 < graph.n_used <= 46 and graph.held_out == 0.5
        kept = sorted(held_out_rows(labels, 0.5))
        assert not set(kept) & set(graph.rows) and abs(len(kept) - len(labels) / 2) < 10
        logits = model(images[kept]).numpy()
        own = labels[kept] == label
        wins = logits[own, label][:, None] - logits[~own, label]
        base = rows[(rows["class"] == label) & (rows["condition"] == "base")].iloc[0]
        assert base["recall"] == pytest.approx((logits[own].argmax(1) == label).mean())
        assert base["auc"] == pytest.approx((wins > 0).mean() + (wins == 0).mean() / 2, abs=1e-6)
        assert (base["images"], base["held_out"]) == (len(kept), 0.5)
    other = replace(read_graph(graphs[0]), rows=tuple(held_out_rows(labels, 0.5)[:9].tolist()))
    write_json(trained_lenet / "leak.json", other.to_dict())
    with pytest.raises(PlumblineError, match="graph of class '0' was learnt from other images than these"):
        write_pruning(
            dataset="digits_half",
            model=trained_lenet / "model",
            seed=0,
            data=trained_lenet / "test.parquet",
            output=output,
            draws=2,
            graphs=[trained_lenet / "leak.json"],
        )


def test_dropped_nodes():
    plan = dropped_nodes((1, 4), 6, 50, ("x",))
    by = {
        condition: [set(map(int, nodes)) for name, _, nodes in plan if name == condition]
        for condition, _, _ in plan
    }
    assert (by["base"], by["drop_non_causal"], by["ablate_causal"]) == ([set()], [{0, 2, 3, 5}], [{1, 4}])
    assert {len(nodes) for nodes in by["ablate_random"] + by["ablate_non_causal"]} == {2}
    assert set().union(*by["ablate_random"]) == set(range(6)) and set().union(*by["ablate_non_causal"]) == {
        0,
        2,
        3,
        5,
    }
    assert len({frozenset(nodes) for nodes in by["ablate_random"]}) > 5
    assert [
        len(nodes) for name, _, nodes in dropped_nodes(range(5), 6, 1, ()) if name == "ablate_non_causal"
    ] == [1]


@pytest.mark.slow
def test_a_graph_that_ends_leaves_the_layers_below_whole(hard_graph):
    network, graph, images, right = hard_graph
    ended = replace(
        graph, truncated=True, layers=(graph.layers[0], replace(graph.layers[1], causes=(), rule="none"))
    )
    assert set(pruned_weights(network, ended, "layer")) == {"fc3.weight"}


@pytest.mark.slow
def test_both_scopes_leave_the_same_logit_of_the_class(hard_graph):
    network, graph, images, _ = hard_graph
    edge, layer = (
        torch.func.functional_call(network.model, pruned_weights(network, graph, scope), (images.double(),))
        for scope in ("edge", "layer")
    )
    torch.testing.assert_close(edge[:, 3], layer[:, 3])
    assert not torch.allclose(edge[:, 4], layer[:, 4])


def test_quality():
    logits = np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.5], [4.0, 0.0]])
    assert quality(logits, np.array([0, 1, 0, 1]), 0) == (0.5, 0.5)
