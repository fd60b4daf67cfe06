"""The table `rationale`: the oracle, and both measures against plain ones."""

import itertools

import numpy as np
import pytest

from plumbline.errors import PlumblineError
from plumbline.tables import (
    rationale,
)
from tests.synthetic import OPTIONS
from tests.table_rows import pick

pytestmark = pytest.mark.slow


def test_rationale_oracle_is_perfect_and_controls_are_not(table_inputs, made_rows):
    frame = made_rows("rationale")
    assert set(frame["dataset"]) == {"sentiment", "agreement"}
    assert (pick(frame, readout="oracle")["mean"] == 1).all()
    assert (pick(frame, readout="random")["mean"] < 0.9).all()
    assert not frame.loc[frame["control"], "best"].any()
    with pytest.raises(PlumblineError, match="known-truth"):
        rationale.rows(
            {"attributions": [i for i in table_inputs["attributions"] if i["dataset"] == "sst2"]}, OPTIONS
        )


def test_average_precision_equals_scikit_learn():
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.integers(-2, 4, size=(3, 11)).astype(np.float32)
        truth = rng.random(11) < 0.3
        truth[rng.integers(11)] = True
        theirs = [average_precision_score(truth, row) for row in scores]
        assert rationale.average_precision(scores, truth) == pytest.approx(theirs, abs=1e-12)


def test_r_precision_is_the_mean_over_all_orders_of_tied_tokens():
    rng = np.random.default_rng(1)
    truth = np.array([False, True, True, False, True])
    for scores in rng.integers(0, 3, size=(20, 5)):
        orders = [
            order
            for order in itertools.permutations(range(5))
            if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
        ]
        each = [sum(truth[place] for place in order[:3]) / 3 for order in orders]
        assert rationale.r_precision(scores[None], truth) == pytest.approx([np.mean(each)], abs=1e-12)
