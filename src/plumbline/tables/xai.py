"""What the tables of the multi-head classifier's study share."""

from ..collect import dataset_label, interval_text
from ..config import XAI
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import latex as tex

STUDY = XAI
OPTIONS = ("bootstrap", XAI)


def summary(frame, columns, options, *names):
    """One dict a column of per-review numbers: mean with bootstrap interval, median, 5% and 95% quantiles, max, examples.

    names: part of the bootstrap's seed.
    """
    values = frame[columns].to_numpy(float)
    lower, upper = bootstrap_interval(values, **options["bootstrap"], seed=seed_of(*names))
    numbers = {
        "mean": values.mean(0), "lower": lower, "upper": upper, "median": frame[columns].median().to_numpy(),
        "q05": frame[columns].quantile(0.05).to_numpy(), "q95": frame[columns].quantile(0.95).to_numpy(),
        "max": values.max(0),
    }  # fmt: skip
    return [
        {name: float(found[place]) for name, found in numbers.items()} | {"examples": len(frame)}
        for place in range(len(columns))
    ]


def about(options, dataset, seed):
    """Columns that every row has."""
    return {"scale": options["scale"], "dataset": dataset, "model": "multihead", "seeds": str(seed)}


def notes(frame, options, *more):
    """Scale, sample, seeds and interval of a table, then `more`, as LaTeX lines."""
    counts = sorted({int(count) for count in frame["examples"]})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    block = options["attention_meets_xai"]
    text = (
        f"Scale: {options['scale']}; {dataset_label(frame['dataset'].iloc[0])}; N = {number} texts; training seed "
        f"{frame['seeds'].iloc[0]}; LIME: {block['samples']} samples; intervals: {interval_text(options)}."
    )
    return [tex.escape(text), *(tex.escape(line) for line in more), tex.command_note(options)]
