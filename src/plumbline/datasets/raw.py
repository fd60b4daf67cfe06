"""Reading raw files, and the row rules that the published data sets share.

Every choice of rows goes by one permutation, seeded by (data set, what for, the block's seed). `carve` takes
the first of it for validation where the source has no such split; `limit` takes the first of another where
fewer rows are wanted, so that a smaller sample is a part of a larger one.
"""

import codecs
import gzip
import itertools
import zlib

from ..artefacts import read_rows
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


def read_tsv(path, columns, header=True, *, filled=(), integers=None):
    """Read columns of a tab-separated file.

    The file is UTF-8, with or without a byte order mark, plain or gzip; lines end in LF, CRLF or CR; empty lines do not count.
    No quoting: a quotation mark is a character like any other.

    Parameters
    ----------
    path : path
        The file.
    columns : list of str, or dict
        Names in the header line; without header a mapping of column number to name.
    header : bool
        Whether the first line names the columns.
    filled : iterable of str
        Columns without an empty cell.
    integers : dict, optional
        Column -> (least, most or None) that its whole numbers may be.

    Returns
    -------
    DataFrame
        Strings, the columns `integers` int64. The index is the row's number, from 0.

    Raises
    ------
    PlumblineError
        With the file, and where there is one the row: for a missing or repeated column, a row of another number of fields than
        the first line's, a NUL byte, what is not UTF-8, a damaged gzip file, and what `filled` and `integers` forbid.
    """
    import pandas as pd

    lines = _lines(path)
    top = next(lines, None)
    if top is None:
        raise PlumblineError(f"{path} is empty: copy it again")
    names = top[1] if header else list(range(len(top[1])))
    places = {name: names.index(name) for name in columns if names.count(name) == 1}
    for name in columns:
        if name not in places:
            fault = "no column" if name not in names else "more than one column"
            raise PlumblineError(f"{path} has {fault} {name!r}; it has {', '.join(map(str, names))}")
    rows, numbers = {name: [] for name in columns}, []
    for number, fields in lines if header else itertools.chain([top], lines):
        if len(fields) != len(names):
            raise PlumblineError(
                f"row {len(numbers)} of {path} (line {number}) has {len(fields)} fields, its first line "
                f"{len(names)}: correct the tabs"
            )
        numbers.append(number)
        for name, place in places.items():
            rows[name].append(fields[place])
    frame = pd.DataFrame(rows, dtype=str)
    frame = frame.rename(columns=columns) if isinstance(columns, dict) else frame
    return _checked(frame, path, filled, integers, numbers)


