"""What is said of the best rows and who stands beside them (`tables/standing.py`), by hand."""

import numpy as np
import pandas as pd
import pytest

from plumbline.tables import (
    comp_suff,
    standing,
)

nan = float("nan")


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
        return {
            "dataset": "sst2",
            "model": "m",
            "texts": "whole",
            "protocol": "standard",
            "kind": "comp",
            "block": block,
            "readout": readout,
            "standing": standing,
            "best": best,
            "competitors": competitors,
            "mean": 0.5,
            "lower": 0.4,
            "upper": 0.6,
            "interval": "i",
            **more,
        }

    frame = pd.DataFrame(
        [
            row("ig_mean", "signed", "best", True, 3),
            row("gxi_mean", "signed", "not told apart", True, 3),
            row("gxi_clip", "signed", "worse", False, 3),
            row("alti", "unsigned", "best", False, 2),
            row("rollout", "unsigned", "not testable", False, 2),
            row("random", "control", "", False, 0),
            row(
                "alti", "unsigned", "best", True, 1, kind="suff", texts="cut", mean=0.1, lower=nan, upper=nan
            ),
        ]
    )
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
