"""Stability of causal graphs: strengths, noise, resampled images, and their file."""

from dataclasses import replace

import numpy as np
import pytest

from plumbline.artefacts import check_file, read_rows
from plumbline.causal.graph import read_graph
from plumbline.causal.learn import (
    drawn,
    grow,
)
from plumbline.causal.stability import (
    jaccard,
    noise_rows,
    strength_rows,
    subsample_rows,
    write_stability,
)
from plumbline.errors import PlumblineError
from tests.small_networks import modified


def test_jaccard():
    assert [jaccard([1, 2], [2, 3]), jaccard([], []), jaccard([1], []), jaccard([4, 5], [5, 4])] == [
        1 / 3,
        1,
        0,
        1,
    ]


def strengths_of(hard_graph, layer, strengths, **changes):
    network, graph, images, right = hard_graph
    options = {"repetitions": 3, "resample": False, "samples": 60, "cap": 600} | changes
    return strength_rows(network, graph, images, right, layer, strengths=strengths, **options)


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["fc3", "fc2", "fc1", "conv2"])
def test_strength_zero_finds_the_hard_graph_each_time(hard_graph, layer):
    """Below the last layer too: the effects are the graph's, and not a unit of the class's index."""
    rows = strengths_of(hard_graph, layer, [0.0])
    assert [tuple(row["nodes"]) for row in rows] == [hard_graph[1].layer(layer).causes] * 3
    assert {(row["jaccard"], row["u"], row["images"], row["layer"]) for row in rows} == {
        (1.0, 0.0, 60, layer)
    }


@pytest.mark.slow
def test_strengths_are_drawn_once_a_repetition_and_change_the_set(hard_graph):
    rows = strengths_of(hard_graph, "fc3", [0.01, 0.5], repetitions=20)
    weak, strong = rows[:20], rows[20:]
    assert len({row["u"] for row in rows}) == 40
    assert all(0 <= row["u"] <= row["strength"] for row in rows) and max(row["u"] for row in strong) > 0.4
    assert np.mean([row["jaccard"] for row in strong]) < np.mean([row["jaccard"] for row in weak]) - 0.2
    network, graph, images, right = hard_graph
    row = max(strong, key=lambda row: row["u"])
    model, chosen = network.model, images[drawn(right, 3, 60, 0)].double()
    y = model(chosen)[:, 3]
    wanted = []
    for node in range(84):
        changed = modified(model, "fc3", 84, node, [3], row["u"])(chosen)[:, 3]
        if (changed.mean() - y.mean()) / ((changed.var() + y.var()) / 60).sqrt() < -1.65:
            wanted.append(node)
    if not wanted:
        means = [
            modified(model, "fc3", 84, node, [3], row["u"])(chosen)[:, 3].mean() - y.mean()
            for node in range(84)
        ]
        wanted = [node for node, mean in enumerate(means) if mean < -0.001 * abs(y.mean())]
    assert row["nodes"] == wanted


@pytest.mark.slow
def test_resampled_images_are_others_each_time(hard_graph):
    network, graph, images, right = hard_graph
    rows = strengths_of(hard_graph, "fc3", [0.0], resample=True, samples=20, repetitions=6)
    assert {row["images"] for row in rows} == {20} and len({tuple(row["nodes"]) for row in rows}) > 1
    every = strengths_of(hard_graph, "fc3", [0.0], resample=True, samples=10**6)
    assert len({tuple(row["nodes"]) for row in every}) == 1 and every[0]["images"] == len(right)


