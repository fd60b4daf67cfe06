"""Every sentence that a table says of its numbers, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from plumbline import stats
from plumbline.artefacts import write_json, write_rows
from plumbline.causal.registry import METRICS
from plumbline.tables import (
    causal,
    causal_graphs,
    causal_pruning,
    causal_stability,
    comp_suff,
    explanation_metrics,
    gradient_vs_comprehensiveness,
    network_diffusion,
    published,
    published_vs_reproduced,
    selective_rollout,
    standing,
    xai_published,
)
from plumbline.tables import latex as tex

nan = float("nan")

# ------------------------------------------------------------------------------------------------ selective rollout

WORDS = {1: "is better than", -1: "is worse than", 0: "is not told apart from"}


def cell(definition, metric, readout, threshold=nan, **numbers):
    """A row of the table at layer 10 of 12: median .3, used 3.2 layers, every difference 0 [-.1, .1], selected [-.2, .2]."""
    row = {"definition": definition, "metric": metric, "readout": readout, "threshold": threshold, "layer": 10, "depth": 12,
           "used": 3.2, "left_of_sum": 0.0312, "published_value": nan}  # fmt: skip
    for name, value in (("median", 0.3), ("ratio", nan), ("over_rollout", 0.0), ("over_first", 0.0)):
        row |= {name: value, f"{name}_lower": value - 0.1, f"{name}_upper": value + 0.1}
        row |= {f"{name}_lowest": value - 0.2, f"{name}_uppermost": value + 0.2}
    return row | numbers


def gap(name, value):
    """A difference with both its intervals."""
    return {name: value, f"{name}_lower": value - 0.1, f"{name}_upper": value + 0.1,
            f"{name}_lowest": value - 0.2, f"{name}_uppermost": value + 0.2}  # fmt: skip


def selective(**changed):
    """The summary's rows; changed: name of a row -> numbers of it that are others."""
    chosen, scaled = "selective_rollout_max", "selective_rollout_scaled_max"
    cells = {
        "printed": ("published", "spearman_dense", chosen, 1.0), "printed_joint": ("published", "spearman_dense", "rollout_max"),
        "other": ("published", "spearman_dense", chosen, 0.5), "sum": ("corrected", "spearman", chosen, 1.0),
        "joint": ("corrected", "spearman", "rollout_max"), "first": ("corrected", "spearman", "first_layer_max"),
        "norm": ("corrected", "spearman_l2", chosen, 1.0), "product": ("corrected", "spearman_dot", chosen, 1.0),
        "fifth": ("corrected", "spearman", scaled, 0.2), "half": ("corrected", "spearman", scaled, 0.5),
    }  # fmt: skip
    frame = pd.DataFrame([cell(*key, **changed.get(name, {})) for name, key in cells.items()])
    return pd.concat([frame, frame.assign(layer=3, median=9.9)], ignore_index=True)


SCALED = {"selective_rollout": {"layer": None}}


def test_selective_rollout_word_by_word():
    noise = {"left_of_sum": 2.3e-08}
    frame = selective(
        printed={**noise, **gap("over_rollout", -0.15), "ratio": 0.5, "ratio_lower": 0.4, "ratio_upper": 0.6, "median": -0.004,
                 "published_value": 6.5},
        printed_joint=noise, joint={"median": 0.1, "median_lower": -0.12}, first={"median": 0.2}, sum=gap("over_rollout", 0.25) | gap("over_first", -0.25),
        norm=gap("over_rollout", 0.05), product=gap("over_rollout", -0.25), fifth=gap("over_first", 0.15) | {"median": 0.25},
        half=gap("over_first", 0.05) | {"median": 0.45},
    )  # fmt: skip
    assert selective_rollout.summary(frame, SCALED) == (
        "Measured as published, at layer 10 of 0 to 11, selective rollout (threshold 1) has a median correlation of "
        "0.00 [0.20, 0.40] with the input gradient, and rollout with all layers one of 0.30 [0.20, 0.40]: a ratio of "
        "0.50 [0.40, 0.60], in print 6.5. So measured selective rollout is worse than rollout with all layers (difference of "
        "medians -0.15 [-0.25, -0.05]). But that gradient is taken before a LayerNorm, so its sum over features is zero and only "
        "rounding noise, 2e-08 of the gradient, was ranked; at the embedding block's output 0.03 is left. With the normal "
        "network, the predicted class and average ranks the medians are 0.30 [0.20, 0.40] (selective, which uses 3.2 layers on "
        "average), 0.10 [-0.12, 0.40] (all layers) and 0.20 [0.20, 0.40] (the first layer alone). With thresholds of 0.2 to 0.5 of "
        "the largest distance possible, which grows with the text, they are 0.25 to 0.45. After the corrections selective rollout "
        "is better than rollout with all layers (difference of medians +0.25 [+0.15, +0.35]). With the gradient's norm in the "
        "place of its sum, which is one arbitrary direction, it is not told apart from rollout with all layers (difference of "
        "medians +0.05 [-0.05, +0.15]); with its product with the input it is worse than rollout with all layers (difference of "
        "medians -0.25 [-0.35, -0.15]). With the published threshold, which uses 3.2 layers, it is worse than the first layer "
        "alone (difference of medians -0.25 [-0.35, -0.15]); with the best of 2 shares (0.2, 3.2 layers) it is not told apart "
        "from the first layer alone (difference of medians +0.15 [-0.05, +0.35])."
    )


def test_selective_rollout_where_there_is_no_ratio_no_noise_and_no_second_layer():
    frame = selective(sum={"used": 1.04})
    text = selective_rollout.summary(frame, SCALED)
    assert ": their ratio has no meaning, since rollout's median is not surely positive. So measured" in text
    assert "Of that gradient the sum over features leaves 0.03. With the normal network" in text
    assert text.endswith(
        "Selective rollout is the first layer alone here, since hardly any other passes the threshold."
    )
    assert "first layer alone (difference" not in text
    frame = selective(printed={"published_value": 6.5}, sum={"used": 1.05})
    text = selective_rollout.summary(frame, SCALED)
    assert "their ratio, in print 6.5 has no meaning" in text and "with the best of 2 shares" in text
    assert "layer 3 of 0 to 11" in selective_rollout.summary(frame, {"selective_rollout": {"layer": 3}})


@pytest.mark.parametrize("sign", WORDS)
@pytest.mark.parametrize("row, name, rival, limit, start", [
    ("printed", "over_rollout", "rollout with all layers", 0.1, "So measured selective rollout "),
    ("sum", "over_rollout", "rollout with all layers", 0.1, "After the corrections selective rollout "),
    ("norm", "over_rollout", "rollout with all layers", 0.1, "which is one arbitrary direction, it "),
    ("product", "over_rollout", "rollout with all layers", 0.1, "with its product with the input it "),
    ("sum", "over_first", "the first layer alone", 0.1, "which uses 3.2 layers, it "),
    ("half", "over_first", "the first layer alone", 0.2, "2 shares (0.5, 3.2 layers) it "),
])  # fmt: skip
def test_each_verdict_on_selective_rollout_follows_its_own_interval(row, name, rival, limit, start, sign):
    """The interval just misses zero, then just holds it; the selected threshold's is the wider one."""
    other = {"fifth": gap("over_first", -1.0)} if row == "half" else {}
    for value, said in ((sign * (limit + 0.01), WORDS[sign]), (sign * (limit - 0.01), WORDS[0])):
        text = selective_rollout.summary(selective(**{row: gap(name, value)}, **other), SCALED)
        assert f"{start}{said} {rival} (difference of medians {value:+.2f} [" in text
        assert sum(text.count(word) for word in (WORDS[1], WORDS[-1])) == (said != WORDS[0])


OF_TABLES = {"scale": "s", "command": "c", "selective_rollout": {"layer": None}}


def test_the_table_of_selective_rollout_has_each_number_in_its_column():
    """Every number differs: the corrected medians and differences by reference, then those as published."""
    chosen = (
        gap("over_rollout", 0.21)
        | gap("over_first", 0.22)
        | {"median": 0.11, "median_lower": 0.01, "median_upper": 0.51}
    )
    frame = selective(
        sum=chosen | {"used": 3.25}, norm=gap("over_rollout", 0.24) | {"median": 0.13}, product=gap("over_rollout", 0.26) | {"median": 0.15},
        printed={"median": 0.17, "ratio": 0.28, "ratio_lower": 0.18, "ratio_upper": 0.38, "published_value": 6.5}, joint={"median": 0.19, "used": nan},
    ).assign(dataset="sst2", model="m_1", examples=9, seeds="0 1", interval="i", published_checkpoint="other", published_source="p", published_verdict="not comparable", published_why="w")  # fmt: skip
    frame = frame[(frame["definition"] == "corrected") | (frame["threshold"] != 0.5)]
    text = selective_rollout.latex(frame, OF_TABLES)
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert lines[1] == (
        r"Readout, threshold & median & less rollout & less first layer & median & less rollout & median & less rollout & median & "
        r"ratio to rollout & layers used \\"
    )
    assert lines[0].count("multicolumn") == 5 and r"{3}{c}{$|\sum_d g|$, corrected}" in lines[0]
    assert (
        r"{2}{c}{$\|g\|_2$} & \multicolumn{2}{c}{$|g \cdot x|$} & \multicolumn{2}{c}{$|\sum_d g|$, as published}"
        in lines[0]
    )
    assert next(line for line in lines if line.startswith("Selective rollout (max), 1 ")) == (
        r"Selective rollout (max), 1 & $0.11_{0.01}^{0.51}$ & $0.21_{0.11}^{0.31}$ & $0.22_{0.12}^{0.32}$ & $0.13_{0.20}^{0.40}$ & "
        r"$0.24_{0.14}^{0.34}$ & $0.15_{0.20}^{0.40}$ & $0.26_{0.16}^{0.36}$ & $0.17_{0.20}^{0.40}$ & $0.28_{0.18}^{0.38}$ & $3.2$ \\"
    )
    joint = next(line for line in lines if line.startswith("Rollout (max) "))
    assert joint.startswith(r"Rollout (max) & $0.19_{0.20}^{0.40}$ & ") and joint.endswith(r" & -- & -- \\")
    for sentence in (
        r"Selective rollout and the input gradient: SST-2, m\_1, layer 10. Measured as published, at layer 10",
        "Scale: s; N = 9 examples; mean over seeds 0, 1; intervals: i.",
        "Correlation with the input gradient $g$ over the tokens of a text: with its sum over features, as in print, one arbitrary "
        "direction; with its norm; with its product with the input $x$. First block: maximum over rows, as published; second: the "
        r"explained position's row. Scaled thresholds are shares of $\sqrt{n/2}$. Index and exponent: the interval's ends, of medians "
        "over several seeds by resamples of examples and a jackknife over seeds; no ratio where rollout's median is not surely "
        r"positive. All layers, means, deviations: selective\_rollout.csv.",
        "Ratio in print: 6.5, layer 10. In print (another checkpoint than this model): p. Verdict on ours: not comparable (w).",
    ):  # fmt: skip
        assert sentence in text


def test_the_layer_of_the_summary_is_the_last_but_one():
    layer = selective_rollout.shown_layer
    assert [layer(depth, OF_TABLES) for depth in (1, 2, 6, 12)] == [0, 0, 4, 10]
    assert [layer(6, {"selective_rollout": {"layer": wished}}) for wished in (0, 5, 9)] == [0, 5, 5]


# ------------------------------------------------------------------------------------ agreement and comprehensiveness


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.01, 0.9), "closer agreement with the gradient goes with higher comprehensiveness"),
        ((-0.9, -0.01), "closer agreement with the gradient goes with lower comprehensiveness"),
        ((-0.01, 0.9), "it is not told whether agreement with the gradient goes with comprehensiveness"),
        ((-0.9, 0.01), "it is not told whether agreement with the gradient goes with comprehensiveness"),
    ],
)
def test_agreement_with_the_gradient_word_by_word(ends, said):
    lower, upper = ends
    row = {"readout": "", "label": "over all methods (9)", "comp": 0.456, "comp_lower": lower, "comp_upper": upper,
           "suff": 0.1, "suff_lower": -upper, "suff_upper": -lower}  # fmt: skip
    few = {
        **row,
        "label": "over methods of attention (3)",
        **dict.fromkeys(("comp_lower", "comp_upper"), nan),
    }
    own = {**row, "readout": "alti", "label": "ALTI", "comp_lower": 5.0, "comp_upper": 6.0}
    text = gradient_vs_comprehensiveness.summary(pd.DataFrame([own, row, few]))
    assert text == (
        f"Over all methods (9) {said}: rank correlation 0.46 [{lower:.2f}, {upper:.2f}]. "
        "Over methods of attention (3) nothing is said: too few of them for an interval."
    )


def test_the_table_of_agreement_has_each_number_in_its_column():
    def row(readout, label, first, control=False):
        found = {
            "readout": readout,
            "label": label,
            "control": control,
            "examples": 9,
            "seeds": "0",
            "interval": "i",
        }
        for name, value in zip(("spearman", "comp", "suff"), (first, first + 0.1, first + 0.2), strict=True):
            found |= {name: value, f"{name}_lower": value - 0.01, f"{name}_upper": value + 0.02}
        return found

    frame = pd.DataFrame(
        [
            row("random", "Random", 0.5, True),
            row("alti_published", "x", 0.1),
            row("", "over all methods (9)", 0.3),
        ]
    )
    text = gradient_vs_comprehensiveness.latex(frame.assign(dataset="sst2", model="m"), OF_TABLES)
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert lines == [
        r"Readout & $\rho$ with input gradient & comp $\uparrow$ & suff $\downarrow$ \\",
        r"ALTI$^\dagger$ & $0.100_{0.090}^{0.120}$ & $0.200_{0.190}^{0.220}$ & $0.300_{0.290}^{0.320}$ \\",
        r"Random & $0.500_{0.490}^{0.520}$ & $0.600_{0.590}^{0.620}$ & $0.700_{0.690}^{0.720}$ \\",
        r"over all methods (9) & $0.300_{0.290}^{0.320}$ & $0.400_{0.390}^{0.420}$ & $0.500_{0.490}^{0.520}$ \\",
    ]
    assert text.count(r"\midrule") == 3
    for sentence in (
        "Agreement with the input gradient, and faithfulness: SST-2, m. Over all methods (9) closer agreement with the gradient goes "
        "with higher comprehensiveness: rank correlation 0.40 [0.39, 0.42].",
        "Comp and suff: protocol standard, of whole texts. Last block: Spearman's correlation over methods, each by the mean over its "
        "readouts, between the first column and each of the others; controls, published twins, maxima over rows and noise do not "
        "count. Its interval resamples methods, seeds and examples. Index and exponent: the interval's ends.",
    ):  # fmt: skip
        assert sentence in text


