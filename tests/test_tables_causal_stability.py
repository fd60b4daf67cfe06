"""Every sentence and column of the table `causal_stability`, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import numpy as np
import pandas as pd
import pytest

from plumbline.tables import causal_stability, published

nan = float("nan")


@pytest.mark.parametrize("rate", ["lower", "higher", "not told apart"])
@pytest.mark.parametrize("images", ["lower", "higher", "not told apart"])
def test_stability_word_by_word(rate, images):
    def row(kind, strength, mean, layer="fc3", **more):
        return {
            "kind": kind,
            "strength": strength,
            "mean": mean,
            "layer": layer,
            "class": "all",
            "measure": "appearance_rate",
            "seed": "all",
            **more,
        }

    rows = [
        row("strength", 0.0, 91.2),
        row("strength", 0.2, 70.0),
        row("strength", 0.5, 33.4),
        row("strength", 0.0, 1.0, measure="set_size"),
        row("strength", 0.0, 2.0, **{"class": "3"}),
        row("noise", 0.1, 0.99),
        row("noise", 0.2, 0.42, "fc1"),
        row("noise", 0.2, 0.66, "fc2"),
        row("subsample", 30.0, 0.98),
        row("subsample", 10.0, 0.21, "fc1"),
        row("subsample", 10.0, 0.39, "fc2"),
        row("difference", None, 0.0, difference=rate),
        row("difference", None, 0.0, measure="jaccard", difference=images),
        row("band", 0.4, 0.0, measure="a band", holds="does not hold"),
        row("band", 0.4, 0.0, measure="a band", holds="not told") | {"seed": "1"},
    ]
    falls = {
        "lower": "falls with intervention strength",
        "higher": "rises with intervention strength",
        "not told apart": "is not told apart at the two ends of intervention strength",
    }[rate]
    hang = {
        "lower": ": graphs depend on the images more than on noise",
        "higher": ": graphs depend on noise more than on the images",
        "not told apart": ": not told apart from noise",
    }[images]
    first = f"The mean appearance rate of the causes at fc3 {falls}, from 91% at 0 to 33% at 0.5."
    noise = "Under the strongest noise (0.2) the causes overlap with the graph's by 0.42 to 0.66 (Jaccard, by layer)."
    fewer = "Learnt from 10 images, by 0.21 to 0.39"
    bands = "Bands that do not hold: a band, seed all. Bands that are not told, as their intervals hold the bound: a band, seed 1."
    frame = pd.DataFrame(rows)
    assert causal_stability.summary(frame) == f"{first} {noise} {fewer}{hang}. {bands}"
    assert causal_stability.summary(frame[frame["kind"] != "noise"]) == f"{first} {fewer}. {bands}"
    assert causal_stability.summary(frame[frame["kind"].isin(["noise", "difference"])]) == noise


# Appearance rates of two graphs (one class, two seeds) in four runs: at strength 0 all, at .1 half, at .4 a quarter.
def run_of(seed, strength, counts, label=3, **more):
    """Four repetitions that find node 1 as often as `counts` says, and node 2 once."""
    return [
        {
            "seed": seed,
            "class": label,
            "kind": "strength",
            "strength": strength,
            "repetition": place,
            "layer": "fc3",
            "u": 0.1,
            "images": 30,
            "nodes": [1] * (place < counts) + [2] * (place == 3),
            "jaccard": 0.5,
            **more,
        }
        for place in range(4)
    ]


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


def test_rows_of_strengths_are_of_all_graphs_and_of_the_released_classes(monkeypatch):
    rows = [
        row
        for seed, count in ((0, 4), (1, 2))
        for label in (3, 5)
        for strength in (0.0, 0.5)
        for row in run_of(seed, strength, count - (label == 5), label=label)
    ]
    # Of class 5 the layer, and class 9 itself, is not among ours.
    places = [(3, "fc3", 7.5), (5, "fc1", 9.5), (9, "fc3", 9.5)]
    (one,) = published.numbers_of("causal_stability").iloc[:1].to_dict("records")
    released = pd.DataFrame(
        [
            one
            | {
                "measure": "set_size",
                "strength": "0.5",
                "value": value,
                "about": one["about"] | {"where": {"kind": "strength", "class": label, "layer": layer}},
            }
            for label, layer, value in places
        ]
    )
    monkeypatch.setattr(causal_stability.causal, "released", lambda table, columns: released)
    model = {"dataset": "mnist", "architecture": "lenet"}
    found = pd.DataFrame(causal_stability._strengths(pd.DataFrame(rows), BOOTSTRAP, ("d", "m"), model))
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
        row for row in causal_stability._strengths(one, BOOTSTRAP, ("d", "m"), model) if row["class"] == "3"
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
                rows.append(
                    {
                        "seed": seed,
                        "class": label,
                        "kind": kind,
                        "strength": strength,
                        "repetition": 0,
                        "layer": layer,
                        "u": 0.1,
                        "images": 15,
                        "nodes": [],
                        "jaccard": jaccard,
                    }
                )
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
        r"Learnt anew with & fc1 $\uparrow$ & fc2 $\uparrow$ \\",
        rf"noise 0.1 & {shown(11, 2)} & {shown(12, 2)} \\",
        rf"noise 0.2 & {shown(13, 2)} & {shown(14, 2)} \\",
        rf"10 images & {shown(15, 2)} & -- \\",
    ]
    assert bands == [
        r"Band & Seed & Value & Bound &  \\",
        rf"a band & 0 & {shown(16, 2)} & $\le 0.40$ & not told \\",
        rf"a band & all & {shown(17, 2)} & $\le 0.40$ & not told \\",
    ]
    for sentence in (
        "Stability of the causal graphs, intervention strength at fc3: MNIST, m. In plain words: The mean appearance rate",
        "N = 4 graphs (a class of a seed each; seeds 0, 1), 30 images each",
        "10 repetitions each. Graphs: welch test",
        "Released: p. Magnitude only: w.",
        "noise and fewer images: MNIST, m.",
        "what we expect: MNIST, m.",
    ):
        assert sentence in text
    assert text.count("In plain words") == 1
