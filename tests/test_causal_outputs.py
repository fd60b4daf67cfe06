"""Tables of the study explainn: what they say is what the artefacts say."""

import numpy as np
import pandas as pd
import pytest

from plumbline import tables
from plumbline.artefacts import read_rows, schema, write_json, write_rows
from plumbline.causal.graph import CausalGraph, read_graph
from plumbline.causal.registry import EXPLANATIONS, METRICS
from plumbline.tables import (
    causal,
    causal_accuracy,
    causal_graphs,
    causal_pruning,
    causal_stability,
    explanation_metrics,
)
from tests.synthetic import CAUSAL_RUN, OPTIONS, write_table

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("causal")]
HERE = {**OPTIONS, "runs": [CAUSAL_RUN]}
NAMES = [name for name, study in tables.TABLES.studies.items() if study == "explainn"]
GRAPHS = len(CAUSAL_RUN["seeds"]) * len(CAUSAL_RUN["classes"])


@pytest.fixture
def learnt(tmp_path):
    """Inputs without any number: a model's facts and a graph without a layer of two seeds; tests write the numbers."""
    inputs = {}
    for seed in CAUSAL_RUN["seeds"]:
        about = {"dataset": "digits_half", "model": "lenet", "seed": seed, "method": None}
        graph = CausalGraph(
            target=3, label="3", n_used=30, soft=True, test="welch", correction="none", level=0.05, seed=seed,
            held_out=0.5, rows=(), truncated=True, layers=(), edges=(),
        )  # fmt: skip
        write_json(tmp_path / f"model{seed}" / "metrics.json", {"architecture": "lenet"})
        write_json(tmp_path / f"graph{seed}.json", graph.to_dict())
        paths = {
            "image_models": tmp_path / f"model{seed}" / "metrics.json",
            "causal_graphs": tmp_path / f"graph{seed}.json",
        }
        for stage in (*paths, "pruning", "stability", "explanation_metrics"):
            inputs.setdefault(stage, []).append({**about, "path": paths.get(stage)})
    return inputs


def joined(inputs, stage):
    return pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in inputs[stage]])


@pytest.mark.parametrize("name", NAMES)
def test_every_table_states_its_source_and_gives_equal_bytes(causal_inputs, name, tmp_path):
    paths = [tmp_path / f"{name}.{kind}" for kind in ("csv", "tex")]
    write_table(name, causal_inputs, HERE, *paths)
    first = [path.read_bytes() for path in paths]
    write_table(name, causal_inputs, HERE, *paths)
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


def test_on_their_own_data_released_sizes_compare_in_magnitude():
    there = {
        "dataset": "mnist",
        "architecture": "lenet",
        "test": "welch",
        "correction": "none",
        "intervention": "soft",
    }

    def verdicts(columns):
        found = causal_graphs.causal.released("causal_graphs", columns)["about"]
        return {causal_graphs.causal.verdict_on(about, columns)[0] for about in found}

    assert verdicts(there) == {"magnitude only"}
    assert verdicts(there | {"test": "paired"}) == {"not comparable"}
    assert verdicts(there | {"architecture": "resnet"}) == set()


def answer(row, sense):
    """Whether a band holds, by where its interval lies."""
    inside = row["upper"] <= row["bound"] if sense == "<=" else row["lower"] >= row["bound"]
    outside = row["lower"] > row["bound"] if sense == "<=" else row["upper"] < row["bound"]
    return "holds" if inside else "does not hold" if outside else "not told"


@pytest.mark.parametrize(
    ("lower", "upper", "at_most", "at_least"),
    [
        (0.1, 0.2, "holds", "does not hold"),
        (0.6, 0.7, "does not hold", "holds"),
        (0.3, 0.5, "not told", "not told"),
        (np.nan, np.nan, "not told", "not told"),
    ],
)
def test_a_band_has_three_answers(lower, upper, at_most, at_least):
    assert causal.held(lower, upper, "<=", 0.4)["holds"] == at_most
    assert causal.held(lower, upper, ">=", 0.4)["holds"] == at_least