# -------------------------------------------------------------------------------------------------- network diffusion


def diffused(map_, metric, verdict, against, gain, **more):
    return {"dataset": "mnist", "model": "vim", "protocol": "patches", "fill": "black", "map": map_, "metric": metric,
            "verdict": verdict, "against": against, "difference": gain, "difference_lower": gain - 0.01,
            "difference_upper": gain + 0.02, **more}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.permutations(("better", "worse", "not told apart"), 2))
)
def test_network_diffusion_word_by_word(first, second):
    frame = pd.DataFrame([
        diffused("rollout_diffused", "positive_auc", first, "rollout_normalised", -0.05),
        diffused("rollout_diffused", "negative_auc", second, "rollout_normalised", 0.03),
        diffused("raw", "positive_auc", "worse", "random", 0.1), diffused("raw", "negative_auc", "better", "random", 0.1),
        diffused("rollout", "positive_auc", "better", "random", 0.1), diffused("rollout", "negative_auc", "worse", "random", 0.1),
        diffused("attribution", "positive_auc", "not told apart", "random", 0.1),
        diffused("raw_published", "positive_auc", "worse", "random", 0.1), diffused("centre", "positive_auc", "worse", "random", 0.1),
        diffused("attribution_diffused", "positive_auc", "worse", "attribution_normalised", 0.1),
    ])  # fmt: skip
    assert network_diffusion.summary(frame) == (
        "MNIST, vim, patches set to black, 0 to 90% of them: beside the same steps without it, the diffusion of the rollout is "
        f"{first} (-0.050 [-0.060, -0.030]) with the relevant ones first and {second} (+0.030 [+0.020, +0.050]) with the irrelevant "
        "ones first. Worse than random with the relevant ones first: Raw attention."
    )
    pixels = frame[frame["map"] != "raw"].assign(protocol="chefer")
    assert network_diffusion.summary(pixels) == (
        "MNIST, vim, pixels set to black, 10 to 90% of them: beside the same steps without it, the diffusion of the rollout is "
        f"{first} (-0.050 [-0.060, -0.030]) with the relevant ones first and {second} (+0.030 [+0.020, +0.050]) with the irrelevant "
        "ones first."
    )


def test_directions_of_the_metrics_of_images():
    """Lower is better where the relevant go first, higher where they stay or where ink is met."""
    lower = {name for name, (heading, direction) in network_diffusion.METRICS.items() if direction == -1}
    assert lower == {"positive_auc", "positive_probability_auc"}
    for name, (heading, direction) in network_diffusion.METRICS.items():
        assert abs(direction) == 1
        assert (", relevant first" in heading) == name.startswith("positive")
        assert (", irrelevant first" in heading) == name.startswith("negative")


def test_what_a_map_is_compared_with():
    wanted = {
        "raw": "random", "rollout": "random", "rollout_published": "random", "rollout_normalised": "random",
        "rollout_diffused": "rollout_normalised", "rollout_diffused_published": "rollout_normalised_published",
        "attribution_diffused": "attribution_normalised", "rollout_heat": "rollout_normalised",
        "rollout_pagerank": "rollout_normalised", "rollout_enhanced": "rollout_normalised", "gradient_x_input": "random",
    }  # fmt: skip
    assert {name: network_diffusion.against(name) for name in wanted} == wanted


# -------------------------------------------------------------------------------------------------------- causal graphs


def test_verdicts_after_holm():
    said = causal.verdict_of
    assert [said(0.1, 0.05, 0.95), said(-0.1, 0.05, 0.95)] == ["better", "worse"]
    assert [said(gain, 0.051, 0.95) for gain in (0.1, -0.1)] == ["not told apart"] * 2
    assert said(0.1, nan, 0.95) == "not told apart"
    assert [said(gain, 0.0, 0.95, ("higher", "lower")) for gain in (0.1, -0.1)] == ["higher", "lower"]


def test_differences_of_pairs_are_higher_lower_or_not_told_apart():
    """Sixteen graphs, known gains of plus and minus one and none, with a little noise."""
    draw = np.random.default_rng(2)
    index = pd.MultiIndex.from_product([range(8), range(2)])
    gaps = pd.DataFrame({gain: gain + draw.normal(0, 0.1, 16) for gain in (1.0, -1.0, 0.0)}, index=index)
    found = causal.differences(gaps, {"bootstrap": {"level": 0.95, "resamples": 100}})
    assert [row["verdict"] for row in found] == ["higher", "lower", "not told apart"]
    assert [row["mean"] for row in found] == pytest.approx(gaps.mean().tolist())
    assert all(row["lower"] < row["mean"] < row["upper"] for row in found)


def test_bands_word_by_word():
    assert causal.held(0.5, 0.9, ">=", 0.5) == {"sense": ">=", "bound": 0.5, "holds": "holds"}
    assert causal.held(0.1, 0.4, ">=", 0.5)["holds"] == "does not hold"
    assert causal.held(0.1, 0.5, ">=", 0.5)["holds"] == "not told"
    assert causal.held(0.1, 0.5, "<=", 0.5)["holds"] == "holds"
    assert causal.held(0.6, 0.9, "<=", 0.5)["holds"] == "does not hold"
    assert causal.held(0.5, 0.9, "<=", 0.5)["holds"] == "not told"
    bands = pd.DataFrame(
        {"name": ["a", "b", "c", "d"], "holds": ["holds", "does not hold", "not told", "does not hold"]}
    )
    assert causal.unheld(bands, "name") == (
        "Bands that do not hold: b; d. Bands that are not told, as their intervals hold the bound: c."
    )
    assert causal.unheld(bands[:2], "name") == "Bands that do not hold: b."
    assert (
        causal.unheld(bands[2:3], "name") == "Bands that are not told, as their intervals hold the bound: c."
    )
    assert causal.unheld(bands[:1], "name") == "All bands hold."
    assert causal.SENSES == {"<=": r"\le", ">=": r"\ge"}


def test_notes_on_causal_graphs_word_by_word():
    assert causal.scored_on(7, 0.5) == "Over 7 test images that no graph was learnt from (50% of each class)."
    assert (
        causal.scored_on(7, 0.0)
        == "Over all 7 test images, those that the graphs were learnt from among them, as published."
    )
    options = {"scale": "s", "bootstrap": {"level": 0.95, "resamples": 9}}
    assert causal.provenance(options, graphs=1, seeds="0", images=[30, 30]) == (
        "Scale: s; N = 1 graph (a class of a seed each; seed 0), 30 images each; intervals: 95% percentile bootstrap over classes, "
        "9 resamples, for this checkpoint (one training seed)."
    )
    assert causal.provenance(options, graphs=4, seeds="0 1", images=[20, 30]) == (
        "Scale: s; N = 4 graphs (a class of a seed each; seeds 0, 1), 20 to 30 images each; intervals: 95% over training seeds and "
        "classes (two-way layout, Satterthwaite's degrees of freedom)."
    )
    graphs = {"test": "welch", "correction": "none", "intervention": "soft"}
    assert causal.made(graphs) == "Graphs: welch test, correction none, soft interventions."
    assert [causal.some(count, 3) for count in range(4)] == [
        "no graph",
        "1 of 3 graphs",
        "2 of 3 graphs",
        "all 3 graphs",
    ]
    assert [causal.some(count, 1) for count in range(2)] == ["no graph", "the one graph"]
    rows = pd.DataFrame(
        {"published_source": ["a", "b", "a"], "verdict": "magnitude only", "why": ["x", "y", "z"]}
    )
    assert causal.released_note(rows) == "Released: a; b. Magnitude only: x."


def test_a_released_number_of_other_settings_is_not_comparable():
    entry = {"dataset": "mnist", "verdict": "magnitude only", "why": "no seed", "test": "welch", "correction": "none",
             "intervention": "hard"}  # fmt: skip
    same = {"dataset": "mnist", "test": "welch", "correction": "none", "intervention": "hard"}
    assert causal._verdict(entry, same) == {"verdict": "magnitude only", "why": "no seed"}
    assert causal._verdict(entry, {"dataset": "mnist"}) == {"verdict": "magnitude only", "why": "no seed"}
    for name, value, why in (
        ("dataset", "digits", "MNIST there, Digits here; no seed"), ("test", "paired", "no seed; test: welch there, paired here"),
        ("correction", "bh", "no seed; correction: none there, bh here"),
        ("intervention", "soft", "no seed; intervention: hard there, soft here"),
    ):  # fmt: skip
        assert causal._verdict(entry, same | {name: value}) == {"verdict": "not comparable", "why": why}


@pytest.mark.parametrize("recall", ["higher", "lower", "not told apart"])
@pytest.mark.parametrize("auc", ["higher", "lower", "not told apart"])
def test_pruning_word_by_word(recall, auc):
    means = {
        ("ablate_causal", "recall"): 0.123, ("ablate_random", "recall"): 0.876, ("ablate_causal", "auc"): 0.7114,
        ("ablate_random", "auc"): 0.9225, ("graph", "weight_share"): 0.05, ("graph_layer", "auc"): 0.834,
        ("base", "auc"): 0.9876, ("graph_layer", "recall"): 0.456,
    }  # fmt: skip
    rows = [
        {"kind": "condition", "condition": c, "measure": m, "mean": v, "seed": "all"}
        for (c, m), v in means.items()
    ]
    verdicts = {"recall": recall, "auc": auc}
    rows += [
        {"kind": "difference", "condition": "ablate_random less ablate_causal", "measure": m, "verdict": v, "seed": "all"}
        for m, v in verdicts.items()
    ]  # fmt: skip
    rows += [
        {"kind": "difference", "condition": "graph_layer less base", "measure": m, "verdict": "none"}
        for m in verdicts
    ]
    rows += [{"kind": "band", "condition": "some band", "seed": seed, "holds": holds}
             for seed, holds in (("0", "does not hold"), ("all", "holds"))]  # fmt: skip
    cut = {
        "higher": "less than without random ones: the nodes found carry recall",
        "lower": "more than without random ones: the nodes found carry less recall than others",
        "not told apart": "not told apart from random ones",
    }[recall]
    order = {
        "higher": "is lower too, so the logit loses its order as well",
        "lower": "is higher, so the logit's order does not suffer",
        "not told apart": "is not told apart, so no loss of the logit's order is shown",
    }[auc]
    assert causal_pruning.summary(pd.DataFrame(rows)) == (
        "Without its causal nodes of the last layer, 12% of a class are still recognised, without as many random ones 88%: "
        f"{cut}. The AUC of its logit (0.711 against 0.922) {order}. The graph alone, 5% of the weights, ranks a class's images with "
        "an AUC of 0.83, the whole network with 0.988; its recall of 0.46 means little, for the logits of the other classes lose "
        "their weights too: the AUC is the honest number. All bands hold."
    )


def test_bands_of_pruning_are_those_of_the_specification():
    """Recall falls without causal nodes and hardly without others; each reads its own two conditions."""
    assert {name: (sense, bound) for name, (_, sense, bound) in causal_pruning.BANDS.items()} == {
        "recall without causal nodes": ("<=", 0.40), "recall without random nodes": (">=", 0.80),
        "recall without non-causal edges, less base": (">=", -0.05),
        "recall without random nodes, less without causal": (">=", 0.40),
        "recall without non-causal nodes, less without random": (">=", -0.02), "AUC of the graph alone": (">=", 0.80),
    }  # fmt: skip
    values = {
        "base": 1,
        "drop_non_causal": 2,
        "ablate_causal": 4,
        "ablate_random": 8,
        "ablate_non_causal": 16,
        "graph_layer": 32,
    }
    cells = {
        (measure, name): scale * value
        for measure, scale in (("recall", 1), ("auc", 100))
        for name, value in values.items()
    }
    assert [value(cells) for value, _, _ in causal_pruning.BANDS.values()] == [4, 8, 1, 4, 8, 3200]


