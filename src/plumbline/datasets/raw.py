"""Reading raw files, and the row rules that the published data sets share.

Every choice of rows goes by one permutation, seeded by (data set, what for, the block's seed). `carve` takes
the first of it for validation where the source has no such split; `limit` takes the first of another where
fewer rows are wanted, so that a smaller sample is a part of a larger one.
"""

from ..errors import PlumblineError
from ..seeds import seed_of

PARAMETERS = {
    "train": None,  # rows; None: all
    "validation": None,  # rows; None: all, or a tenth of the source's train split where it is carved from it
    "test": None,  # rows; None: all
    "order": "source",  # of validation and test, before the first rows are taken: 'source' or 'shuffled'
    "seed": 0,  # of carving, sampling and shuffling
    "revision": None,  # of the hub repository; None: the registry's
}


def read_tsv(path, columns, header=True):
    """Columns of a tab-separated file (UTF-8, gzip or plain, no quoting) as strings, in a DataFrame.

    columns: names in the header line; without header a mapping of column number to name.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False, encoding="utf-8",
                            header=0 if header else None)  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError) as fault:
        raise PlumblineError(f"{path} is no tab-separated table: {fault}") from fault
    return _choose(frame, path, columns)


def read_parquet(path, columns):
    """Columns of a Parquet file, given as a mapping of their names to ours, in a DataFrame."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame = pq.ParquetFile(path).read().to_pandas()
    except pa.ArrowInvalid as fault:
        raise PlumblineError(f"{path} is not a Parquet file: {fault}") from fault
    return _choose(frame, path, columns)


def integers(frame, columns, dataset):
    """The frame with these columns of digits as integers."""
    for name in columns:
        wrong = frame.index[~frame[name].str.fullmatch(r"-?\d+")]
        if len(wrong):
            raise PlumblineError(f"dataset '{dataset}': row {wrong[0]} of the source has no integer {name}: "
                                 f"'{frame[name][wrong[0]]}'")  # fmt: skip
    return frame.astype(dict.fromkeys(columns, int))


def _choose(frame, path, columns):
    for name in columns:
        if name not in frame.columns:
            raise PlumblineError(
                f"{path} has no column {name!r}; it has {', '.join(map(str, frame.columns))}"
            )
    frame = frame[list(columns)]
    return frame.rename(columns=columns) if isinstance(columns, dict) else frame


def permutation(rows, *names):
    """The numbers of `rows` rows in an order that depends on the names alone."""
    import numpy as np

    return np.random.default_rng(seed_of(*names)).permutation(rows)


def carve(frame, split, block, dataset):
    """Train or validation of a source that has train alone: validation is the first of a permutation.

    A text of the validation rows that occurs in train too (a duplicate) leaves train. Source order.
    """
    size = len(frame) // 10 if block["validation"] is None else block["validation"]
    if size >= len(frame):
        raise PlumblineError(
            f"dataset '{dataset}': {size} validation rows leave none of {len(frame)} for training"
        )
    chosen = permutation(len(frame), dataset, "validation", block["seed"])[:size]
    validation = frame.iloc[sorted(chosen)]
    return validation if split == "validation" else frame[~frame["text"].isin(set(validation["text"]))]


def limit(frame, split, block, dataset):
    """The rows of a split that the block asks for.

    train: a seeded sample, in the source's order. validation and test: the first rows in the block's order.
    """
    size = len(frame) if block[split] is None else block[split]
    if size > len(frame):
        raise PlumblineError(f"dataset '{dataset}' has {len(frame)} {split} rows, not {size}: lower "
                             f"datasets.{dataset}.{split}")  # fmt: skip
    order = permutation(len(frame), dataset, split, block["seed"])
    if split == "train":
        return frame.iloc[sorted(order[:size])]
    return frame.iloc[order[:size]] if block["order"] == "shuffled" else frame.iloc[:size]


def polarity(split, block, files, dataset, columns):
    """Text and label rows of a review data set that has train and test alone: validation is carved from train."""
    raw = "test" if split == "test" else "train"
    if block["source"] == "mirror":
        frame = integers(read_tsv(files(raw), ["text", "label"]), ["label"], dataset)
    else:
        frame = read_parquet(files(f"{raw}.parquet"), columns)
    if split != "test":
        frame = carve(frame, split, block, dataset)
    return limit(frame, split, block, dataset)
