"""Passes of a model (`models/inference.py`): equal inputs, batches within a budget, work counted."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.models.inference import Passes, batches, usual_budget
from plumbline.work import Work
from tests.small_models import small_model


def test_equal_inputs_run_once():
    model = small_model("bert")
    passes = Passes()
    row = np.array([2, 7, 8, 3])
    assert passes.add(row) == passes.add(row.copy())
    # The same tokens read elsewhere are another input.
    assert passes.add(row, 2) != passes.add(row, 0)
    assert passes.run(model, 0).shape == (2, 2)
    assert (passes.work.requested, passes.work.rows) == (4, 2)


def test_narrow_models_take_more_tokens_together():
    cpu = torch.device("cpu")
    assert [usual_budget(cpu, width) for width in (32, 64, 128, 256, 768)] == [4096, 4096, 2048, 1024, 1024]
    assert usual_budget(torch.device("cuda"), 64) == usual_budget(torch.device("cuda"), 768) == 65536


def test_work_is_counted():
    """Lengths 9, 9, 7 and 2 in one batch of width 9: two positions of padding, and seven."""
    model, passes = small_model("bert"), Passes()
    draw = np.random.default_rng(0)
    rows = [draw.integers(5, 60, size=length) for length in (9, 7, 9, 2)]
    for row in [*rows, rows[0]]:
        passes.add(row)
    passes.run(model, 0, token_budget=60)
    work = passes.work
    assert (work.requested, work.rows, work.tokens) == (5, 4, 27)
    sizes = list(batches(np.array([9, 7, 9, 2]), 60))
    padding = sum(int((9 - np.array([9, 7, 9, 2])[chosen]).sum()) for chosen in sizes)
    assert work.padding == padding == 9
    assert work.seconds > 0
    rates = work.rates()
    assert rates["duplicates_share"] == pytest.approx(1 / 5)
    assert rates["padding_share"] == pytest.approx(9 / 36)
    assert rates["rows_per_second"] == pytest.approx(4 / work.seconds)
    twice = work + work
    assert (twice.requested, twice.tokens, twice.rates()) == (10, 54, rates)
    assert all(math.isnan(value) for value in Work().rates().values())


@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=80),
    budget=st.integers(1, 600),
)
def test_batches_are_a_partition_within_the_budget(lengths, budget):
    lengths = np.array(lengths)
    found = list(batches(lengths, budget))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
    for chosen in found:
        assert len(chosen) == 1 or len(chosen) * lengths[chosen].max() <= budget


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(budget=st.integers(3, 400), seed=st.integers(0, 100))
def test_token_budget_changes_nothing(budget, seed):
    model = small_model("bert", layers=1)
    draw = np.random.default_rng(seed)
    passes = Passes()
    for length in draw.integers(3, 12, size=15):
        passes.add(draw.integers(5, 60, size=length))
    torch.testing.assert_close(
        passes.run(model, 0, budget), passes.run(model, 0, 10**6), rtol=1e-4, atol=1e-5
    )
