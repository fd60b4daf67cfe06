"""Rows of the tables' inputs, and a slow way to an interval over seeds and texts."""

import numpy as np
import pandas as pd
from scipy import stats

from plumbline.artefacts import read_rows
from tests.small_xai import study
from tests.synthetic import TEN, compare, make, merge, vision


def pick(frame, **values):
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def scores_of(table_inputs, **values):
    """All faithfulness rows of one model and readout, with the seed."""
    items = [
        i
        for i in table_inputs["faithfulness"]
        if (i["dataset"], i["method"]) == (values["dataset"], values["method"])
    ]
    rows = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    return pick(rows, readout=values["readout"], protocol=values["protocol"], kind=values["kind"])


def two_way(scores, value, level=0.95):
    """Interval of the mean of rows (id, seed, value), by analysis of variance: sums of squares of cell totals."""
    table = scores.astype({value: float}).pivot(index="seed", columns="id", values=value).to_numpy()
    seeds, examples = table.shape
    correction = table.sum() ** 2 / table.size
    of_seed = (table.sum(axis=1) ** 2).sum() / examples - correction
    of_example = (table.sum(axis=0) ** 2).sum() / seeds - correction
    left = (table**2).sum() - correction - of_seed - of_example
    squares = np.array([of_seed, of_example, left])
    freedom = np.array([seeds - 1, examples - 1, (seeds - 1) * (examples - 1)])
    row, column, rest = squares / freedom
    variance = max(row + column - rest, row, column) / table.size
    df = max(seeds - 1, (row + column - rest) ** 2 / ((squares / freedom) ** 2 / freedom).sum())
    half = stats.t.ppf((1 + level) / 2, df) * variance**0.5
    return table.mean() - half, table.mean() + half


def table_inputs(root):
    """Artefacts of several models and studies, for every table."""
    full = make(root, seeds=(0, 1))
    small = make(root, dataset="agreement", model="distilbert", architecture="distilbert", methods=TEN)
    # A real data set, a checkpoint of the hub, no oracle: where published numbers exist.
    real = make(
        root,
        dataset="sst2",
        model="roberta",
        architecture="roberta",
        oracle=False,
        source="hub",
        repo="textattack/roberta-base-SST-2",
        epochs=0,
    )
    pair = make(root, dataset="agreement", methods=TEN)
    found = merge(full, small, pair, real)
    return found | compare(root, found, ("agreement", "bert", "distilbert")) | study(root) | vision(root)
