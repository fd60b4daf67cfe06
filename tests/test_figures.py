"""Figures: they draw what the artefacts hold, state where it comes from, and give equal bytes."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from plumbline import figures
from plumbline.artefacts import read_json, read_rows, write_rows
from plumbline.attribution import READOUTS, shown_in
from plumbline.attribution.image_maps import MAPS
from plumbline.collect import table_rows
from plumbline.errors import PlumblineError
from plumbline.figures import (
    attention_heads,
    contributions,
    deletion_curves,
    diffusion_gallery,
    gradient_meets_attention,
    isotropy,
    layer_contributions,
    matrix,
    perturbation_curves,
    readout_correlation,
    rollout_layers,
    special_tokens,
    style,
    token_heatmap,
)
from plumbline.tables import comp_suff
from tests.small_xai import study
from tests.synthetic import (
    CONTROLS,
    IMAGE_RUN,
    OPTIONS,
    PRINCIPAL,
    TEN,
    compare,
    make,
    merge,
    vision,
    with_tables,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("figures")]

HERE = {**OPTIONS, "dataset": "sentiment", "model": "bert"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    small = make(
        root, dataset="agreement", model="roberta", architecture="roberta", methods=TEN, readouts=PRINCIPAL
    )
    found = merge(make(root, seeds=(0, 1), examples=20), small)
    other = make(root, model="distilbert", architecture="distilbert", methods=TEN, examples=20)
    found = with_tables(root, found | study(root) | vision(root))
    return found | compare(root, merge(other, found), ("sentiment", "bert", "distilbert"))


def texts(drawn):
    found = [text.get_text() for text in drawn.texts] + [drawn.get_suptitle()]
    found += [axes.get_title(loc="left") for axes in drawn.axes]
    return " ".join(found).replace("\n", " ")


# Those of the study explainn: tests/test_causal_figures.py.
@pytest.mark.parametrize(
    "name", [name for name, study in figures.FIGURES.studies.items() if study != "explainn"]
)
def test_every_figure_states_its_source_and_gives_equal_bytes(inputs, name, tmp_path, noted):
    drawn = noted(name)
    paths = [tmp_path / f"a.{kind}" for kind in figures.FIGURES[name].formats]
    images = figures.FIGURES.studies[name] == "network_diffusion"
    here = HERE | {"dataset": "digits", "model": "vim", "runs": [IMAGE_RUN]} if images else HERE
    figures.write(name, inputs, here, paths)
    first = [path.read_bytes() for path in paths]
    assert first[0].startswith(b"%PDF")
    assert b"CreationDate" not in first[0]
    assert first[1].startswith(b"\x89PNG")
    figures.write(name, inputs, here, paths)
    assert [path.read_bytes() for path in paths] == first
    said = texts(drawn[0])
    about = "Sentiment (generated), bert" if figures.FIGURES[name].per == "model" else "Sentiment (generated)"
    if name == "seed_consistency_extended":
        about = "SST-2, multiberts"
    if images:
        about = "Digits, vim"
    for phrase in (about, "Scale: small", "N = ", "seed", "interval"):
        assert phrase in said


def test_a_rollout_without_a_look_of_the_study_has_that_of_its_entry(inputs, tmp_path):
    path = tmp_path / "selective_rollout.csv"
    frame = pd.read_csv(inputs["tables/selective_rollout"][0]["path"])
    more = frame[frame["readout"] == "raw_attention_max"].assign(readout="alti_max")
    pd.concat([frame, more]).to_csv(path, index=False)
    drawn = rollout_layers.draw({"tables/selective_rollout": [{"path": path}]}, HERE)
    handles, labels = (
        drawn.legends[0].legend_handles,
        [text.get_text() for text in drawn.legends[0].get_texts()],
    )
    assert labels[-1] == READOUTS["alti"].label
    assert handles[-1].get_color() == READOUTS["alti"].look.color


VISION = HERE | {"dataset": "digits", "model": "vim", "runs": [IMAGE_RUN]}


def test_gallery_lays_each_map_over_its_own_image(inputs):
    """Column by column from the artefact: heat of the positive scores, enlarged, plus the picture, over the largest value."""
    from matplotlib import colormaps
    from PIL import Image

    maps = read_rows(inputs["maps"][0]["path"]).head(IMAGE_RUN["gallery"])
    pictures = read_rows(inputs["images"][0]["path"])
    columns = [f"{name}_published" for name in ("raw", "rollout", "attribution", "rollout_diffused")]
    columns += [name.removesuffix("_published") for name in columns]
    panels = np.array(diffusion_gallery.draw(inputs, VISION).axes).reshape(len(maps), 1 + len(columns))
    for line, row in zip(panels, maps.itertuples(), strict=True):
        shown = line[0].images[0].get_array()
        picture = np.asarray(pictures["pixels"][row.id]).reshape(8, 8) / 255
        # Enlarged eight times: each pixel keeps its brightness, up to its neighbours' share.
        coarse = shown[..., 0].reshape(8, 8, 8, 8).mean((1, 3))
        assert np.corrcoef(coarse.ravel(), picture.ravel())[0, 1] > 0.95 and picture.std() > 0.1
        for axes, name in zip(line[1:], columns, strict=True):
            scores = np.maximum(getattr(row, f"scores_{name}"), 0).reshape(4, 4)
            scaled = (scores - scores.min()) / np.ptp(scores)
            large = Image.fromarray(scaled.astype(np.float32)).resize((64, 64), Image.Resampling.BILINEAR)
            both = colormaps["jet"](np.asarray(large))[..., :3] + shown
            np.testing.assert_allclose(axes.images[0].get_array(), both / both.max(), atol=1e-6, err_msg=name)


def test_perturbation_curves_are_means_and_say_what_goes_first(inputs):
    frame = pd.concat([read_rows(item["path"]) for item in inputs["patch_faithfulness"]])
    panels = perturbation_curves.draw(inputs, VISION).axes
    groups = list(frame.groupby(["protocol", "fill"], sort=False))
    assert len(panels) == 2 * len(groups)
    for place, ((protocol, _), part) in enumerate(groups):
        cells = {"patches": "patches", "chefer": "pixels"}[protocol]
        for axes, kind, first in zip(
            panels[2 * place :], ("positive", "negative"), ("most", "least"), strict=False
        ):
            assert axes.get_title(loc="left").endswith(f"the {first} relevant {cells} first")
            lines = {line.get_label(): line for line in axes.lines}
            for name in ("rollout", "rollout_diffused", "random"):
                wanted = np.stack(part.loc[part["map"] == name, f"{kind}_correct"]).mean(0)
                line = lines[MAPS[name].label]
                np.testing.assert_allclose(line.get_ydata(), wanted, rtol=1e-6)
                assert line.get_xdata()[-1] == pytest.approx(0.9)
            bands = [c.get_paths()[0].vertices for c in axes.collections]
            assert len(bands) == 2 and all(np.ptp(vertices[:, 1]) > 0 for vertices in bands)


def test_attention_and_gradients_of_the_sentence_are_those_of_the_file(inputs):
    sentence = read_json(inputs["shown"][0]["path"])["sentence"]
    panels = attention_heads.draw(inputs, HERE).axes
    for axes, wanted in zip(panels, sentence["attention"], strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), wanted)
    titles = {"autograd": "(autograd)", "published": "as published", "corrected": "corrected"}
    drawn = [axes for axes in gradient_meets_attention.draw(inputs, HERE).axes if axes.images]
    assert len(drawn) == 3
    for name, words in titles.items():
        (axes,) = (axes for axes in drawn if words in axes.get_title(loc="left"))
        shown = axes.images[0].get_array()
        wanted = np.array(sentence["gradients"][name])[:, : shown.shape[1]]
        np.testing.assert_array_equal(shown, wanted)


def test_deletion_curves_show_the_mean_over_seeds_and_examples(inputs):
    drawn = deletion_curves.draw(inputs, HERE)
    lines = {line.get_label(): line for line in drawn.axes[0].get_lines()}
    assert set(lines) == {READOUTS[readout].label for readout in (*PRINCIPAL, *CONTROLS)}
    items = [i for i in inputs["faithfulness"] if (i["model"], i["method"]) == ("bert", "alti")]
    rows = pd.concat([read_rows(i["path"]) for i in items])
    rows = rows[(rows.readout == "alti") & (rows.protocol == "published_steps") & (rows.kind == "comp")]
    y = lines["ALTI"].get_ydata()
    for step in (0, 3, len(y) - 1):
        # A text that has no token left keeps its last value.
        last = [p[min(step, len(p) - 1)] for p in rows["probability"]]
        assert y[step] == pytest.approx(np.mean(last), abs=1e-6)


def test_deletion_curves_say_which_way_a_probability_is_better(inputs):
    """Low where comp is high, and comp is better high: the words and the tables' arrows agree."""
    titles = [panel.get_title() for panel in deletion_curves.draw(inputs, HERE).axes]
    assert comp_suff.KINDS == {"comp": 1, "suff": -1}
    assert titles == ["Deletion: a lower curve is better", "Insertion: a higher curve is better"]


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