def test_intervals_are_of_seeds_and_classes():
    """The two-way layout, from its sums of squares."""
    from scipy.stats import t

    seeds, classes = 3, 5
    draw = np.random.default_rng(2)
    x = (
        0.5
        + draw.normal(0, 0.1, (seeds, 1))
        + draw.normal(0, 0.2, (1, classes))
        + draw.normal(0, 0.05, (seeds, classes))
    )
    index = pd.MultiIndex.from_product([range(seeds), range(classes)], names=["seed", "class"])
    found = causal.bands(pd.DataFrame({"x": x.ravel()}, index=index), OPTIONS, "here")
    mean, rows, columns = x.mean(), x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    of_seed = classes * ((rows - mean) ** 2).sum() / (seeds - 1)
    of_class = seeds * ((columns - mean) ** 2).sum() / (classes - 1)
    rest = ((x - rows - columns + mean) ** 2).sum() / ((seeds - 1) * (classes - 1))
    total = of_seed + of_class - rest
    df = total**2 / (
        of_seed**2 / (seeds - 1) + of_class**2 / (classes - 1) + rest**2 / ((seeds - 1) * (classes - 1))
    )
    half = t.ppf(0.975, max(df, seeds - 1)) * (max(total, of_seed, of_class) / (seeds * classes)) ** 0.5
    assert np.ravel(found) == pytest.approx([mean, mean - half, mean + half])
    shuffled = pd.DataFrame({"x": x.ravel()}, index=index).sample(frac=1, random_state=0).sort_index(level=0)
    assert np.ravel(causal.bands(shuffled, OPTIONS, "here")) == pytest.approx(np.ravel(found))


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
        assert (row["mean"], row["bound"]) == pytest.approx(((strong - weak)[kept].mean(), 0))
        assert row["holds"] == answer(row, "<=")
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
    assert row["mean"] == pytest.approx(gap) and row["bound"] == 0.40
    assert row["holds"] == answer(row, ">=")
    own = rows[(rows["condition"] == "graph_layer") & (rows["seed"] == 1)]["auc"].mean()
    assert bands.loc[("AUC of the graph alone", "1"), "mean"] == pytest.approx(own)
    assert bands.loc[("AUC of the graph alone", "1"), "graphs"] == len(CAUSAL_RUN["classes"])


def test_causes_by_the_fallback_are_not_said_to_pass_the_test(causal_inputs):
    frame = causal_graphs.rows(causal_inputs, HERE)
    graphs = [read_graph(item["path"]) for item in causal_inputs["causal_graphs"]]
    layers = [record for graph in graphs for record in graph.layers if record.rule != "input"]
    passed = sum(node.z < -1.65 for record in layers for node in record.nodes if node.selected)
    other = sum(len(record.causes) for record in layers) - passed
    whole = frame[(frame["class"] == "mean") & (frame["layer"] == "all")].iloc[0]
    assert other and whole["by_test"] == pytest.approx(passed / len(graphs))
    said = causal_graphs.summary(frame)
    assert f"{passed / len(graphs):.1f} of them passed the test" in said
    assert f"The other {other / len(graphs):.1f} did not" in said and "the fallback" in said
    assert set(frame["held_out"]) == {0.5}
    none = causal_graphs.summary(frame.assign(fallback=0, by_test=frame["nodes"]))
    assert "did not" not in none and "fallback" not in none


PRUNED = {  # recall without causal nodes, without random ones; AUC likewise
    "carry": (
        (0.10, 0.90),
        (0.70, 0.95),
        "less than without random ones: the nodes found carry recall",
        "is lower too, so",
    ),
    "carry less": ((0.90, 0.10), (0.95, 0.70), "carry less recall than others", "is higher, so"),
    "same": ((0.50, 0.50), (0.80, 0.80), "not told apart from random ones", "is not told apart, so"),
}