def test_the_table_of_pruning_says_what_is_taken_from_what():
    numbers = itertools.count(100)
    rows, common = [], {"graphs": 4, "seeds": "0 1", "draws": 3, "interval": "i", "test": "welch", "correction": "none",
                        "intervention": "soft", "examples": 7, "held_out": 0.5}  # fmt: skip

    def add(kind, condition, measure, **more):
        value = next(numbers) / 1000
        rows.append({"kind": kind, "condition": condition, "measure": measure, "mean": value, "lower": value - 0.1,
                     "upper": value + 0.1, "seed": "all", **common, **more})  # fmt: skip

    for condition, measure in itertools.product(causal_pruning.CONDITIONS, ("recall", "auc")):
        add("condition", condition, measure)
    add("condition", "graph", "node_share")
    add("condition", "graph", "weight_share")
    for (one, other), measure in itertools.product(causal_pruning.DIFFERENCES, ("recall", "auc")):
        add(
            "difference",
            f"{one} less {other}",
            measure,
            verdict="higher" if measure == "recall" else "not told apart",
        )
    for seed in ("0", "1", "all"):
        add("band", "some band", "recall", sense="<=", bound=0.4, holds="not told", seed=seed)
    frame = pd.DataFrame(rows).assign(dataset="digits", model="m")
    text = causal_pruning.latex(frame, {"scale": "s", "command": "c"})
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]

    def shown(value):
        return rf"${value:.3f}_{{{value - 0.1:.3f}}}^{{{value + 0.1:.3f}}}$"

    labels = ["whole network", "last layer without non-causal nodes", "last layer without causal nodes", r"\dots{} without as many random nodes",
              r"\dots{} without as many non-causal nodes", "graph alone: only edges into effects cut",
              "graph alone: all other weights cut"]  # fmt: skip
    wanted = [r"Network & Recall of the class $\uparrow$ & AUC of its logit $\uparrow$ \\"]
    wanted += [
        rf"{label} & {shown(0.1 + place / 500)} & {shown(0.101 + place / 500)} \\"
        for place, label in enumerate(labels)
    ]
    wanted += [
        rf"share of the nodes in the graph & {shown(0.114)} & -- \\",
        rf"share of the weights in the graph & {shown(0.115)} & -- \\",
    ]
    pairs = ["without random less without causal", "without non causal less without random", "drop non causal less base",
             "graph layer less base"]  # fmt: skip
    wanted += [
        rf"{pair} & {shown(0.116 + place / 500)} (higher) & {shown(0.117 + place / 500)} (not told apart) \\"
        for place, pair in enumerate(pairs)
    ]
    wanted += [rf"some band & {shown(0.126)} ($0.12$, $0.12$) & $\le 0.4$: not told \\"]
    assert lines == wanted
    for sentence in (
        "Pruning by causal graphs: Digits, m. In plain words: Without its causal nodes of the last layer, 10\\% of a class",
        "Scale: s; N = 4 graphs (a class of a seed each), seeds 0, 1, 3 random draws; intervals (index and exponent): i.",
        "Graphs: welch test, correction none, soft interventions. Over 7 test images that no graph was learnt from (50\\% of each "
        "class). Third part: differences in pairs, Holm-adjusted over all of them. Fourth part: bands of our specification, "
        "calibrated on one seed of digits, over all graphs (and by seed); a band is not told where the interval holds its bound. "
        "Nothing of this was released.",
    ):  # fmt: skip
        assert sentence in text


@pytest.mark.parametrize("rate", ["lower", "higher", "not told apart"])
@pytest.mark.parametrize("images", ["lower", "higher", "not told apart"])
def test_stability_word_by_word(rate, images):
    def row(kind, strength, mean, layer="fc3", **more):
        return {"kind": kind, "strength": strength, "mean": mean, "layer": layer, "class": "all", "measure": "appearance_rate",
                "seed": "all", **more}  # fmt: skip

    rows = [
        row("strength", 0.0, 91.2), row("strength", 0.2, 70.0), row("strength", 0.5, 33.4),
        row("strength", 0.0, 1.0, measure="set_size"), row("strength", 0.0, 2.0, **{"class": "3"}),
        row("noise", 0.1, 0.99), row("noise", 0.2, 0.42, "fc1"), row("noise", 0.2, 0.66, "fc2"),
        row("subsample", 30.0, 0.98), row("subsample", 10.0, 0.21, "fc1"), row("subsample", 10.0, 0.39, "fc2"),
        row("difference", None, 0.0, difference=rate), row("difference", None, 0.0, measure="jaccard", difference=images),
        row("band", 0.4, 0.0, measure="a band", holds="does not hold"),
        row("band", 0.4, 0.0, measure="a band", holds="not told") | {"seed": "1"},
    ]  # fmt: skip
    falls = {
        "lower": "falls with intervention strength", "higher": "rises with intervention strength",
        "not told apart": "is not told apart at the two ends of intervention strength",
    }[rate]  # fmt: skip
    hang = {
        "lower": ": graphs hang on the images more than on noise", "higher": ": graphs hang on noise more than on the images",
        "not told apart": ": not told apart from noise",
    }[images]  # fmt: skip
    first = f"The mean appearance rate of the causes at fc3 {falls}, from 91% at 0 to 33% at 0.5."
    noise = "Under the strongest noise (0.2) the causes overlap with the graph's by 0.42 to 0.66 (Jaccard, by layer)."
    fewer = "Learnt from 10 images, by 0.21 to 0.39"
    bands = "Bands that do not hold: a band, seed all. Bands that are not told, as their intervals hold the bound: a band, seed 1."
    frame = pd.DataFrame(rows)
    assert causal_stability.summary(frame) == f"{first} {noise} {fewer}{hang}. {bands}"
    assert causal_stability.summary(frame[frame["kind"] != "noise"]) == f"{first} {fewer}. {bands}"
    assert causal_stability.summary(frame[frame["kind"].isin(["noise", "difference"])]) == noise


def test_sizes_of_graphs_word_by_word():
    row = {"layer": "all", "class": "mean", "graphs": 4, "intervention": "hard", "lower": 5.1, "upper": 7.9, "candidates": 50.0,
           "nodes": 6.54, "by_test": 4.04, "fallback": 3, "single": 1, "truncated": 0, "test": "welch"}  # fmt: skip
    start = (
        "Of 50 nodes that feed the tested layers, 6.5 [5.1, 7.9] (13%) are causes of a class, on average. 4.0 of them passed the "
        "test: where their connections to the part of the graph above them are cut, the class's logit falls by more than the test "
        "allows for chance."
    )
    fallback = (
        " The other 2.5 did not: in 3 of 4 graphs some layer has no node that passes, and those whose mean effect is below -0.1% of "
        "the mean logit are taken instead (the fallback)."
    )
    single = " In 1 of 4 graphs, some layer has one cause alone."
    welch = (
        " The published test compares two independent samples although the same images are measured twice, so it misses small "
        "effects: that a node is not in the graph does not show that it does nothing."
    )
    frame = pd.DataFrame([{**row, "class": "3", "nodes": 99.0}, {**row, "layer": "fc1", "nodes": 98.0}, row])
    said = causal_graphs.summary
    assert said(frame) == f"{start}{fallback}{single} No graph ended early for want of a cause.{welch}"
    plain = frame.assign(fallback=0, single=0, truncated=4, test="paired", intervention="soft", lower=nan)
    assert said(plain) == (
        start.replace(" [5.1, 7.9]", "").replace("are cut", "are set to almost nothing")
        + " All 4 graphs ended early for want of a cause."
    )


def test_the_table_of_sizes_marks_what_was_cut_and_what_passed_no_test():
    common = {"test": "welch", "correction": "none", "intervention": "hard", "candidates": 20, "seeds": "0 1", "published_source": "p",
              "verdict": "magnitude only", "why": "w"}  # fmt: skip

    def graph(label, seed, nodes, **more):
        return [{"class": str(label), "label": f"class {label}", "seed": str(seed), "layer": layer, "nodes": count, "examples": 30 + seed, "examples_most": 30 + seed, "graphs": 1,
                 "truncated": 0, "fallback": 0, "published_value": nan, **common, **more}
                for layer, count in zip(("fc", "all"), (nodes, 2 * nodes), strict=True)]  # fmt: skip

    whole = {"class": "mean", "label": "mean", "seed": "mean", "graphs": 4, "examples": 28, "examples_most": 31, "lowest": 2, "highest": 9,
             "truncated": 1, "fallback": 1, "single": 0, "by_test": 4.0, "published_value": nan, **common}  # fmt: skip
    rows = [
        *graph(3, 0, 4, published_value=7.0), *graph(3, 1, 6, fallback=1, published_value=7.0), *graph(5, 0, 5, truncated=1), *graph(5, 1, 5),
        {**whole, "layer": "fc", "nodes": 5.0, "lower": 4.0, "upper": 6.0}, {**whole, "layer": "all", "nodes": 10.0, "lower": 8.0, "upper": 12.0},
    ]  # fmt: skip
    options = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 9}}
    text = causal_graphs._table(("mnist", "m"), pd.DataFrame(rows), options)
    assert [line for line in text.splitlines() if line.endswith(r"\\")] == [
        r"Class & N & fc & all \\", r"of & -- & 20 & 20 \\", r"class 3 & 30 & $5_{4}^{6}$+ & $10_{8}^{12}$ \\",
        r"class 5* & 30 & $5_{5}^{5}$ & $10_{10}^{10}$ \\", r"mean & -- & $5.0_{4.0}^{6.0}$ & $10.0_{8.0}^{12.0}$ \\",
        r"lowest to highest & 28--31 & 2--9 & 2--9 \\", r"released, class 3 (magnitude only) & -- & $7$ & $7$ \\",
    ]  # fmt: skip
    for sentence in (
        "Sizes of the causal graphs: MNIST, m. In plain words: Of 20 nodes that feed the tested layers, 10.0 [8.0, 12.0] (50",
        "Scale: s; N = 4 graphs (a class of a seed each; seeds 0, 1), 28 to 31 images each;",
        "Nodes that feed a layer and are causes of the class, of all that feed it. Graphs: welch test, correction none, hard "
        "interventions. Index and exponent: of a class the lowest and the highest seed, of the mean the interval. N: images, the "
        "fewest; *: truncated, what it does not reach counts as 0; +: fallback, no node passed the test.",
        "Released: p. Magnitude only: w.",
    ):  # fmt: skip
        assert sentence in text


# ------------------------------------------------------------------------------------------- metrics of explanations

STABLE = ("lipschitz", "max_sensitivity")
FAITHFUL = ("faithfulness_correlation", "irof")
AXES = (
    dict.fromkeys(STABLE, "robustness")
    | dict.fromkeys(FAITHFUL, "faithfulness")
    | {"sparseness": "complexity"}
)


def explained(verdicts, random="not told apart", testable=True):
    """Rows of causal maps, two gradient methods and two controls; verdicts: metric -> verdict on (saliency, gradient_shap,
    random, input)."""
    names = ("causal", "saliency", "gradient_shap", "random", "input")
    rows = []
    for metric, axis in AXES.items():
        of = dict(zip(names[1:], verdicts.get(metric, ["not told apart"] * 4), strict=True))
        for name in names:
            word = random if metric == "lipschitz" else "better"
            rows.append({"metric": metric, "method": name, "axis": axis, "causal_verdict": of.get(name), "verdict": word,
                         "testable": testable, "seeds": "0 1 2"})  # fmt: skip
    return pd.DataFrame(rows)


B, W, N = "better", "worse", "not told apart"


@pytest.mark.parametrize(
    ("stable", "said"),
    [
        ({"lipschitz": (B, B, W, W), "max_sensitivity": (B, B, W, W)}, "holds"),
        (
            {"lipschitz": (B, B, W, W), "max_sensitivity": (B, N, W, W)},
            "holds by local Lipschitz estimate alone",
        ),
        ({"lipschitz": (B, W, W, W), "max_sensitivity": (N, W, W, W)}, "does not hold"),
        ({"lipschitz": (B, W, B, B), "max_sensitivity": (N, N, B, B)}, "is not told"),
        ({"lipschitz": (W, W, B, B), "max_sensitivity": (B, B, B, B)}, "holds by max-sensitivity alone"),
        ({}, "is not told"),
    ],
)
def test_claims_of_causal_maps_word_by_word(stable, said):
    def counted(metric, places):
        words = stable.get(metric, (N,) * 4)
        chosen = [words[place] for place in places]
        return f"better than {chosen.count(B)}, worse than {chosen.count(W)}, not told apart from {chosen.count(N)}"

    frame = explained({**stable, "irof": (B, W, W, N), "faithfulness_correlation": (B, B, B, N)})
    assert explanation_metrics.summary(frame) == (
        f"Causal, as released: stability against 2 gradient methods: {counted('lipschitz', (0, 1))} by local Lipschitz estimate, "
        f"{counted('max_sensitivity', (0, 1))} by max-sensitivity; faithfulness against 2 gradient methods: better than 2, worse "
        "than 0, not told apart from 0 by faithfulness correlation, better than 1, worse than 1, not told apart from 0 by IROF; "
        "faithfulness against 2 controls: better than 1, worse than 0, not told apart from 1 by faithfulness correlation, better "
        "than 0, worse than 1, not told apart from 1 by IROF. By these tests, that it is more stable than the gradients "
        f"{said} and that it is more faithful than the gradients holds by faithfulness correlation alone."
    )


def test_the_rest_of_the_summary_on_explanations():
    frame = explained({}, random="worse", testable=False)
    first = explanation_metrics.summary(explained({}))
    assert explanation_metrics.summary(frame) == first + (
        " A fixed random map beats every explanation in local Lipschitz estimate: stability alone says nothing, and counts together "
        "with faithfulness above the controls. 3 seeds are too few to tell the best of so many explanations apart."
    )
    # One that is no worse, and it is not said any more; what a control does is of no account.
    for name, beaten in (("saliency", False), ("input", True)):
        other = frame.assign(verdict=frame["verdict"].where(frame["method"] != name, "better"), testable=True)
        assert ("A fixed random map beats" in explanation_metrics.summary(other)) == beaten


def test_directions_of_the_metrics_of_explanations():
    """Robustness is better low, faithfulness high but for the area under pixel flipping; sparse is simple, complex is not."""
    assert {name: (entry.direction, entry.axis) for name, entry in METRICS.items()} == {
        "lipschitz": (-1, "robustness"), "max_sensitivity": (-1, "robustness"), "faithfulness_correlation": (1, "faithfulness"),
        "irof": (1, "faithfulness"), "pixel_flipping": (-1, "faithfulness"), "sparseness": (1, "complexity"),
        "complexity": (-1, "complexity"), "parameter_randomisation": (-1, "randomisation"),
    }  # fmt: skip


