"""Verdicts, bands and notes that the tables of causal graphs share (`tables/causal.py`), word by word."""

import numpy as np
import pandas as pd
import pytest

from plumbline.tables import causal, published
from tests.printed import printed, together

nan = float("nan")


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
    entry = {
        "dataset": "mnist",
        "verdict": "magnitude only",
        "why": "no seed",
        "test": "welch",
        "correction": "none",
        "intervention": "hard",
    }
    same = {"dataset": "mnist", "test": "welch", "correction": "none", "intervention": "hard"}
    assert causal.verdict_on(entry, same) == ("magnitude only", "no seed")
    assert causal.verdict_on(entry, {"dataset": "mnist"}) == ("magnitude only", "no seed")
    for name, value, why in (
        ("dataset", "digits", "MNIST there, Digits here; no seed"),
        ("test", "paired", "no seed; test: welch there, paired here"),
        ("correction", "bh", "no seed; correction: none there, bh here"),
        ("intervention", "soft", "no seed; intervention: hard there, soft here"),
    ):
        assert causal.verdict_on(entry, same | {name: value}) == ("not comparable", why)


def test_released_entries_are_those_of_the_data_set_else_of_mnist(monkeypatch):
    settings = {"test": "welch", "correction": "none", "intervention": "soft"}

    numbers = together(
        *(
            printed(
                "key",
                {"value": 1.0},
                dataset=dataset,
                architecture=architecture,
                verdict="v",
                why="w",
                **settings,
            )
            for dataset, architecture in (
                ("mnist", "lenet"),
                ("mnist", "resnet"),
                ("digits", "lenet"),
                ("cifar10", "lenet"),
            )
        )
    )
    monkeypatch.setattr(published, "read", lambda: numbers)
    here = {"architecture": "lenet", **settings}
    for dataset, there, verdict in (
        ("digits", "digits", "v"),
        ("mnist", "mnist", "v"),
        ("digits_half", "mnist", "not comparable"),
    ):
        (about,) = causal.released("key", {"dataset": dataset, **here})["about"]
        said, _ = causal.verdict_on(about, {"dataset": dataset, **here})
        assert (about["dataset"], said) == (there, verdict)
    assert causal.released("key", {"dataset": "digits", **here, "architecture": "vit"}).empty