def test_isotropy_shows_the_corrected_means_of_every_model(inputs):
    drawn = isotropy.draw(inputs, OPTIONS)
    assert [axes.get_title(loc="left") for axes in drawn.axes] == [
        "Sentiment (generated)",
        "Agreement (generated)",
    ]
    embeddings, transformed = drawn.axes[0].get_lines()[:2]
    assert embeddings.get_xdata().tolist() == [0, 1, 2, 3]
    assert transformed.get_xdata().tolist() == [0, 1, 2]
    items = [item for item in inputs["isotropy"] if item["model"] == "bert"]
    rows = pd.concat([read_rows(item["path"]) for item in items])
    means = rows[rows["vectors"] == "transformed"].groupby("layer")["cosine"].mean()
    assert transformed.get_ydata() == pytest.approx(means.to_numpy(), abs=1e-5)
    assert "mean over seeds 0, 1;" in texts(drawn)


def test_special_tokens_show_principal_readouts_then_controls(inputs):
    drawn = special_tokens.draw(inputs, OPTIONS)
    names = [label.get_text() for label in drawn.axes[-1].get_xticklabels()]
    assert names == [READOUTS[readout].label for readout in shown_in("ranks")]
    assert names[-4:] == ["Random", "Position", "Uniform", "Oracle"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["bert", "roberta"]
    heights = [bar.get_height() for bar in drawn.axes[0].containers[1]]
    means = table_rows(inputs, "special_tokens")
    means = means[
        (means["model"] == "bert") & (means["token"] == "all") & (means["definition"] == "corrected")
    ]
    assert heights[names.index("ALTI")] == means.set_index("readout")["mean"]["alti"]


def test_models_differ_without_colour():
    """Two models of one architecture, and one of none that has a colour of its own."""
    models = {"a": "bert", "b": "roberta", "c": "bert", "d": "electra"}
    marks = style.model_marks(models)
    assert marks["a"]["color"] == style.ARCHITECTURES["bert"]
    assert len({mark["color"] for mark in marks.values()}) == 4
    assert len({(mark["fillstyle"], mark["hatch"]) for mark in marks.values()}) == 4


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


def panels(drawn):
    """Title -> axes of every heat map of a figure."""
    return {axes.get_title(): axes for axes in drawn.axes if axes.get_title()}


def boxed(axes):
    (box,) = axes.patches
    return box.get_y(), box.get_width()


def test_contributions_show_the_product_of_all_layers(inputs):
    drawn = contributions.draw(inputs, HERE)
    shown = panels(drawn)
    assert list(shown) == ["Rollout", "Norm Rollout", "ALTI"]
    (item,) = [i for i in inputs["contributions"] if (i["model"], i["seed"]) == ("bert", 0)]
    rows = read_rows(item["path"]).query("id == 0 and layer == 3").set_index("readout")
    for title, readout in (("Rollout", "rollout"), ("ALTI", "alti")):
        drawn_values = shown[title].images[0].get_array()
        assert np.array_equal(np.ravel(drawn_values), rows.at[readout, "matrix"])
        assert boxed(shown[title]) == (0, len(rows.at[readout, "tokens"]))
    assert "Example 0: predicted negative, probability 0.913" in texts(drawn)
    assert "of [CLS]" in texts(drawn)


def test_contributions_of_agreement_box_the_masks_row(inputs):
    here = {**HERE, "dataset": "agreement", "model": "roberta"}
    for figure in (contributions, layer_contributions):
        for axes in panels(figure.draw(inputs, here)).values():
            assert boxed(axes)[0] == 4


def test_layers_of_alti_stand_in_a_grid(inputs):
    shown = panels(layer_contributions.draw(inputs, HERE))
    assert list(shown) == ["Layer 1", "Layer 2", "Layer 3"]
    (item,) = [i for i in inputs["contributions"] if (i["model"], i["seed"]) == ("bert", 0)]
    rows = read_rows(item["path"]).query("id == 0 and readout == 'alti'").set_index("layer")
    for layer in (1, 2, 3):
        values = shown[f"Layer {layer}"].images[0].get_array()
        assert np.array_equal(np.ravel(values), rows.at[layer, "matrix"])
    grids = {1: 1, 2: 2, 3: 3, 4: 2, 5: 5, 6: 3, 7: 3, 8: 4, 12: 4, 24: 6}
    assert {layers: layer_contributions.columns_of(layers) for layers in grids} == grids


def test_long_sentences_are_shown_in_part(tmp_path):
    found = make(tmp_path, examples=4, long=True)
    drawn = layer_contributions.draw(found, HERE)
    assert "tokens 1 to 40 of 90 are shown" in texts(drawn)
    assert panels(drawn)["Layer 1"].images[0].get_array().shape == (40, 40)
    # The mask's row is always among them.
    for length, position in ((90, 0), (90, 39), (90, 40), (90, 88), (41, 40), (12, 3)):
        part = matrix.shown_part(length, position)
        assert part.start <= position < part.stop
        assert part.stop - part.start == min(40, length)


def test_contributions_name_the_method_that_is_missing(tmp_path):
    found = make(tmp_path, examples=4, methods=("attention", "gradient"))
    assert list(panels(contributions.draw(found, HERE))) == ["Rollout"]
    with pytest.raises(PlumblineError, match="add method alti to its run"):
        layer_contributions.draw(found, HERE)


def test_unknown_format_and_model_are_named(inputs, tmp_path):
    with pytest.raises(PlumblineError, match="unknown figure format 'jpeg'"):
        figures.write("deletion_curves", inputs, HERE, [tmp_path / "a.jpeg"])
    with pytest.raises(PlumblineError, match="model electra"):
        figures.write("deletion_curves", inputs, {**HERE, "model": "electra"}, [tmp_path / "a.png"])


def test_registries_are_light():
    """The Snakefile imports them at every start."""
    code = (
        "import sys; from plumbline.figures import FIGURES; from plumbline.tables import TABLES; "
        "from plumbline.agreement import METRICS; "
        "print([m for m in ('torch', 'matplotlib', 'seaborn', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_look_is_seaborns():
    import seaborn as sns

    theirs = sns.axes_style("ticks") | sns.plotting_context("paper", font_scale=0.95)
    ours = style.TICKS | style.PAPER
    assert set(theirs) - set(ours) == {
        "font.family",
        "font.sans-serif",
        "image.cmap",
        "axes.spines.right",
        "axes.spines.top",
    }
    for name, value in ours.items():
        assert value == (pytest.approx(theirs[name]) if isinstance(value, float) else theirs[name]), name