def pruned(learnt, tmp_path, recall, auc):
    """The inputs with a made-up pruning.parquet for each seed: ten classes, a little noise."""
    items, draw = [], np.random.default_rng(0)
    for item in learnt["pruning"]:
        rows = []
        for label in range(10):
            for condition in causal_pruning.CONDITIONS:
                at = {"ablate_causal": 0, "ablate_random": 1}.get(condition)
                values = [0.9, 0.9] if at is None else [recall[at], auc[at]]
                noise = draw.normal(0, 0.01, 2)
                rows.append((label, condition, 0, *(values + noise), 0.2, 0.1, 450, 0.5))
        path = tmp_path / f"seed{item['seed']}.parquet"
        columns = list(schema("pruning")["columns"])
        write_rows(path, pd.DataFrame(rows, columns=columns), kind="pruning")
        items.append({**item, "path": path})
    return {**learnt, "pruning": items}


@pytest.mark.parametrize("name", PRUNED)
def test_pruning_says_less_more_or_not_told_apart(learnt, tmp_path, name):
    recall, auc, cut, order = PRUNED[name]
    frame = causal_pruning.rows(pruned(learnt, tmp_path, recall, auc), HERE)
    said = causal_pruning.summary(frame)
    assert cut in said and order in said
    row = frame[
        (frame["condition"] == "ablate_random less ablate_causal") & (frame["measure"] == "recall")
    ].iloc[0]
    assert row["mean"] == pytest.approx(recall[1] - recall[0], abs=0.02)
    assert row["verdict"] == {"carry": "higher", "carry less": "lower", "same": "not told apart"}[name]
    bands = frame[frame["kind"] == "band"].groupby("condition")["measure"].unique().map(list).to_dict()
    assert bands == {
        "recall without causal nodes": ["recall"],
        "recall without random nodes": ["recall"],
        "AUC of the graph alone": ["auc"],
        "recall without non-causal edges, less base": ["difference"],
        "recall without random nodes, less without causal": ["difference"],
        "recall without non-causal nodes, less without random": ["difference"],
    }
    # The other comparisons of the family are of equal conditions.
    others = frame[(frame["kind"] == "difference") & ~frame["condition"].str.contains("ablate")]
    assert set(others["verdict"]) == {"not told apart"}


@pytest.mark.parametrize(
    ("held_out", "words"),
    [(0.5, "that no graph was learnt from (50\\% of each class)"), (0.0, "as published")],
)
def test_tables_say_which_images_graphs_are_scored_on(causal_inputs, tmp_path, held_out, words):
    items = []
    for item in causal_inputs["pruning"]:
        path = tmp_path / f"seed{item['seed']}.parquet"
        write_rows(path, read_rows(item["path"]).assign(held_out=held_out), kind="pruning")
        items.append({**item, "path": path})
    frame = causal_pruning.rows({**causal_inputs, "pruning": items}, HERE)
    assert set(frame["held_out"]) == {held_out}
    # Half of each class's images of a test split of 300.
    assert 140 < frame["examples"].iloc[0] < 160 and frame["examples"].nunique() == 1
    assert words in causal_pruning.latex(frame, HERE)


def strengths(learnt, tmp_path, first, last, noise, fewer):
    """The inputs with a made-up stability.parquet for each seed: rates at the ends of strength, Jaccard indices."""
    items, draw = [], np.random.default_rng(1)
    for item in learnt["stability"]:
        rows = []
        for label in range(10):
            for strength, rate in ((0.0, first), (0.5, last)):
                for repetition in range(20):
                    nodes = [1] if repetition == 0 or draw.random() < rate else []
                    rows.append((label, "strength", strength, repetition, "fc3", 0.1, 30, nodes, 0.5))
            for kind, strength, value in (("noise", 0.2, noise), ("subsample", 30.0, fewer)):
                shared = float(np.clip(value + draw.normal(0, 0.02), 0, 1))
                rows.append((label, kind, strength, 0, "fc3", 0.1, 30, [1], shared))
        path = tmp_path / f"seed{item['seed']}.parquet"
        write_rows(path, pd.DataFrame(rows, columns=list(schema("stability")["columns"])), kind="stability")
        items.append({**item, "path": path})
    return {**learnt, "stability": items}


