"""Yelp reviews, positive (4 or 5 stars) or negative (1 or 2).

The hub has the canonical yelp_polarity (560,000 and 38,000 reviews). The mirror has another, smaller draw of
real Yelp reviews by the same rule: its dev file is train here, and validation is carved from it.
"""

from ..registry import Dataset
from . import raw

HUB = {
    "repo": "fancyzhx/yelp_polarity",
    "repo_type": "dataset",
    "revision": "bbf1c97a1f0cf005e5aded43839fd814654a1557",
}

ENTRY = Dataset(
    id="yelp",
    label="Yelp",
    task="classification",
    label_names=("negative", "positive"),
    splits=("train", "validation", "test"),
    licence="Yelp Open Dataset terms: academic, not commercial, no redistribution",
    citation="Zhang, Zhao and LeCun 2015, NeurIPS",
    sources={
        "mirror": {"train": "yelp/dev.tsv.gz", "test": "yelp/test.tsv.gz"},
        "hub": {
            "train.parquet": HUB | {"filename": "plain_text/train-00000-of-00001.parquet"},
            "test.parquet": HUB | {"filename": "plain_text/test-00000-of-00001.parquet"},
        },
    },
    parameters=raw.PARAMETERS,
    order=50,
)


def rows(split, block, files):
    """Text and label of a split: a DataFrame, 0 negative, 1 positive."""
    return raw.polarity(split, block, files, "yelp", {"text": "text", "label": "label"})
