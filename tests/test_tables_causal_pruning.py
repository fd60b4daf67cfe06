"""Every sentence and column of the table `causal_pruning`, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import pandas as pd
import pytest

from plumbline.tables import (
    causal_pruning,
)


@pytest.mark.parametrize("recall", ["higher", "lower", "not told apart"])
@pytest.mark.parametrize("auc", ["higher", "lower", "not told apart"])
def test_pruning_word_by_word(recall, auc):
    means = {
        ("ablate_causal", "recall"): 0.123,
        ("ablate_random", "recall"): 0.876,
        ("ablate_causal", "auc"): 0.7114,
        ("ablate_random", "auc"): 0.9225,
        ("graph", "weight_share"): 0.05,
        ("graph_layer", "auc"): 0.834,
        ("base", "auc"): 0.9876,
        ("graph_layer", "recall"): 0.456,
    }
    rows = [
        {"kind": "condition", "condition": c, "measure": m, "mean": v, "seed": "all"}
        for (c, m), v in means.items()
    ]
    verdicts = {"recall": recall, "auc": auc}
    rows += [
        {
            "kind": "difference",
            "condition": "ablate_random less ablate_causal",
            "measure": m,
            "verdict": v,
            "seed": "all",
        }
        for m, v in verdicts.items()
    ]
    rows += [
        {"kind": "difference", "condition": "graph_layer less base", "measure": m, "verdict": "none"}
        for m in verdicts
    ]
    rows += [
        {"kind": "band", "condition": "some band", "seed": seed, "holds": holds}
        for seed, holds in (("0", "does not hold"), ("all", "holds"))
    ]
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
        "recall without causal nodes": ("<=", 0.40),
        "recall without random nodes": (">=", 0.80),
        "recall without non-causal edges, less base": (">=", -0.05),
        "recall without random nodes, less without causal": (">=", 0.40),
        "recall without non-causal nodes, less without random": (">=", -0.02),
        "AUC of the graph alone": (">=", 0.80),
    }
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
    rows, common = (
        [],
        {
            "graphs": 4,
            "seeds": "0 1",
            "draws": 3,
            "interval": "i",
            "test": "welch",
            "correction": "none",
            "intervention": "soft",
            "examples": 7,
            "held_out": 0.5,
        },
    )

    def add(kind, condition, measure, **more):
        value = next(numbers) / 1000
        rows.append(
            {
                "kind": kind,
                "condition": condition,
                "measure": measure,
                "mean": value,
                "lower": value - 0.1,
                "upper": value + 0.1,
                "seed": "all",
                **common,
                **more,
            }
        )

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

    labels = [
        "whole network",
        "last layer without non-causal nodes",
        "last layer without causal nodes",
        r"\dots{} without as many random nodes",
        r"\dots{} without as many non-causal nodes",
        "graph alone: only edges into effects cut",
        "graph alone: all other weights cut",
    ]
    wanted = [r"Network & Recall of the class $\uparrow$ & AUC of its logit $\uparrow$ \\"]
    wanted += [
        rf"{label} & {shown(0.1 + place / 500)} & {shown(0.101 + place / 500)} \\"
        for place, label in enumerate(labels)
    ]
    wanted += [
        rf"share of the nodes in the graph & {shown(0.114)} & -- \\",
        rf"share of the weights in the graph & {shown(0.115)} & -- \\",
    ]
    pairs = [
        "without random less without causal",
        "without non causal less without random",
        "drop non causal less base",
        "graph layer less base",
    ]
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
    ):
        assert sentence in text