@pytest.mark.slow
def test_noise_of_nothing_and_all_images_change_nothing(hard_graph):
    network, graph, images, right = hard_graph
    quiet, loud = (
        noise_rows(network, graph, images, noise=[sigma], repetitions=2, cap=600, std=[1.0])
        for sigma in (1e-12, 1.0)
    )
    assert [row["layer"] for row in quiet] == ["fc3", "fc2", "fc1", "conv2"] * 2
    assert {row["jaccard"] for row in quiet} == {1.0} and {row["u"] for row in quiet} == {0.0}
    assert np.mean([row["jaccard"] for row in loud]) < 0.9
    scaled = noise_rows(network, graph, images, noise=[1e12], repetitions=1, cap=600, std=[1e24])
    assert {row["jaccard"] for row in scaled} == {1.0}
    every = grow(
        network,
        images[drawn(right, 3, 10**6, 0)],
        3,
        soft=False,
        test="welch",
        correction="none",
        seed=0,
        cap=600,
    )
    rows = subsample_rows(network, every, images, right, subsample=[10**6, 8], repetitions=2, cap=600)
    assert {row["jaccard"] for row in rows[:8]} == {1.0} and {row["images"] for row in rows[:8]} == {
        len(right)
    }
    assert {row["images"] for row in rows[8:]} == {8} and {row["strength"] for row in rows[8:]} == {8.0}
    assert np.mean([row["jaccard"] for row in rows[8:]]) < 0.9


@pytest.mark.slow
def test_a_layer_that_is_not_reached_counts_as_an_empty_set(hard_graph):
    network, graph, images, right = hard_graph
    ended = replace(
        graph, truncated=True, layers=(replace(graph.layers[0], causes=(), rule="none"),), edges=()
    )
    rows = subsample_rows(network, ended, images, right, subsample=[60], repetitions=1, cap=600)
    assert [(row["layer"], row["jaccard"], bool(row["nodes"])) for row in rows] == [
        (layer, 0.0, True) for layer in ("fc3", "fc2", "fc1", "conv2")
    ]
    assert (
        strength_rows(
            network,
            ended,
            images,
            right,
            "fc2",
            strengths=[0.0],
            repetitions=1,
            resample=False,
            samples=9,
            cap=600,
        )
        == []
    )


STABILITY = {
    "layer": None,
    "strengths": {"most": 0.1, "step": 0.05},
    "repetitions": 2,
    "resample": True,
    "samples": None,
    "noise": [0.1],
    "subsample": [12],
    "cap": 600,
}


def stability_of(trained_lenet, output, **changes):
    write_stability(
        model=trained_lenet / "model",
        data=trained_lenet / "test.parquet",
        output=output,
        graphs=[trained_lenet / "graphs" / f"class{label}" / "graph.json" for label in (0, 3)],
        **STABILITY | changes,
    )
    return read_rows(output)


@pytest.mark.slow
def test_stability_artefact(trained_lenet):
    first = stability_of(trained_lenet, trained_lenet / "stability.parquet")
    stability_of(trained_lenet, trained_lenet / "stability-again.parquet")
    assert check_file(trained_lenet / "stability.parquet") == []
    assert (trained_lenet / "stability.parquet").read_bytes() == (
        trained_lenet / "stability-again.parquet"
    ).read_bytes()
    strength = first[first["kind"] == "strength"]
    assert set(strength["layer"]) == {"fc3"} and set(strength["images"]) == {60}
    assert sorted(set(strength["strength"])) == [0.0, 0.05, 0.1] and len(strength) == 2 * 3 * 2
    for kind, images in (("noise", 60), ("subsample", 12)):
        rows = first[first["kind"] == kind]
        assert (
            len(rows) == 2 * 2 * 4 and set(rows["images"]) == {images} and rows["jaccard"].between(0, 1).all()
        )
    assert (first["class"].unique() == [0, 3]).all()
    for row in first.itertuples():
        graph = read_graph(trained_lenet / "graphs" / f"class{row._1}" / "graph.json")
        assert row.jaccard == jaccard(row.nodes.tolist(), graph.layer(row.layer).causes)
    with pytest.raises(
        PlumblineError, match="unknown layer to test anew 'conv1'.*legal: conv2, fc1, fc2, fc3"
    ):
        stability_of(trained_lenet, trained_lenet / "wrong.parquet", layer="conv1")
