"""Words of every kind of pieces (`words.py`)."""

import numpy as np
import pytest

from plumbline.words import words


@pytest.mark.parametrize(
    ("tokens", "position", "want"),
    [
        # ALBERT: sentence pieces between [CLS] and [SEP].
        (
            "[CLS] ▁a ▁charm ing ly ▁dull ▁film [SEP]",
            0,
            ["[CLS]", "a", "charmingly", "dull", "film", "[SEP]"],
        ),
        (
            "[CLS] ▁the ▁dog s ▁near ▁it [MASK] ▁here . [SEP]",
            6,
            ["[CLS]", "the", "dogs", "near", "it", "[MASK]", "here.", "[SEP]"],
        ),
        ("[CLS] ▁ 1 0 ▁films [SEP]", 0, ["[CLS]", "10", "films", "[SEP]"]),
        # Byte-level pieces between [CLS] and [SEP], as DeBERTa has them.
        ("[CLS] Good Ġfil ms . [SEP]", 0, ["[CLS]", "Good", "films.", "[SEP]"]),
        # WordPiece between <s> and </s>, as MPNet has it.
        ("<s> charm ##ing film </s>", 0, ["<s>", "charming", "film", "</s>"]),
        # Pairs: the separator in the middle is a word, and what follows it begins one.
        ("[CLS] ▁a ▁charm ing [SEP] ▁dull [SEP]", 0, ["[CLS]", "a", "charming", "[SEP]", "dull", "[SEP]"]),
        ("[CLS] charm ##ing [SEP] dull ##ish [SEP]", 0, ["[CLS]", "charming", "[SEP]", "dullish", "[SEP]"]),
        (
            "<s> Good Ġfilm </s> </s> Dull ish Ġtext </s>",
            0,
            ["<s>", "Good", "film", "</s>", "</s>", "Dullish", "text", "</s>"],
        ),
        # Marks that are text: Ġ in a cased vocabulary, ## among byte-level pieces.
        ("[CLS] Ġ ##gan ##tija is old [SEP]", 0, ["[CLS]", "Ġgantija", "is", "old", "[SEP]"]),
        ("<s> ## Ġa Ġtitle </s>", 0, ["<s>", "##", "a", "title", "</s>"]),
    ],
)
def test_words_of_every_kind_of_pieces(tokens, position, want):
    tokens = tokens.split(" ")
    found = words(tokens, position)
    assert [word for word, _ in found] == want
    assert [index for _, indices in found for index in indices] == list(range(len(tokens)))


def test_scores_of_sentence_pieces_add_up_in_their_word():
    from plumbline.tables.saliency import summed

    tokens = ["[CLS]", "▁a", "▁charm", "ing", "ly", "▁dull", "▁film", "[SEP]"]
    scores = np.array([0.05, 0.05, 0.2, 0.2, 0.2, 0.15, 0.1, 0.05])
    np.testing.assert_allclose(summed(scores, words(tokens, 0)), [0.05, 0.05, 0.6, 0.15, 0.1, 0.05])