def test_the_table_of_explanations_marks_better_worse_and_best():
    def row(method, metric, verdict, best=False, **more):
        return {"method": method, "metric": metric, "axis": METRICS[metric].axis, "mean": 0.5, "lower": 0.4, "upper": 0.6,
                "verdict": verdict, "best": best, "published_value": nan, "tied": nan, "settings": "s", "examples": 9,
                "seeds": "0 1", "interval": "i", "published_source": None, **more}  # fmt: skip

    released = {
        "published_value": 0.287,
        "published_verdict": "not comparable",
        "published_why": "w",
        "published_source": "p",
    }
    frame = pd.DataFrame([
        row("causal", "lipschitz", "better", tied=0.2, **released), row("saliency", "lipschitz", "worse", tied=0.6),
        row("gradient_shap", "lipschitz", "not told apart", best=True), row("random", "lipschitz", None),
    ])  # fmt: skip
    options = {"scale": "s", "command": "c"}
    text = explanation_metrics._table(("mnist", "m"), "robustness", frame, "Said.", options)
    number = "0.500_{0.400}^{0.600}"
    lines = [line for line in text.splitlines() if number.split("_")[0] in line]
    assert [line.split(" & ", 1)[1] for line in lines] == [
        rf"${number}$$+$ & $0.287$ \\", rf"${number}$$-$ & -- \\", r"$\mathbf{0.500}_{0.400}^{0.600}$ & -- \\",
        rf"${number}$ & -- \\",
    ]  # fmt: skip
    assert r"Explanation & Local Lipschitz estimate $\downarrow$ & released \\" in text
    for sentence in (
        "Scale: s; N = 9 images, seeds 0, 1; index and exponent: intervals, i.",
        "Bold: not told apart from the best that is no control, in paired tests, Holm-adjusted over all pairs. Mark: against a "
        "random map, Holm-adjusted; + better, - worse, none: not told apart. Third part: controls. Share of tied pixels or "
        r"segments: Local Lipschitz estimate 40\% (causal maps 20\%).",
        "Local Lipschitz estimate: s.", "Released: p; not comparable: w.",
        "Metrics of the explanations, robustness: MNIST, m. In plain words: Said.",
    ):  # fmt: skip
        assert sentence in text


# -------------------------------------------------------------------------------------------------- published numbers

ENTRY = {"digits": 3, "tolerance": 0.0005, "margin": 0.02, "sample": {"texts": "t", "size": 400, "block": {}}}


def test_a_published_number_is_judged_word_by_word():
    judge, ours = published.judge, published.Ours
    exact = ours(0.2699, 0.2, 0.3, 0.95, 400)
    assert judge(exact, 0.269, ENTRY, determined=True) == (
        "same",
        "the same texts; off by no more than 0.001 (rounding and tolerance)",
    )
    assert judge(exact, 0.259, ENTRY, determined=True) == (
        "differs",
        "the same texts; off by 0.011, more than 0.001 (rounding and tolerance)",
    )
    # Standard errors .005 of 100 texts and .0025 of 400: .00559 of the difference.
    half = 1.959964 * 0.005
    other = [ours(value, value - half, value + half, 0.95, 100) for value in (0.105, 0.115, 0.055)]
    found = [judge(number, 0.1, ENTRY, determined=False) for number in other]
    assert found == [
        ("within sampling error", "other texts; difference +0.005 [-0.006, +0.016], equivalent within 0.02"),
        (
            "differs",
            "other texts; difference +0.015 [+0.004, +0.026], not shown to be equivalent within 0.02",
        ),
        (
            "differs",
            "other texts; difference -0.045 [-0.056, -0.034], not shown to be equivalent within 0.02",
        ),
    ]
    bare = {key: value for key, value in ENTRY.items() if key != "margin"}
    assert (
        judge(other[0], 0.1, bare, determined=False)[1] == "other texts; difference +0.005 [-0.006, +0.016]"
    )
    nothing = ("not comparable", "other texts, and no interval of the difference can be made")
    assert judge(ours(0.1, nan, nan, 0.95, 100), 0.1, ENTRY, determined=False) == nothing
    assert judge(ours(0.1, 0.0, 0.2, 0.95, None), 0.1, ENTRY, determined=False) == nothing
    assert (
        judge(ours(0.1, 0.0, 0.2, 0.95, 100), 0.1, ENTRY | {"sample": {"size": None}}, determined=False)
        == nothing
    )
    assert judge(ours(nan, nan, nan, 0.95, 100), 0.1, ENTRY, determined=True, reasons=["a", "b"]) == (
        "not comparable", "a; b; ours is not defined",
    )  # fmt: skip


def test_a_number_of_one_seed_is_judged_word_by_word():
    judge = published.judge_seed
    assert judge([0.8], 0.8, ENTRY, level=0.95) == (
        "not comparable",
        "one training seed each: no interval of the difference can be made",
    )
    # sd .01, t(2) = 4.3027: +- .0497.
    seeds = [0.79, 0.80, 0.81]
    assert judge(seeds, 0.82, ENTRY, level=0.95) == (
        "within sampling error",
        "another training seed; difference -0.02 [-0.07, +0.03]",
    )
    assert judge(seeds, 0.74, ENTRY, level=0.95) == (
        "differs",
        "another training seed; difference +0.06 [+0.01, +0.11]",
    )


def test_which_checkpoint_a_published_number_is_of():
    entry = {"checkpoint": "textattack/one ; two"}
    hub = {"source": "hub", "epochs": 0}
    one, two = {**hub, "repo": "elsewhere/one"}, {**hub, "repo": "two"}
    assert published.checkpoint(entry, one, two) == "same"
    for models in (
        (two, one),
        (one,),
        (one, {**two, "epochs": 1}),
        (one, {**two, "source": "package"}),
        (one, {**two, "repo": None}),
    ):
        assert published.checkpoint(entry, *models) == "other"
    rows = pd.DataFrame({"published_source": ["a", "b"], "published_checkpoint": "same"})
    assert published.in_print(rows) == "In print: a."
    rows.loc[1, "published_checkpoint"] = "other"
    assert published.in_print(rows) == "In print (another checkpoint than this model): a."


def test_the_mark_of_a_verdict_behind_a_number_in_print():
    marks = {"same": "s", "within sampling error": "w", "differs": "d", "not comparable": "n"}
    for verdict, mark in marks.items():
        assert published.printed(0.25, verdict) == f"$0.250$$^{{{mark}}}$"
        assert f"{mark}, {verdict}" in published.MARKED
    assert published.printed(0.25, "same", "x") == "$0.250$ x$^{s}$"


def test_which_readouts_are_the_corrected_ones():
    corrected = published.is_corrected
    assert (
        corrected("alti", {}) and corrected("globenc", {}) and not corrected("alti", {"corrected": ["alti"]})
    )
    assert not any(
        corrected(name, {}) for name in ("alti_published", "rollout", "norm_rollout", "no_readout")
    )


