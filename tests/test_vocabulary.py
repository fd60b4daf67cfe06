"""Tokens and vocabulary of the classifier (`models/vocabulary.py`)."""

from plumbline.models.vocabulary import Vocabulary, cleaned, tokens_of


def test_tokens():
    assert tokens_of("It's (\"good\"); really,<br /><br />no? Yes: 3.5!") == [
        "it", "'", "s", "(", "good", ")", "really", ",", "no", "?", "yes", "3", ".", "5", "!"]  # fmt: skip
    assert cleaned("It's -- good.<br />") == "It s good br"


def test_vocabulary():
    vocabulary = Vocabulary.of(["b a b", "c a b UNK"])
    assert vocabulary.tokens == ["[cls]", "UNK", "b", "a", "c", "unk"]
    assert list(vocabulary.ids(["a", "zzz", "b"], 6)) == [0, 3, 1, 2, 1, 1]
    assert list(vocabulary.ids(["a"] * 9, 4)) == [0, 3, 3, 3]
