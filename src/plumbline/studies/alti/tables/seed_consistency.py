"""How alike training seeds of one model explain: every readout and metric over all pairs of seeds.

inputs: seed_consistency (models that were trained with several seeds), released (the MultiBERTs seeds, of which the
published ones, 0 to 9, are taken). A pair's number is a mean over the sentences that both seeds predict alike; mean,
median, quartiles, population sd and ends are over pairs, each pair once (the published box plot has each twice). The
interval is that of the mean, a jackknife over seeds with Student's t, where there are three or more: pairs share seeds
and are not independent. Units: none; correlations in [-1, 1], overlap in [0, 1].
"""

from ..collect import (
    dataset_label,
    facts,
    percent,
)
from ..registry import Output
from ..seed_pairs import published, sources, square
from ..stats import pair_interval
from . import latex as tex
from .gaps import remark
from .published import beside
from .rank_metrics import NOTE, beside_print, by_metric

ENTRY = Output(
    id="seed_consistency",
    label="Consistency between training seeds",
    needs=("seed_consistency", "released", "gaps"),
    options=("bootstrap", "released_seeds"),
    published=True,
)

FEWEST = 3  # seeds, for an interval over seeds


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap, released_seeds.

    Returns
    -------
    DataFrame
        One row a source, data set, model, metric and readout; see the module for what is averaged. `examples` is the smallest
        number of sentences of a pair, empty for released matrices, which do not say it. published_mean and published_median
        stand beside the released seeds alone, since they were made from these, with a verdict each (published_verdict is the
        mean's), see plumbline.tables.published.beside; difference is mean less published_mean.
    """
    import pandas as pd

    found = []
    for block in map(published, sources(inputs, options)):
        about = {key: block[key] for key in ("source", "dataset", "model")}
        for (metric, readout), part in by_metric(block["rows"]):
            row = {
                **about,
                "metric": metric,
                "readout": readout,
                **facts(readout),
                **_numbers(part, options),
            }
            found.append(row)
    frame = pd.DataFrame(found)
    frame["examples"] = frame["examples"].astype(float)
    frame = beside(frame, ENTRY.id, options, statistics=[("mean", "mean"), ("median", "median")])
    frame = frame.drop(columns="published_sd").astype({"examples": "Int64"})
    frame.insert(0, "scale", options["scale"])
    frame["difference"] = frame["mean"] - frame["published_mean"]
    return frame


def _numbers(pairs, options):
    seeds, values = square(pairs)
    means = pairs["mean"]
    level = options["bootstrap"]["level"]
    lower, upper = pair_interval(values, level=level)
    interval = f"{percent(level)}, jackknife over seeds with Student's t"
    if len(seeds) < FEWEST:
        interval = f"none: fewer than {FEWEST} seeds"
    return {
        "mean": means.mean(),
        "lower": lower,
        "upper": upper,
        "median": means.median(),
        "q1": means.quantile(0.25),
        "q3": means.quantile(0.75),
        "sd": means.std(ddof=0),
        "min": means.min(),
        "max": means.max(),
        "pairs": len(means),
        "examples": pairs["examples"].min(),
        "seeds": " ".join(map(str, seeds)),
        "interval": interval,
    }


def latex(frame, options):
    """The table as LaTeX, one table a source, data set and model; controls below a rule of their own."""
    groups = frame.groupby(["source", "dataset", "model"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    source, dataset, model = key
    return beside_print(
        part,
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}, {tex.escape(source)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        heading="mean over pairs of seeds",
        notes=_notes(part, options),
    )


def _notes(part, options):
    printed = part.dropna(subset="published_mean")
    counts = part["examples"].dropna()
    number = (
        f"at least {counts.min()} sentences a pair" if len(counts) else "number of sentences not released"
    )
    first = part.iloc[0]
    notes = [
        tex.escape(
            f"Scale: {options['scale']}; N: {first['pairs']} pairs, {number}; seeds {first['seeds'].replace(' ', ', ')}; "
            f"interval: {first['interval']}."
        ),
        f"{NOTE} Sentences that both seeds predict alike. Index and exponent: the interval's ends.",
    ]
    if len(printed):
        notes.append(tex.escape(f"In print: {'; '.join(dict.fromkeys(printed['published_source']))}."))
    return [*notes, tex.escape(remark(part)), tex.command_note(options)]