TARGETS = {  # table -> (entry, [(readout, quantity, where, value, standard deviation)])
    "comp_suff": (
        {"protocol": "published_bins", "values": {"a": [0.1, 0.2]}},
        [("a", "comp, published_bins", {"readout": "a", "texts": "whole", "protocol": "published_bins", "kind": "comp"}, 0.1, None),
         ("a", "suff, published_bins", {"readout": "a", "texts": "whole", "protocol": "published_bins", "kind": "suff"}, 0.2, None)],
    ),
    "agreement": (
        {"reference": "r", "metric": "kendall", "values": {"a": [0.1, 0.2]}},
        [("a", "kendall with r", {"readout": "a", "reference": "r", "metric": "kendall"}, 0.1, 0.2)],
    ),
    "special_tokens": (
        {"values": {"a": [0.1, 0.2]}},
        [("a", "dense rank / n, all tokens", {"readout": "a", "token": "all", "definition": "published"}, 0.1, 0.2)],
    ),
    "isotropy": (
        {"values": {"embeddings": [0.1, 0.2]}},
        [("", "embeddings, layer 0", {"vectors": "embeddings", "layer": 0, "definition": "published"}, 0.1, None),
         ("", "embeddings, layer 1", {"vectors": "embeddings", "layer": 1, "definition": "published"}, 0.2, None)],
    ),
    "seed_consistency": (
        {"metric": "kendall", "values": {"a": {"mean": 0.1, "median": 0.2}}},
        [("a", "kendall, mean over pairs", {"readout": "a", "metric": "kendall"}, 0.1, None),
         ("a", "kendall, median over pairs", {"readout": "a", "metric": "kendall"}, 0.2, None)],
    ),
    "model_consistency": (
        {"metric": "kendall", "other_architecture": "bert", "values": {"a": [0.1, 0.2]}},
        [("a", "kendall with bert", {"readout": "a", "metric": "kendall"}, 0.1, 0.2)],
    ),
    "selective_rollout": (
        {"metric": "spearman_dense", "statistic": "ratio", "layers": [3, 4], "depth": 6, "threshold": 1.0, "values": {"a": [[0.1, None], [0.2, 0.3]]}},
        [("a", f"spearman_dense with input_gradient_published, ratio, layer {layer} of 6",
          {"readout": "a", "depth": 6, "layer": layer, "definition": "published", "metric": "spearman_dense", "threshold": 1.0}, value, sd)
         for layer, value, sd in ((3, 0.1, None), (4, 0.2, 0.3))],
    ),
    "deletion_curves": (
        {"kind": "suff", "values": {"a": [0.1, 0.2]}},
        [("a", f"suff, step {step}", {"readout": "a", "kind": "suff", "step": step}, value, None) for step, value in ((0, 0.1), (1, 0.2))],
    ),
    "network_diffusion": (
        {"protocol": "chefer", "values": {"raw": [17.0, 40.0]}},
        [("raw", "positive_auc", {"map": "raw", "metric": "positive_auc", "protocol": "chefer"}, 0.17, None),
         ("raw", "negative_auc", {"map": "raw", "metric": "negative_auc", "protocol": "chefer"}, 0.4, None)],
    ),
    "causal_graphs": (
        {"class": 3, "values": {"fc": 7}},
        [("", "causes at fc, class 3", {"layer": "fc", "class": "3"}, 7, None)],
    ),
    "causal_stability": (
        {"class": 3, "values": {"set_size": {0.1: 7.5}}},
        [("", "set_size, strength 0.1, class 3", {"kind": "strength", "class": "3", "measure": "set_size", "strength": 0.1}, 7.5, None)],
    ),
    "explanation_metrics": (
        {"metric": "lipschitz", "values": {"causal": [0.1, 0.2]}},
        [("", "lipschitz, causal", {"metric": "lipschitz", "method": "causal"}, 0.1, 0.2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TARGETS)
def test_why_a_published_number_stands_beside_which_row_of_ours(table):
    """Which row of the table has the same definition: as published, and comp, suff, layer, class and direction its own."""
    entry, wanted = TARGETS[table]
    found = published.targets(table, entry)
    assert {target["table"] for target in found} == {table}
    names = ("readout", "quantity", "where", "published", "published_sd")
    assert [tuple(target[name] for name in names) for target in found] == wanted
    statistics = {"seed_consistency": ["mean", "median"], "selective_rollout": ["ratio"] * 2}
    assert [target["statistic"] for target in found] == statistics.get(table, ["mean"] * len(wanted))
    assert set(TARGETS) == set(published_vs_reproduced.TABLES)
    if table == "selective_rollout":
        free = published.targets(table, entry | {"threshold": None})
        assert all("threshold" not in target["where"] for target in free)


def test_why_a_number_is_read_from_its_column():
    row = next(pd.DataFrame([{"mean": 1.0, "lower": 2.0, "upper": 3.0, "ratio": 4.0, "ratio_lower": 5.0, "ratio_upper": 6.0,
                              "median": 7.0, "examples": 8}]).itertuples())  # fmt: skip
    options, number = {"bootstrap": {"level": 0.9}}, published._number
    assert number(row, {"statistic": "mean"}, options) == (1.0, 2.0, 3.0, 0.9, 8)
    assert number(row, {"statistic": "ratio"}, options) == (4.0, 5.0, 6.0, 0.9, 8)
    value, *ends, level, examples = number(row, {"statistic": "median"}, options)
    assert (value, level, examples) == (7.0, 0.9, 8) and np.isnan(ends).all()
    assert number(row._replace(examples=nan), {"statistic": "mean"}, options).examples is None


def test_why_a_number_is_not_compared_word_by_word():
    entry = {"checkpoint": "x/one", "sample": {"texts": "t"}}
    hub = {"source": "hub", "repo": "x/one", "epochs": 0}
    said = published._reasons
    run = {"split": "test"}
    assert said({"readout": "alti_published"}, entry, [hub], [run]) == []
    other = {**hub, "repo": "x/two"}
    assert said({"readout": "rollout"}, entry, [other], [run]) == ["another checkpoint (x/two)"]
    own = {"source": "package", "repo": None, "epochs": 2}
    assert said({"readout": "alti"}, entry, [own, own], [{"split": "validation"}, run]) == [
        "another checkpoint (source package, trained here for 2 epochs)", "other examples (validation split)",
        "the corrected definition, in print another",
    ]  # fmt: skip
    assert said({"readout": "rollout"}, entry, [], []) == []
    assert said({"readout": "rollout"}, entry, [hub], [{}]) == ["of which texts ours is was not told"]


def test_why_a_number_was_not_run_word_by_word():
    entry = {"dataset": "sst2", "architecture": "roberta", "sample": {"dataset": "sst2_drawn"}}
    facts = {("sst2_drawn", "a"): {"architecture": "roberta"}, ("imdb", "b"): {"architecture": "bert"}}
    shown = pd.DataFrame({"source": ["seeds 0 1"]})
    tables = [*published_vs_reproduced.TABLES]

    def said(table, frame=shown, metrics=facts, **changed):
        return published_vs_reproduced._missing(
            {"table": table}, entry | changed, frame, metrics, {"tables": tables}
        )

    assert said("comp_suff") == "not computed for a in this configuration"
    assert said("comp_suff", metrics={}) == "this scale has no SST-2 (it has: )"
    only = {key: value for key, value in facts.items() if key[0] == "imdb"}
    assert said("comp_suff", metrics=only) == "this scale has no SST-2 (it has: imdb)"
    assert said("comp_suff", architecture="distilbert") == "this scale has no distilbert on SST-2"
    assert said("isotropy") == "a has another number of layers than the published model"
    assert (
        said("selective_rollout")
        == "a has another number of layers than the published model, or is no run of the study"
    )
    assert said("selective_rollout", frame=pd.DataFrame()) == "not computed for a in this configuration"
    assert said("network_diffusion") == "this scale has no such roberta on SST-2, or not this number of it"
    released = "not among the released matrices; released_seeds: mirror or url has all readouts"
    assert (
        said("seed_consistency")
        == said("seed_consistency", frame=pd.DataFrame())
        == "released_seeds is not set in this configuration"
    )
    assert said("seed_consistency", frame=pd.DataFrame({"source": ["released scores"]})) == released
    tables.remove("agreement")
    assert said("agreement") == "table agreement is not in `tables` of this configuration"


def test_of_what_sample_ours_is():
    text = published._sample_text
    row = next(pd.DataFrame({"dataset": ["sst2"]}).itertuples())
    assert text(row, []) == "the released arrays"
    assert text(row, [{"examples": None, "split": "test"}]) == "SST-2: all of the test split"
    assert text(row, [{"examples": 9, "split": "validation"}]) == "SST-2: first 9 of the validation split"


def test_the_verdict_of_a_study_is_taken_over():
    rows = pd.DataFrame([
        {"published_value": value, "published_source": "s", "layer": "fc", "class": "3", "nodes": 8.0, "verdict": verdict, "why": "w",
         "lower": 7.0, "upper": 9.0, "model": "m", "examples": 5, "seeds": "0", "interval": "i", "dataset": "mnist"}
        for value, verdict in ((6.0, "magnitude only"), (6.0, "differs"), (nan, "same"))
    ])  # fmt: skip
    target = {"table": "causal_graphs", "where": {"layer": "fc", "class": "3"}, "published": 6.0}
    first, second = published_vs_reproduced._taken(target, {"source": "s"}, rows)
    assert (first["verdict"], first["why"]) == ("not comparable", "magnitude only: w")
    assert (second["verdict"], second["why"]) == ("differs", "w")
    assert (first["ours"], first["difference"], first["lower"], first["upper"]) == (8.0, 2.0, 7.0, 9.0)
    assert (first["our_sample"], first["published_checkpoint"]) == ("MNIST", "other")
    assert not published_vs_reproduced._taken(target, {"source": "t"}, rows)
    assert not published_vs_reproduced._taken(
        target | {"where": {"layer": "fc", "class": "4"}}, {"source": "s"}, rows
    )
    assert not published_vs_reproduced._taken(target, {"source": "s"}, pd.DataFrame())


@pytest.mark.slow
def test_the_classifiers_numbers_are_taken_over():
    ours = pd.DataFrame([{"quantity": "test accuracy", "model": "m", "ours": 0.8, "lower": 0.7, "upper": 0.9, "difference": -0.05,
                          "examples": 9, "seeds": "0", "interval": "i", "verdict": "differs", "why": "w", "published_checkpoint": "other",
                          "dataset": "imdb"}])  # fmt: skip
    first, second, *_ = published_vs_reproduced._classifier(ours, {})
    names = (
        "model",
        "ours",
        "lower",
        "upper",
        "difference",
        "examples",
        "seeds",
        "interval",
        "verdict",
        "why",
        "our_sample",
    )
    assert [first[name] for name in names] == ["m", 0.8, 0.7, 0.9, -0.05, 9, "0", "i", "differs", "w", "IMDb"]
    assert (second["verdict"], second["why"]) == (
        "not run",
        "table xai_published is not in `tables` of this configuration",
    )


def test_the_summary_of_published_numbers():
    options = {"scale": "s", "command": "c"}
    words = ("same", "same", "within sampling error", "differs", "not comparable", "not run")
    frame = pd.DataFrame({
        "table": "comp_suff", "dataset": "sst2", "architecture": "roberta", "verdict": words, "why": [*"abcdef"],
        "difference": [0.001, -0.002, 0.03, -0.45, 9.0, nan],
    })  # fmt: skip
    text = published_vs_reproduced.latex(frame, options)
    head = "same & within sampling error & differs & not comparable & not run"
    assert (
        rf"Table & Data & Architecture & {head} & largest $|\Delta|$ & why not compared (first reason) \\"
        in text
    )
    assert r"comp\_suff & SST-2 & roberta & 2 & 1 & 1 & 1 & 1 & $0.450$ & e \\" in text
    none = published_vs_reproduced.latex(frame[4:], options)
    assert r"comp\_suff & SST-2 & roberta & 0 & 0 & 0 & 1 & 1 & -- & e \\" in none
    assert r"& 2 & 1 & 1 & 0 & 0 & $0.450$ &  \\" in published_vs_reproduced.latex(frame[:4], options)
    for sentence in (
        "Scale: s; N: 6 rows of published\\_vs\\_reproduced.csv, which has every number with its source, sample count, seeds and "
        "interval.",
        "Same: of the same texts, and off by no more than the rounding in print and the stated tolerance. Within sampling error: of "
        "other texts, and the interval of the difference of two samples holds 0; the CSV says whether the two are shown to be "
        "equivalent within a margin.",
        "Published and reproduced: numbers of each published table by verdict.",
    ):  # fmt: skip
        assert sentence in text


def test_numbers_of_a_sentence_or_document_that_is_not_the_published_one():
    said = xai_published._verdict
    here, entry = {"dataset": "imdb"}, {"dataset": "imdb"}
    assert said(here, "", entry) == {
        "verdict": "not comparable",
        "why": "another checkpoint: the published one was not released",
    }
    assert said(here, "sentence", entry) == {
        "verdict": "not run",
        "why": "this configuration shows another sentence",
    }
    assert said({"dataset": "sst2"}, "", entry) == {
        "verdict": "not run",
        "why": "this scale has another data set (sst2)",
    }


# ------------------------------------------------------------------------------------------------------------- the best


def test_what_is_said_of_the_best_word_by_word():
    plain = pd.DataFrame({"standing": ["best", "worse", ""], "competitors": [3, 3, 0], "seeds": "0 1"})
    bold = (
        "Bold: the best of its block and all that are not told apart from it (paired test on seeds and examples, Holm over all pairs "
        "of the block). Signed and unsigned scores answer different questions and stand apart; definitions as published, noise and "
        "controls take no part."
    )
    assert standing.note(plain) == bold
    few = plain.assign(standing=["best", "not testable", "not testable"])
    assert standing.note(few) == (
        f"{bold} Not testable: 2 training seeds leave too few degrees of freedom for 3 comparisons, so no readout is bold; the "
        "intervals stand for themselves."
    )


@pytest.mark.parametrize("direction", [1, -1])
def test_standing_of_readouts_with_known_means(direction):
    """Two equal and best, one worse, one signed apart, one of no block that competes; in the direction's own sense."""
    draw = np.random.default_rng(4)
    names = ["a", "b", "c", "d", "e"]
    gains = direction * np.array([1.0, 1.0, 0.0, 5.0, 9.0])
    cells = gains + draw.normal(0, 0.1, (1, 80, 5)) + draw.normal(0, 1, (1, 80, 1))
    blocks = ["unsigned", "unsigned", "unsigned", "signed", "control"]
    found = standing.standing(cells, names, direction, 0.95, blocks)
    best, other = (0, 1) if direction * (cells[0, :, 0] - cells[0, :, 1]).mean() > 0 else (1, 0)
    assert (found["standing"][best], found["standing"][other]) == ("best", "not told apart")
    assert found["standing"][2:] == ["worse", "best", ""]
    assert found["best"].tolist() == [True, True, False, True, False]
    assert found["competitors"].tolist() == [3, 3, 3, 1, 0]
    assert (found["rank"][best], found["rank"][other]) == (1, 2)
    assert found["rank"][2:4].tolist() == [3, 1] and np.isnan(found["rank"][4])
    assert found["rank_lowest"][:3].tolist() == [1, 1, 3] and found["rank_highest"][:3].tolist() == [2, 2, 3]
    assert np.isnan(found["p_best"][best]) and found["p_best"][other] > 0.05 > found["p_best"][2]


def test_the_headline_counts_who_is_not_told_apart():
    def row(readout, block, standing, best, competitors, **more):
        return {"dataset": "sst2", "model": "m", "texts": "whole", "protocol": "standard", "kind": "comp", "block": block,
                "readout": readout, "standing": standing, "best": best, "competitors": competitors, "mean": 0.5, "lower": 0.4,
                "upper": 0.6, "interval": "i", **more}  # fmt: skip

    frame = pd.DataFrame([
        row("ig_mean", "signed", "best", True, 3), row("gxi_mean", "signed", "not told apart", True, 3),
        row("gxi_clip", "signed", "worse", False, 3), row("alti", "unsigned", "best", False, 2),
        row("rollout", "unsigned", "not testable", False, 2), row("random", "control", "", False, 0),
        row("alti", "unsigned", "best", True, 1, kind="suff", texts="cut", mean=0.1, lower=nan, upper=nan),
    ])  # fmt: skip
    text = comp_suff._headline(frame, {"scale": "s", "command": "c"})
    lines = [line for line in text.splitlines() if line.startswith("standard &")]
    assert lines == [
        r"standard & whole & comp $\uparrow$ & signed & IG (mean) & $0.500_{0.400}^{0.600}$ & 2 & 3 \\",
        r"standard & whole & comp $\uparrow$ & unsigned & ALTI & $0.500_{0.400}^{0.600}$ & not testable & 2 \\",
        r"standard & cut & suff $\downarrow$ & unsigned & ALTI & $0.100$ & 1 & 1 \\",
    ]
    assert r"Protocol & Texts & Score & Block & Best & mean & alike & of \\" in text and "SST-2, m" in text
    assert (
        "Scale: s. Alike: readouts that are the best or not told apart from it; of: readouts that take part. Index and exponent: "
        "intervals, i." in text
    )
    assert (
        "The best readout by protocol. A protocol is a question of its own: no readout is the best of all."
        in text
    )


def test_the_notes_below_comprehensiveness():
    row = {"protocol": "standard", "examples": 9, "seeds": "0 1", "interval": "i", "standing": "best", "competitors": 1,
           "published_value": 0.3, "published_source": "p", "published_checkpoint": "same"}  # fmt: skip
    frame = pd.DataFrame([row, row | {"protocol": "mask", "examples": 7}, row | {"examples": 8}])
    notes = comp_suff._notes(frame, {"x": 1}, {"scale": "s", "command": "c"})
    assert notes[:2] == [
        "Scale: s; N = 7 to 9 examples; mean over seeds 0, 1; intervals: i.",
        "Examples: standard: 9; masking: 7.",
    ]
    assert notes[2].startswith("Index and exponent: the interval's ends. Bold: the best of its block")
    assert notes[3] == "In print: p." and "as published: the definition behind published numbers" in notes[4]
    assert len(notes) == 6 and len(comp_suff._notes(frame, {}, {"scale": "s", "command": "c"})) == 5


def test_arrows_point_to_the_better_end():
    assert tex.ARROWS == {1: r"$\uparrow$", -1: r"$\downarrow$", 0: ""}


# ------------------------------------------------------------------------------------------- from numbers to verdicts


def test_a_sum_that_leaves_no_more_than_the_limit_is_rounding_noise():
    for left, noise in ((1e-5, True), (1.01e-5, False)):
        text = selective_rollout.summary(selective(printed_joint={"left_of_sum": left}), SCALED)
        assert ("only rounding noise, 1e-05 of the gradient" in text) == noise
        assert ("Of that gradient the sum over features leaves 1e-05" in text) != noise


ONE_SEED = {"resamples": 200, "level": 0.95, "seed": 3}
# Layer, readout, threshold: of two layers, read out at the position's row or by the maximum over rows.
OF_LAYERS = [
    (layer, name + end, threshold)
    for layer in (0, 1)
    for end in ("", "_max")
    for name, threshold in (("rollout", selective_rollout.NONE), ("first_layer", selective_rollout.NONE), ("selective_rollout", 0.5),
                            ("selective_rollout", 1.0))
]  # fmt: skip


def test_medians_are_set_against_the_rival_of_their_layer_and_readout():
    """Every column has its own median; the same noise on all makes each difference of medians one number."""
    noise = np.random.default_rng(1).normal(0, 0.01, 41)
    heights = np.arange(len(OF_LAYERS)) ** 2 / 100 + 0.5
    values = (heights + (noise - np.median(noise))[:, None])[None]
    for rival in ("rollout", "first_layer"):
        found = selective_rollout._differences(values, OF_LAYERS, rival, ONE_SEED)
        for place, (layer, readout, _) in enumerate(OF_LAYERS):
            twin = (layer, f"{rival}_max" if readout.endswith("_max") else rival, selective_rollout.NONE)
            gap = heights[place] - heights[OF_LAYERS.index(twin)]
            assert found[place] == pytest.approx([gap] * 5), (rival, readout)


def test_a_ratio_is_to_the_rollout_of_the_same_layer_readout_and_examples():
    """Rollout's median is .2 at layer 0; its maximum over rows there and both at layer 1 are not surely positive."""
    draw = np.random.default_rng(2)
    noise = np.sort(draw.normal(0, 0.01, 40))
    values = 0.5 + np.zeros((1, 40, len(OF_LAYERS))) + noise[:, None]
    for place, (layer, readout, _) in enumerate(OF_LAYERS):
        if readout == "rollout":
            values[0, :, place] = (0.2 + noise) if layer == 0 else (-0.2 + noise)
        elif readout == "rollout_max":
            values[0, :, place] = noise - np.median(noise)
    fewer = OF_LAYERS.index((0, "selective_rollout", 1.0))
    values[0, 10:, fewer] = np.nan
    medians = stats.resampled_medians(values, resamples=200, seed=3)
    found = selective_rollout._ratios(values, OF_LAYERS, medians, ONE_SEED).value
    for place, (layer, readout, _) in enumerate(OF_LAYERS):
        if layer == 1 or readout.endswith("_max"):
            assert np.isnan(found[place])
        elif place == fewer:  # of the ten lowest examples alone
            assert found[place] == pytest.approx(
                (0.5 + np.median(noise[:10])) / (0.2 + np.median(noise[:10]))
            )
        else:
            wanted = 1.0 if readout == "rollout" else (0.5 + np.median(noise)) / (0.2 + np.median(noise))
            assert found[place] == pytest.approx(wanted)
    later = [
        place for place, (layer, readout, _) in enumerate(OF_LAYERS) if layer == 0 and readout == "rollout"
    ]
    assert found[later].tolist() == pytest.approx([1.0])


METHODS_OF = {  # readout -> (agreement with the gradient, comp, suff); two readouts of ALTI are one method
    "rollout": (0.1, 0.9, 0.1), "selective_rollout": (0.2, 0.8, 0.2), "flow": (0.3, 0.7, 0.3), "globenc": (0.4, 0.2, 0.9),
    "alti": (0.5, 0.3, 0.8), "alti_l2": (0.7, 0.5, 0.6), "grad_l2": (0.9, 0.6, 0.65), "random": (-0.9, 5.0, 5.0),
    "alti_published": (0.9, -5.0, 5.0), "flow_max": (0.95, -5.0, 5.0),
}  # fmt: skip


def claims_over(names, spread=1e-6):
    """Rows of the readouts and of the groups; spread: standard deviation of noise on every number."""
    draw = np.random.default_rng(4)
    noise = draw.normal(0, spread, (3, 1, 30, len(names)))
    cells = {
        quantity: np.array([METHODS_OF[name][place] for name in names]) + noise[place]
        for place, quantity in enumerate(gradient_vs_comprehensiveness.QUANTITIES)
    }
    options = {"bootstrap": {"resamples": 50, "level": 0.95}}
    each = gradient_vs_comprehensiveness._each(cells, names, options, 1).set_index("readout")
    return each, gradient_vs_comprehensiveness._over(cells, names, options, 1).set_index("label")


def test_a_claim_over_methods_is_of_methods_by_family():
    """Over attention comp falls as agreement rises; over all the ranks of methods are correlated by hand."""
    each, over = claims_over(list(METHODS_OF))
    for name, (agreement, comp, suff) in METHODS_OF.items():
        assert each.loc[name, ["spearman", "comp", "suff"]].tolist() == pytest.approx(
            [agreement, comp, suff], abs=1e-5
        )
        assert each.loc[name, "comp_lower"] <= each.loc[name, "comp"] <= each.loc[name, "comp_upper"]
        assert each.loc[name, "counted"] == (name not in ("random", "alti_published", "flow_max"))
    assert set(each["examples"]) == {30}
    # Ranks of agreement 1 to 6; of comp 6, 5, 4, 1, 2 (ALTI: .4) and 3; of suff 1, 2, 3, 6, 5 (ALTI: .7) and 4.
    whole = over.loc["over all methods (6)"]
    assert whole["comp"] == pytest.approx(1 - 6 * (25 + 9 + 1 + 9 + 9 + 9) / (6 * 35))
    assert whole["suff"] == pytest.approx(1 - 6 * (4 + 4) / (6 * 35))
    assert whole["comp_lower"] <= whole["comp_upper"] and whole["methods"] == 6 and whole["examples"] == 30
    few = over.loc["over methods of attention (3)"]
    assert (few["comp"], few["suff"], few["methods"]) == (pytest.approx(-1), pytest.approx(1), 3)
    assert np.isnan(few["comp_lower"])  # three methods are too few for an interval, four are enough


@pytest.mark.parametrize(
    ("count", "number", "interval"), [(1, False, False), (2, True, False), (3, True, False), (4, True, True)]
)
def test_how_many_methods_a_claim_needs(count, number, interval):
    names = ["rollout", "selective_rollout", "flow", "globenc"][:count]
    _, over = claims_over(names)
    row = over.iloc[0]
    assert row.name == f"over all methods ({count})"
    assert [not np.isnan(row["comp"]), not np.isnan(row["comp_lower"])] == [number, interval]
    _, none = claims_over(["globenc", "random"])
    assert none.index.tolist() == ["over all methods (1)", "over methods of attention (0)"]
    assert none["comp"].isna().all()


def test_a_claim_is_of_the_means_and_its_interval_of_resamples():
    """With noise as large as what sets the methods apart: scipy's correlation of the means, method by method."""
    names = [name for name in METHODS_OF if name not in ("random", "alti_published", "flow_max")]
    each, over = claims_over(names, spread=3.0)
    means = each[["spearman", "comp", "suff"]].groupby(each["method"]).mean()
    row = over.loc["over all methods (6)"]
    for name in ("comp", "suff"):
        assert row[name] == pytest.approx(spearmanr(means["spearman"], means[name])[0])
        assert row[f"{name}_lower"] < row[f"{name}_upper"]


def test_what_every_seed_has_is_compared():
    """Of two seeds: texts and readouts that one of them, or one of the quantities, lacks do not count."""

    def rows(shift, seeds, texts, readouts):
        keys = itertools.product(seeds, texts, readouts)
        return pd.DataFrame(
            [
                {"seed": seed, "id": text, "readout": name, "value": shift + 100 * seed + text}
                for seed, text, name in keys
            ]
        )

    frames = {
        "spearman": pd.concat(
            [
                rows(0, [0], range(6), ["alti", "rollout", "random"]),
                rows(0, [1], range(1, 6), ["alti", "rollout"]),
            ]
        ),
        "comp": rows(1000, [0, 1], range(5), ["rollout", "alti", "random"]),
    }
    cells, readouts = gradient_vs_comprehensiveness._crossed(frames)
    assert readouts == ["rollout", "alti"]
    for name, shift in (("spearman", 0), ("comp", 1000)):
        assert cells[name].shape == (2, 4, 2)
        assert cells[name][:, :, 0].tolist() == [
            [shift + 100 * seed + text for text in range(1, 5)] for seed in (0, 1)
        ]


def perturbed(gains, images=30, seeds=(0, 1, 2, 3, 4)):
    """Rows of a metric: map -> gain, with the same noise on all maps of an image but for a little."""
    draw = np.random.default_rng(6)
    shared = draw.normal(0, 0.05, images)
    keys = itertools.product(seeds, range(images), gains)
    return pd.DataFrame([
        {"seed": seed, "id": image, "map": name, "tied": 0.25, "value": 0.5 + gains[name] + shared[image] + draw.normal(0, 0.002)}
        for seed, image, name in keys
    ])  # fmt: skip


@pytest.mark.parametrize(("metric", "direction"), [("positive_auc", -1), ("ink_precision", 1)])
def test_maps_of_images_with_known_gains(metric, direction):
    """Gains in the metric's own direction: a diffused map beside its twin, the others beside noise; the best among readouts."""
    gains = {"raw": -0.2, "rollout": 0.1, "attribution_published": 0.3, "rollout_normalised": 0.1, "rollout_diffused": 0.0,
             "rollout_pagerank": 0.1, "random": 0.0}  # fmt: skip
    part = perturbed({name: direction * gain for name, gain in gains.items()}).rename(
        columns={"value": metric}
    )
    options = {"bootstrap": {"resamples": 50, "level": 0.95}}
    found = {
        row["map"]: row
        for row in network_diffusion._metric(part, metric, options, ("mnist", "vim", "chefer", "black"))
    }
    wanted = {
        "raw": ("random", -0.2, "worse", False), "rollout": ("random", 0.1, "better", True),
        "attribution_published": ("random", 0.3, "better", False), "rollout_normalised": ("random", 0.1, "better", True),
        "rollout_diffused": ("rollout_normalised", -0.1, "worse", False),
        "rollout_pagerank": ("rollout_normalised", 0.0, "not told apart", True),
    }  # fmt: skip
    assert list(found) == list(gains)
    for name, (against, gain, verdict, best) in wanted.items():
        row = found[name]
        assert (row["against"], row["verdict"], row["best"]) == (against, verdict, best), name
        assert row["difference"] == pytest.approx(direction * gain, abs=0.005)
        assert row["difference_lower"] < row["difference"] < row["difference_upper"]
        assert row["difference_upper"] - row["difference_lower"] < 0.02
        assert row["lower"] < row["mean"] < row["upper"] and row["mean"] == pytest.approx(
            part[part["map"] == name][metric].mean()
        )
        assert (row["adjusted_p"] <= 0.05) == (verdict != "not told apart")
    noise = found["random"]
    assert (noise["against"], noise["verdict"], noise["best"]) == (None, None, False)
    assert np.isnan(
        [noise[key] for key in ("difference", "difference_lower", "difference_upper", "adjusted_p")]
    ).all()
    assert {row["direction"] for row in found.values()} == {"higher" if direction > 0 else "lower"}
    assert {(row["examples"], row["tied"]) for row in found.values()} == {(30, 0.25)}
    area = [row["area"] / row["mean"] for row in found.values()]
    assert area == pytest.approx([0.8] * 7) if metric.endswith("_auc") else np.isnan(area).all()


def test_shares_stay_in_their_range_and_images_need_every_map_and_seed():
    part = perturbed({"raw": 0.0, "random": 0.0}, images=6, seeds=(0, 1)).rename(
        columns={"value": "ink_mass"}
    )
    part.loc[(part["seed"] == 1) & (part["id"] == 2) & (part["map"] == "raw"), "ink_mass"] = nan
    cells = network_diffusion.cells_of(part, "ink_mass", ["random", "raw"])
    values = part.set_index(["seed", "id", "map"])["ink_mass"]
    assert cells.tolist() == [
        [[values[seed, image, name] for name in ("random", "raw")] for image in (0, 1, 3, 4, 5)]
        for seed in (0, 1)
    ]
    for height in (0.0, 1.0):
        near = part.assign(ink_mass=abs(height - 0.1 * (part["id"] == 0)))
        options = {"bootstrap": {"resamples": 50, "level": 0.95}}
        rows = list(network_diffusion._metric(near, "ink_mass", options, ("mnist", "vim", "chefer", "black")))
        assert all(0 <= row["lower"] <= row["mean"] <= row["upper"] <= 1 for row in rows)


def test_the_table_of_maps_has_each_number_in_its_column():
    numbers = itertools.count(1)
    rows = []
    for name, metric in itertools.product(
        ("raw", "rollout_normalised", "rollout_diffused", "random"), network_diffusion.METRICS
    ):
        value = next(numbers) / 100
        printed = (
            0.17
            if (name, metric) == ("raw", "positive_auc")
            else 0.4
            if (name, metric) == ("raw", "negative_auc")
            else nan
        )
        rows.append(diffused(name, metric, "better", "random", 0.1, mean=value, lower=value - 0.01, upper=value + 0.02, best=name == "raw",
                             tied=0.5 if metric == "positive_auc" else 9.0, published_value=printed, published_source="p",
                             published_checkpoint="other", published_why="w", examples=9, seeds="0 1", interval="i"))  # fmt: skip
    options = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 9}}
    text = network_diffusion.latex(pd.DataFrame(rows), options)
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]

    def shown(place, bold=False):
        value = f"{place / 100:.3f}"
        value = rf"\mathbf{{{value}}}" if bold else value
        return f"${value}_{{{place / 100 - 0.01:.3f}}}^{{{place / 100 + 0.02:.3f}}}$"

    heads = r"Map & tied & AUC, relevant first $\downarrow$ & in print & AUC, irrelevant first $\uparrow$ & in print & "
    assert lines[0] == heads + r"average precision for ink $\uparrow$ & highest score on ink $\uparrow$ \\"
    wanted = [
        (r"Raw attention & $0.50$", 0, ("$0.170$", "$0.400$"), True), ("Rollout, normalised alone & $0.50$", 7, ("--", "--"), False),
        ("Rollout, diffused & $0.50$", 14, ("--", "--"), False), ("Random & $0.50$", 21, ("--", "--"), False),
    ]  # fmt: skip
    for line, (start, first, printed, bold) in zip(lines[1:], wanted, strict=True):
        cells = [shown(first + place, bold) for place in (1, 2, 5, 7)]
        assert line == " & ".join([start, cells[0], printed[0], cells[1], printed[1], *cells[2:]]) + r" \\"
    assert text.count(r"\midrule") == 3  # maps, diffused ones, controls
    for sentence in (
        "Maps of image models, before and after network diffusion: MNIST, vim. In plain words: MNIST, vim, patches set to black, 0 to 90",
        "Scale: s; N = 9 examples; mean over seeds 0, 1.", "Intervals: i, as index and exponent. Protocol patches: patches set to black, 0 to 90",
        "not divided by it, 0.9 times that.", "In print (another checkpoint than this model): p. w.",
    ):  # fmt: skip
        assert sentence in text


