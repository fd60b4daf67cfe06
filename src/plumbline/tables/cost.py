"""Time and memory of every job, from Snakemake's `benchmark:` files.

inputs: benchmarks (items with `stage` too; TSV files), attributions (counted for seconds an example). Units:
wall-clock seconds, MB (MiB, as Snakemake measures). These numbers differ from run to run, so the table stands
beside the benchmarks, outside the promise of equal bytes.
"""

from ..collect import by_model, dataset_label, seeds_of
from ..registry import Output
from . import latex as tex

ENTRY = Output(
    id="cost",
    label="Time and memory",
    study="alti",
    needs=("benchmarks", "attributions"),
    options=(),
    order=90,
)

INTERVAL = "none: mean over seeds and repeats; memory: maximum"


def rows(inputs, options):
    """One row a stage, data set, model and method: seconds (mean), seconds an example, largest memory.

    options: scale. Seconds an example is empty for training. What Snakemake could not measure (jobs far under a
    second) is empty.
    """
    import pandas as pd

    examples = _examples(inputs["attributions"])
    found = []
    for (dataset, model), items in by_model(inputs["benchmarks"]).items():
        jobs = {}
        for item in items:
            jobs.setdefault((item["stage"], item["method"]), []).append(item)
        for (stage, method), group in jobs.items():
            runs = pd.concat([pd.read_csv(item["path"], sep="\t", na_values=["-", "NA"]) for item in group])
            seconds = runs["s"].mean()
            count = examples.get((dataset, model, method))
            found.append({
                "scale": options["scale"], "stage": stage, "dataset": dataset, "model": model, "method": method or "",
                "seconds": seconds, "seconds_per_example": seconds / count if count else float("nan"),
                "max_rss_mb": runs["max_rss"].max(), "cpu_seconds": runs["cpu_time"].mean(),
                "examples": count or "", "seeds": seeds_of(group), "interval": INTERVAL,
            })  # fmt: skip
    return pd.DataFrame(found)


def _examples(items):
    """(dataset, model, method) -> number of explained examples."""
    import pyarrow.parquet as pq

    return {
        (item["dataset"], item["model"], item["method"]): pq.ParquetFile(item["path"]).metadata.num_rows
        for item in items
    }


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
            ]
            for row in stage.itertuples()
        ]
        for _, stage in part.groupby("stage", sort=False)
    ]
    counts = sorted({str(count) for count in part["examples"] if count != ""})
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=["Stage", "Method", "s", "ms/example", "CPU s", "max MB"],
        sections=sections,
        notes=[
            tex.escape(f"Scale: {options['scale']}; N = {', '.join(counts) or '--'} examples; "
                       f"seeds {part['seeds'].iloc[0].replace(' ', ', ')}. Whole jobs, start of Python included. "
                       f"Interval: {INTERVAL}."),
            tex.command_note(options),
        ],
    )  # fmt: skip
