"""How a published number is judged (`tables/published.py`), by hand, by simulation and word by word."""

import numpy as np
import pandas as pd
import pytest

from plumbline.datasets import settings
from plumbline.tables import published
from plumbline.tables.published import Ours, judge, judge_seed, same_sample
from tests.printed import shipped_of

nan = float("nan")
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
        "not comparable",
        "a; b; ours is not defined",
    )


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


def test_why_a_number_is_read_from_its_column():
    row = next(
        pd.DataFrame(
            [
                {
                    "mean": 1.0,
                    "lower": 2.0,
                    "upper": 3.0,
                    "ratio": 4.0,
                    "ratio_lower": 5.0,
                    "ratio_upper": 6.0,
                    "median": 7.0,
                    "examples": 8,
                }
            ]
        ).itertuples()
    )
    options, number = {"bootstrap": {"level": 0.9}}, published._number
    assert number(row, "mean", options) == (1.0, 2.0, 3.0, 0.9, 8)
    assert number(row, "ratio", options) == (4.0, 5.0, 6.0, 0.9, 8)
    value, *ends, level, examples = number(row, "median", options)
    assert (value, level, examples) == (7.0, 0.9, 8) and np.isnan(ends).all()
    assert number(row._replace(examples=nan), "mean", options).examples is None


def test_why_a_number_is_not_compared_word_by_word():
    entry = {"checkpoint": "x/one", "sample": {"texts": "t"}}
    hub = {"source": "hub", "repo": "x/one", "epochs": 0}
    said = published._reasons
    run = {"split": "test"}
    assert said("alti_published", entry, [hub], [run]) == []
    other = {**hub, "repo": "x/two"}
    assert said("rollout", entry, [other], [run]) == ["another checkpoint (x/two)"]
    own = {"source": "package", "repo": None, "epochs": 2}
    assert said("alti", entry, [own, own], [{"split": "validation"}, run]) == [
        "another checkpoint (source package, trained here for 2 epochs)",
        "other examples (validation split)",
        "the corrected definition, in print another",
    ]
    assert said("rollout", entry, [], []) == []
    assert said("rollout", entry, [hub], [{}]) == ["of which texts ours is was not told"]


def test_of_what_sample_ours_is():
    text = published._sample_text
    row = next(pd.DataFrame({"dataset": ["sst2"]}).itertuples())
    assert text(row, []) == "the released arrays"
    assert text(row, [{"examples": None, "split": "test"}]) == "SST-2: all of the test split"
    assert text(row, [{"examples": 9, "split": "validation"}]) == "SST-2: first 9 of the validation split"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.269, "same"),
        (0.26999, "same"),
        (0.26801, "same"),
        (0.27001, "differs"),
        (0.26799, "differs"),
        (0.3, "differs"),
    ],
)
def test_of_the_same_texts_rounding_and_tolerance_decide_and_no_interval(value, verdict):
    for lower, upper in ((0.0, 1.0), (value, value), (np.nan, np.nan)):
        ours = Ours(value, lower, upper, 0.95, 400)
        assert judge(ours, 0.269, ENTRY, determined=True)[0] == verdict
    assert judge(ours, 0.269, ENTRY, determined=True, reasons=["r"]) == ("not comparable", "r")


@pytest.mark.parametrize(
    ("value", "verdict", "shown"),
    # 100 texts with a standard error of .005, so .0025 for 400: the difference has .00559, its 95% interval +- .01096, to which
    # the rounding adds .0005; the two one-sided tests pass up to .02 - .0005 - 1.645 * .00559 = .0103.
    [
        (0.1, "within sampling error", "equivalent"),
        (0.1102, "within sampling error", "equivalent"),
        (0.1104, "within sampling error", "not shown"),
        (0.1114, "within sampling error", "not shown"),
        (0.0886, "within sampling error", "not shown"),
        (0.1116, "differs", "not shown"),
        (0.0884, "differs", "not shown"),
    ],
)
def test_of_other_texts_the_difference_of_two_samples_decides(value, verdict, shown):
    half = 1.959964 * 0.005
    ours = Ours(value, value - half, value + half, 0.95, 100)
    found, why = judge(ours, 0.1, ENTRY, determined=False)
    assert found == verdict
    assert f", {shown}" in why and "within 0.02" in why
    # The spread in print takes the place of ours: .05 / sqrt(400) is the same .0025.
    assert judge(ours, 0.1, ENTRY, determined=False, sd=0.05)[0] == verdict
    assert judge(ours, 0.1, ENTRY, determined=False, sd=5.0)[0] == "within sampling error"


