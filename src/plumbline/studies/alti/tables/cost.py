"""Time and memory of every job, as the job has measured them itself, and what its perturbation passes took.

inputs: the cost of each of STAGES (JSON, see `plumbline.work.Cost`), work (JSON, see `plumbline.work.Work`), attributions
(counted for seconds an example). Units: wall-clock seconds, MB (MiB), shares in [0, 1].
rows_per_second is that of the passes alone. These numbers differ from run to run, so the table stands
beside the benchmarks, outside the promise of equal bytes.
"""

from ..artefacts import open_rows, read_json
from ..collect import by_model, dataset_label, seeds_of
from ..registry import Output
from ..work import Work
from . import latex as tex

STAGES = ("models", "attributions", "faithfulness")
ENTRY = Output(
    id="cost",
    label="Time and memory",
    needs=(*(f"{stage}_cost" for stage in STAGES), "work", "attributions"),
    options=(),
)

INTERVAL = "none: mean over seeds; memory: maximum"


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale.

    Returns
    -------
    DataFrame
        One row a stage, data set, model and method: seconds (mean), seconds an example, largest memory. Seconds an example is
        empty for training; so are the passes' rows_per_second, padding_share and duplicates_share outside faithfulness.
    """
    import pandas as pd

    examples, work = _examples(inputs["attributions"]), _work(inputs["work"])
    found = []
    costs = [item | {"stage": stage} for stage in STAGES for item in inputs[f"{stage}_cost"]]
    for (dataset, model), items in by_model(costs).items():
        jobs = {}
        for item in items:
            jobs.setdefault((item["stage"], item["method"] or "training"), []).append(item)
        for (stage, method), group in jobs.items():
            runs = pd.DataFrame([read_json(item["path"]) for item in group])
            seconds = runs["seconds"].mean()
            count = examples.get((dataset, model, method))
            found.append(
                {
                    "scale": options["scale"],
                    "stage": stage,
                    "dataset": dataset,
                    "model": model,
                    "method": method or "",
                    "seconds": seconds,
                    "seconds_per_example": seconds / count if count else float("nan"),
                    "max_rss_mb": runs["max_rss_mb"].max(),
                    "cpu_seconds": runs["cpu_seconds"].mean(),
                    **(work[dataset, model, method] if stage == "faithfulness" else Work()).rates(),
                    "examples": count or "",
                    "seeds": seeds_of(group),
                    "interval": INTERVAL,
                }
            )
    return pd.DataFrame(found)


def _examples(items):
    """(dataset, model, method) -> number of explained examples."""
    return {
        (item["dataset"], item["model"], item["method"]): open_rows(item["path"]).metadata.num_rows
        for item in items
    }


def _work(items):
    """(dataset, model, method) -> the `Work` of its passes, summed over seeds."""
    found = {}
    for item in items:
        key = (item["dataset"], item["model"], item["method"])
        found[key] = found.get(key, Work()) + Work(**read_json(item["path"]))
    return found


def latex(frame, options):
    """The table as LaTeX, one table a data set and model, a rule between stages."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model = key
    sections = [
        [
            [
                tex.escape(row.stage),
                tex.escape(row.method),
                tex.number(row.seconds, digits=1),
                tex.number(1000 * row.seconds_per_example, digits=1),
                tex.number(row.cpu_seconds, digits=1),
                tex.number(row.max_rss_mb, digits=0),
                tex.number(row.rows_per_second, digits=0),
                tex.number(100 * row.padding_share, digits=1),
                tex.number(100 * row.duplicates_share, digits=1),
            ]
            for row in stage.itertuples()
        ]
        for _, stage in part.groupby("stage", sort=False)
    ]
    counts = sorted({str(count) for count in part["examples"] if count != ""})
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=[
            "Stage",
            "Method",
            "s",
            "ms/example",
            "CPU s",
            "max MB",
            "rows/s",
            r"padding \%",
            r"duplicates \%",
        ],
        sections=sections,
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; N = {', '.join(counts) or '--'} examples; "
                f"seeds {part['seeds'].iloc[0].replace(' ', ', ')}. Whole jobs without the start of Python and its imports; "
                "rows/s, padding and duplicates: the perturbation passes alone. "
                f"Interval: {INTERVAL}."
            ),
            tex.command_note(options),
        ],
    )
