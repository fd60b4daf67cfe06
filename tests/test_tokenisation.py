"""Tokenisers trained from scratch: the same bytes every time, subwords, and nothing added but special tokens."""

import pytest

from plumbline.datasets import load
from plumbline.models.tokenisation import train_tokenizer


@pytest.fixture(scope="module")
def texts():
    return load("sentiment", "train", {"train": 300, "validation": 10, "test": 10})["text"]


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_training_is_reproducible(texts, architecture):
    """The trainers iterate over hash maps with a seed of their own in each call; nothing of it may show."""
    found = {train_tokenizer(architecture, texts, 400).backend_tokenizer.to_str() for _ in range(3)}
    assert len(found) == 1


def test_wordpiece_adds_no_token_but_the_special_ones(texts):
    tokenizer = train_tokenizer("bert", texts, 400)
    assert len(tokenizer) == 400
    assert sorted(tokenizer.get_added_vocab()) == ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]"]
    pieces = tokenizer.tokenize(texts[0])
    assert any(piece.startswith("##") for text in texts for piece in tokenizer.tokenize(text))
    assert tokenizer.convert_tokens_to_string(pieces) == texts[0].replace(" ,", ",").replace(" .", ".")
