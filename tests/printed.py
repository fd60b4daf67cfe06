"""Published numbers for tests, in the form of `plumbline.tables.published.read`."""

import functools

import pandas as pd

from plumbline.tables.published import COLUMNS, read

SAMPLE = {"texts": "t", "size": 400, "block": {}}
ABOUT = {
    "table": "t",
    "work": "w",
    "dataset": "sst2",
    "architecture": "roberta",
    "checkpoint": "x/one",
    "sample": SAMPLE,
    "where": {},
    "digits": 3,
    "tolerance": 0.0005,
    "margin": 0.02,
    "source": "s",
    "measured": "m",
}


_read_once = functools.cache(read)


def shipped():
    """The numbers of the package, as a table to change at will; the files are read once."""
    return _read_once().copy()


def shipped_of(table):
    """The package's numbers of one of our tables."""
    return shipped().query("table == @table")


def printed(table, *rows, **about):
    """Numbers of one measurement of a table; rows: what each has in numbers.csv, about: what the measurement has beside ABOUT."""
    about = ABOUT | {"table": table} | about
    empty = dict.fromkeys(COLUMNS, "") | {"measurement": table, "column": "mean", "sd": float("nan")}
    found = [empty | {"quantity": f"number {place}"} | row for place, row in enumerate(rows)]
    return pd.DataFrame(found).assign(about=[about] * len(rows), table=table)


def together(*frames):
    """All numbers in one table, as `read` gives them."""
    return pd.concat(frames, ignore_index=True)
