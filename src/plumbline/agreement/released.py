"""Consistency between the released MultiBERTs seeds (plumbline.datasets.multiberts), as an artefact's rows."""

import itertools

from ..datasets import multiberts
from ..datasets.multiberts import DATASET, MODEL
from ..seeds import seed_of
from .consistency import Ranking, table

METRIC = "spearman_dense"  # of the published matrices


def rows(source, *, bootstrap=None, mirror=None, folder=None):
    """Compare the released seeds, as rows of an artefact.

    From matrices come means of one metric alone: no interval, no deviation, no count. From the scores also come random and
    position, which are drawn here, and intervals.

    Parameters
    ----------
    source : {'matrices', 'mirror', 'url'}
        See `plumbline.datasets.multiberts`.
    bootstrap : mapping, optional
        {resamples, level} of the intervals. Scores need it.
    mirror, folder
        See `multiberts.load`.

    Returns
    -------
    pandas.DataFrame
        The columns of schemas/artefacts/consistency.yaml. Seeds are named seed0, seed1, ...
    """
    if source == "matrices":
        return _published(multiberts.matrices())
    seed = seed_of("consistency", DATASET, MODEL)
    models = rankings(multiberts.load(source, mirror=mirror, folder=folder))
    return table(models, **bootstrap, seed=seed).assign(seed=None)


def rankings(seeds):
    """Make Rankings of the released seeds, with two controls beside the released readouts.

    Which tokens a sentence has was not released. Every seed has the same tokeniser, so their number is used instead.

    Parameters
    ----------
    seeds : mapping of int to tuple
        Seed -> (predictions, scores), as `multiberts.load` returns it.

    Returns
    -------
    list of Ranking
        One a seed, in the order of `seeds`.
    """
    found = []
    for seed, (predictions, scores) in seeds.items():
        lengths = [len(vector) for vector in scores["alti"]]
        found.append(
            Ranking(
                name=f"seed{seed}",
                ids=list(range(len(lengths))),
                inputs=lengths,
                predictions=predictions,
                scores=scores | _controls(seed, lengths),
            )
        )
    return found


def _controls(seed, lengths):
    import numpy as np

    generator = np.random.default_rng(seed_of(DATASET, MODEL, seed, "random"))
    return {
        "random": [generator.random(n) for n in lengths],
        "position": [1 / (1 + np.arange(n)) for n in lengths],
    }


def _published(matrices):
    import pandas as pd

    found = [
        {
            "first": f"seed{a}",
            "second": f"seed{b}",
            "readout": readout,
            "metric": METRIC,
            "mean": matrix[a, b],
        }
        for readout, matrix in matrices.items()
        for a, b in itertools.combinations(range(len(matrix)), 2)
    ]
    return pd.DataFrame(found).assign(seed=None, lower=None, upper=None, sd=None, examples=None)
