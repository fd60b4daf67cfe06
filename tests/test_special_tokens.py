"""Ranks of special tokens: the ranks themselves, which tokens count, the means, and what stands beside them."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plumbline.artefacts import read_rows, write_rows
from plumbline.errors import PlumblineError
from plumbline.tables import special_tokens
from tests.synthetic import OPTIONS, TEN, make, merge

pytestmark = pytest.mark.slow

TEXTS = [
    ["[CLS]", "a", ",", "b", ",", ".", "[SEP]"],
    ["[CLS]", "b", "[SEP]"],
    ["[CLS]", "c", ".", "a", ".", "[SEP]"],
]


def pick(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def with_texts(inputs, tokens=TEXTS, seeds=(0,)):
    """The inputs with the first examples' tokens and made-up scores instead."""
    draw = np.random.default_rng(2)
    scores = {
        seed: [draw.integers(-2, 3, size=len(text)).astype(np.float32) for text in tokens] for seed in seeds
    }
    for item in inputs["attributions"]:
        frame = read_rows(item["path"])[: len(tokens)]
        frame["tokens"] = tokens
        frame["input_ids"] = [list(range(len(text))) for text in tokens]
        for column in [name for name in frame if name.startswith("scores_")]:
            frame[column] = scores[item["seed"]]
        write_rows(item["path"], frame, kind="attributions")
    return scores


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 4), st.integers(1, 12)), elements=st.integers(-3, 3).map(float)
    )
)
def test_shares(scores):
    """Lowest first; average ranks by counting, dense ranks by counting distinct scores."""
    n = scores.shape[1]
    average, dense = special_tokens.shares(scores, "average"), special_tokens.shares(scores, "dense")
    for row, vector in enumerate(scores):
        for place, score in enumerate(vector):
            below, equal = (vector < score).sum(), (vector == score).sum()
            assert average[row, place] == pytest.approx((below + (equal + 1) / 2) / n)
            assert dense[row, place] == pytest.approx(len(set(vector[vector <= score])) / n)
    assert ((dense > 0) & (dense <= average + 1e-12) & (average <= 1)).all()
    assert average.mean(axis=1) == pytest.approx((n + 1) / (2 * n))
    # Without ties the two are one.
    if all(len(set(vector)) == n for vector in scores):
        assert average == pytest.approx(dense)


def test_places_are_first_occurrences_in_every_vocabulary():
    assert special_tokens.places(TEXTS[0]) == [0, 6, 5, 2]
    assert special_tokens.places(TEXTS[1]) == [0, 2, None, None]
    assert special_tokens.places(["<s>", "Ġa", "Ġ,", ",", "b", ".", "Ġ.", "</s>"]) == [0, 7, 5, 2]
    assert special_tokens.places(np.array(["<s>", "▁a", "▁.", "</s>"], dtype=object)) == [0, 3, 2, None]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_means_as_published_and_corrected(tmp_path, seeds):
    found = make(tmp_path, seeds=seeds, methods=("alti",))
    scores = with_texts(found, seeds=seeds)
    frame = special_tokens.rows(found, OPTIONS)
    for definition, rank in (("corrected", "average"), ("published", "dense")):
        shares = {
            seed: [special_tokens.shares(vector[None], rank)[0] for vector in vectors]
            for seed, vectors in scores.items()
        }
        # (seeds, values): 4 special tokens in the first example, 2 in the second, 3 in the third.
        chosen = [(0, 0), (0, 6), (0, 5), (0, 2), (1, 0), (1, 2), (2, 0), (2, 5), (2, 2)]
        values = np.array([[shares[seed][example][place] for example, place in chosen] for seed in seeds])
        means = np.stack([values[:, :4].mean(1), values[:, 4:6].mean(1), values[:, 6:].mean(1)], axis=1)
        over = values if definition == "published" else means
        row = pick(frame, readout="alti", token="all", definition=definition).iloc[0]
        assert row["mean"] == pytest.approx(over.mean())
        assert row["sd"] == pytest.approx(over.std(axis=1, ddof=1).mean())
        assert (row["count"], row["examples"], row["seeds"]) == (9, 3, " ".join(map(str, seeds)))
        row = pick(frame, readout="alti", token=".", definition=definition).iloc[0]
        assert row["mean"] == pytest.approx(values[:, [2, 8]].mean())
        assert (row["count"], row["examples"]) == (2, 2)
        row = pick(frame, readout="alti", token=",", definition=definition).iloc[0]
        assert np.isnan(row["sd"])  # of one value
        assert row["mean"] == pytest.approx(values[:, 3].mean())
    assert np.isnan([row["lower"], row["upper"]]).all()  # of one example
    assert "comma" in special_tokens.latex(frame, OPTIONS)