# Appearance rates of two graphs (one class, two seeds) in four runs: at strength 0 all, at .1 half, at .4 a quarter.
def run_of(seed, strength, counts, label=3, **more):
    """Four repetitions that find node 1 as often as `counts` says, and node 2 once."""
    return [{"seed": seed, "class": label, "kind": "strength", "strength": strength, "repetition": place, "layer": "fc3", "u": 0.1,
             "images": 30, "nodes": [1] * (place < counts) + [2] * (place == 3), "jaccard": 0.5, **more} for place in range(4)]  # fmt: skip


BOOTSTRAP = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 50}}


def test_bands_of_appearance_rates_compare_weak_and_strong_ones():
    """Rates (percent, mean over nodes found): node 1 in k of 4 runs and node 2 in one."""
    rows = []
    for seed, counts in ((0, (4, 4, 3, 2, 1)), (1, (4, 2, 4, 4, 3))):
        for strength, count in zip((0.0, 0.1, 0.2, 0.4, 0.5), counts, strict=True):
            rows += run_of(seed, strength, count, label=3)
    frame = pd.DataFrame(rows)
    rates = causal_stability.rates(frame)
    assert rates.loc[(0, 3)].tolist() == [62.5, 62.5, 50.0, 37.5, 25.0]
    bands = {
        (row["measure"], row["seed"]): row for row in causal_stability._bands(frame, BOOTSTRAP, ("d", "m"))
    }
    falls, most = causal_stability.FALLS, causal_stability.MOST_FALL
    # Strengths up to .1, and from .4 on: 31.25 less 62.5; then 56.25 less 50.
    assert [bands[falls, seed]["mean"] for seed in ("0", "1", "all")] == [-31.25, 6.25, -12.5]
    assert [bands[most, seed]["mean"] for seed in ("0", "1", "all")] == [1.0, 0.0, 0.5]
    assert [bands[causal_stability.AT_ZERO, seed]["mean"] for seed in ("0", "1", "all")] == [62.5] * 3
    assert {(row["sense"], row["bound"]) for key, row in bands.items() if key[0] == falls} == {("<=", 0.0)}
    assert {(row["sense"], row["bound"]) for key, row in bands.items() if key[0] == most} == {(">=", 0.9)}
    assert {row["strength"] for key, row in bands.items() if key[0] == causal_stability.AT_ZERO} == {0.0}
    assert [bands[falls, seed]["graphs"] for seed in ("0", "all")] == [1, 2] and bands[falls, "all"][
        "examples"
    ] == 30
    # Sets at strength 0 that differ between runs: images are drawn anew, and 70 is enough; else each run finds the same.
    assert bands[causal_stability.AT_ZERO, "all"]["bound"] == 70.0
    alike = frame.assign(nodes=[[1]] * len(frame))
    found = {row["measure"]: row for row in causal_stability._bands(alike, BOOTSTRAP, ("d", "m"))}
    assert (found[causal_stability.AT_ZERO]["bound"], found[causal_stability.AT_ZERO]["mean"]) == (
        100.0,
        100.0,
    )
    assert found[most]["mean"] == 0.0  # an equal rate falls nowhere
    for left_out, measures in (
        ([0.0], {falls, most}),
        ([0.0, 0.1], set()),
        ([0.4, 0.5], {causal_stability.AT_ZERO}),
    ):
        rest = frame[~frame["strength"].isin(left_out)]
        assert {row["measure"] for row in causal_stability._bands(rest, BOOTSTRAP, ("d", "m"))} == measures
    assert list(causal_stability._bands(frame[:0], BOOTSTRAP, ("d", "m"))) == []


