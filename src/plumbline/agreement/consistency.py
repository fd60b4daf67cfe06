"""Consistency: how alike several models rank the tokens of the same sentences; training seeds, or two models.

Two models are compared on the sentences that both read as the same tokens and predict alike.
The metrics are those between readouts, with the models in the readouts' place: special tokens and signs count,
and a constant vector ranks nothing, so that sentence is not counted for that pair and readout.
"""

import importlib
from dataclasses import dataclass

import numpy as np

from ..errors import PlumblineError
from . import METRICS


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What one model says of its examples. All sequences have the examples' order.

    Attributes
    ----------
    name : str
        The model, or its training seed: seed0, bert.
    ids : list
        Ids of the examples. Examples that another model lacks are left out of the comparison.
    inputs : list of hashable
        One an example, equal where the models read the same tokens.
    predictions : list of int
        The predicted class of each example.
    scores : dict of str to list of numpy.ndarray, float, shape (tokens,)
        Id of a readout -> its scores, one array an example.
    """

    name: str
    ids: list
    inputs: list
    predictions: list
    scores: dict


def read(name, files):
    """Read a Ranking from attribution files of one model.

    Parameters
    ----------
    name : str
        The name of the Ranking.
    files : mapping of path to sequence of str
        Attribution file -> ids of the readouts that are taken from it.

    Returns
    -------
    Ranking

    Raises
    ------
    PlumblineError
        Where the files hold different examples.
    """
    from ..collect import whole_texts

    scores, facts = {}, None
    for path, readouts in files.items():
        columns = [f"scores_{readout}" for readout in readouts]
        rows = whole_texts(path, ["id", "input_ids", "target", *columns])
        if facts is not None and not rows["id"].equals(facts["id"]):
            raise PlumblineError(f"{path} has other examples than {next(iter(files))}: make both again")
        facts = rows if facts is None else facts
        scores |= {readout: list(rows[column]) for readout, column in zip(readouts, columns, strict=True)}
    return Ranking(
        name=name,
        ids=facts["id"].tolist(),
        inputs=[tuple(row) for row in facts["input_ids"]],
        predictions=facts["target"].tolist(),
        scores=scores,
    )


def table(models, *, resamples, level, seed):
    """Compare every unordered pair of models by every readout that all have and every metric, averaged over sentences.

    Parameters
    ----------
    models : sequence of Ranking
        The order of the first one's readouts is that of the rows.
    resamples, level, seed
        See `plumbline.stats.bootstrap_interval`.

    Returns
    -------
    pandas.DataFrame
        The columns of schemas/artefacts/consistency.yaml but `seed`. `examples` counts the sentences on which the pair is
        compared and both rankings are defined. A pair that is never defined has no row. mean, lower, upper and sd (population)
        have the metric's unit: none, in [-1, 1], or in [0, 1] for the overlaps.

    Raises
    ------
    PlumblineError
        For a pair without any sentence in common.
    """
    import pandas as pd

    from ..stats import bootstrap_interval

    models = _aligned(models)
    first, second = np.triu_indices(len(models), k=1)
    alike = _alike(models, first, second)
    readouts = [name for name in models[0].scores if all(name in model.scores for model in models)]
    # (examples, readouts, pairs, metrics); ranks are taken once for a readout and sentence, not once a pair.
    values = np.stack([_readout(models, readout, alike, first, second) for readout in readouts], axis=1)
    flat = values.reshape(len(values), -1)
    counts = (~np.isnan(flat)).sum(axis=0)
    defined = counts > 0
    flat = flat[:, defined]
    lower, upper = bootstrap_interval(flat, resamples=resamples, level=level, seed=seed, ragged=True)
    r, p, m = (index.ravel()[defined] for index in np.indices(values.shape[1:]))
    names, metrics = np.array([model.name for model in models]), np.array(list(METRICS))
    return pd.DataFrame(
        {
            "first": names[first[p]],
            "second": names[second[p]],
            "readout": np.array(readouts)[r],
            "metric": metrics[m],
            "mean": np.nanmean(flat, axis=0),
            "lower": lower,
            "upper": upper,
            "sd": np.nanstd(flat, axis=0),
            "examples": counts[defined].astype(np.int64),
        }
    )


def _aligned(models):
    """The models on the examples that all of them have, in the first one's order."""
    if len(models) < 2:
        raise PlumblineError("consistency needs two models at least")
    common = set.intersection(*(set(model.ids) for model in models))
    kept = [example for example in models[0].ids if example in common]
    found = []
    for model in models:
        places = {example: place for place, example in enumerate(model.ids)}
        order = [places[example] for example in kept]
        found.append(
            Ranking(
                name=model.name,
                ids=kept,
                inputs=[model.inputs[place] for place in order],
                predictions=[model.predictions[place] for place in order],
                scores={
                    readout: [vectors[place] for place in order] for readout, vectors in model.scores.items()
                },
            )
        )
    return found


def _alike(models, first, second):
    """Which sentences a pair is compared on: bool (examples, pairs)."""
    predictions = np.array([model.predictions for model in models]).reshape(len(models), -1)
    alike = (predictions[first] == predictions[second]).T
    for pair, (a, b) in enumerate(zip(first, second, strict=True)):
        alike[:, pair] &= [x == y for x, y in zip(models[a].inputs, models[b].inputs, strict=True)]
        if not alike[:, pair].any():
            raise PlumblineError(
                f"{models[a].name} and {models[b].name} have no sentence in common that both read as the same tokens and "
                f"predict alike (of {len(alike)}): check their vocabularies, their training and `examples`"
            )
    return alike


def _readout(models, readout, alike, first, second):
    """float64 (examples, pairs, metrics) of one readout; NaN where a pair is not compared or not defined."""
    pairwise = [importlib.import_module(f"{__package__}.{metric}").pairwise for metric in METRICS]
    values = np.full((len(alike), len(first), len(pairwise)), np.nan)
    for example in np.flatnonzero(alike.any(axis=1)):
        matrices = np.full((len(models), len(models), len(pairwise)), np.nan)
        for group in _same_tokens(models, example):
            scores = np.stack([np.asarray(models[index].scores[readout][example]) for index in group])
            matrices[np.ix_(group, group)] = np.stack([metric(scores) for metric in pairwise], axis=-1)
        values[example] = np.where(alike[example][:, None], matrices[first, second], np.nan)
    return values


def _same_tokens(models, example):
    """Groups of models (their indices) that read an example as the same tokens."""
    groups = {}
    for index, model in enumerate(models):
        groups.setdefault(model.inputs[example], []).append(index)
    return [group for group in groups.values() if len(group) > 1]
