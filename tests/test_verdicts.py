"""Every sentence that a table says of its numbers, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import numpy as np
import pandas as pd
import pytest

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
    text = selective_rollout._table(("sst2", "m_1"), frame, OF_TABLES)
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
    text = gradient_vs_comprehensiveness._table(("sst2", "m"), frame, OF_TABLES)
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
    text = causal_pruning._table(("digits", "m"), pd.DataFrame(rows), {"scale": "s", "command": "c"})
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
