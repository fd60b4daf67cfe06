"""How high special tokens rank: a token's rank among its example's as a share of their number, by readout.

inputs: attributions (all methods, seeds), models (any file of each model's folder). Tokens: the first occurrence of
[CLS] (<s>), [SEP] (</s>), full stop and comma, where an example has them; byte-level and sentence-piece tokens with
and without their word-start mark are one.

Rank 1 is the lowest score, so a high share means much relevance. The spec says only "dense rank / n"; the direction
follows from the arrays that the authors released (data/multiberts-*.npy, BERT on SST-2, 11 seeds of 1000 sentences),
of which [CLS] is the first token and [SEP] the last. Mean dense rank / n of the two, ranked from the lowest score
(from the highest): rollout .975 (.074), Norm Rollout .971 (.078), raw attention .729 (.321), gradient .487 (.562),
ALTI .204 (.846). The published means over all four tokens, of another BERT, are .934, .853, .636, .525 and .288.

    published  dense ranks (ties share a rank, and none is left out after them); 'all' is the mean over all values, so
               an example with comma and full stop weighs more
    corrected  average ranks (ties share their mean rank), in (0, 1]; 'all' is the mean over examples of their means

Means are over training seeds as well, intervals are plumbline.stats.mean_interval's (one seed: for this checkpoint). `sd` is the sample
standard deviation of what the mean is over (values or examples), averaged over seeds.
"""

import numpy as np

from ..collect import (
    by_model,
    dataset_label,
    facts,
    interval_text,
    metrics_of,
    ordered,
    provenance_of,
    seeds_of,
    short_label,
    whole_texts,
)
from ..errors import PlumblineError
from ..registry import Output
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex
from .gaps import remark
from .published import MARKED, beside, in_print, printed

ENTRY = Output(
    id="special_tokens",
    label="Rank of special tokens",
    needs=("attributions", "models", "gaps"),
    options=("bootstrap", "datasets"),
    published=True,
)

TOKENS = {
    "[CLS]": ("[CLS]", "<s>"),
    "[SEP]": ("[SEP]", "</s>"),
    ".": (".", "Ġ.", "▁."),
    ",": (",", "Ġ,", "▁,"),
}
RANKS = {"corrected": "average", "published": "dense"}  # scipy.stats.rankdata's name of the rank


def places(tokens):
    """Find the first occurrence of each of `TOKENS`.

    Parameters
    ----------
    tokens : iterable of str
        Of one example.

    Returns
    -------
    list of int or None
        Positions; None where the example lacks the token.
    """
    tokens = list(tokens)
    return [
        next((index for index, token in enumerate(tokens) if token in spellings), None)
        for spellings in TOKENS.values()
    ]


