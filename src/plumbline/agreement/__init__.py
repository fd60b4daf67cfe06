"""How far two readouts rank the same tokens alike: metrics, one module each, and the table of all pairs.

A metric's module has an ENTRY, `compute(x, y)` for two vectors and `pairwise(scores)` for all readouts of an example at once.
Scores are ranked as they are, signs included, over all tokens, special tokens included. A constant vector (the uniform control,
a clipped readout that is zero everywhere) ranks nothing: every metric with it is NaN, and that example is not counted for that
pair.
"""

import importlib

from ..errors import PlumblineError
from ..registry import discover

METRICS = discover(__name__, "agreement metric")


def table(attributions, *, resamples, level, seed):
    """Compare every unordered pair of readouts by every metric, averaged over examples.

    Parameters
    ----------
    attributions : mapping of str to list of array_like of float, shape (tokens,)
        Readout -> its scores, one array an example. All readouts have the same examples in the same order. The order of the
        mapping is that of the rows, so give the registry's.
    resamples, level, seed
        See `plumbline.stats.bootstrap_interval`.

    Returns
    -------
    pandas.DataFrame
        The columns of schemas/artefacts/agreement.yaml. `examples` counts the examples on which both rankings are defined. A pair
        that is never defined has no row. mean, lower, upper and sd have the metric's unit: none, in [-1, 1], or in [0, 1] for the
        overlaps.

    Raises
    ------
    PlumblineError
        Where readouts differ in their examples or in the tokens of an example.
    """
    import numpy as np
    import pandas as pd

    from ..stats import bootstrap_interval

    readouts = list(attributions)
    examples = _examples(attributions)
    first, second = np.triu_indices(len(readouts), k=1)
    frames = []
    for metric in METRICS:
        pairwise = importlib.import_module(f"{__name__}.{metric}").pairwise
        values = np.array([pairwise(scores)[first, second] for scores in examples])
        counts = (~np.isnan(values)).sum(axis=0)
        defined = counts > 0
        values = values[:, defined]
        lower, upper = bootstrap_interval(values, resamples=resamples, level=level, seed=seed, ragged=True)
        columns = {
            "readout": [readouts[index] for index in first[defined]],
            "other": [readouts[index] for index in second[defined]],
            "metric": metric,
            "mean": np.nanmean(values, axis=0),
            "lower": lower,
            "upper": upper,
            "sd": np.nanstd(values, axis=0),
            "examples": counts[defined].astype(np.int64),
        }
        frames.append(pd.DataFrame(columns))
    rows = pd.concat(frames, ignore_index=True)
    places = {readout: place for place, readout in enumerate(readouts)}
    order = np.lexsort((rows.index, rows["other"].map(places), rows["readout"].map(places)))
    return rows.iloc[order].reset_index(drop=True)


def _examples(attributions):
    """One float array (readouts, tokens) an example."""
    import numpy as np

    counts = {readout: len(vectors) for readout, vectors in attributions.items()}
    if len(counts) < 2 or not min(counts.values()):
        raise PlumblineError("agreement needs two readouts and one example at least")
    if len(set(counts.values())) > 1:
        raise PlumblineError(f"readouts differ in their number of examples: {counts}")
    stacked = []
    for index, vectors in enumerate(zip(*attributions.values(), strict=True)):
        if len({len(vector) for vector in vectors}) > 1:
            raise PlumblineError(f"readouts differ in the number of tokens of example {index} of the file")
        stacked.append(np.stack([np.asarray(vector) for vector in vectors]))
    return stacked