def test_rows_of_strengths_are_of_all_graphs_and_of_the_released_classes():
    rows = [row for seed, count in ((0, 4), (1, 2)) for label in (3, 5) for strength in (0.0, 0.5)
            for row in run_of(seed, strength, count - (label == 5), label=label)]  # fmt: skip
    released = [{"class": 3, "layer": "fc3", "values": {"set_size": {0.5: 7.5}}, "verdict": "v", "why": "w", "source": "p"},
                {"class": 5, "layer": "fc1", "values": {"set_size": {0.5: 9.5}}, "verdict": "v", "why": "w", "source": "p"},
                {"class": 9, "layer": "fc3", "values": {"set_size": {0.5: 9.5}}, "verdict": "v", "why": "w", "source": "p"}]  # fmt: skip
    found = pd.DataFrame(causal_stability._strengths(pd.DataFrame(rows), BOOTSTRAP, ("d", "m"), released))
    every = found[found["class"] == "all"].set_index(["measure", "strength"])
    # Node 1 in 4, 3, 2 and 1 of four runs and node 2 in one: sizes 5/4, 1, 3/4 and 2/4; runs with any 4, 4, 3 and 2 of 4.
    assert every.loc[("set_size", 0.0), "mean"] == (1.25 + 1.0 + 0.75 + 0.5) / 4
    assert every.loc[("nonempty", 0.5), "mean"] == 100 * (4 + 4 + 3 + 2) / 16
    assert every.loc[("appearance_rate", 0.5), "mean"] == (62.5 + 50 + 37.5 + 25) / 4
    assert set(every["graphs"]) == {4} and every["published_value"].isna().all()
    (own,) = found[found["class"] != "all"].to_dict("records")
    assert [own[key] for key in ("class", "measure", "strength", "mean", "published_value", "graphs", "examples")] == [
        "3", "set_size", 0.5, 1.0, 7.5, 2, 30,
    ]  # fmt: skip
    # Two seeds, 1.25 and .75: t(1) = 12.706 standard errors of .25.
    assert (own["lower"], own["upper"]) == pytest.approx((1 - 12.706 * 0.25, 1 + 12.706 * 0.25), rel=1e-4)
    assert own["interval"] == "95% Student's t over training seeds"
    one = pd.DataFrame([row for row in rows if row["seed"] == 0])
    (own,) = [
        row
        for row in causal_stability._strengths(one, BOOTSTRAP, ("d", "m"), released)
        if row["class"] == "3"
    ]
    assert np.isnan([own["lower"], own["upper"]]).all() and own["interval"] == "none: one graph"


def test_the_ends_of_strength_and_the_strongest_noise_are_compared():
    """First less last strength, and the fewest images beside the strongest noise; a middle one would say the opposite."""
    draw = np.random.default_rng(8)
    rows = []
    for seed, label in itertools.product(range(5), range(4)):
        for strength, count in ((0.0, 4), (0.2, 1), (0.5, 2)):
            rows += run_of(seed, strength, count, label)
        for kind, strength, value in (
            ("noise", 0.1, 0.1),
            ("noise", 0.2, 0.8),
            ("subsample", 10.0, 0.3),
            ("subsample", 30.0, 0.95),
        ):
            for layer, shift in (("fc1", 0.1), ("fc2", -0.1)):
                jaccard = value + shift + draw.normal(0, 0.01)
                rows.append({"seed": seed, "class": label, "kind": kind, "strength": strength, "repetition": 0, "layer": layer, "u": 0.1,
                             "images": 15, "nodes": [], "jaccard": jaccard})  # fmt: skip
    frame = pd.DataFrame(rows)
    strong, others = frame[frame["kind"] == "strength"], frame[frame["kind"] != "strength"]
    found = {row["measure"]: row for row in causal_stability._differences(strong, others, BOOTSTRAP)}
    assert found["appearance_rate"]["mean"] == 37.5 - 62.5
    assert (
        found["jaccard"]["mean"] == pytest.approx(0.3 - 0.8, abs=0.02)
        and found["jaccard"]["difference"] == "lower"
    )
    assert [found[name]["layer"] for name in ("appearance_rate", "jaccard")] == ["fc3", "all"]
    assert [found[name]["examples"] for name in ("appearance_rate", "jaccard")] == [30, 15]
    assert found["jaccard"]["graphs"] == 20
    relearnt = {
        (row["kind"], row["strength"], row["layer"]): row
        for row in causal_stability._relearnt(others, BOOTSTRAP, ("d", "m"))
    }
    assert len(relearnt) == 8 and relearnt["noise", 0.2, "fc1"]["mean"] == pytest.approx(0.9, abs=0.01)
    assert (
        relearnt["subsample", 10.0, "fc2"]["lower"] < 0.2 < relearnt["subsample", 10.0, "fc2"]["upper"] + 0.01
    )
    only = list(causal_stability._differences(strong, others[others["kind"] == "noise"], BOOTSTRAP))
    assert [row["measure"] for row in only] == ["appearance_rate"]
    single = strong[strong["strength"] == 0]
    assert [row["measure"] for row in causal_stability._differences(single, others, BOOTSTRAP)] == ["jaccard"]
    assert list(causal_stability._differences(single, others[:0], BOOTSTRAP)) == []


def test_the_tables_of_stability_have_each_number_in_its_column():
    numbers = itertools.count(1)

    def row(kind, strength, measure, layer="fc3", label="all", seed="all", **more):
        value = next(numbers)
        return {"kind": kind, "strength": strength, "measure": measure, "layer": layer, "class": label, "seed": seed, "mean": value,
                "lower": value - 0.5, "upper": value + 0.5, "published_value": nan, "published_source": None, "verdict": None, "why": None,
                "graphs": 4, "seeds": "0 1", "examples": 30, "repetitions": 10, "test": "welch", "correction": "none",
                "intervention": "soft", "difference": "lower", "sense": None, "bound": nan, "holds": None, **more}  # fmt: skip

    released = {"published_value": 77.0, "published_source": "p", "verdict": "magnitude only", "why": "w"}
    rows = [
        row("strength", strength, measure)
        for measure in causal_stability.MEASURES
        for strength in (0.0, 0.05, 0.1)
    ]
    rows += [row("strength", 0.1, "appearance_rate", label="3", **released)]
    rows += [row("noise", strength, "jaccard", layer) for strength in (0.1, 0.2) for layer in ("fc1", "fc2")]
    rows += [row("subsample", 10.0, "jaccard", "fc1")]
    rows += [
        row("band", 0.4, "a band", seed=seed, sense="<=", bound=0.4, holds="not told")
        for seed in ("0", "all")
    ]
    rows += [row("difference", nan, "appearance_rate"), row("difference", nan, "jaccard")]
    text = causal_stability.latex(pd.DataFrame(rows).assign(dataset="mnist", model="m"), BOOTSTRAP)
    strength, jaccard, bands = (
        [line for line in part.splitlines() if line.endswith(r"\\")]
        for part in text.split(r"\begin{table}")[1:]
    )

    def shown(value, digits):
        return rf"${value:.{digits}f}_{{{value - 0.5:.{digits}f}}}^{{{value + 0.5:.{digits}f}}}$"

    heads = " & ".join(["all", "class 3", "released"] * 3)
    assert strength[1] == rf"Strength & {heads} \\"
    assert strength[0].count(r"\multicolumn{3}") == 3 and strength[0].index("appearance rate") < strength[
        0
    ].index("nodes found")
    # Strengths in steps of .1; a class has a number where one was released.
    none = ["--", "--"]
    assert strength[2:] == [
        " & ".join(["0", shown(1, 1), *none, shown(4, 1), *none, shown(7, 1), *none]) + r" \\",
        " & ".join(["0.1", shown(3, 1), shown(10, 1), "$77.0$", shown(6, 1), *none, shown(9, 1), *none])
        + r" \\",
    ]
    assert jaccard == [
        r"Learnt anew with & fc1 $\uparrow$ & fc2 $\uparrow$ \\", rf"noise 0.1 & {shown(11, 2)} & {shown(12, 2)} \\",
        rf"noise 0.2 & {shown(13, 2)} & {shown(14, 2)} \\", rf"10 images & {shown(15, 2)} & -- \\",
    ]  # fmt: skip
    assert bands == [
        r"Band & Seed & Value & Bound &  \\", rf"a band & 0 & {shown(16, 2)} & $\le 0.40$ & not told \\",
        rf"a band & all & {shown(17, 2)} & $\le 0.40$ & not told \\",
    ]  # fmt: skip
    for sentence in (
        "Stability of the causal graphs, intervention strength at fc3: MNIST, m. In plain words: The mean appearance rate",
        "N = 4 graphs (a class of a seed each; seeds 0, 1), 30 images each", "10 repetitions each. Graphs: welch test",
        "Released: p. Magnitude only: w.", "noise and fewer images: MNIST, m.", "what we expect: MNIST, m.",
    ):  # fmt: skip
        assert sentence in text
    assert text.count("In plain words") == 1


def test_what_a_family_of_few_seeds_can_tell():
    """Four seeds test sixteen comparisons: the pairs of six readouts (15), not those of seven (21)."""
    draw = np.random.default_rng(9)
    for count, word, best in ((6, "not told apart", True), (7, "not testable", False)):
        cells = draw.normal(0, 1, (4, 30, count))
        found = standing.standing(cells, ["x"] * count, 1, 0.95, ["signed"] * count)
        assert sorted(set(found["standing"])) == ["best", word]
        assert found["best"].all() == best and found["best"].any() == best
        assert standing.alike(cells, 0.95).tolist() == [True] * count
        part = pd.DataFrame(
            {"standing": found["standing"], "competitors": found["competitors"], "seeds": "0 1 2 3"}
        )
        said = f" Not testable: 4 training seeds leave too few degrees of freedom for {count * (count - 1) // 2} comparisons"
        assert (said in standing.note(part)) != best
    with_gap = draw.normal(0, 1, (1, 30, 3))
    with_gap[0, :, 1] = nan
    found = standing.standing(with_gap, ["a", "b", "c"], 1, 0.95, ["signed", "signed", "signed"])
    assert (
        found["competitors"].tolist() == [2, 2, 2]
        and found["standing"][1] == ""
        and np.isnan(found["rank"][1])
    )
    nothing = standing.standing(np.full((1, 30, 1), nan), ["a"], 1, 0.95, ["signed"])
    assert (nothing["competitors"].tolist(), nothing["standing"], nothing["best"].tolist()) == (
        [0],
        [""],
        [False],
    )


def test_those_alike_are_alike_to_the_best():
    draw = np.random.default_rng(10)
    cells = np.array([0.0, 1.0, 0.5, 1.0]) + draw.normal(0, 0.05, (1, 60, 4))
    assert standing.alike(cells, 0.95).tolist() == [False, True, False, True]
    found = standing.ranks(
        np.array([0.3, 0.1, nan, 0.3]), ["x"] * 4, -1, ["signed", "signed", "signed", "control"]
    )
    assert found[:2].tolist() == [2, 1] and np.isnan(found[2:]).all()


def test_the_block_headings_of_a_table():
    part = pd.DataFrame(
        {"readout": ["b", "a", "b", "c"], "block": ["unsigned", "unsigned", "unsigned", "signed"]}
    )
    rows, headings = standing.sections(part, lambda readout: [readout])
    assert (rows, headings) == ([[["c"]], [["b"], ["a"]]], ["Signed scores", "Unsigned scores"])


def test_letters_that_latex_has_a_command_for():
    assert tex.prose("é ü ç ñ å è ô") == r"\'{e} \"{u} \c{c} \~{n} \r{a} \`{e} \^{o}"
    assert tex.prose("‘a’ “b” — … £ ß") == r"`a' ``b'' --- \dots{} \pounds{} \ss{}"
    # A dot below, a Greek letter with an accent, two accents at once, no letter at all.
    assert tex.prose("ạ ά ǖ 電") == r"\texttt{U+1EA1} \texttt{U+03AC} \texttt{U+01D6} \texttt{U+96FB}"
    assert tex.prose("~ & é") == r"\textasciitilde{} \& \'{e}"


def test_a_number_without_an_interval_or_without_a_sign():
    assert tex.number(0.5, nan, nan) == "$0.500$" and tex.number(None) == "--"
    assert (
        tex.number(-0.0001) == "$0.000$" and tex.number(-0.001, -0.0002, 0.25) == "$-0.001_{0.000}^{0.250}$"
    )
    assert tex.number(1.25, bold=True, digits=1) == r"$\mathbf{1.2}$"


