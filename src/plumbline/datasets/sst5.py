"""SST-5: sentences of film reviews in five classes, the labels at the roots of the treebank's trees.

The mirror's rows are binary parse trees in brackets, `(3 (2 It) (4 ...))`; the text is the tree's words, with brackets and
slashes written out as in SST-2. Nothing is said of single words here: the set is one of five classes and no known truth.
"""

import re

from ..errors import PlumblineError
from ..registry import Dataset
from . import raw

ENTRY = Dataset(
    id="sst5",
    label="SST-5",
    task="classification",
    label_names=("very negative", "negative", "neutral", "positive", "very positive"),
    splits=("train", "validation", "test"),
    licence="none stated by Stanford; text of Rotten Tomatoes reviews, for research",
    citation="Socher et al. 2013, EMNLP",
    sources={
        "mirror": {
            "train": "sst_trees/train.tsv.gz",
            "validation": "sst_trees/dev.tsv.gz",
            "test": "sst_trees/test.tsv.gz",
        }
    },
    parameters={name: value for name, value in raw.PARAMETERS.items() if name != "revision"},
    order=32,
)

# A leaf: `(2 word)`; a word may have a hard blank inside.
LEAF = re.compile(r"\([0-4] ([^() ]+)\)")
WRITTEN_OUT = {"\N{NO-BREAK SPACE}": " ", "-LRB-": "(", "-RRB-": ")", "\\/": "/", "\\*": "*"}


def rows(split, block, files):
    """Text and label of a split, a DataFrame: 0 very negative to 4 very positive."""
    checks = {"filled": ["tree"], "integers": {"label": (0, 4)}}
    frame = raw.read_tsv(files(split), ["tree", "label"], **checks)
    wrong = frame.index[frame["tree"].str[1:3] != frame["label"].astype(str) + " "]
    if len(wrong):
        raise PlumblineError(
            f"dataset 'sst5': row {wrong[0]} of the {split} split is no tree whose root has the label {frame['label'][wrong[0]]}"
        )
    frame["text"] = [text_of(tree) for tree in frame["tree"]]
    return raw.limit(frame[["text", "label"]], split, block, "sst5")


def text_of(tree):
    """Return the words of a tree in brackets, joined by blanks."""
    text = " ".join(LEAF.findall(tree))
    for written, meant in WRITTEN_OUT.items():
        text = text.replace(written, meant)
    return text
