"""The table `xai_published`: numbers that are left out of it."""

from plumbline.tables import (
    xai_published,
)


def test_numbers_of_a_sentence_or_document_that_is_not_the_published_one():
    said = xai_published._verdict
    here, entry = {"dataset": "imdb"}, {"dataset": "imdb"}
    assert said(here, "", entry) == {
        "verdict": "not comparable",
        "why": "another checkpoint: the published one was not released",
    }
    assert said(here, "sentence", entry) == {
        "verdict": "not run",
        "why": "this configuration shows another sentence",
    }
    assert said({"dataset": "sst2"}, "", entry) == {
        "verdict": "not run",
        "why": "this scale has another data set (sst2)",
    }
