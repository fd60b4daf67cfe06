"""Figures of the study explainn: what they show is what the artefacts say."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plumbline import figures
from plumbline.artefacts import read_rows
from plumbline.causal.graph import read_graph
from plumbline.causal.registry import EXPLANATIONS, METRICS
from plumbline.errors import PlumblineError
from plumbline.figures import (
    causal,
    causal_graph,
    lipschitz,
    node_maps,
    pruning,
    stability_curve,
    stability_frequencies,
)
from plumbline.figures import explanation_metrics as scatter
from plumbline.figures import explanations as gallery
from tests.synthetic import CAUSAL_RUN, OPTIONS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("causal")]
HERE = {
    **OPTIONS,
    "dataset": "digits_half",
    "model": "lenet",
    "runs": [{**CAUSAL_RUN, "attributions": {"layer": None}}],
    "explainn": {"shown": 3},
}
NAMES = [name for name, study in figures.FIGURES.studies.items() if study == "explainn"]


def texts(drawn):
    found = [text.get_text() for text in drawn.texts] + [drawn.get_suptitle()]
    found += [axes.get_title(loc=where) for axes in drawn.axes for where in ("left", "center")]
    found += [label.get_text() for axes in drawn.axes for label in (axes.xaxis.label, axes.yaxis.label)]
    return " ".join(found).replace("\n", " ")


def tables_of(inputs):
    return [Path(items[0]["path"]) for need, items in inputs.items() if need.startswith("tables/")]


def graph_of(inputs, label, seed=0):
    (path,) = [i["path"] for i in inputs["causal_graphs"] if (i["class"], i["seed"]) == (label, seed)]
    return read_graph(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_states_its_source_and_gives_equal_bytes(causal_inputs, name, tmp_path, noted):
    drawn = noted(name)
    paths = [tmp_path / f"a.{kind}" for kind in figures.FIGURES[name].formats]
    figures.write(name, causal_inputs, HERE, paths)
    first = [path.read_bytes() for path in paths]
    assert first[0].startswith(b"%PDF")
    assert first[1].startswith(b"\x89PNG")
    figures.write(name, causal_inputs, HERE, paths)
    assert [path.read_bytes() for path in paths] == first
    said = texts(drawn[0])
    for phrase in ("Digits (half), lenet", "cale: small", "N = ", "seed", "interval"):
        assert phrase in said


def test_drawn_graph_has_the_nodes_and_edges_of_the_graph(causal_inputs):
    graph = graph_of(causal_inputs, 3)
    axes = causal_graph.draw(causal_inputs, HERE).axes[0]
    assert len(axes.lines) == len(graph.edges) == sum(len(r.causes) * len(r.effects) for r in graph.layers)
    colours = [c.get_array() for c in axes.collections if c.get_array() is not None]
    drawn = sorted(float(value) for array in colours for value in array)
    assert drawn == sorted(node.te for record in graph.layers for node in record.nodes if node.selected)
    grey = sum(len(c.get_offsets()) for c in axes.collections if c.get_array() is None)
    idle = sum(not node.selected for record in graph.layers for node in record.nodes)
    assert grey == idle + 2  # the class and the input
    said = texts(axes.figure) + " ".join(text.get_text() for text in axes.texts)
    for record in graph.layers[:-1]:
        assert f"{len(record.causes)} of {record.candidates} are causes" in said
    assert f"n = {graph.n_used}" in said
    assert "class 3" in said


def test_an_edge_ends_at_its_nodes(causal_inputs):
    """The strongest edge of the top layer leads from its cause's place to the class."""
    graph = graph_of(causal_inputs, 3)
    axes = causal_graph.draw(causal_inputs, HERE).axes[0]
    top = graph.layers[0]
    edges = [edge for edge in graph.edges if edge.layer == top.layer]
    places = causal.spread(len(top.nodes))
    at = {node.index: place for node, place in zip(top.nodes, places, strict=True)}
    for line, edge in zip(axes.lines, edges, strict=False):
        assert line.get_xdata() == pytest.approx([at[edge.cause], 0.5])
        assert list(line.get_ydata()) == [-1, 0]


def test_a_class_that_was_not_learnt_is_replaced_by_the_first(causal_inputs):
    said = texts(causal_graph.draw(causal_inputs, HERE | {"explainn": {"shown": 7}}))
    assert "What class 0 depends on" in said


