"""What the tables of the multi-head classifier's study share."""

import numpy as np

from ..collect import dataset_label, interval_text, seeds_text
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex

OPTIONS = ("bootstrap", "attention_meets_xai")


def cells(frame, columns):
    """Return the numbers of the texts that every seed has.

    Parameters
    ----------
    frame : DataFrame
        Rows with `seed`, `id` and the columns.
    columns : iterable of str
        Their names.

    Returns
    -------
    numpy.ndarray, float64, shape (seeds, texts, columns)
    """
    parts = [part.set_index("id")[list(columns)] for _, part in frame.groupby("seed", sort=True)]
    shared = parts[0].index
    for part in parts[1:]:
        shared = shared.intersection(part.index)
    return np.stack([part.loc[shared].to_numpy(float) for part in parts])


def summary(frame, columns, options, *names):
    """Summarise columns of per-text numbers.

    Parameters
    ----------
    frame : DataFrame
        Rows with `seed`, `id` and the columns.
    columns : sequence of str
        Their names.
    options : dict
        bootstrap.
    *names : str
        Part of the bootstrap's seed, which stands in where there is one seed.

    Returns
    -------
    list of dict
        One a column: mean over seeds and texts with interval, median, 5% and 95% quantiles and maximum of what texts have under
        a seed, examples (texts).
    """
    values = cells(frame, columns)
    numbers = over_seeds(values, **options["bootstrap"], seed=seed_of(*names))
    examples = numbers.pop("examples")
    pooled = values.reshape(-1, len(columns))
    numbers |= dict(
        zip(("median", "q05", "q95"), np.quantile(pooled, (0.5, 0.05, 0.95), axis=0), strict=True)
    )
    numbers["max"] = pooled.max(0)
    return [
        {name: float(found[place]) for name, found in numbers.items()} | {"examples": int(examples[place])}
        for place in range(len(columns))
    ]


def about(options, dataset, seeds):
    """Return the columns that every row has."""
    return {"scale": options["scale"], "dataset": dataset, "model": "multihead", "seeds": str(seeds)}


def notes(frame, options, *more):
    """Return the LaTeX lines below a table: scale, sample, seeds and interval, then `more`.

    Parameters
    ----------
    frame : DataFrame
        The table's rows.
    options : dict
        scale, bootstrap, command and attention_meets_xai.
    *more : str
        Further lines, plain text.

    Returns
    -------
    list of str
    """
    counts = sorted({int(count) for count in frame["examples"]})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    block = options["attention_meets_xai"]
    seeds = frame["seeds"].iloc[0]
    text = (
        f"Scale: {options['scale']}; {dataset_label(frame['dataset'].iloc[0])}; N = {number} texts a seed; "
        f"training {seeds_text(seeds)}; LIME: {block['samples']} samples; intervals: {interval_text(options, seeds)}."
    )
    return [tex.escape(text), *(tex.escape(line) for line in more), tex.command_note(options)]