@pytest.mark.parametrize(
    ("numbers", "strength", "images", "falls"),
    [
        ((0.95, 0.2, 0.8, 0.3), "falls with intervention strength", ": graphs depend on the images more than on noise", "holds"),
        ((0.2, 0.95, 0.3, 0.8), "rises with intervention strength", ": graphs depend on noise more than on the images", "does not hold"),
        ((0.5, 0.5, 0.5, 0.5), "is not told apart at the two ends", ": not told apart from noise", "not told"),
    ],
)  # fmt: skip
def test_stability_says_falls_rises_or_not_told_apart(learnt, tmp_path, numbers, strength, images, falls):
    frame = causal_stability.rows(strengths(learnt, tmp_path, *numbers), HERE)
    said = causal_stability.summary(frame)
    assert strength in said and images in said
    bands = frame[frame["kind"] == "band"].set_index(["measure", "seed"])
    assert bands.loc[(causal_stability.FALLS, "all"), "holds"] == falls


# How much better than a random map each explanation is, in the metric's own direction.
BETTER = {
    "causal": 0.0,
    "causal_forward": 0.0,
    "saliency": 0.0,
    "integrated_gradients": 0.0,
    "random": 0.0,
    "input": 0.0,
}
SUBJECTS = 40


def measured(learnt, tmp_path, gains, seeds=(0,)):
    """The inputs with made-up values: metric -> {explanation: gain}; what it lacks has BETTER's."""
    items, draw = [], np.random.default_rng(5)
    for seed in seeds:
        item, rows = learnt["explanation_metrics"][0], []
        for metric, own in gains.items():
            for image in range(SUBJECTS):
                of_image = draw.normal(0, 0.5)
                for method, gain in {**BETTER, **own}.items():
                    value = 5 + of_image + METRICS[metric].direction * gain + draw.normal(0, 0.1)
                    rows.append((image, 3, method, metric, value, 0.25, "made up"))
        path = tmp_path / f"seed{seed}.parquet"
        columns = ["id", "target", "method", "metric", "value", "tied", "settings"]
        write_rows(path, pd.DataFrame(rows, columns=columns), kind="explanation_metrics")
        items.append({**item, "seed": seed, "path": path})
    return {**learnt, "explanation_metrics": items}


LABEL = "Causal, as released: "


@pytest.mark.parametrize(
    ("robust", "faithful", "wanted"),
    [
        (1.0, -1.0, ("stability against 2 gradient methods: better than 2, worse than 0, not told apart from 0 by local Lipschitz",
                     "faithfulness against 2 gradient methods: better than 0, worse than 2, not told apart from 0 by IROF",
                     "that it is more stable than the gradients holds and that it is more faithful than the gradients does not hold")),
        (-1.0, 1.0, ("stability against 2 gradient methods: better than 0, worse than 2",
                     "faithfulness against 2 controls: better than 2, worse than 0",
                     "more stable than the gradients does not hold and that it is more faithful than the gradients holds")),
        (0.0, 0.0, ("better than 0, worse than 0, not told apart from 2 by local Lipschitz",
                    "more stable than the gradients is not told and that it is more faithful than the gradients is not told")),
    ],
)  # fmt: skip
def test_claims_of_the_causal_maps_are_better_worse_or_not_told(learnt, tmp_path, robust, faithful, wanted):
    inputs = measured(learnt, tmp_path, {"lipschitz": {"causal": robust}, "irof": {"causal": faithful}})
    frame = explanation_metrics.rows(inputs, HERE)
    said = explanation_metrics.summary(frame).split("Causal, forward")[0]
    assert said.startswith(LABEL)
    for words in wanted:
        assert words in said
    cells = frame.set_index(["metric", "method"])
    word = {1.0: "better", -1.0: "worse", 0.0: "not told apart"}
    for metric, gain in (("lipschitz", robust), ("irof", faithful)):
        assert cells.loc[(metric, "causal"), "verdict"] == word[gain]
        assert cells.loc[(metric, "saliency"), "causal_verdict"] == word[gain]
        row = cells.loc[(metric, "causal")]
        assert (row["against"], row["direction"]) == (
            "random",
            {"lipschitz": "lower", "irof": "higher"}[metric],
        )
        assert cells.loc[(metric, "random"), ["against", "verdict"]].isna().all()
        assert row["difference"] == pytest.approx(METRICS[metric].direction * gain, abs=0.1)
        assert row["difference_lower"] < row["difference"] < row["difference_upper"]


