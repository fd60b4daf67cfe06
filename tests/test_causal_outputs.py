"""Tables of the study explainn: what they say is what the artefacts say."""

import numpy as np
import pandas as pd
import pytest

from plumbline import tables
from plumbline.artefacts import read_rows
from plumbline.causal.graph import read_graph
from plumbline.causal.registry import EXPLANATIONS, METRICS
from plumbline.tables import (
    causal_accuracy,
    causal_graphs,
    causal_pruning,
    causal_stability,
    explanation_metrics,
)
from tests.synthetic import CAUSAL_RUN, OPTIONS

pytestmark = pytest.mark.xdist_group("causal")
HERE = {**OPTIONS, "runs": [CAUSAL_RUN]}
NAMES = [name for name, entry in tables.TABLES.items() if entry.study == "explainn"]
GRAPHS = len(CAUSAL_RUN["seeds"]) * len(CAUSAL_RUN["classes"])


def joined(inputs, stage):
    return pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in inputs[stage]])


@pytest.mark.parametrize("name", NAMES)
def test_every_table_states_its_source_and_gives_equal_bytes(causal_inputs, name, tmp_path):
    paths = [tmp_path / f"{name}.{kind}" for kind in ("csv", "tex")]
    tables.write(name, causal_inputs, HERE, *paths)
    first = [path.read_bytes() for path in paths]
    tables.write(name, causal_inputs, HERE, *paths)
    assert [path.read_bytes() for path in paths] == first
    frame = pd.read_csv(paths[0])
    for column in ("scale", "dataset", "model", "seeds", "examples", "interval"):
        assert frame[column].notna().all(), column
    text = first[1].decode()
    for phrase in ("Digits (half)", "Scale: small", "seed", "interval", "-{}-configfile config.paper.yaml"):
        assert phrase in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") > 0
    # As many cells in every row as the tabular has columns.
    for part in text.split(r"\begin{tabular}{")[1:]:
        width = len(part.split("}")[0])
        lines = [line for line in part.split("\n")[1:] if line.endswith(r"\\")]
        heads = [line for line in lines if r"\multicolumn" not in line]
        assert {line.replace(r"\&", "").count("&") + 1 for line in heads} == {width}


def test_sizes_are_those_of_the_graphs(causal_inputs):
    frame = causal_graphs.rows(causal_inputs, HERE)
    for item in causal_inputs["causal_graphs"]:
        graph = read_graph(item["path"])
        own = frame[(frame["seed"] == str(item["seed"])) & (frame["class"] == str(graph.target))].set_index(
            "layer"
        )
        for record in graph.layers[:-1]:
            assert own.loc[record.layer, "nodes"] == len(record.causes)
            assert own.loc[record.layer, "rule"] == record.rule
            assert own.loc[record.layer, "u"] == record.u
        assert own.loc["all", "nodes"] == sum(
            len(record.causes) for record in graph.layers if record.rule != "input"
        )
    means = frame[frame["class"] == "mean"].set_index("layer")
    single = frame[frame["class"] != "mean"]
    assert means.loc["fc3", "nodes"] == pytest.approx(single[single["layer"] == "fc3"]["nodes"].mean())
    assert means.loc["fc3", "graphs"] == GRAPHS


def test_released_sizes_stand_beside_their_class_and_say_that_they_do_not_compare(causal_inputs):
    frame = causal_graphs.rows(causal_inputs, HERE)
    three = frame[(frame["class"] == "3") & (frame["seed"] == "0")].set_index("layer")
    assert three["published_value"].to_dict() == {"fc3": 13, "fc2": 8, "fc1": 8, "conv2": 3, "all": 32}
    assert set(three["verdict"]) == {"not comparable"}
    assert three["why"].str.contains("MNIST there").all()
    assert frame[frame["class"] == "8"]["published_value"].isna().all()


def test_on_their_own_data_released_sizes_compare_in_magnitude(causal_inputs):
    there = {
        "dataset": "mnist",
        "architecture": "lenet",
        "test": "welch",
        "correction": "none",
        "intervention": "soft",
    }
    found = causal_graphs.causal.released("causal_graphs", there)
    assert {entry["verdict"] for entry in found} == {"magnitude only"}
    (other,) = {
        e["verdict"] for e in causal_graphs.causal.released("causal_graphs", there | {"test": "paired"})
    }
    assert other == "not comparable"
    assert causal_graphs.causal.released("causal_graphs", there | {"architecture": "resnet"}) == []