def test_what_cannot_be_compared():
    nothing = Ours(0.1, np.nan, np.nan, 0.95, 100)
    assert judge(nothing, 0.1, ENTRY, determined=False)[0] == "not comparable"
    undefined = Ours(np.nan, np.nan, np.nan, 0.95, 100)
    assert judge(undefined, 0.1, ENTRY, determined=True) == ("not comparable", "ours is not defined")
    unknown = {**ENTRY, "sample": {"size": None}}
    assert judge(Ours(0.1, 0, 0.2, 0.95, 100), 0.1, unknown, determined=False)[0] == "not comparable"


@pytest.mark.slow
@pytest.mark.parametrize("printed_sd", [True, False])
@pytest.mark.parametrize(("ours", "theirs"), [(1000, 500), (200, 1000)])
def test_two_samples_of_one_population_seldom_differ(ours, theirs, printed_sd):
    """2,000 simulations of skewed scores: 'differs' in about 5%; a difference of six standard errors is nearly always found."""
    draw = np.random.default_rng(7)
    entry = {**ENTRY, "digits": 6, "sample": {"size": theirs}}
    counts = {0: 0, 6: 0}
    for _ in range(2000):
        first, second = draw.gamma(2, 0.1, ours), draw.gamma(2, 0.1, theirs)
        error = first.std(ddof=1) / ours**0.5
        for shift in counts:
            mean = first.mean() + shift * 0.1414 * (1 / ours + 1 / theirs) ** 0.5
            number = Ours(mean, mean - 1.96 * error, mean + 1.96 * error, 0.95, ours)
            sd = second.std() if printed_sd else None
            counts[shift] += judge(number, second.mean(), entry, determined=False, sd=sd)[0] == "differs"
    assert 0.035 < counts[0] / 2000 < 0.065
    assert counts[6] / 2000 > 0.99


def test_one_more_training_seed():
    # sd .01, t(2) = 4.3027: +- 4.3027 * .01 * sqrt(4 / 3) = .04968.
    seeds = [0.79, 0.80, 0.81]
    assert judge_seed(seeds, 0.8496, {"digits": 5}, level=0.95)[0] == "within sampling error"
    assert judge_seed(seeds, 0.8498, {"digits": 5}, level=0.95)[0] == "differs"
    assert judge_seed(seeds, 0.7502, {"digits": 5}, level=0.95)[0] == "differs"
    assert judge_seed(seeds[:1], 0.79, {"digits": 5}, level=0.95)[0] == "not comparable"
    # A number in print of three digits may be .0005 off, which widens the interval to either side.
    for published_one, word in (
        (0.8500, "within sampling error"),
        (0.7500, "within sampling error"),
        (0.8503, "differs"),
        (0.7497, "differs"),
    ):
        assert judge_seed(seeds, published_one, {"digits": 3}, level=0.95)[0] == word


def test_one_more_training_seed_seldom_differs():
    values = np.random.default_rng(3).normal(size=(4000, 4))
    found = [judge_seed(row[:3], row[3], {"digits": 9}, level=0.95)[0] == "differs" for row in values]
    assert 0.04 < np.mean(found) < 0.06


@pytest.mark.parametrize(
    ("changes", "run", "same"),
    [
        ({}, {}, True),
        ({"source": "mirror"}, {}, False),
        ({"order": "shuffled"}, {}, False),
        ({"test": 1000}, {"examples": None}, True),
        ({"test": 600}, {}, False),
        ({}, {"examples": None}, False),
        ({}, {"examples": 999}, False),
        ({}, {"split": "validation"}, False),
        ({}, {"within": 1000}, False),
    ],
)
def test_which_runs_take_the_published_sample(changes, run, same):
    entry, drawn = (shipped_of(table)["about"].iloc[0] for table in ("comp_suff", "agreement"))
    block = settings("sst2", {"source": "hub", **changes})
    run = {"split": "test", "examples": 1000, "within": None, **run}
    assert same_sample(entry, "sst2", block, run) is same
    # The 500 drawn sentences are a data set of their own.
    assert not same_sample(drawn, "sst2", block, run | {"examples": 500})
    own = settings("sst2_drawn", {"source": "hub"})
    assert same_sample(drawn, "sst2_drawn", own, {"split": "test", "examples": None, "within": None})
    mirrored = settings("sst2_drawn", {"source": "mirror"})
    assert not same_sample(drawn, "sst2_drawn", mirrored, {"split": "test", "examples": None, "within": None})
