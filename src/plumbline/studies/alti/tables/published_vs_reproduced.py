"""Every published number beside ours, with a verdict and why.

inputs: models (any file of each model's folder) and the tables that hold our numbers, as far as the configuration makes them.
One row a number of published/published.yaml and number of ours that may stand beside it: same data set (or the very
sample, as a data set of its own) and architecture. What the five verdicts mean, and the rule, stands in
plumbline.tables.published; sample and our_sample say what the two numbers are of, published_checkpoint whether the model is the
published one.

Numbers of text encoders are judged here. Those of image models, causal graphs and the multi-head classifier are judged by the
study's own table, as no weights were published: its verdict is taken over, and one that is none of the five ('magnitude only') is
'not comparable'.

A number of ours is always of the same definition as the published one: the readouts that the reference computes
otherwise than they are defined stand beside the readouts `<id>_published`. Units: those of the table named.
"""

from ..collect import by_model, dataset_label, metrics_of, table_rows
from ..registry import Output
from . import latex as tex
from .gaps import BESIDE
from .published import (
    RELEASED,
    VERDICTS,
    all_entries,
    datasets_of,
    judged,
    targets,
)

JUDGED = (
    "comp_suff", "agreement", "special_tokens", "isotropy", "seed_consistency", "model_consistency", "deletion_curves",
    "selective_rollout",
)  # fmt: skip
# Tables that judge their own numbers -> the columns of number and verdict.
TAKEN = {
    "network_diffusion": ("mean", "published_verdict", "published_why"),
    "causal_graphs": ("nodes", "verdict", "why"),
    "causal_stability": ("mean", "verdict", "why"),
    "explanation_metrics": ("mean", "published_verdict", "published_why"),
}
XAI = "xai_published"  # the table of the multi-head classifier, whose rows are rows here
TABLES = (*JUDGED, *TAKEN)

ENTRY = Output(
    id="published_vs_reproduced",
    label="Published and reproduced",
    # With a question mark: read where the configuration makes it.
    needs=("models", *(f"tables/{table}?" for table in (*TABLES, XAI))),
    options=("bootstrap", "datasets", "faithfulness", "tables"),
    published=True,
)

COLUMNS = [
    "table", "dataset", "architecture", "readout", "quantity", "published", "published_sd", "model", "ours", "lower", "upper",
    "difference", "examples", "seeds", "interval", "verdict", "why", "sample", "our_sample", "published_checkpoint",
    "published_model", "published_source", "measured", *BESIDE,
]  # fmt: skip


def rows(inputs, options):
    """One row a published number and number of ours; options: scale, bootstrap, tables, runs, datasets, faithfulness.

    published_sd, lower, upper, ours and difference (ours - published) are empty where there is none.
    """
    import pandas as pd

    metrics = {key: metrics_of(items[0]) for key, items in by_model(inputs["models"]).items()}
    found = []
    for table in TABLES:
        frame = table_rows(inputs, table)
        for entry in all_entries(table):
            for target in targets(table, entry):
                if table in TAKEN:
                    beside = _taken(target, entry, frame)
                else:
                    numbers = judged(target, entry, frame, metrics, options)
                    beside = [columns | _gaps(frame, place) for place, columns in numbers]
                about = _about(target, entry)
                why = None if beside else _missing(target, entry, frame, metrics, options)
                found += [about | numbers for numbers in beside or [NOTHING | {"why": why}]]
    found += _classifier(table_rows(inputs, XAI), options)
    frame = pd.DataFrame(found).reindex(columns=COLUMNS)
    frame.insert(0, "scale", options["scale"])
    numbers = ["published", "published_sd", "ours", "lower", "upper", "difference"]
    numbers += [name for name in BESIDE if name.startswith("gap_")]
    counts = ["examples", *[name for name in BESIDE if name.startswith("steps_")]]
    return frame.astype(dict.fromkeys(numbers, float)).astype(dict.fromkeys(counts, "Int64"))


def _gaps(frame, place):
    """How inexact integrated gradients are, as the table says it in the row at `place`."""
    return {name: frame.at[place, name] for name in BESIDE if name in frame}


# The columns of a number of ours where there is none.
NOTHING = {
    **dict.fromkeys(("ours", "lower", "upper", "difference", "examples")),
    **dict.fromkeys(("model", "seeds", "interval", "our_sample", "published_checkpoint"), ""),
    "verdict": "not run",
}


def _about(target, entry):
    """The columns of a published number."""
    return {
        "table": target["table"], "dataset": entry["dataset"], "architecture": entry["architecture"],
        "readout": target["readout"], "quantity": target["quantity"], "published": target["published"],
        "published_sd": target["published_sd"], "sample": entry["sample"]["texts"], "published_model": entry["checkpoint"],
        "published_source": entry["source"], "measured": entry["measured"],
    }  # fmt: skip


# --------------------------------------------------------------------------- numbers judged by the study's table


