"""What tables and figures of consistency between seeds share: which seeds there are, source by source. No torch."""

import numpy as np

from .artefacts import read_rows
from .datasets.multiberts import DATASET, MODEL, PUBLISHED_SEEDS
from .errors import PlumblineError

TRAINED = "trained"


def sources(inputs, options):
    """Return the consistency between seeds, source by source, trained models first.

    Parameters
    ----------
    inputs : dict
        `seed_consistency` and `released`: lists of inputs, see plumbline.collect.
    options : dict
        `released_seeds`.

    Returns
    -------
    list of dict
        {source, dataset, model, rows}. source: 'trained', or 'released (matrices)' and the like for the MultiBERTs seeds. rows:
        the artefact, a DataFrame, its first and second as integers.

    Raises
    ------
    PlumblineError
        Where there is none.
    """
    found = [
        {"source": TRAINED, "dataset": item["dataset"], "model": item["model"], "rows": _rows(item["path"])}
        for item in inputs.get("seed_consistency") or []
    ]
    source = f"released ({options['released_seeds']})"
    found += [
        {"source": source, "dataset": DATASET, "model": MODEL, "rows": _rows(item["path"])}
        for item in inputs.get("released") or []
    ]
    if not found:
        raise PlumblineError(
            "no training seeds to compare: give a run two `seeds`, or set `released_seeds` in the config"
        )
    return found


def _rows(path):
    rows = read_rows(path)
    for column in ("first", "second"):
        rows[column] = rows[column].str.removeprefix("seed").astype(int)
    return rows


def published(block):
    """Return a block of `sources` without what the published figure leaves out: the released seed 10."""
    rows = block["rows"]
    if block["source"] != TRAINED:
        rows = rows[rows["first"].isin(PUBLISHED_SEEDS) & rows["second"].isin(PUBLISHED_SEEDS)]
    return {**block, "rows": rows}


def square(rows):
    """Return the means of one readout and metric as a symmetric matrix.

    Parameters
    ----------
    rows : DataFrame
        Of one block of `sources`, one readout and one metric: first, second, mean.

    Returns
    -------
    seeds : list of int
        In ascending order.
    values : numpy.ndarray, float64, shape (seeds, seeds)
        Ones on the diagonal; NaN where a pair is not defined.
    """
    seeds = sorted({*rows["first"], *rows["second"]})
    places = {seed: place for place, seed in enumerate(seeds)}
    values = np.full((len(seeds), len(seeds)), np.nan)
    np.fill_diagonal(values, 1.0)
    for first, second, mean in zip(rows["first"], rows["second"], rows["mean"], strict=True):
        values[places[first], places[second]] = values[places[second], places[first]] = mean
    return seeds, values
