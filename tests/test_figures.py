"""Figures: they draw what the artefacts hold, state where it comes from, and give equal bytes."""

import importlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from plumbline import figures
from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import READOUTS
from plumbline.collect import PRINCIPAL
from plumbline.errors import PlumblineError
from plumbline.figures import deletion_curves, readout_correlation, style, token_heatmap
from tests.synthetic import CONTROLS, OPTIONS, TEN, compare, make, merge

HERE = {**OPTIONS, "dataset": "sentiment", "model": "bert"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    small = make(
        root, dataset="agreement", model="roberta", architecture="roberta", methods=TEN, readouts=PRINCIPAL
    )
    found = merge(make(root, seeds=(0, 1), examples=20), small)
    other = make(root, model="distilbert", architecture="distilbert", methods=TEN, examples=20)
    return found | compare(root, merge(found, other), ("sentiment", "bert", "distilbert"))


def texts(drawn):
    found = [text.get_text() for text in drawn.texts] + [drawn.get_suptitle()]
    found += [axes.get_title(loc="left") for axes in drawn.axes]
    return " ".join(found).replace("\n", " ")


@pytest.mark.parametrize("name", list(figures.FIGURES))
def test_every_figure_states_its_source_and_gives_equal_bytes(inputs, name, tmp_path):
    paths = [tmp_path / f"a.{kind}" for kind in figures.FIGURES[name].formats]
    figures.write(name, inputs, HERE, paths)
    first = [path.read_bytes() for path in paths]
    assert first[0].startswith(b"%PDF")
    assert b"CreationDate" not in first[0]
    assert first[1].startswith(b"\x89PNG")
    figures.write(name, inputs, HERE, paths)
    assert [path.read_bytes() for path in paths] == first
    said = texts(importlib.import_module(f"plumbline.figures.{name}").draw(inputs, HERE))
    shown = "SST-2, multiberts" if name == "seed_consistency_extended" else "Sentiment (generated), bert"
    for phrase in (shown, "Scale: small", "N = ", "seed", "interval"):
        assert phrase in said


def test_deletion_curves_show_the_mean_over_seeds_and_examples(inputs):
    drawn = deletion_curves.draw(inputs, HERE)
    lines = {line.get_label(): line for line in drawn.axes[0].get_lines()}
    assert set(lines) == {READOUTS[readout].label for readout in (*PRINCIPAL, *CONTROLS)}
    items = [i for i in inputs["faithfulness"] if (i["model"], i["method"]) == ("bert", "alti")]
    rows = pd.concat([read_rows(i["path"]) for i in items])
    rows = rows[(rows.readout == "alti") & (rows.protocol == "published_steps") & (rows.kind == "comp")]
    y = lines["ALTI"].get_ydata()
    for step in (0, 3, len(y) - 1):
        # As seeds have the same lengths, the mean of all values that exist is the mean over seeds and examples.
        assert y[step] == pytest.approx(
            np.mean([p[step] for p in rows["probability"] if len(p) > step]), abs=1e-6
        )


def test_deletion_curves_without_the_protocol_say_so(tmp_path):
    found = make(tmp_path, examples=4, methods=TEN, steps=False)
    with pytest.raises(PlumblineError, match="no published_steps curves of sentiment/bert"):
        deletion_curves.draw(found, HERE)


def test_principal_readouts_differ_without_colour():
    marks = [(m["marker"], str(m["linestyle"])) for m in map(style.mark, (*PRINCIPAL, *CONTROLS, "oracle"))]
    assert len({marker for marker, _ in marks}) == len(marks)
    every = [style.mark(readout) for readout in READOUTS]
    looks = {(m["color"], m["marker"], str(m["linestyle"]), m.get("markerfacecolor")) for m in every}
    assert len(looks) == len(every)
    assert style.mark("ig_l2_published")["color"] == style.mark("ig_l2")["color"]


def test_correlation_matrix_is_symmetric_and_complete(inputs):
    items = [i for i in inputs["agreement"] if i["model"] == "bert"]
    pairs = pd.concat([read_rows(i["path"]) for i in items])
    readouts, values = readout_correlation.matrix(pairs)
    assert readouts == [readout for readout in READOUTS if readout != "uniform"]
    assert (np.diag(values) == 1).all()
    assert np.array_equal(values, values.T)
    row = pairs[(pairs.readout == "rollout") & (pairs.other == "alti") & (pairs.metric == "spearman")]
    assert values[readouts.index("alti"), readouts.index("rollout")] == pytest.approx(row["mean"].mean())


def test_heat_map_scales_rows():
    # The special tokens, first and last, are cut off at the ends of the others' scale.
    assert token_heatmap.scaled([9, 1, 3, 2, 0], signed=False).tolist() == [1, 0, 1, 0.5, 0]
    assert token_heatmap.scaled([9, 1, -4, 2, -1], signed=True).tolist() == [1, 0.25, -1, 0.5, -0.25]
    assert token_heatmap.scaled([7, 7, 7], signed=False).tolist() == [0, 0, 0]
    assert token_heatmap.scaled([0, 0, 0], signed=True).tolist() == [0, 0, 0]


def test_heat_map_shows_prediction_tokens_and_what_it_leaves_out(tmp_path):
    found = make(tmp_path, examples=4, long=True)
    drawn = token_heatmap.draw(found, HERE)
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert "Example 0: predicted negative, probability 0.913 (first 52 of 90 tokens)" in titles
    assert "Example 3: predicted positive, probability 0.913" in titles
    labels = [label.get_text() for axes in drawn.axes for label in axes.get_xticklabels()]
    assert labels[0] == "[CLS]"
    assert r"\$5" in labels  # not a formula
    items = [item for item in found["attributions"] if item["method"] == "alti"]
    for item in items:
        write_rows(tmp_path / "alti.parquet", read_rows(item["path"])[1:], kind="attributions")
    shorter = {"attributions": [{**items[0], "path": tmp_path / "alti.parquet"}]}
    drawn = token_heatmap.draw(shorter, {**HERE, "heatmap_examples": [0]})
    assert drawn.axes[0].get_title(loc="left").startswith("Example 1 (0 is too long): predicted positive")
    with pytest.raises(PlumblineError, match=r"heatmap_examples \[99\].*ids 0 to 3"):
        token_heatmap.draw(found, {**HERE, "heatmap_examples": [99]})


def test_unknown_format_and_model_are_named(inputs, tmp_path):
    with pytest.raises(PlumblineError, match="unknown figure format 'jpeg'"):
        figures.write("deletion_curves", inputs, HERE, [tmp_path / "a.jpeg"])
    with pytest.raises(PlumblineError, match="model electra"):
        figures.write("deletion_curves", inputs, {**HERE, "model": "electra"}, [tmp_path / "a.png"])


def test_registries_are_light():
    """The Snakefile imports them at every start."""
    code = ("import sys; from plumbline.figures import FIGURES; from plumbline.tables import TABLES; "
            "from plumbline.agreement import METRICS; "
            "print([m for m in ('torch', 'matplotlib', 'seaborn', 'pandas', 'scipy') if m in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"