def test_a_table_has_its_rules_groups_and_headings():
    text = tex.table(
        caption="C", label="l", columns=["a", "b", "c", "d"], sections=[[["1", "2", "3", "4"]], [["5", "6", "7", "8"], ["9", "0", "1", "2"]]],
        notes=["n.", "m."], groups=[("g", 1), ("h", 2)], headings=["first", "second"],
    )  # fmt: skip
    assert text.splitlines()[2:] == [
        r"\caption{C}", r"\label{l}", r"\begin{tabular}{lrrr}", r"\toprule", r" & \multicolumn{1}{c}{g} & \multicolumn{2}{c}{h} \\",
        r"\cmidrule(lr){2-2} \cmidrule(lr){3-4}", r"a & b & c & d \\", r"\midrule", r"\multicolumn{4}{l}{\emph{first}} \\",
        r"1 & 2 & 3 & 4 \\", r"\midrule", r"\multicolumn{4}{l}{\emph{second}} \\", r"5 & 6 & 7 & 8 \\", r"9 & 0 & 1 & 2 \\",
        r"\bottomrule", r"\end{tabular}",
        r"\par\smallskip\begin{minipage}{0.95\textwidth}\footnotesize n. m.\end{minipage}", r"\end{table}",
    ]  # fmt: skip
    plain = tex.table(caption="C", label="l", columns=["a"], sections=[[["1"]]], notes=[])
    assert "multicolumn" not in plain and "cmidrule" not in plain and plain.count("rule") == 3


def scored(tmp_path, means, *, seeds=(0,), texts=40):
    """Input of table comp_suff: (readout, protocol) -> (comp, suff); text 5 was not explained, texts 2 and 7 were cut."""
    items = []
    for seed in seeds:
        draw = np.random.default_rng(seed)
        shared, rows = draw.normal(0, 0.1, texts), []
        for ((readout, protocol), pair), text in itertools.product(means.items(), range(texts)):
            cut = 9 if text in (2, 7) else 0
            if text == 5 or (cut and protocol == "published_bins"):
                continue
            for kind, mean in zip(("comp", "suff"), pair, strict=True):
                score = mean + shared[text] + draw.normal(0, 0.01)
                rows.append(
                    (text, cut, readout, protocol, kind, [0, 1], [1.0, 0.5], score, 0.25 if text < 4 else 0.5)
                )
        path = tmp_path / f"seed{seed}.parquet"
        columns = ("id", "cut", "readout", "protocol", "kind", "removed", "probability", "score", "tied")
        write_rows(path, dict(zip(columns, zip(*rows, strict=True), strict=True)), kind="faithfulness")
        items.append({"dataset": "sentiment", "model": "m", "seed": seed, "method": None, "path": path})
    return {"faithfulness": items, "models": []}


def test_comprehensiveness_of_known_scores(tmp_path):
    """ALTI is the best by comp and by suff under one protocol, rollout under the other; a control takes no part."""
    means = {("alti", "standard"): (0.5, 0.1), ("rollout", "standard"): (0.3, 0.3), ("flow", "standard"): (0.5, 0.1),
             ("random", "standard"): (0.9, -0.9), ("alti", "published_bins"): (0.2, 0.4), ("rollout", "published_bins"): (0.4, 0.2)}  # fmt: skip
    frame = comp_suff.rows(scored(tmp_path, means), {**BOOTSTRAP, "runs": []})
    cells = frame.set_index(["texts", "protocol", "kind", "readout"])
    whole = cells.loc["whole"]
    for (readout, protocol), pair in means.items():
        for kind, mean in zip(("comp", "suff"), pair, strict=True):
            assert whole.loc[(protocol, kind, readout), "mean"] == pytest.approx(mean, abs=0.05)
    for kind, direction in (("comp", "higher"), ("suff", "lower")):
        standard = whole.loc[("standard", kind)]
        assert set(standard["direction"]) == {direction}
        assert set(standard.index[standard["best"]]) == {"alti", "flow"}
        assert standard.loc["rollout", "standing"] == "worse" and standard.loc["rollout", "rank"] == 3
        assert (standard.loc["random", "standing"], standard.loc["random", "competitors"]) == ("", 0)
        assert whole.loc[("published_bins", kind), "standing"].to_dict() == {
            "rollout": "best",
            "alti": "worse",
        }
    # 40 texts: one unexplained and two cut; without a gap the first five, one of them cut. 4 of 37 have .25 tied, less text 2.
    assert set(whole["examples"]) == {37}
    assert whole.loc[("standard", "comp", "alti"), "tied"] == pytest.approx((3 * 0.25 + 34 * 0.5) / 37)
    cut = cells.loc["cut"]
    assert set(cut["examples"]) == {5} and set(cut.index.get_level_values("protocol")) == {"standard"}
    assert cut.loc[("standard", "comp", "alti"), "tied"] == pytest.approx((4 * 0.25 + 0.5) / 5)
    assert frame["protocol"].drop_duplicates().tolist() == ["published_bins", "standard"]
    assert set(frame["seeds"]) == {"0"} and frame["interval"].str.contains("this checkpoint").all()
    text = comp_suff.latex(frame, BOOTSTRAP)
    row = next(line for line in text.splitlines() if line.startswith("Rollout & "))
    wanted = [
        whole.loc[(protocol, kind, "rollout")]
        for protocol in ("published_bins", "standard")
        for kind in ("comp", "suff")
    ]
    assert (
        row
        == "Rollout & "
        + " & ".join(
            tex.number(cell["mean"], cell["lower"], cell["upper"], bold=cell["best"]) for cell in wanted
        )
        + r" \\"
    )
    flow = next(line for line in text.splitlines() if line.startswith("Attention flow & "))
    assert flow.startswith(r"Attention flow & -- & -- & $\mathbf{0.")
    assert r"\multicolumn{2}{c}{as published} & \multicolumn{2}{c}{standard}" in text
    assert ", longer texts cut." in text and "in print" not in text.split(r"\end{table}")[1]


def test_texts_without_a_gap():
    frame = pd.DataFrame(
        {"id": [0, 1, 2, 4, 0, 1], "cut": [0, 3, 0, 0, 0, 0], "protocol": ["standard"] * 4 + ["mask"] * 2}
    )
    assert comp_suff._without_gap(frame)["id"].tolist() == [0, 1, 2]
    whole = frame.assign(id=[0, 1, 2, 3, 0, 1])
    assert comp_suff._without_gap(whole)["id"].tolist() == [0, 1, 2, 3]
    assert list(comp_suff._texts(frame.assign(cut=0))) == ["whole"]
    assert comp_suff._texts(frame)["whole"]["id"].tolist() == [0, 2, 4, 0, 1]


def test_claims_of_a_causal_map_against_gradients_and_controls():
    """Means in the metric's own direction; other explanations are no rivals of the claim."""
    draw = np.random.default_rng(12)
    order = ["causal", "saliency", "gradient_shap", "random", "input"]
    cells = np.array([0.5, 0.2, 0.9, 0.5, 0.2]) + draw.normal(0, 0.02, (1, 40, 5))
    found = explanation_metrics._claims(cells, order, "causal", 0.95)
    wanted = {"saliency": "better", "gradient_shap": "worse", "random": "not told apart", "input": "better"}
    assert {name: row["verdict"] for name, row in found.items()} == wanted


def test_released_entries_are_those_of_the_data_set_else_of_mnist(monkeypatch):
    settings = {"test": "welch", "correction": "none", "intervention": "soft"}

    def entry(dataset, architecture="lenet"):
        return {"dataset": dataset, "architecture": architecture, "verdict": "v", "why": "w", **settings}

    entries = [entry("mnist"), entry("mnist", "resnet"), entry("digits"), entry("cifar10")]
    monkeypatch.setattr(causal, "all_entries", lambda key: entries)
    here = {"architecture": "lenet", **settings}
    for dataset, there, verdict in (
        ("digits", "digits", "v"),
        ("mnist", "mnist", "v"),
        ("digits_half", "mnist", "not comparable"),
    ):
        (found,) = causal.released("key", {"dataset": dataset, **here})
        assert (found["dataset"], found["verdict"]) == (there, verdict)
    assert causal.released("key", {"dataset": "digits", **here, "architecture": "vit"}) == []


@pytest.fixture
def read_as(monkeypatch, tmp_path):
    """A table's module reads these rows and facts of its one model."""

    def patch(module, rows, facts):
        monkeypatch.setattr(module, "seed_rows", lambda items, *_: pd.DataFrame(rows))
        write_json(tmp_path / "metrics.json", facts)
        return [{"dataset": "imagenet", "model": "m", "seed": 0, "path": tmp_path / "metrics.json"}]

    return patch


@pytest.mark.parametrize(
    ("protocol", "checkpoint", "why"),
    [
        ("chefer", "hustvl/Vim-tiny-midclstok", "unknown settings"),
        ("chefer", "hustvl/Vim-small-midclstok", "another checkpoint; unknown settings"),
        ("patches", "hustvl/Vim-tiny-midclstok", None),
    ],
)
def test_numbers_in_print_of_maps_stand_beside_their_protocol_and_order(
    monkeypatch, read_as, protocol, checkpoint, why
):
    entry = {
        "dataset": "imagenet", "architecture": "vim", "checkpoint": "hustvl/Vim-tiny-midclstok", "sample": {}, "source": "s",
        "protocol": "chefer", "unknown": "unknown settings", "values": {"raw": [17.0, 40.0]},
    }  # fmt: skip
    monkeypatch.setattr(published, "all_entries", lambda key: [entry])
    metrics = ("positive_auc", "negative_auc", "positive_probability_auc", "ink_mass")
    rows = [{"seed": 0, "id": image, "map": name, "protocol": protocol, "fill": "black", "tied": 0.25, "ink_mass": nan,
             **dict.fromkeys(metrics[:3], 0.5 + image / 100 + (name == "raw") / 10)} for image in range(9) for name in ("raw", "random")]  # fmt: skip
    facts = {"architecture": "vim", "source": "hub", "repo": checkpoint, "epochs": 0}
    items = read_as(network_diffusion, rows, facts)
    found = network_diffusion.rows({"image_models": items, "patch_faithfulness": items}, BOOTSTRAP)
    assert found[["metric", "map"]].to_numpy().tolist() == [
        [metric, name] for metric in metrics[:3] for name in ("raw", "random")
    ]
    cells = found.set_index(["metric", "map"])
    printed = cells["published_value"].dropna()
    assert printed.to_dict() == ({("positive_auc", "raw"): 0.17, ("negative_auc", "raw"): 0.4} if why else {})
    assert set(cells["published_why"].dropna()) == ({why} if why else set())
    assert set(cells["published_checkpoint"].dropna()) == (
        {"other" if "another" in why else "same"} if why else set()
    )
    assert (
        set(found["protocol"]) == {protocol}
        and set(found["fill"]) == {"black"}
        and set(found["seeds"]) == {"0"}
    )


def test_selective_rollout_of_known_correlations(read_as):
    """Two layers, two definitions, one reference better and one worse: from correlations of texts to the verdicts."""
    draw = np.random.default_rng(13)
    gains = {"spearman": 0.2, "spearman_dense": -0.2, "spearman_l2": 0.0, "spearman_dot": 0.3}
    readouts = [("rollout_max", nan, 0.1), ("first_layer_max", nan, 0.5), ("selective_rollout_max", 1.0, None), ("selective_rollout_scaled_max", 0.2, None)]  # fmt: skip
    rows = []
    for text, definition, layer in itertools.product(range(25), ("corrected", "published"), (0, 1, 2)):
        noise = draw.normal(0, 0.02)
        for readout, threshold, height in readouts:
            numbers = {metric: noise + draw.normal(0, 0.001) + (0.1 + gain * (layer == 1) if height is None else height)
                       for metric, gain in gains.items()}  # fmt: skip
            rows.append({"seed": 0, "id": text, "definition": definition, "layer": layer, "readout": readout, "threshold": threshold,
                         "used": 1 + text / 12, "left_of_sum": 0.03 + text / 100, **numbers})  # fmt: skip
    items = read_as(selective_rollout, rows, {"architecture": "vit"})
    options = {**BOOTSTRAP, "selective_rollout": {"layer": None}, "runs": []}
    frame = selective_rollout.rows({"rollouts": items, "models": items}, options)
    assert set(frame["depth"]) == {3} and set(frame["examples"]) == {25}
    cells = frame.set_index(["definition", "metric", "layer", "readout"])
    for definition, (metric, gain) in itertools.product(("corrected", "published"), gains.items()):
        row = cells.loc[(definition, metric, 1, "selective_rollout_max")]
        assert row["over_rollout"] == pytest.approx(gain, abs=0.01) and row["over_first"] == pytest.approx(
            gain - 0.4, abs=0.01
        )
        assert row["ratio"] == pytest.approx(1 + gain / 0.1, abs=0.15)
        assert row["over_rollout_lowest"] <= row["over_rollout"] <= row["over_rollout_uppermost"]
        assert row["median"] == pytest.approx(0.1 + gain, abs=0.02) and row["mean"] == pytest.approx(
            0.1 + gain, abs=0.02
        )
        assert row["lower"] < row["mean"] < row["upper"] and 0.01 < row["sd"] < 0.03
        assert cells.loc[(definition, metric, 0, "selective_rollout_max"), "over_rollout"] == pytest.approx(
            0, abs=0.01
        )
    assert (row["used"], row["left_of_sum"]) == (pytest.approx(2.0), pytest.approx(0.15))
    assert frame["threshold"].isna().sum() == frame["readout"].isin(["rollout_max", "first_layer_max"]).sum()
    text = selective_rollout.summary(frame, options)
    for said in (
        "So measured selective rollout is worse than rollout with all layers (difference of medians -0.2",
        "After the corrections selective rollout is better than rollout with all layers (difference of medians +0.2",
        "arbitrary direction, it is not told apart from rollout with all layers", "with the input it is better than rollout",
        "which uses 2.0 layers, it is worse than the first layer alone",
    ):  # fmt: skip
        assert said in text
