"""Ranks and ties (`faithfulness/ranking.py`): every dtype, every order, what cannot be ranked."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plumbline.errors import PlumblineError
from plumbline.faithfulness import ranking

KINDS_OF_NUMBERS = {
    "float32": lambda values: np.array(values, dtype=np.float32),
    "float16": lambda values: np.array(values, dtype=np.float16),
    "int8": lambda values: np.array(values, dtype=np.int8),
    "list": list,
    "bfloat16": lambda values: torch.tensor(values, dtype=torch.bfloat16, requires_grad=True),
    "int64": lambda values: torch.tensor(values, dtype=torch.int64),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS_OF_NUMBERS)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(0, 2**63 - 1), st.integers(1, 4))
def test_ranked_is_a_descending_order(kind, values, seed, draws):
    scores = KINDS_OF_NUMBERS[kind]([float(v) for v in values] if "float" in kind else values)
    found = ranking.ranked(scores, seed=seed, draws=draws)
    assert found.dtype == np.int64
    assert found.shape == (draws, len(values))
    for order in found.tolist():
        assert sorted(order) == list(range(len(values)))
        assert [values[place] for place in order] == sorted(values, reverse=True)
    # The first draws are the same for any number of draws, and growing functions of the scores change nothing.
    np.testing.assert_array_equal(found[:1], ranking.ranked(scores, seed=seed))
    np.testing.assert_array_equal(
        found, ranking.ranked([math.exp(3 * v) for v in values], seed=seed, draws=draws)
    )


@pytest.mark.parametrize(
    ("scores", "want"),
    [
        (np.array([0, 255, 1, 254], dtype=np.uint8), [1, 3, 2, 0]),
        (np.array([0, 2**64 - 1, 2**63], dtype=np.uint64), [1, 2, 0]),
        (np.array([-128, 127, 0], dtype=np.int8), [1, 2, 0]),
        (np.array([-(2**63), 2**63 - 1, 2**63 - 2]), [1, 2, 0]),
        (torch.tensor([0, 255, 1], dtype=torch.uint8), [1, 2, 0]),
        (torch.tensor([2**62, 2**62 + 1]), [1, 0]),
        (np.array([False, True]), [1, 0]),
        (torch.tensor([1.0, 1.5, -2.0], dtype=torch.bfloat16), [1, 0, 2]),
        (np.array([1e-45, 3e-45], dtype=np.float32), [1, 0]),
        ([], []),
    ],
)
def test_every_dtype_ranks_by_value(scores, want):
    for seed in range(5):
        assert ranking.ranked(scores, seed=seed, draws=2).tolist() == [want, want]
    assert ranking.tied_share(scores) == 0


def test_tied_candidates_come_in_every_order_alike():
    """Six orders of three tied candidates, 1,000 each of 6,000: four standard deviations are 115."""
    found = ranking.ranked([1, 5, 1, 1, 0], seed=3, draws=6000)
    assert (found[:, 0] == 1).all()
    assert (found[:, 4] == 4).all()
    counts = np.unique(found[:, 1:4], axis=0, return_counts=True)[1]
    assert len(counts) == 6
    assert abs(counts - 1000).max() < 115
    assert ranking.ranked([0.0, -0.0], seed=0, draws=100)[:, 0].std() > 0


@pytest.mark.parametrize(
    ("scores", "share"),
    [([1, 1, 2, 3], 0.5), ([0, 0, 0], 1), ([3.0, 3.0, 1, 1, 2], 0.8), ([0.0, -0.0, 1], 2 / 3), ([7], 0)],
)
def test_tied_share(scores, share):
    assert ranking.tied_share(scores) == pytest.approx(share)
    assert ranking.tied_share(torch.tensor(scores, dtype=torch.bfloat16)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([0.1, float("nan"), 2], "finite: nan at 1"),
        (torch.tensor([1.0, -float("inf")]), "finite: -inf at 1"),
        (["a", "b"], "real numbers, not of dtype"),
        ([1, None], "real numbers, not of dtype object"),
        ([1j, 2], "real numbers, not of dtype complex128"),
        (torch.tensor([1j]), "real numbers, not of dtype complex64"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "real numbers, not of dtype"),
        ([[1, 2], [3]], "array of real numbers"),
        ([[1, 2], [3, 4]], "give one row"),
        (3.0, "give one row"),
        (None, "real numbers"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, text):
    for call in (ranking.tied_share, lambda given: ranking.ranked(given, seed=0)):
        with pytest.raises(PlumblineError, match=text):
            call(scores)


@pytest.mark.parametrize("wrong", [{"seed": None}, {"seed": -1}, {"seed": 1.5}, {"seed": 0, "draws": 0}])
def test_wrong_seeds_and_draws_are_refused(wrong):
    with pytest.raises(PlumblineError, match="must be a whole number, at least"):
        ranking.ranked([1, 2], **wrong)


def test_a_million_orders_are_the_most():
    with pytest.raises(PlumblineError, match="draws must be at most 1000000, not 1000001"):
        ranking.ranked([0.1, 0.2], seed=0, draws=10**6 + 1)
