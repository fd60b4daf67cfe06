"""Consistency of readouts between models, by definition (`agreement/consistency.py`)."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plumbline.agreement import METRICS, consistency
from plumbline.agreement.consistency import Ranking
from plumbline.errors import PlumblineError
from tests.test_agreement import by_hand

SETTINGS = {"resamples": 100, "level": 0.95, "seed": 1}


def models(count=3, examples=12, readouts=2, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 15, size=examples)
    return [
        Ranking(
            name=f"seed{number}",
            ids=list(range(examples)),
            inputs=[tuple(range(n)) for n in lengths],
            predictions=rng.integers(0, 2, size=examples).tolist(),
            scores={
                f"r{r}": [rng.integers(0, 5, size=n).astype(np.float32) for n in lengths]
                for r in range(readouts)
            },
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("metric", list(METRICS))
def test_table_equals_plain_loops(metric):
    given_models = models()
    rows = consistency.table(given_models, **SETTINGS)
    for (a, b), readout in itertools.product(itertools.combinations(given_models, 2), ("r0", "r1")):
        each = [
            by_hand(metric, a.scores[readout][place].tolist(), b.scores[readout][place].tolist())
            for place in range(12)
            if a.predictions[place] == b.predictions[place]
            and len(set(a.scores[readout][place])) > 1 < len(set(b.scores[readout][place]))
        ]
        row = rows.query(
            "first == @a.name and second == @b.name and readout == @readout and metric == @metric"
        )
        assert row["mean"].item() == pytest.approx(np.mean(each), abs=1e-12)
        assert row["sd"].item() == pytest.approx(np.std(each), abs=1e-12)
        assert row["examples"].item() == len(each)
        assert row["lower"].item() <= row["mean"].item() <= row["upper"].item()


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), order=st.permutations(range(12)))
def test_symmetric_and_blind_to_the_order_of_sentences(seed, order):
    def shuffled(model):
        return Ranking(
            name=model.name,
            ids=[model.ids[place] for place in order],
            inputs=[model.inputs[place] for place in order],
            predictions=[model.predictions[place] for place in order],
            scores={name: [vectors[place] for place in order] for name, vectors in model.scores.items()},
        )

    given_models = models(seed=seed)
    predictions = [model.predictions for model in given_models]
    pairs = itertools.combinations(predictions, 2)
    assume(all(any(x == y for x, y in zip(*pair, strict=True)) for pair in pairs))
    rows = consistency.table(given_models, **SETTINGS)
    # One model alone in another order: ids bring the sentences together.
    for other in ([shuffled(given_models[0]), *given_models[1:]], given_models[::-1]):
        turned = consistency.table(other, **SETTINGS)
        back = turned.rename(columns={"first": "second", "second": "first"})
        both = rows.merge(pd.concat([turned, back]), on=["first", "second", "readout", "metric"])
        assert len(both) == len(rows)
        assert np.allclose(both["mean_x"], both["mean_y"], rtol=0, atol=1e-12)
        assert (both["examples_x"] == both["examples_y"]).all()


def test_only_sentences_of_the_same_tokens_and_in_both_models_count():
    first, second = models(count=2)
    predictions = [0] * 12
    inputs = [("other", place) if place < 4 else tokens for place, tokens in enumerate(second.inputs)]
    first = Ranking(
        name="bert", ids=first.ids, inputs=first.inputs, predictions=predictions, scores=first.scores
    )
    second = Ranking(
        name="distilbert",
        ids=second.ids[:10],
        inputs=inputs[:10],
        predictions=predictions[:10],
        scores={"r1": second.scores["r1"][:10], "r9": second.scores["r1"][:10]},
    )
    rows = consistency.table([first, second], **SETTINGS)
    assert set(rows["readout"]) == {"r1"}
    assert rows["examples"].max() <= 6
    strangers = Ranking(
        name="roberta", ids=second.ids, inputs=[None] * 10, predictions=predictions[:10], scores=second.scores
    )
    with pytest.raises(PlumblineError, match="bert and roberta have no sentence in common.*of 10"):
        consistency.table([first, strangers], **SETTINGS)