def test_curve_is_the_mean_appearance_rate(causal_inputs):
    """Against a count by hand of one graph at one strength, and the mean of all."""
    axes = stability_curve.draw(causal_inputs, HERE).axes[0]
    frame = pd.concat([read_rows(i["path"]).assign(seed=i["seed"]) for i in causal_inputs["stability"]])
    frame = frame[frame["kind"] == "strength"]
    rates = {}
    for (seed, label, beta), part in frame.groupby(["seed", "class", "strength"]):
        counts = {}
        for nodes in part["nodes"]:
            for node in nodes:
                counts[node] = counts.get(node, 0) + 1
        rates[seed, label, beta] = 100 / len(part) * sum(counts.values()) / len(counts) if counts else 0.0
    thick = max(axes.lines, key=lambda line: line.get_linewidth())
    betas = sorted({beta for *_, beta in rates})
    wanted = [np.mean([rate for (*_, beta), rate in rates.items() if beta == wish]) for wish in betas]
    assert thick.get_xdata() == pytest.approx(betas)
    assert thick.get_ydata() == pytest.approx(wanted, rel=1e-5)  # of the table, six digits
    assert len(axes.lines) == 1 + len(CAUSAL_RUN["seeds"]) * len(CAUSAL_RUN["classes"])
    crosses = [c.get_offsets() for c in axes.collections if c.get_zorder() == 6]
    released = [tuple(float(value) for value in point) for points in crosses for point in points]
    # Of class 3, at the strengths that were measured here too.
    assert released == [(0.0, 96.9), (0.1, 51.5), (0.2, 27.0), (0.3, 30.0), (0.4, 25.4), (0.5, 15.5)]


def test_five_panels_sum_to_a_hundred(causal_inputs):
    drawn = stability_frequencies.draw(causal_inputs, HERE)
    assert len(drawn.axes) == 5
    for axes in drawn.axes:
        assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(100)
        assert len(axes.patches) == 4  # repetitions


def test_a_strength_on_a_boundary_is_counted_once():
    frame = pd.DataFrame(
        [
            {"seed": 0, "class": 0, "strength": step * 0.1, "nodes": [step], "repetition": 0}
            for step in range(6)
        ]
    )
    shares = [panel[2] for panel in stability_frequencies.frequencies(frame, 1)]
    assert np.array_equal(shares, [[100.0]] * 5)


def test_gallery_has_a_class_a_row_and_a_method_a_column(causal_inputs):
    frame = read_rows(causal_inputs["explanations"][0]["path"])
    names = [f"scores_{name}" for name in EXPLANATIONS if f"scores_{name}" in frame]
    drawn = gallery.draw(causal_inputs, HERE)
    assert len(drawn.axes) == frame["target"].nunique() * (1 + len(names))
    first = frame[frame["target"] == 0].iloc[0]
    shown = drawn.axes[1 + names.index("scores_saliency")].images[0].get_array()
    wanted = gallery.scaled(np.reshape(first["scores_saliency"], (first["height"], first["width"])))
    assert np.array_equal(shown, wanted)
    assert np.abs(shown).max() == 1


def test_every_panel_of_the_gallery_is_its_own_image_and_map(causal_inputs):
    """Map by map from the artefact, sign kept, over its 99.5% quantile; the picture first."""
    frame = read_rows(causal_inputs["explanations"][0]["path"]).sort_values("target")
    names = [f"scores_{name}" for name in EXPLANATIONS if f"scores_{name}" in frame]
    panels = np.array(gallery.draw(causal_inputs, HERE).axes).reshape(-1, 1 + len(names))
    pictures = read_rows(causal_inputs["images"][0]["path"]).set_index("id")["pixels"]
    for line, row in zip(panels, frame.itertuples(), strict=True):
        side = round(len(pictures[row.id]) ** 0.5)
        image = np.asarray(pictures[row.id]).reshape(side, side) / 255
        np.testing.assert_allclose(line[0].images[0].get_array(), image)
        assert image.std() > 0.1
        for axes, name in zip(line[1:], names, strict=True):
            scores = np.reshape(getattr(row, name), (row.height, row.width))
            wanted = np.clip(scores / np.quantile(np.abs(scores), 0.995), -1, 1)
            np.testing.assert_allclose(axes.images[0].get_array(), wanted, rtol=1e-6, err_msg=name)
            assert wanted.std() > 0, name


def test_maps_of_nodes_are_those_of_the_file(causal_inputs):
    frame = read_rows(causal_inputs["nodes"][0]["path"])
    frame = frame[frame["target"] == 3]
    frame = frame[frame["id"] == frame["id"].min()]
    drawn = [axes for axes in node_maps.draw(causal_inputs, HERE).axes if axes.get_visible()]
    nodes = sorted(frame["node"].unique())[: node_maps.MOST]
    panels = np.array(drawn).reshape(2, 1 + len(nodes))
    pictures = read_rows(causal_inputs["images"][0]["path"]).set_index("id")["pixels"]
    for line, mode, label in zip(panels, ("released", "forward"), ("as released", "forward"), strict=True):
        assert line[0].get_ylabel() == label
        image = line[0].images[0].get_array()
        wanted = np.asarray(pictures[frame["id"].iloc[0]]).reshape(image.shape) / 255
        np.testing.assert_allclose(image, wanted)
        own = frame[frame["mode"] == mode].set_index("node")
        for axes, node in zip(line[1:], nodes, strict=True):
            shown = axes.images[0].get_array()
            np.testing.assert_allclose(shown, np.reshape(own.loc[node, "scores"], shown.shape))
            assert axes.get_title() == str(node)
    assert any(axes.images[0].get_array().std() > 0 for axes in panels[1, 1:])


