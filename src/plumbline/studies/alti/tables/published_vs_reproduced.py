"""Every published number beside ours, with a verdict and why.

inputs: models (any file of each model's folder) and the tables that hold our numbers, as far as the configuration makes them.
One row a number of published/numbers.csv and number of ours that may stand beside it: same data set (or the very
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
from .published import RELEASED, VERDICTS, datasets_of, judged, matched, read

JUDGED = (
    "comp_suff",
    "agreement",
    "special_tokens",
    "isotropy",
    "seed_consistency",
    "model_consistency",
    "deletion_curves",
    "selective_rollout",
)
# Tables that judge their own numbers -> the columns of verdict and reason, and of ours less the number in print where they have it.
TAKEN = {
    "network_diffusion": ("published_verdict", "published_why", None),
    "causal_graphs": ("verdict", "why", None),
    "causal_stability": ("verdict", "why", None),
    "explanation_metrics": ("published_verdict", "published_why", None),
    "xai_published": ("verdict", "why", "difference"),
}
TABLES = (*JUDGED, *TAKEN)

ENTRY = Output(
    id="published_vs_reproduced",
    label="Published and reproduced",
    # With a question mark: read where the configuration makes it.
    needs=("models", *(f"tables/{table}?" for table in TABLES)),
    options=("bootstrap", "datasets", "faithfulness", "tables"),
    published=True,
)

COLUMNS = [
    "table", "dataset", "architecture", "readout", "quantity", "published", "published_sd", "model", "ours", "lower", "upper",
    "difference", "examples", "seeds", "interval", "verdict", "why", "sample", "our_sample", "published_checkpoint",
    "published_model", "published_source", "measured", *BESIDE,
]  # fmt: skip


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap, tables, runs, datasets, faithfulness.

    Returns
    -------
    DataFrame
        One row a published number and number of ours. published_sd, lower, upper, ours and difference (ours - published) are
        empty where there is none.
    """
    import pandas as pd

    metrics = {key: metrics_of(items[0]) for key, items in by_model(inputs["models"]).items()}
    every = read()
    found = []
    for table in TABLES:
        frame, numbers = table_rows(inputs, table), every[every["table"] == table]
        beside = {}
        if table in TAKEN:
            for number, columns in _taken(numbers, frame):
                beside.setdefault(number, []).append(columns)
        else:
            for number, place, columns in judged(numbers, frame, metrics, options):
                beside.setdefault(number.number, []).append(columns | _gaps(frame, place))
        for number in numbers.itertuples():
            why = None if number.Index in beside else _missing(number.about, frame, metrics, options)
            for columns in beside.get(number.Index, [NOTHING | {"why": why}]):
                found.append(_about(number) | columns)
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


def _about(number):
    """The columns of a published number."""
    about = number.about
    return {
        "table": about["table"],
        "dataset": about["dataset"],
        "architecture": about["architecture"],
        "readout": number.readout or number.map,
        "quantity": number.quantity,
        "published": number.value,
        "published_sd": number.sd,
        "sample": about["sample"]["texts"],
        "published_model": about["checkpoint"],
        "published_source": about["source"],
        "measured": about["measured"],
    }


# --------------------------------------------------------------------------- numbers judged by the study's table


def _taken(numbers, frame):
    """Published numbers that the study's own table sets beside ours, with its verdict: (place in the index of `numbers`, columns)."""
    if frame.empty:
        return
    printed = "published" if "published" in frame else "published_value"
    frame = frame[frame[printed].notna()]
    for number in matched(numbers, frame).itertuples():
        row = frame.loc[number.row]
        if row["published_source"] != number.about["source"]:
            continue
        verdict, why, difference = TAKEN[number.about["table"]]
        given = row[verdict] if row[verdict] in VERDICTS else "not comparable"
        ours = row[number.column]
        yield (
            number.number,
            {
                "model": row["model"],
                "ours": ours,
                "lower": row["lower"],
                "upper": row["upper"],
                "difference": row[difference] if difference else ours - number.value,
                "examples": row["examples"],
                "seeds": row["seeds"],
                "interval": row["interval"],
                "verdict": given,
                "why": row[why] if given == row[verdict] else f"{row[verdict]}: {row[why]}",
                "our_sample": dataset_label(row["dataset"]),
                "published_checkpoint": row.get("published_checkpoint", "other"),
            },
        )


# ---------------------------------------------------------------------------------------------- numbers not run


def _missing(about, frame, metrics, options):
    """Why there is no number of ours."""
    table = about["table"]
    if table not in options["tables"]:
        return f"table {table} is not in `tables` of this configuration"
    if table == "seed_consistency":
        if frame.empty or not frame["source"].str.startswith(RELEASED).any():
            return "released_seeds is not set in this configuration"
        return "not among the released matrices; released_seeds: mirror or url has all readouts"
    if table in TAKEN:
        return f"this scale has no such {about['architecture']} on {dataset_label(about['dataset'])}, or not this number of it"
    datasets = {dataset for dataset, _ in metrics}
    if not datasets_of(about) & datasets:
        return f"this scale has no {dataset_label(about['dataset'])} (it has: {', '.join(sorted(datasets))})"
    here = [
        model
        for (dataset, model), facts in metrics.items()
        if dataset in datasets_of(about) and facts["architecture"] == about["architecture"]
    ]
    if not here:
        return f"this scale has no {about['architecture']} on {dataset_label(about['dataset'])}"
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
        columns=[
            "Table",
            "Data",
            "Architecture",
            *VERDICTS,
            r"largest $|\Delta|$",
            "why not compared (first reason)",
        ],
        sections=[lines],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; N: {len(frame)} rows of {ENTRY.id}.csv, which has every number with its "
                "source, sample count, seeds and interval."
            ),
            "Same: of the same texts, and off by no more than the rounding in print and the stated tolerance. Within sampling "
            "error: of other texts, and the interval of the difference of two samples holds 0; the CSV says whether the two are "
            "shown to be equivalent within a margin.",
            tex.command_note(options),
        ],
    )
    return tex.document(ENTRY.label, [table], options)
