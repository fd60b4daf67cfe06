"""Every sentence and column of the table `gradient_vs_comprehensiveness`, word by word, from rows written by hand: for each answer a verdict has."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from plumbline.tables import (
    gradient_vs_comprehensiveness,
)

nan = float("nan")
OF_TABLES = {"scale": "s", "command": "c", "selective_rollout": {"layer": None}}


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
    row = {
        "readout": "",
        "label": "over all methods (9)",
        "comp": 0.456,
        "comp_lower": lower,
        "comp_upper": upper,
        "suff": 0.1,
        "suff_lower": -upper,
        "suff_upper": -lower,
    }
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
    ):
        assert sentence in text


METHODS_OF = {  # readout -> (agreement with the gradient, comp, suff); two readouts of ALTI are one method
    "rollout": (0.1, 0.9, 0.1),
    "selective_rollout": (0.2, 0.8, 0.2),
    "flow": (0.3, 0.7, 0.3),
    "globenc": (0.4, 0.2, 0.9),
    "alti": (0.5, 0.3, 0.8),
    "alti_l2": (0.7, 0.5, 0.6),
    "grad_l2": (0.9, 0.6, 0.65),
    "random": (-0.9, 5.0, 5.0),
    "alti_published": (0.9, -5.0, 5.0),
    "flow_max": (0.95, -5.0, 5.0),
}


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
