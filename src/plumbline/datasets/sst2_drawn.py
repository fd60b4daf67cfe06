"""SST-2 whose test split is the sample that the ALTI reference drew until 2022: 500 sentences, by Python's `random`.

`random.seed(10); random.sample(range(n), 500)` over GLUE's test split (attributions.py of the
reference's commits of March to May 2022). Agreement with the gradient, ranks of special tokens and the consistency of a
BERT with a DistilBERT were published for these sentences. Only the hub's rows stand in GLUE's order; of the mirror's,
which stand in Stanford's, the same places are other sentences. Train and validation are those of `sst2`.
"""

import random
from dataclasses import replace

from ..errors import PlumblineError
from . import sst2

SEED, SIZE = 10, 500

ENTRY = replace(
    sst2.ENTRY,
    id="sst2_drawn",
    label="SST-2 (500 drawn)",
    parameters={**sst2.ENTRY.parameters, "test": SIZE},
    order=31,
)


def drawn(rows, size=SIZE):
    """Return the places of the rows that the reference drew.

    Parameters
    ----------
    rows : int
        The number of rows of the source.
    size : int
        How many of the 500 places, at most 500.

    Returns
    -------
    list of int
        The first `size` of the 500 places out of range(rows), in the reference's order.

    Raises
    ------
    PlumblineError
        For a source of fewer rows, or a larger size.
    """
    if rows < SIZE or size > SIZE:
        raise PlumblineError(
            f"dataset 'sst2_drawn' draws {SIZE} test rows: it cannot give {size}, from a source of {rows}"
        )
    return random.Random(SEED).sample(range(rows), SIZE)[:size]


def rows(split, block, files):
    """Text and label of a split: a DataFrame, 0 negative, 1 positive, -1 hidden."""
    if split != "test":
        return sst2.rows(split, block, files)
    frame = sst2.rows(split, {**block, "test": None, "order": "source"}, files)
    return frame.iloc[drawn(len(frame), SIZE if block["test"] is None else block["test"])]