def test_bold_is_what_is_not_told_apart_from_the_best(learnt, tmp_path):
    """Two of four are alike and best; a control that beats them is no competitor."""
    gains = {"saliency": 1.0, "integrated_gradients": 1.0, "causal": 0.5, "causal_forward": 0.0, "input": 3.0}
    inputs = measured(learnt, tmp_path, {"irof": gains, "lipschitz": gains})
    frame = explanation_metrics.rows(inputs, HERE)
    for _, part in frame.groupby("metric"):
        assert set(part[part["best"]]["method"]) == {"saliency", "integrated_gradients"}
        assert part["testable"].all()
    text = explanation_metrics.latex(frame, HERE)
    bold = {line.split(" & ")[0] for line in text.splitlines() if r"\mathbf" in line}
    assert bold == {EXPLANATIONS[name].label for name in ("saliency", "integrated_gradients")}
    assert "random map, Holm-adjusted" in text and "Share of tied pixels or segments: IROF 25" in text


def test_a_random_map_that_is_steadier_is_said_so_by_the_test(learnt, tmp_path):
    words = "A fixed random map beats every explanation in local Lipschitz estimate"
    for gain, said in ((-1.0, True), (0.0, False), (1.0, False)):
        own = dict.fromkeys(("causal", "causal_forward", "saliency", "integrated_gradients"), gain)
        frame = explanation_metrics.rows(measured(learnt, tmp_path, {"lipschitz": own}), HERE)
        assert (words in explanation_metrics.summary(frame)) == said


def test_three_seeds_cannot_tell_the_best_apart_and_say_so(learnt, tmp_path):
    inputs = measured(learnt, tmp_path, {"irof": {}}, seeds=(0, 1, 2))
    frame = explanation_metrics.rows(inputs, HERE)
    assert not frame["testable"].any()
    assert "3 seeds are too few to tell the best" in explanation_metrics.summary(frame)
    assert "over training seeds and images" in frame["interval"].iloc[0]


def test_metrics_are_means_over_images_with_paired_differences_and_released_numbers_apart(causal_inputs):
    frame = explanation_metrics.rows(causal_inputs, HERE)
    rows = joined(causal_inputs, "explanation_metrics")
    assert set(frame["metric"]) == set(METRICS)
    assert set(frame["method"]) == set(EXPLANATIONS)
    irof = frame[frame["metric"] == "irof"].set_index("method")
    own = rows[(rows["metric"] == "irof") & (rows["method"].isin(["saliency", "random"]))]
    # Images that both seeds explain.
    table = own.pivot_table(index="id", columns=["method", "seed"], values="value").dropna()
    assert irof.loc["saliency", "examples"] == len(table)
    assert irof.loc["saliency", "mean"] == pytest.approx(table["saliency"].to_numpy().mean())
    gap = table["saliency"].to_numpy().mean() - table["random"].to_numpy().mean()
    assert irof.loc["saliency", "difference"] == pytest.approx(gap)
    assert irof["published_value"].isna().all()  # the released one is another area
    assert irof.loc["input", "tied"] > 0 and frame[frame["metric"] == "sparseness"]["tied"].isna().all()
    assert not irof[irof["control"]]["best"].any() and irof["best"].any()
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
