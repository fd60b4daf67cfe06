"""Every sentence and column of the table `causal_graphs`, word by word, from rows written by hand: for each answer a verdict has."""

import pandas as pd

from plumbline.tables import (
    causal_graphs,
)

nan = float("nan")


def test_sizes_of_graphs_word_by_word():
    row = {
        "layer": "all",
        "class": "mean",
        "graphs": 4,
        "intervention": "hard",
        "lower": 5.1,
        "upper": 7.9,
        "candidates": 50.0,
        "nodes": 6.54,
        "by_test": 4.04,
        "fallback": 3,
        "single": 1,
        "truncated": 0,
        "test": "welch",
    }
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
    common = {
        "test": "welch",
        "correction": "none",
        "intervention": "hard",
        "candidates": 20,
        "seeds": "0 1",
        "published_source": "p",
        "verdict": "magnitude only",
        "why": "w",
    }

    def graph(label, seed, nodes, **more):
        return [{"class": str(label), "label": f"class {label}", "seed": str(seed), "layer": layer, "nodes": count, "examples": 30 + seed, "examples_most": 30 + seed, "graphs": 1,
                 "truncated": 0, "fallback": 0, "published_value": nan, **common, **more}
                for layer, count in zip(("fc", "all"), (nodes, 2 * nodes), strict=True)]  # fmt: skip

    whole = {
        "class": "mean",
        "label": "mean",
        "seed": "mean",
        "graphs": 4,
        "examples": 28,
        "examples_most": 31,
        "lowest": 2,
        "highest": 9,
        "truncated": 1,
        "fallback": 1,
        "single": 0,
        "by_test": 4.0,
        "published_value": nan,
        **common,
    }
    rows = [
        *graph(3, 0, 4, published_value=7.0),
        *graph(3, 1, 6, fallback=1, published_value=7.0),
        *graph(5, 0, 5, truncated=1),
        *graph(5, 1, 5),
        {**whole, "layer": "fc", "nodes": 5.0, "lower": 4.0, "upper": 6.0},
        {**whole, "layer": "all", "nodes": 10.0, "lower": 8.0, "upper": 12.0},
    ]
    options = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 9}}
    text = causal_graphs._table(("mnist", "m"), pd.DataFrame(rows), options)
    assert [line for line in text.splitlines() if line.endswith(r"\\")] == [
        r"Class & N & fc & all \\",
        r"of & -- & 20 & 20 \\",
        r"class 3 & 30 & $5_{4}^{6}$+ & $10_{8}^{12}$ \\",
        r"class 5* & 30 & $5_{5}^{5}$ & $10_{10}^{10}$ \\",
        r"mean & -- & $5.0_{4.0}^{6.0}$ & $10.0_{8.0}^{12.0}$ \\",
        r"lowest to highest & 28--31 & 2--9 & 2--9 \\",
        r"released, class 3 (magnitude only) & -- & $7$ & $7$ \\",
    ]
    for sentence in (
        "Sizes of the causal graphs: MNIST, m. In plain words: Of 20 nodes that feed the tested layers, 10.0 [8.0, 12.0] (50",
        "Scale: s; N = 4 graphs (a class of a seed each; seeds 0, 1), 28 to 31 images each;",
        "Nodes that feed a layer and are causes of the class, of all that feed it. Graphs: welch test, correction none, hard "
        "interventions. Index and exponent: of a class the lowest and the highest seed, of the mean the interval. N: images, the "
        "fewest; *: truncated, what it does not reach counts as 0; +: fallback, no node passed the test.",
        "Released: p. Magnitude only: w.",
    ):
        assert sentence in text