def test_appearance_rate():
    """Three runs: node 1 once, node 2 twice, of the nodes found at all."""
    assert causal_stability.appearance_rate([[1, 2], [2], []]) == pytest.approx(100 * (1 + 2) / 2 / 3)
    assert causal_stability.appearance_rate([[], []]) == 0


def test_stability_rows_are_means_over_graphs(causal_inputs):
    frame = causal_stability.rows(causal_inputs, HERE)
    rows = joined(causal_inputs, "stability")
    strong = rows[rows["kind"] == "strength"]
    every = frame[(frame["kind"] == "strength") & (frame["class"] == "all")].set_index(
        ["measure", "strength"]
    )
    assert every.loc[("set_size", 0.5), "mean"] == pytest.approx(
        np.mean([len(nodes) for nodes in strong[strong["strength"] == 0.5]["nodes"]])
    )
    assert every.loc[("nonempty", 0.5), "mean"] == pytest.approx(
        100 * np.mean([len(nodes) > 0 for nodes in strong[strong["strength"] == 0.5]["nodes"]])
    )
    noise = rows[(rows["kind"] == "noise") & (rows["strength"] == 0.1) & (rows["layer"] == "fc2")]
    shown = frame[(frame["kind"] == "noise") & (frame["strength"] == 0.1) & (frame["layer"] == "fc2")].iloc[0]
    assert shown["mean"] == pytest.approx(noise.groupby(["seed", "class"])["jaccard"].mean().mean())
    assert shown["lower"] <= shown["mean"] <= shown["upper"]


def test_bands_of_stability_are_given_by_seed_and_for_all(causal_inputs):
    frame = causal_stability.rows(causal_inputs, HERE)
    bands = frame[frame["kind"] == "band"].set_index(["measure", "seed"])
    assert len(bands) == 3 * (len(CAUSAL_RUN["seeds"]) + 1)
    rates = causal_stability.rates(joined(causal_inputs, "stability").query("kind == 'strength'"))
    weak, strong = (rates.loc[:, near].mean(axis=1) for near in (rates.columns < 0.11, rates.columns > 0.39))
    for seed in (*map(str, CAUSAL_RUN["seeds"]), "all"):
        kept = weak.index if seed == "all" else weak.index[weak.index.get_level_values("seed") == int(seed)]
        row = bands.loc[causal_stability.FALLS, seed]
        assert (row["mean"], row["bound"]) == pytest.approx((strong[kept].mean(), weak[kept].mean()))
        assert row["holds"] == (row["mean"] < row["bound"])
        assert row["lower"] <= row["mean"] <= row["upper"]
        assert row["graphs"] == len(kept)
        share = bands.loc[causal_stability.MOST_FALL, seed]["mean"]
        assert share == pytest.approx((strong[kept] < weak[kept]).mean())
    assert set(bands.loc[causal_stability.AT_ZERO]["bound"]) == {70}  # images are drawn anew


def test_a_released_rate_stands_beside_that_of_its_class_and_strength(causal_inputs):
    frame = causal_stability.rows(causal_inputs, HERE)
    three = frame[(frame["class"] == "3") & (frame["measure"] == "appearance_rate")].set_index("strength")
    assert three.loc[0.1, "published_value"] == 51.5
    assert three["verdict"].eq("not comparable").all() and three["why"].str.contains("MNIST there").all()
    line = next(
        line for line in causal_stability.latex(frame, HERE).splitlines() if line.startswith("0.1 & ")
    )
    cells = line.removesuffix(r" \\").split(" & ")
    assert (cells[3], cells[6], cells[9]) == ("$51.5$", "$6.7$", "$100.0$")
    assert cells[2].startswith(f"${three.loc[0.1, 'mean']:.1f}_")


