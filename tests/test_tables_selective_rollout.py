"""Every sentence and column of the table `selective_rollout`, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import numpy as np
import pandas as pd
import pytest

from plumbline import stats
from plumbline.tables import (
    selective_rollout,
)

nan = float("nan")
WORDS = {1: "is better than", -1: "is worse than", 0: "is not told apart from"}


def cell(definition, metric, readout, threshold=nan, **numbers):
    """A row of the table at layer 10 of 12: median .3, used 3.2 layers, every difference 0 [-.1, .1], selected [-.2, .2]."""
    row = {
        "definition": definition,
        "metric": metric,
        "readout": readout,
        "threshold": threshold,
        "layer": 10,
        "depth": 12,
        "used": 3.2,
        "left_of_sum": 0.0312,
        "published_value": nan,
    }
    for name, value in (("median", 0.3), ("ratio", nan), ("over_rollout", 0.0), ("over_first", 0.0)):
        row |= {name: value, f"{name}_lower": value - 0.1, f"{name}_upper": value + 0.1}
        row |= {f"{name}_lowest": value - 0.2, f"{name}_uppermost": value + 0.2}
    return row | numbers


def gap(name, value):
    """A difference with both its intervals."""
    return {
        name: value,
        f"{name}_lower": value - 0.1,
        f"{name}_upper": value + 0.1,
        f"{name}_lowest": value - 0.2,
        f"{name}_uppermost": value + 0.2,
    }


def selective(**changed):
    """The summary's rows; changed: name of a row -> numbers of it that are others."""
    chosen, scaled = "selective_rollout_max", "selective_rollout_scaled_max"
    cells = {
        "printed": ("published", "spearman_dense", chosen, 1.0),
        "printed_joint": ("published", "spearman_dense", "rollout_max"),
        "other": ("published", "spearman_dense", chosen, 0.5),
        "sum": ("corrected", "spearman", chosen, 1.0),
        "joint": ("corrected", "spearman", "rollout_max"),
        "first": ("corrected", "spearman", "first_layer_max"),
        "norm": ("corrected", "spearman_l2", chosen, 1.0),
        "product": ("corrected", "spearman_dot", chosen, 1.0),
        "fifth": ("corrected", "spearman", scaled, 0.2),
        "half": ("corrected", "spearman", scaled, 0.5),
    }
    frame = pd.DataFrame([cell(*key, **changed.get(name, {})) for name, key in cells.items()])
    return pd.concat([frame, frame.assign(layer=3, median=9.9)], ignore_index=True)


SCALED = {"selective_rollout": {"layer": None}}


def test_selective_rollout_word_by_word():
    noise = {"left_of_sum": 2.3e-08}
    frame = selective(
        printed={
            **noise,
            **gap("over_rollout", -0.15),
            "ratio": 0.5,
            "ratio_lower": 0.4,
            "ratio_upper": 0.6,
            "median": -0.004,
            "published_value": 6.5,
        },
        printed_joint=noise,
        joint={"median": 0.1, "median_lower": -0.12},
        first={"median": 0.2},
        sum=gap("over_rollout", 0.25) | gap("over_first", -0.25),
        norm=gap("over_rollout", 0.05),
        product=gap("over_rollout", -0.25),
        fifth=gap("over_first", 0.15) | {"median": 0.25},
        half=gap("over_first", 0.05) | {"median": 0.45},
    )
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
@pytest.mark.parametrize(
    "row, name, rival, limit, start",
    [
        ("printed", "over_rollout", "rollout with all layers", 0.1, "So measured selective rollout "),
        ("sum", "over_rollout", "rollout with all layers", 0.1, "After the corrections selective rollout "),
        ("norm", "over_rollout", "rollout with all layers", 0.1, "which is one arbitrary direction, it "),
        ("product", "over_rollout", "rollout with all layers", 0.1, "with its product with the input it "),
        ("sum", "over_first", "the first layer alone", 0.1, "which uses 3.2 layers, it "),
        ("half", "over_first", "the first layer alone", 0.2, "2 shares (0.5, 3.2 layers) it "),
    ],
)
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
    ):
        assert sentence in text


def test_the_layer_of_the_summary_is_the_last_but_one():
    layer = selective_rollout.shown_layer
    assert [layer(depth, OF_TABLES) for depth in (1, 2, 6, 12)] == [0, 0, 4, 10]
    assert [layer(6, {"selective_rollout": {"layer": wished}}) for wished in (0, 5, 9)] == [0, 5, 5]


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
    for name, threshold in (
        ("rollout", selective_rollout.NONE),
        ("first_layer", selective_rollout.NONE),
        ("selective_rollout", 0.5),
        ("selective_rollout", 1.0),
    )
]


def test_medians_are_set_against_the_rival_of_their_layer_and_readout():
    """Every column has its own median; the same noise on all makes each difference of medians one number."""
    noise = np.random.default_rng(1).normal(0, 0.01, 41)
    heights = np.arange(len(OF_LAYERS)) ** 2 / 100 + 0.5
    values = (heights + (noise - np.median(noise))[:, None])[None]
    for rival in ("rollout", "first_layer"):
        medians = stats.resampled_medians(values, resamples=200, seed=3)
        found = selective_rollout._differences(values, OF_LAYERS, rival, medians, ONE_SEED)
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


BOOTSTRAP = {"scale": "s", "command": "c", "bootstrap": {"level": 0.95, "resamples": 50}}


@pytest.mark.slow
def test_selective_rollout_of_known_correlations(read_as):
    """Two layers, two definitions, one reference better and one worse: from correlations of texts to the verdicts."""
    draw = np.random.default_rng(13)
    gains = {"spearman": 0.2, "spearman_dense": -0.2, "spearman_l2": 0.0, "spearman_dot": 0.3}
    readouts = [
        ("rollout_max", nan, 0.1),
        ("first_layer_max", nan, 0.5),
        ("selective_rollout_max", 1.0, None),
        ("selective_rollout_scaled_max", 0.2, None),
    ]
    rows = []
    for text, definition, layer in itertools.product(range(25), ("corrected", "published"), (0, 1, 2)):
        noise = draw.normal(0, 0.02)
        for readout, threshold, height in readouts:
            numbers = {
                metric: noise
                + draw.normal(0, 0.001)
                + (0.1 + gain * (layer == 1) if height is None else height)
                for metric, gain in gains.items()
            }
            rows.append(
                {
                    "seed": 0,
                    "id": text,
                    "definition": definition,
                    "layer": layer,
                    "readout": readout,
                    "threshold": threshold,
                    "used": 1 + text / 12,
                    "left_of_sum": 0.03 + text / 100,
                    **numbers,
                }
            )
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
        "arbitrary direction, it is not told apart from rollout with all layers",
        "with the input it is better than rollout",
        "which uses 2.0 layers, it is worse than the first layer alone",
    ):
        assert said in text