def test_latex_has_every_number_in_its_own_column(tmp_path):
    """Average ranks with their intervals, a column a token, then the dense rank of all with its deviation."""
    found = make(tmp_path, seeds=(0, 1), methods=("alti",))
    with_texts(found, seeds=(0, 1))
    frame = special_tokens.rows(found, OPTIONS)
    lines = [
        line.removesuffix(r" \\").split(" & ") for line in special_tokens.latex(frame, OPTIONS).splitlines()
    ]
    assert ["", r"\multicolumn{5}{c}{average rank / n}", r"\multicolumn{1}{c}{dense rank / n}"] in lines
    (heads,) = (line for line in lines if line[0] == "Readout")
    assert [head.strip("{}$").replace("{[}", "[").replace("{]}", "]") for head in heads[1:]] == ["all", "[CLS]", "[SEP]", "full stop", "comma", "all"]  # fmt: skip
    for readout, label in (("alti", "ALTI"), ("alti_published", r"ALTI$^\dagger$")):
        own = pick(frame, readout=readout).set_index(["definition", "token"])
        (cells,) = (line[1:] for line in lines if line[0] == label)
        shown = [[float(number) for number in re.findall(r"-?\d\.\d+", cell)] for cell in cells]
        for numbers, token in zip(shown, ["all", "[CLS]", "[SEP]", ".", ","], strict=False):
            row = own.loc[("corrected", token)]
            ends = [row["lower"], row["upper"]] if not np.isnan(row["lower"]) else []
            assert numbers == pytest.approx([row["mean"], *ends], abs=5.1e-3)
        row = own.loc[("published", "all")]
        assert shown[5] == pytest.approx([row["mean"], row["sd"]], abs=5.1e-4)


def test_controls_rank_as_they_must(tmp_path):
    found = make(tmp_path, methods=TEN)
    # Rows stand in the tables' order, of attention first and controls last, whatever the order of the files.
    frame = special_tokens.rows(found | {"attributions": found["attributions"][::-1]}, OPTIONS)
    order = list(dict.fromkeys(frame["readout"]))
    assert (order[:2], order[-4:]) == (
        ["raw_attention", "rollout"],
        ["random", "position", "uniform", "oracle"],
    )
    lengths = np.random.default_rng(3).integers(6, 18, size=12)
    uniform = pick(frame, readout="uniform", token="all")
    mean = dict(zip(uniform["definition"], uniform["mean"], strict=True))
    assert mean == {
        "corrected": pytest.approx(((lengths + 1) / 2 / lengths).mean()),
        "published": pytest.approx((1 / lengths).mean()),
    }
    position = pick(frame, readout="position", definition="corrected").set_index("token")["mean"]
    assert position["[CLS]"] == 1
    assert position["[SEP]"] == pytest.approx((1 / lengths).mean())
    # No example has a full stop or a comma.
    assert set(frame["token"]) == {"all", "[CLS]", "[SEP]"}


def test_published_numbers_stand_beside_their_own_definition(tmp_path):
    settings = {
        "dataset": "sst2",
        "model": "bert_base",
        "oracle": False,
        "examples": 5,
        "source": "hub",
        "epochs": 0,
    }
    found = make(tmp_path, repo="textattack/bert-base-uncased-SST-2", **settings)
    frame = special_tokens.rows(found, OPTIONS)
    beside = frame.dropna(subset="published_value")
    assert set(beside["definition"]) == {"published"}
    assert set(beside["token"]) == {"all"}
    assert set(beside["readout"]) == {
        "raw_attention",
        "rollout",
        "norm_rollout",
        "alti_published",
        "grad_l2_published",
    }
    row = pick(beside, readout="alti_published").iloc[0]
    # The entry of the paper's state of the code, not of a later one.
    assert (row["published_value"], row["published_sd"]) == (0.288493, 0.223405)
    assert (row["published_checkpoint"], row["published_source"][-8:]) == ("same", "@bc7f494")
    assert "in print" in special_tokens.latex(frame, OPTIONS)
    other = make(tmp_path, model="electra", architecture="electra", examples=5, methods=TEN)
    assert special_tokens.rows(merge(other), OPTIONS)["published_value"].isna().all()


def test_cut_texts_are_left_out(tmp_path):
    frame = special_tokens.rows(make(tmp_path, methods=TEN, cut=(1, 4)), OPTIONS)
    assert set(frame["examples"]) == {10}


def test_seeds_with_other_tokens_are_an_error(tmp_path):
    found = make(tmp_path, seeds=(0, 1), methods=("alti",))
    for item in found["attributions"]:
        if item["seed"] == 1:
            frame = read_rows(item["path"])
            frame["tokens"] = [["[CLS]", *["x"] * (len(text) - 2), "[SEP]"] for text in frame["tokens"]]
            write_rows(item["path"], frame, kind="attributions")
    with pytest.raises(PlumblineError, match="other tokens under seed 1"):
        special_tokens.rows(found, OPTIONS)


def test_intervals_of_definitions_share_their_resamples(tmp_path):
    """Of readouts without ties the definitions are one, for each token, and so are their intervals."""
    frame = special_tokens.rows(make(tmp_path, methods=TEN, oracle=False), OPTIONS)
    wide = pick(frame, readout="alti", token="[CLS]").set_index("definition")[["mean", "lower", "upper"]]
    pd.testing.assert_series_equal(wide.loc["corrected"], wide.loc["published"], check_names=False)
