"""Deletion curves of one model: the explained probability as tokens go one by one (protocol published_steps).

inputs: faithfulness (all methods and seeds of the model). kind comp: the top tokens go, and the running minimum is
recorded, as published; suff: the top tokens alone stay, running maximum.

`mean` runs over all examples: a text that has no token left to remove or add keeps its last value, so that the mean of running
minima never rises. mean_published is the published one, over the examples that still have so many tokens:
it can rise where short texts leave it, and `examples` counts them. lower and upper: plumbline.stats.mean_interval
around `mean`, over seeds and examples, with one seed over the examples of this checkpoint; sd_seeds: population standard deviation
of the seeds' curves, the published band. Texts that were cut to max_tokens are left out. Unit: probability of the explained class.
"""

import numpy as np

from ..collect import (
    by_model,
    dataset_label,
    facts,
    interval_text,
    ordered,
    provenance,
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

PROTOCOL = "published_steps"

ENTRY = Output(
    id="deletion_curves",
    label="Deletion curves",
    needs=("faithfulness", "gaps"),
    per="model",
)

KINDS = ("comp", "suff")
PRINTED = (1, 2, 3, 5, 10, 20, 30, 50)  # steps in the LaTeX table


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        dataset, model, scale, bootstrap.

    Returns
    -------
    DataFrame
        One row a kind, readout and number of steps; `examples` counts those that have so many (of one seed).

    Raises
    ------
    PlumblineError
        Where the model has no curve of the protocol.
    """
    import pandas as pd

    ((dataset, model), items), *_ = by_model(inputs["faithfulness"], options).items()
    blocks = []
    for kind in KINDS:
        seed = seed_of(ENTRY.id, dataset, model, kind)
        for readout, curves in by_seed(items, kind).items():
            block = pd.DataFrame({"step": np.arange(curves.shape[2]), **summary(curves, options, seed)})
            blocks.append(
                block.assign(
                    interval=interval_text(options, seeds_of(items)),
                    kind=kind,
                    readout=readout,
                    **facts(readout),
                )
            )
    if not blocks:
        raise PlumblineError(
            f"no {PROTOCOL} curves of {dataset}/{model}: add the protocol to `faithfulness` in the config, or take "
            "deletion_curves out of `tables` and `figures`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(
        scale=options["scale"], dataset=dataset, model=model, seeds=seeds_of(items)
    )
    first = [
        "scale",
        "dataset",
        "model",
        "kind",
        "readout",
        "label",
        "method",
        "control",
        "published_definition",
    ]
    numbers = ["mean", "lower", "upper", "mean_published", "sd_seeds", "examples"]
    return frame[[*first, "step", *numbers, "seeds", "interval"]]


def by_seed(items, kind):
    """Read the curves of one kind, readout by readout.

    Parameters
    ----------
    items : list of dict
        `inputs["faithfulness"]`.
    kind : {'comp', 'suff'}
        Of the curves.

    Returns
    -------
    dict
        Readout -> numpy.ndarray, float64, (seeds, examples, points): NaN where an example's curve has ended, or it is missing.
    """
    import pandas as pd

    columns = ["id", "readout", "protocol", "kind", "probability"]
    frames = [whole_texts(item["path"], columns).assign(seed=int(item["seed"])) for item in items]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[(frame["protocol"] == PROTOCOL) & (frame["kind"] == kind)]
    # Every example and point in every table, so that the same examples are resampled for all readouts.
    points = int(frame["probability"].map(len).max()) if len(frame) else 0
    seeds, examples = (
        {key: place for place, key in enumerate(sorted(frame[column].unique()))} for column in ("seed", "id")
    )
    found = {}
    for readout in ordered(frame["readout"].unique()):
        curves = np.full((len(seeds), len(examples), points), np.nan)
        own = frame[frame["readout"] == readout]
        for seed, example, curve in zip(own["seed"], own["id"], own["probability"], strict=True):
            curves[seeds[seed], examples[example], : len(curve)] = curve
        found[readout] = curves
    return found


def carried_on(curves):
    """Fill NaN at the end of curves with the last value.

    Parameters
    ----------
    curves : numpy.ndarray, float64, shape (..., points)
        The curves.

    Returns
    -------
    numpy.ndarray, float64, shape (..., points)
        A curve without any value stays NaN.
    """
    last = np.maximum.accumulate(np.where(np.isnan(curves), 0, np.arange(curves.shape[-1])), axis=-1)
    return np.take_along_axis(curves, last, axis=-1)


def summary(curves, options, seed):
    """Compute the columns of one readout's curves; see the module.

    Parameters
    ----------
    curves : numpy.ndarray, float64, shape (seeds, examples, points)
        The curves.
    options : dict
        bootstrap.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        Column -> numpy.ndarray, (points,).
    """
    there = ~np.isnan(curves)
    counts = there.sum(axis=1)  # (seeds, points)
    with np.errstate(invalid="ignore"):
        published = np.where(there, curves, 0.0).sum(axis=1) / counts
    found = over_seeds(carried_on(curves), **options["bootstrap"], seed=seed)
    return {
        **found,
        "mean_published": _over(published, np.mean),
        "sd_seeds": _over(published, np.std),
        "examples": counts.max(axis=0),
    }


def _over(values, statistic):
    """A statistic over the seeds that have a number, column by column (seeds, points)."""
    return np.array(
        [statistic(column[~np.isnan(column)]) if (~np.isnan(column)).any() else np.nan for column in values.T]
    )


def latex(frame, options):
    """The table as LaTeX at some of the steps, one table a kind; controls below a rule of their own."""
    tables = [_table(kind, part, options) for kind, part in frame.groupby("kind", sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(kind, part, options):
    dataset, model = part["dataset"].iloc[0], part["model"].iloc[0]
    steps = [step for step in PRINTED if step in set(part["step"])]
    cells = {(row.readout, row.step): tex.number(row.mean, row.lower, row.upper) for row in part.itertuples()}
    sections = [
        [
            [tex.escape(short_label(readout)), *[cells.get((readout, step), "--") for step in steps]]
            for readout in block["readout"].unique()
        ]
        for _, block in part.groupby("control", sort=True)
    ]
    gone = {"comp": "most relevant tokens removed", "suff": "most relevant tokens kept"}[kind]
    notes = [
        tex.escape(
            provenance(
                options, examples=[part["examples"].max()], seeds=part["seeds"].iloc[0], interval=False
            )
        ),
        tex.escape(
            f"Interval: {part['interval'].iloc[0]}. A text that has no token left keeps its last value; the CSV has the published "
            "mean too, over the texts that have so many tokens."
        ),
        tex.escape(remark(part)),
        tex.command_note(options),
    ]
    return tex.table(
        caption=f"{ENTRY.label}, {kind}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{kind}",
        columns=["Readout", *[str(step) for step in steps]],
        groups=[(gone, len(steps))] if steps else (),
        sections=sections,
        notes=notes,
    )