def test_pruning_means_and_bands(causal_inputs):
    frame = causal_pruning.rows(causal_inputs, HERE)
    rows = joined(causal_inputs, "pruning")
    cells = frame[frame["kind"] == "condition"].set_index(["condition", "measure"])
    for condition in causal_pruning.CONDITIONS:
        wanted = rows[rows["condition"] == condition].groupby(["seed", "class"])["recall"].mean().mean()
        assert cells.loc[(condition, "recall"), "mean"] == pytest.approx(wanted)
    bands = frame[frame["kind"] == "band"].set_index(["condition", "seed"])
    assert len(bands) == len(causal_pruning.BANDS) * (len(CAUSAL_RUN["seeds"]) + 1)
    gap = cells.loc[("ablate_random", "recall"), "mean"] - cells.loc[("ablate_causal", "recall"), "mean"]
    row = bands.loc["recall without random nodes, less without causal", "all"]
    assert row["mean"] == pytest.approx(gap)
    assert row["holds"] == (gap >= 0.40)
    own = rows[(rows["condition"] == "graph_layer") & (rows["seed"] == 1)]["auc"].mean()
    assert bands.loc[("AUC of the graph alone", "1"), "mean"] == pytest.approx(own)
    assert bands.loc[("AUC of the graph alone", "1"), "graphs"] == len(CAUSAL_RUN["classes"])


def metric_rows(**values):
    """A made-up frame of one image: metric_method -> value."""
    found = []
    for metric in ("lipschitz", "irof"):
        for method, value in values[metric].items():
            found.append(
                {
                    "dataset": "digits_half",
                    "model": "lenet",
                    "metric": metric,
                    "method": method,
                    "mean": value,
                }
            )
    return pd.DataFrame(found)


def test_summary_says_what_the_means_say_whichever_way():
    others = {"saliency": 0.5, "integrated_gradients": 0.4, "random": 0.0, "input": 0.9}
    gains = {"saliency": 90.0, "integrated_gradients": 95.0, "random": 30.0, "input": 40.0}
    said = explanation_metrics.summary(
        metric_rows(lipschitz={"causal": 0.2, **others}, irof={"causal": 50.0, **gains})
    )
    assert "more stable than all 2 gradient methods by local Lipschitz estimate" in said
    assert "more faithful than none of 2 gradient methods by IROF" in said
    assert "more faithful than all 2 controls by IROF" in said
    assert "that it is more stable holds and that it is more faithful does not hold" in said
    assert "A fixed random map beats every explanation in local Lipschitz estimate" in said
    said = explanation_metrics.summary(
        metric_rows(lipschitz={"causal": 0.7, **others}, irof={"causal": 99.0, **gains})
    )
    assert "that it is more stable does not hold and that it is more faithful holds" in said


def test_metrics_are_means_over_images_with_paired_differences_and_released_numbers_apart(causal_inputs):
    frame = explanation_metrics.rows(causal_inputs, HERE)
    rows = joined(causal_inputs, "explanation_metrics")
    assert set(frame["metric"]) == set(METRICS)
    assert set(frame["method"]) == set(EXPLANATIONS)
    images = rows[rows["metric"] == "irof"].pivot_table(index="id", columns="method", values="value").dropna()
    irof = frame[frame["metric"] == "irof"].set_index("method")
    assert irof.loc["saliency", "mean"] == pytest.approx(images["saliency"].mean())
    assert irof.loc["saliency", "difference"] == pytest.approx((images["saliency"] - images["random"]).mean())
    assert irof["published_value"].isna().all()  # the released one is another area
    assert (
        irof.loc["saliency", "seed_lower"] < irof.loc["saliency", "mean"] < irof.loc["saliency", "seed_upper"]
    )
    assert not irof[irof["control"]]["best"].any()
    steady = frame[frame["metric"] == "lipschitz"].set_index("method")
    assert steady.loc["random", "mean"] == 0
    assert steady.loc["causal", "published_value"] == 0.287
    assert set(steady["published_verdict"].dropna()) == {"not comparable"}
    assert steady["published_why"].dropna().str.contains("MNIST there, Digits .half. here.*normalised").all()
    assert (frame.groupby("metric")["settings"].nunique() == 1).all()


def test_accuracy_is_that_of_the_networks(causal_inputs):
    frame = causal_accuracy.rows(causal_inputs, HERE)
    assert frame["seed"].tolist() == [*map(str, CAUSAL_RUN["seeds"]), "mean"]
    assert frame["accuracy"].iloc[-1] == pytest.approx(frame["accuracy"].iloc[:-1].mean())