def shares(scores, rank):
    """Compute the rank of every score as a share of n, lowest first.

    Parameters
    ----------
    scores : numpy.ndarray, float, shape (readouts, n)
        One a token.
    rank : {'average', 'dense'}
        See scipy.stats.rankdata.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts, n)
        In (0, 1].
    """
    from scipy.stats import rankdata

    return rankdata(scores, method=rank, axis=1) / scores.shape[1]


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap, runs, datasets.

    Returns
    -------
    DataFrame
        One row a data set, model, token ('all' or one of them), definition and readout, controls included. `count` is the
        number of values, `examples` that of the examples that have the token. A token that no example has is left out. The
        published number (of the paper's state of the code) stands beside its readout's published rank of 'all'; columns
        published_*: see plumbline.tables.published.beside.
    """
    import pandas as pd

    models = by_model(inputs["models"])
    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"]).items():
        metrics = metrics_of(models[dataset, model][0])
        about = {"dataset": dataset, "model": model, "architecture": metrics["architecture"]}
        for (definition, token), block in _blocks(items, options, dataset, model):
            block = block.assign(**about, definition=definition, token=token)
            seeds = seeds_of(items)
            blocks.append(block.assign(seeds=seeds, interval=interval_text(options, seeds)))
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    frame = beside(frame, ENTRY.id, options, models=inputs["models"])
    first = ["scale", "dataset", "model", "architecture", "token", "definition", "readout", "label", "method"]
    first += ["control", "published_definition", "mean", "lower", "upper", "sd", "count", "examples", "seeds"]
    last = [f"published_{name}" for name in ("value", "sd", "checkpoint", "verdict", "why", "source")]
    return frame[[*first, "interval", *last]]


def _blocks(items, options, dataset, model):
    """((definition, token), rows of all readouts) of one model."""
    readouts, values = _read(items)
    seed = seed_of(ENTRY.id, dataset, model)
    for definition, ranks in values.items():
        present = ~np.isnan(ranks[0, :, :, 0])  # (examples, tokens): the same for every seed and readout
        weights = present.sum(axis=1)
        pooled = definition == "published"
        spread = ranks.reshape(len(ranks), -1, len(readouts)) if pooled else np.nanmean(ranks, axis=2)
        together = np.nanmean(ranks, axis=2), spread, weights if pooled else None
        yield (definition, "all"), _block(readouts, *together, weights.sum(), options, seed)
        for index, token in enumerate(TOKENS):
            if present[:, index].any():
                own = ranks[:, :, index]
                count = present[:, index].sum()
                yield (definition, token), _block(readouts, own, own, None, count, options, seed)


def _block(readouts, values, spread, weights, count, options, seed):
    """values: (seeds, examples, readouts); spread: (seeds, values, readouts), what sd is of."""
    import pandas as pd

    about = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in readouts])
    numbers = over_seeds(values, **options["bootstrap"], seed=seed, weights=weights)
    return about.assign(**numbers, sd=_deviation(spread), count=int(count))


def _deviation(spread):
    """Sample standard deviation over values, averaged over seeds; NaN of a single value."""
    there = spread[:, ~np.isnan(spread[0, :, 0])]
    return there.std(axis=1, ddof=1).mean(axis=0) if there.shape[1] > 1 else np.full(there.shape[2], np.nan)


def _read(items):
    """(readouts in the registry's order, definition -> float64 (seeds, examples, tokens, readouts), NaN: absent)."""
    readouts, found, tokens = None, {}, None
    for seed in sorted({int(item["seed"]) for item in items}):
        frames = [whole_texts(item["path"]) for item in items if int(item["seed"]) == seed]
        columns = {name: frame[name] for frame in frames for name in frame if name.startswith("scores_")}
        readouts = ordered([name.removeprefix("scores_") for name in columns])
        texts = [list(text) for text in frames[0]["tokens"]]
        if tokens not in (None, texts):
            raise PlumblineError(
                f"{items[0]['dataset']}/{items[0]['model']} has other tokens under seed {seed}: make its attributions again"
            )
        tokens = texts
        vectors = zip(*(columns[f"scores_{readout}"] for readout in readouts), strict=True)
        for scores, text in zip(vectors, texts, strict=True):
            for definition, ranks in _of_example(np.stack(scores), text).items():
                found.setdefault(definition, {}).setdefault(seed, []).append(ranks)
    return readouts, {key: np.array(list(seeds.values())) for key, seeds in found.items()}


def _of_example(scores, tokens):
    """definition -> float64 (tokens, readouts): shares of one example's special tokens, NaN where it lacks one."""
    found = {}
    for definition, rank in RANKS.items():
        ranks = shares(scores, rank)
        absent = np.full(len(scores), np.nan)
        found[definition] = np.array([absent if at is None else ranks[:, at] for at in places(tokens)])
    return found


def latex(frame, options):
    """The table as LaTeX, one table a data set and model; controls below a rule of their own."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model = key
    cells = {(row.readout, row.token, row.definition): row for row in part.itertuples()}
    tokens = list(dict.fromkeys(part["token"]))
    shown = bool(part["published_value"].notna().any())
    sections = []
    for control in (False, True):
        chosen = ordered(part.loc[part["control"] == control, "readout"].unique())
        lines = [
            [
                tex.escape(short_label(readout)),
                *[_interval(cells[readout, token, "corrected"]) for token in tokens],
                _spread(cells[readout, "all", "published"]),
                *[_printed(cells[readout, "all", "published"])] * shown,
            ]
            for readout in chosen
        ]
        sections += [lines] if lines else []
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}."
        + f" {MARKED}" * shown,
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=["Readout", *map(_head, tokens), "all", *["in print"] * shown],
        groups=[("average rank / n", len(tokens)), ("dense rank / n", 1 + shown)],
        sections=sections,
        notes=_notes(part, shown, options),
    )


def _head(token):
    return {".": "full stop", ",": "comma"}.get(token, tex.escape(token))


def _interval(row):
    return tex.number(row.mean, row.lower, row.upper, digits=2)


def _spread(row):
    return "--" if np.isnan(row.mean) else rf"{tex.number(row.mean)} $\pm$ {tex.number(row.sd)}"


def _printed(row):
    if row.published_verdict is None:
        return "--"
    return printed(row.published_value, row.published_verdict, rf"$\pm$ {tex.number(row.published_sd)}")


def _notes(part, shown, options):
    counts = part.drop_duplicates("token")
    each = ", ".join(f"{_head(row.token)}: {row.count}" for row in counts.itertuples(index=False))
    notes = [
        tex.escape(provenance_of(part, options)),
        f"Values: {each}. Rank 1: lowest score; 1: highest share. First occurrence of each token. Index and exponent: the "
        r"interval's ends; $\pm$: sample standard deviation, as published, over all values.",
    ]
    if shown:
        notes.append(tex.escape(in_print(part.dropna(subset="published_value"))))
    return [*notes, tex.escape(remark(part)), tex.command_note(options)]
