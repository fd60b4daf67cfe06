"""Deletion curves of one model: the explained probability as tokens go one by one (protocol published_steps).

inputs: faithfulness (all methods and seeds of the model). kind comp: the top tokens go, and the running minimum is
recorded, as published; suff: the top tokens alone stay, running maximum. A seed's curve is a mean over the examples
that still have so many tokens (specs/alti.md section 7), and `mean` is the mean of the seeds' curves. lower and upper:
one population standard deviation over the seeds' curves either way, as published, or with a single seed a bootstrap
over examples. Texts that were cut to max_tokens are left out. Unit: probability of the explained class.
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
from ..stats import bootstrap_interval
from . import latex as tex

PROTOCOL = "published_steps"

ENTRY = Output(
    id="deletion_curves",
    label="Deletion curves",
    study="alti",
    needs=("faithfulness",),
    per="model",
    order=15,
)

KINDS = ("comp", "suff")
SPREAD = "none: one population standard deviation over the seeds' curves either way"
PRINTED = (1, 2, 3, 5, 10, 20, 30, 50)  # steps in the LaTeX table


def rows(inputs, options):
    """One row a kind, readout and number of steps; `examples` counts those that have so many (of one seed).

    options: dataset, model, scale, bootstrap. PlumblineError where the model has no curve of the protocol.
    """
    import pandas as pd

    ((dataset, model), items), *_ = by_model(inputs["faithfulness"], options).items()
    blocks = []
    for kind in KINDS:
        seed = seed_of(ENTRY.id, dataset, model, kind)
        for readout, tables in by_seed(items, kind).items():
            mean, lower, upper = band(tables, options, seed)
            blocks.append(
                pd.DataFrame(
                    {"step": np.arange(len(mean)), "mean": mean, "lower": lower, "upper": upper}
                ).assign(
                    examples=(~np.isnan(tables[0])).sum(axis=0),
                    interval=interval_text(options) if len(tables) == 1 else SPREAD,
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
    return frame[[*first, "step", "mean", "lower", "upper", "examples", "seeds", "interval"]]


def by_seed(items, kind):
    """readout -> one float array (examples, points) a seed, NaN where an example's curve has ended."""
    import pandas as pd

    columns = ["id", "readout", "protocol", "kind", "probability"]
    frames = [whole_texts(item["path"], columns).assign(seed=int(item["seed"])) for item in items]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[(frame["protocol"] == PROTOCOL) & (frame["kind"] == kind)].sort_values(["seed", "id"])
    found = {}
    for readout in ordered(frame["readout"].unique()):
        own = frame[frame["readout"] == readout]
        # Every example in every table, so that the same examples are resampled for all readouts.
        points = own["probability"].map(len).max()
        found[readout] = [_padded(part["probability"], points) for _, part in own.groupby("seed", sort=True)]
    return found


def _padded(curves, points):
    return np.array([np.pad(curve, (0, points - len(curve)), constant_values=np.nan) for curve in curves])


def band(tables, options, seed):
    """(mean, lower, upper), each (points,), of the curves of one readout: one array (examples, points) a seed."""
    means = np.array([np.nanmean(table, axis=0) for table in tables])
    if len(tables) == 1:
        lower, upper = bootstrap_interval(tables[0], **options["bootstrap"], seed=seed, ragged=True)
        return means[0], lower, upper
    mean, spread = means.mean(axis=0), means.std(axis=0)
    return mean, mean - spread, mean + spread


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
            provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0], interval=False)
        ),
        tex.escape(
            f"Interval: {part['interval'].iloc[0]}. A mean runs over the examples that have so many tokens."
        ),
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