def _lines(path):
    """(number from 1, fields) of each line of a tab-separated file that is not empty."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with (gzip.open if packed else open)(path, "rb") as file:
            content = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise PlumblineError(f"{path} is a damaged gzip file ({fault}): copy it again") from fault
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        if b"\0" in line:
            raise PlumblineError(f"line {number} of {path} holds a NUL byte: a table is UTF-8 text")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise PlumblineError(
                f"line {number} of {path} is not UTF-8 ({fault.reason}): convert the file"
            ) from fault
        if text:
            yield number, text.split("\t")


def read_parquet(path, columns, *, filled=(), integers=None):
    """Read columns of a Parquet file.

    Parameters
    ----------
    path : path
        The file.
    columns : dict
        The file's name of a column -> ours.
    filled, integers
        See `read_tsv`.

    Returns
    -------
    DataFrame
        With our names.

    Raises
    ------
    PlumblineError
        With the file: for what is no Parquet file or a damaged one, a missing column, an empty cell in one of filled and
        integers, a column of another type, and what `filled` and `integers` forbid.
    """
    import pandas as pd

    frame = read_rows(path, list(columns)).rename(columns=columns)
    for name in (*filled, *(integers or ())):
        empty = frame.index[frame[name].isna()]
        if len(empty):
            raise PlumblineError(f"row {empty[0]} of {path} has no {name}: correct the file")
        right = pd.api.types.is_integer_dtype if name in (integers or ()) else pd.api.types.is_string_dtype
        if not right(frame[name]):
            raise PlumblineError(
                f"column '{name}' of {path} is {frame[name].dtype}, not "
                f"{'whole numbers' if name in (integers or ()) else 'text'}"
            )
    return _checked(frame, path, filled, integers)


def _checked(frame, path, filled, integers, numbers=None):
    """The frame, whose index is the row's number, with the columns `integers` as int64.

    filled    columns without an empty cell; integers: column -> (least, most or None) that its whole numbers may be.
    numbers   the line of each row in the file, for the message.
    """

    def where(row):
        return f"row {row} of {path}" + (f" (line {numbers[row]})" if numbers else "")

    for name in filled:
        empty = frame.index[frame[name].str.strip() == ""]
        if len(empty):
            raise PlumblineError(f"{where(empty[0])} has an empty {name}: correct the file")
    for name, (least, most) in (integers or {}).items():
        values = frame[name].astype(str)
        wrong = frame.index[~values.str.fullmatch(r"-?[0-9]{1,18}")]
        if len(wrong):
            raise PlumblineError(f"{where(wrong[0])} has no integer {name}: '{values[wrong[0]]}'")
        frame = frame.assign(**{name: values.astype("int64")})
        outside = frame.index[
            (frame[name] < least) | (frame[name] > (frame[name].max() if most is None else most))
        ]
        if len(outside):
            legal = f"{least} or more" if most is None else f"{least} to {most}"
            raise PlumblineError(
                f"{where(outside[0])} has the {name} {frame[name][outside[0]]}; legal: {legal}"
            )
    return frame


def permutation(rows, *names):
    """Return the numbers of `rows` rows in an order that depends on the names alone.

    Parameters
    ----------
    rows : int
        How many.
    *names : str or number
        The seed.

    Returns
    -------
    numpy.ndarray, int64, shape (rows,)
    """
    import numpy as np

    return np.random.default_rng(seed_of(*names)).permutation(rows)


def carve(frame, split, block, dataset):
    """Return train or validation of a source that has train alone.

    Validation is the first of a permutation, by default a tenth. A text of the validation rows that occurs in train too (a
    duplicate) leaves train.

    Parameters
    ----------
    frame : DataFrame
        The source's train split.
    split : {'train', 'validation'}
        Which is asked for.
    block : dict
        The data set's block.
    dataset : str
        Its id.

    Returns
    -------
    DataFrame
        In the source's order.

    Raises
    ------
    PlumblineError
        Where validation leaves nothing for training.
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
    """Return the rows of a split that the block asks for.

    Parameters
    ----------
    frame : DataFrame
        All rows of the split.
    split : {'train', 'validation', 'test'}
        train: a seeded sample, in the source's order. validation and test: the first rows in the block's order.
    block : dict
        The data set's block.
    dataset : str
        Its id.

    Returns
    -------
    DataFrame

    Raises
    ------
    PlumblineError
        Where the block asks for more rows than there are.
    """
    size = len(frame) if block[split] is None else block[split]
    if size > len(frame):
        raise PlumblineError(
            f"dataset '{dataset}' has {len(frame)} {split} rows, not {size}: lower datasets.{dataset}.{split}"
        )
    order = permutation(len(frame), dataset, split, block["seed"])
    if split == "train":
        return frame.iloc[sorted(order[:size])]
    return frame.iloc[order[:size]] if block["order"] == "shuffled" else frame.iloc[:size]


def polarity(split, block, files, dataset, columns):
    """Return the rows of a review data set that has train and test alone: validation is carved from train.

    Parameters
    ----------
    split : {'train', 'validation', 'test'}
        Which is asked for.
    block : dict
        The data set's block.
    files : callable
        Name -> path, see plumbline.datasets.
    dataset : str
        Its id.
    columns : dict
        See `read_parquet`.

    Returns
    -------
    DataFrame
        Text and label.
    """
    raw, checks = "test" if split == "test" else "train", {"filled": ["text"], "integers": {"label": (0, 1)}}
    if block["source"] == "mirror":
        frame = read_tsv(files(raw), ["text", "label"], **checks)
    else:
        frame = read_parquet(files(f"{raw}.parquet"), columns, **checks)
    if split != "test":
        frame = carve(frame, split, block, dataset)
    return limit(frame, split, block, dataset)
