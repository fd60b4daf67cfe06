"""Training of the multi-head classifier and its vocabulary."""

import numpy as np
import pytest
import torch

from plumbline.artefacts import read_json, read_records
from plumbline.errors import PlumblineError
from plumbline.models.multihead import MultiHeadClassifier
from plumbline.models.multihead_training import fit, load
from plumbline.models.vocabulary import UNK
from tests.small_xai import files_of


@pytest.mark.slow
def test_training_learns_and_keeps_the_best_epoch():
    """Label 1 exactly where id 5 stands somewhere; validation accuracy falls when training goes on with wrong labels."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    ids = torch.full((400, 8), UNK)
    ids[:, 0] = 0
    ids[:, 1:4] = torch.from_numpy(draw.integers(5, 9, (400, 3)))
    labels = (ids == 5).any(1).long()
    model = MultiHeadClassifier(9, 8, 4, 4, 2, 8)
    training = {"epochs": 12, "batch_size": 8, "learning_rate": 2e-2, "weight_decay": 0.01}
    found = fit(model, (ids[:300], labels[:300]), (ids[300:], labels[300:]), training, seed=1)
    accuracies = [entry["validation_accuracy"] for entry in found]
    assert max(accuracies) > 0.95
    assert (model(ids[300:]).argmax(1) == labels[300:]).float().mean() == pytest.approx(max(accuracies))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_an_error():
    model = MultiHeadClassifier(9, 8, 4, 4, 2, 8)
    data = torch.ones(16, 8, dtype=torch.long), torch.zeros(16, dtype=torch.long)
    training = {"epochs": 1, "batch_size": 8, "learning_rate": float("inf"), "weight_decay": 0.0}
    with pytest.raises(PlumblineError, match="not finite at step [12]: lower the learning rate"):
        fit(model, data, data, training, seed=0)


@pytest.mark.slow
def test_vocabulary_has_training_and_validation_words_alone(xai_study):
    root, _ = xai_study
    _, vocabulary, _ = load(**files_of(root))
    texts = [
        row["text"]
        for split in ("train", "validation")
        for row in read_records(root / f"data/sentiment/{split}.parquet")
    ]
    assert {"good", "bad"} < set(vocabulary.tokens[2:]) <= set(" ".join(texts).lower().split())
    metrics = read_json(files_of(root)["metrics"])
    assert metrics["vocabulary"] == len(vocabulary)
    assert metrics["parameters"] == len(vocabulary) * 8 + 2 * (3 * 4 * 8 + 2 * 4)
