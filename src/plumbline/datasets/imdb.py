"""IMDb: long film reviews, positive or negative.

The source has train and test, each sorted by label: so validation is carved from train, and validation and
test are shuffled before their first rows are taken (`order: source` is what the published runs did: their
first 1,000 test reviews are all negative). Texts keep their <br />.
"""

from ..registry import Dataset
from . import raw

HUB = {
    "repo": "stanfordnlp/imdb",
    "repo_type": "dataset",
    "revision": "e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
}

ENTRY = Dataset(
    id="imdb",
    label="IMDb",
    task="classification",
    label_names=("negative", "positive"),
    splits=("train", "validation", "test"),
    licence="none stated; the authors ask for citation, the reviews are their writers', for research",
    citation="Maas et al. 2011, ACL",
    sources={
        "mirror": {"train": "imdb/train.tsv.gz", "test": "imdb/test.tsv.gz"},
        "hub": {
            "train.parquet": HUB
            | {
                "filename": "plain_text/train-00000-of-00001.parquet",
                "sha256": "db47d16b5c297cc0dd625e519c81319c24c9149e70e8496de5475f6fa928342c",
            },
            "test.parquet": HUB
            | {
                "filename": "plain_text/test-00000-of-00001.parquet",
                "sha256": "b52e26e2f872d282ffac460bf9770b25ac6f102cda0e6ca7158df98c94e8b3da",
            },
        },
    },
    parameters=raw.PARAMETERS | {"order": "shuffled"},
    order=40,
)


def rows(split, block, files):
    """Text and label of a split: a DataFrame, 0 negative, 1 positive."""
    return raw.polarity(split, block, files, "imdb", {"text": "text", "label": "label"})
