"""IMDb with all its reviews, divided as Lopardo et al. 2024 do: 20,000 train, 5,000 validation, 25,000 test.

The source's files are those of `imdb`; a data set of its own, because the ALTI study takes samples of `imdb`.
"""

from dataclasses import replace

from . import imdb, raw

ENTRY = replace(
    imdb.ENTRY,
    id="imdb_25k",
    label="IMDb (25,000)",
    parameters=imdb.ENTRY.parameters | {"validation": 5000, "order": "source"},
    order=45,
)


def rows(split, block, files):
    """Text and label of a split: a DataFrame, 0 negative, 1 positive. Test rows stand in the source's order."""
    return raw.polarity(split, block, files, ENTRY.id, {"text": "text", "label": "label"})
