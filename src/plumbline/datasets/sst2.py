"""SST-2: sentences of film reviews, positive or negative.

The mirror's train rows are the 6,920 full sentences, or with `train_on: phrases` the 67,349 of GLUE, which
are the hub's only ones. GLUE hides the labels of its test split: the hub's are -1, the mirror's are Stanford's.
"""

from ..errors import PlumblineError
from ..registry import Dataset
from . import raw

HUB = {
    "repo": "stanfordnlp/sst2",
    "repo_type": "dataset",
    "revision": "8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
}

ENTRY = Dataset(
    id="sst2",
    label="SST-2",
    task="classification",
    label_names=("negative", "positive"),
    splits=("train", "validation", "test"),
    licence="none stated by Stanford or GLUE; text of Rotten Tomatoes reviews, for research",
    citation="Socher et al. 2013, EMNLP; Wang et al. 2019, ICLR (GLUE)",
    sources={
        "mirror": {
            "sentences": "sst2/train_sentences.tsv.gz",
            "phrases": "sst2/train.tsv.gz",
            "validation": "sst2/dev.tsv.gz",
            "test": "sst2/test.tsv.gz",
        },
        "hub": {
            "train.parquet": HUB
            | {
                "filename": "data/train-00000-of-00001.parquet",
                "sha256": "c7921283b75a42e685f50edecb96798607ea0fcbfd0739ee8975f22c12d55f09",
            },
            "validation.parquet": HUB
            | {
                "filename": "data/validation-00000-of-00001.parquet",
                "sha256": "fb00fe008f6828f86ba2beda8415a4cf5da0c884f21c5f238c87131b5aa19529",
            },
            "test.parquet": HUB
            | {
                "filename": "data/test-00000-of-00001.parquet",
                "sha256": "20d27a86c0c59acb746a41a481ebb1fc71edb72d94b5ccee7f23b9041b17adcf",
            },
        },
    },
    hidden={"hub": ("test",)},
    parameters=raw.PARAMETERS | {"train_on": None},  # 'sentences' (mirror's default) or 'phrases' (hub's)
    order=30,
)


def rows(split, block, files):
    """Text and label of a split: a DataFrame, 0 negative, 1 positive, -1 hidden."""
    hidden = split in ENTRY.hidden.get(block["source"], ())
    checks = {"filled": ["text"], "integers": {"label": (-1 if hidden else 0, 1)}}
    if block["source"] == "mirror":
        name = split if split != "train" else block["train_on"] or "sentences"
        frame = raw.read_tsv(files(name), ["text", "label"], **checks)
    else:
        if block["train_on"] == "sentences":
            raise PlumblineError("the hub's SST-2 has phrases only: set train_on: phrases, or source: mirror")
        columns = {"sentence": "text", "label": "label"}
        frame = raw.read_parquet(files(f"{split}.parquet"), columns, **checks)
        # GLUE's train and dev sentences end in a blank; no tokenizer sees it.
        frame["text"] = frame["text"].str.strip()
    return raw.limit(frame, split, block, "sst2")