def _taken(target, entry, frame):
    """Rows of a published number that the study's own table sets beside ours, with its verdict."""
    number, verdict, why = TAKEN[target["table"]]
    if frame.empty:
        return []
    kept = frame[frame["published_value"].notna() & (frame["published_source"] == entry["source"])]
    for column, value in target["where"].items():
        kept = kept[kept[column].astype(type(value)) == value]
    found = []
    for row in kept.to_dict("records"):
        given = row[verdict] if row[verdict] in VERDICTS else "not comparable"
        reason = row[why] if given == row[verdict] else f"{row[verdict]}: {row[why]}"
        found.append({
            "model": row["model"], "ours": row[number], "lower": row["lower"], "upper": row["upper"],
            "difference": row[number] - target["published"], "examples": row["examples"], "seeds": row["seeds"],
            "interval": row["interval"], "verdict": given, "why": reason, "our_sample": dataset_label(row["dataset"]),
            "published_checkpoint": row.get("published_checkpoint", "other"),
        })  # fmt: skip
    return found


def _classifier(frame, options):
    """Rows of the study of the multi-head classifier: those of its own table, else one that says why there are none."""
    try:
        from .xai_published import published_numbers
    except ImportError:  # the study was removed
        return []

    found = []
    ours = {row["quantity"]: row for row in frame.to_dict("records")}
    for quantity, value, entry in published_numbers():
        target = {
            "table": XAI,
            "readout": "",
            "quantity": quantity,
            "published": value,
            "published_sd": None,
        }
        row = ours.get(quantity)
        if row is None:
            numbers = NOTHING | {"why": f"table {XAI} is not in `tables` of this configuration"}
        else:
            kept = ("model", "ours", "lower", "upper", "difference", "examples", "seeds", "interval", "verdict", "why",
                    "published_checkpoint")  # fmt: skip
            numbers = {key: row[key] for key in kept} | {"our_sample": dataset_label(row["dataset"])}
        found.append(_about(target, entry) | numbers)
    return found


# ---------------------------------------------------------------------------------------------- numbers not run


def _missing(target, entry, frame, metrics, options):
    """Why there is no number of ours."""
    table = target["table"]
    if table not in options["tables"]:
        return f"table {table} is not in `tables` of this configuration"
    if table == "seed_consistency":
        if frame.empty or not frame["source"].str.startswith(RELEASED).any():
            return "released_seeds is not set in this configuration"
        return "not among the released matrices; released_seeds: mirror or url has all readouts"
    if table in TAKEN:
        return f"this scale has no such {entry['architecture']} on {dataset_label(entry['dataset'])}, or not this number of it"
    datasets = {dataset for dataset, _ in metrics}
    if not datasets_of(entry) & datasets:
        return f"this scale has no {dataset_label(entry['dataset'])} (it has: {', '.join(sorted(datasets))})"
    here = [model for (dataset, model), facts in metrics.items()
            if dataset in datasets_of(entry) and facts["architecture"] == entry["architecture"]]  # fmt: skip
    if not here:
        return f"this scale has no {entry['architecture']} on {dataset_label(entry['dataset'])}"
    here = ", ".join(dict.fromkeys(here))
    if table == "isotropy":
        return f"{here} has another number of layers than the published model"
    if table == "selective_rollout" and not frame.empty:
        return f"{here} has another number of layers than the published model, or is no run of the study"
    return f"not computed for {here} in this configuration"


COMPARED = ("same", "within sampling error", "differs")


def latex(frame, options):
    """A summary as LaTeX: how many numbers of each table have which verdict, and how far off those that compare are."""
    lines = []
    keys = ["table", "dataset", "architecture"]
    for key, part in frame.groupby(keys, sort=False):
        compared = part["verdict"].isin(COMPARED)
        counts = part["verdict"].value_counts()
        why = part[~compared]["why"]
        lines.append(
            [tex.escape(key[0]), tex.escape(dataset_label(key[1])), tex.escape(key[2])]
            + [str(counts.get(verdict, 0)) for verdict in VERDICTS]
            + [
                tex.number(part[compared]["difference"].abs().max()) if compared.any() else "--",
                tex.escape(why.iloc[0] if len(why) else ""),
            ]
        )
    table = tex.table(
        caption=f"{ENTRY.label}: numbers of each published table by verdict.",
        label=f"tab:{ENTRY.id}",
        columns=["Table", "Data", "Architecture", *VERDICTS, r"largest $|\Delta|$", "why not compared (first reason)"],
        sections=[lines],
        notes=[
            tex.escape(f"Scale: {options['scale']}; N: {len(frame)} rows of {ENTRY.id}.csv, which has every number with its "
                       "source, sample count, seeds and interval."),
            "Same: of the same texts, and off by no more than the rounding in print and the stated tolerance. Within sampling "
            "error: of other texts, and the interval of the difference of two samples holds 0; the CSV says whether the two are "
            "shown to be equivalent within a margin.",
            tex.command_note(options),
        ],
    )  # fmt: skip
    return tex.document(ENTRY.label, [table], options)