def test_gallery_of_many_classes_keeps_the_shown_one():
    frame = pd.DataFrame({"id": range(20), "target": [number % 10 for number in range(20)]})
    assert gallery.chosen(frame, 8)["target"].tolist() == [0, 1, 2, 3, 4, 8]
    assert gallery.chosen(frame, 11)["target"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_map_of_zeros_stays_so():
    assert np.array_equal(gallery.scaled(np.zeros((3, 3))), np.zeros((3, 3)))
    assert np.array_equal(gallery.scaled(np.eye(64)[:8] * 3)[0, :2], [1, 0])


def test_lipschitz_means_are_those_of_the_artefact(causal_inputs):
    axes = lipschitz.draw(causal_inputs, HERE).axes[0]
    frame = pd.concat([read_rows(i["path"]) for i in causal_inputs["explanation_metrics"]])
    frame = frame[frame["metric"] == "lipschitz"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    marks = [line for line in axes.lines if line.get_marker() in ("o", "D", "x")]
    assert len(marks) == len(labels) == frame["method"].nunique()
    place = labels.index("Saliency")
    own = frame[frame["method"] == "saliency"].groupby("id")["value"]
    wanted = own.mean()[own.size() == len(CAUSAL_RUN["seeds"])].mean()  # of images that every seed explains
    assert marks[place].get_xdata()[0] == pytest.approx(wanted)
    assert marks[labels.index("Random")].get_xdata()[0] == 0
    assert marks[labels.index("Causal†")].get_markerfacecolor() == "white"


def test_scatter_has_a_panel_a_faithfulness_metric(causal_inputs):
    drawn = scatter.draw(causal_inputs, HERE)
    wanted = [entry for entry in METRICS.values() if entry.axis == "faithfulness"]
    assert [axes.get_ylabel()[:-2] for axes in drawn.axes] == [entry.label for entry in wanted]
    arrows = {axes.get_ylabel()[:-2]: axes.get_ylabel()[-1] for axes in drawn.axes}
    assert arrows == {entry.label: "↑" if entry.direction > 0 else "↓" for entry in wanted}
    assert {axes.get_xlabel() for axes in drawn.axes} == {"Local Lipschitz estimate ←"}


def test_a_metric_that_no_run_measures_is_said(causal_inputs, tmp_path):
    (item,) = causal_inputs["explanation_metrics"][:1]
    frame = read_rows(item["path"])
    frame[frame["metric"] == "sparseness"].to_parquet(tmp_path / "few.parquet")
    few = {"explanation_metrics": [{**item, "path": tmp_path / "few.parquet"}]}
    for table in tables_of(causal_inputs):
        frame = pd.read_csv(table)
        if table.stem == "explanation_metrics":
            frame = frame[frame["metric"] == "sparseness"]
        frame.to_csv(tmp_path / table.name, index=False)
        few[f"tables/{table.stem}"] = [{"path": tmp_path / table.name}]
    with pytest.raises(PlumblineError, match="no run measures lipschitz: add it to `metrics`"):
        lipschitz.draw(few, HERE)
    with pytest.raises(PlumblineError, match="a metric of robustness and one of faithfulness"):
        scatter.draw(few, HERE)


def test_pruning_shows_means_over_graphs(causal_inputs):
    drawn = pruning.draw(causal_inputs, HERE)
    frame = pd.concat([read_rows(i["path"]).assign(seed=i["seed"]) for i in causal_inputs["pruning"]])
    part = frame[frame["condition"] == "ablate_random"]
    wanted = part.groupby(["seed", "class"])["auc"].mean().mean()
    marks = [line for line in drawn.axes[1].lines if line.get_marker() in ("o", "D")]
    assert marks[list(pruning.CONDITIONS).index("ablate_random")].get_xdata()[0] == pytest.approx(wanted)


def test_intervals_are_those_of_the_tables(causal_inputs):
    """Every end of an interval that a figure draws stands in its table."""
    tables = {file.stem: pd.read_csv(file) for file in tables_of(causal_inputs)}
    for name, table in {
        "pruning": "causal_pruning",
        "lipschitz": "explanation_metrics",
        "explanation_metrics": "explanation_metrics",
    }.items():
        drawn = importlib.import_module(f"plumbline.figures.{name}").draw(causal_inputs, HERE)
        known = {tuple(pair) for pair in tables[table][["lower", "upper"]].dropna().to_numpy()}
        ends = [
            tuple(values)
            for axes in drawn.axes
            for line in axes.lines
            for values in (line.get_xdata(), line.get_ydata())
            if len(values) == 2 and values[0] != values[1] and line.get_marker() in ("None", None)
        ]
        assert len(ends) >= 5 and set(ends) <= known, name
