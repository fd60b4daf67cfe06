"""Every published number of the study beside ours, with a verdict and why.

inputs: models (any file of each model's folder) and the study's tables, as far as the configuration makes them. One row
a number of resources/published.yaml and model of ours with the same data set and architecture:

same            the published number lies inside our interval, or differs by no more than its own rounding (released
                arrays: by no more than 5e-7)
differs         it does not, although checkpoint, data and definition are the published ones
not comparable  another checkpoint, or other examples; ours is shown all the same
not run         this configuration has no such model, readout or table

A number of ours is always of the same definition as the published one: the readouts that the reference computes
otherwise than they are defined stand beside the readouts `<id>_published`. Units: those of the table named.
"""

import numpy as np

from ..collect import by_model, dataset_label, metrics_of, table_rows
from ..registry import Output
from . import latex as tex
from .published import all_entries, checkpoint

TABLES = (
    "comp_suff", "agreement", "special_tokens", "isotropy", "seed_consistency", "model_consistency", "deletion_curves",
    "selective_rollout",
)  # fmt: skip

ENTRY = Output(
    id="published_vs_reproduced",
    label="Published and reproduced",
    study="alti",
    # With a question mark: read where the configuration makes it.
    needs=("models", *(f"tables/{table}?" for table in TABLES)),
    options=("tables",),
    order=95,
)

EXACT = 5e-7  # between what is computed from released arrays and the released results
REFERENCE = "input_gradient_published"  # of table selective_rollout
RELEASED = "released"  # prefix of `source` in table seed_consistency for the MultiBERTs seeds


def rows(inputs, options):
    """One row a published number and model of ours; options: scale, tables.

    published_sd, lower, upper, ours and difference (ours - published) are empty where there is none.
    """
    import pandas as pd

    ours = {table: table_rows(inputs.get("tables") or [], table) for table in TABLES}
    models = by_model(inputs["models"])
    metrics = {key: metrics_of(items[0]) for key, items in models.items()}
    found = []
    for table in TABLES:
        for entry in all_entries(table):
            for target in targets(table, entry):
                found += _beside(target, entry, ours[table], metrics, options)
    frame = pd.DataFrame(found)
    frame.insert(0, "scale", options["scale"])
    numbers = ["published", "published_sd", "ours", "lower", "upper", "difference"]
    return frame.astype(dict.fromkeys(numbers, float)).astype({"examples": "Int64"})


def targets(table, entry):
    """The numbers of an entry: a list of {table, readout, quantity, where, published, published_sd}.

    where: column -> value of the row of our table that has the same number.
    """
    found = []

    def add(readout, quantity, where, value, sd=None):
        found.append({"table": table, "readout": readout, "quantity": quantity, "published": value,
                      "published_sd": sd, "where": where | ({"readout": readout} if readout else {})})  # fmt: skip

    for name, values in entry["values"].items():
        if table == "comp_suff":
            for kind, value in zip(("comp", "suff"), values, strict=True):
                where = {"texts": "whole", "protocol": entry["protocol"], "kind": kind}
                add(name, f"{kind}, {entry['protocol']}", where, value)
        elif table == "agreement":
            where = {"reference": entry["reference"], "metric": entry["metric"]}
            add(name, f"{entry['metric']} with {entry['reference']}", where, *values)
        elif table == "special_tokens":
            add(name, "dense rank / n, all tokens", {"token": "all", "definition": "published"}, *values)
        elif table == "isotropy":
            for layer, value in enumerate(values):
                where = {"vectors": name, "layer": layer, "definition": "published"}
                add("", f"{name}, layer {layer}", where, value)
        elif table == "seed_consistency":
            for statistic, value in values.items():
                where = {"metric": entry["metric"]}
                add(name, f"{entry['metric']}, {statistic} over pairs", where, value)
        elif table == "model_consistency":
            add(
                name,
                f"{entry['metric']} with {entry['other_architecture']}",
                {"metric": entry["metric"]},
                *values,
            )
        elif table == "selective_rollout":
            for layer, pair in zip(entry["layers"], values, strict=True):
                where = {
                    "depth": entry["depth"],
                    "layer": layer,
                    "definition": "published",
                    "metric": entry["metric"],
                }
                where |= {} if entry["threshold"] is None else {"threshold": entry["threshold"]}
                add(name, f"{entry['metric']} with {REFERENCE}, {entry['statistic']}, layer {layer} of {entry['depth']}",
                    where, *pair)  # fmt: skip
        else:
            for step, value in enumerate(values):
                add(name, f"{entry['kind']}, step {step}", {"kind": entry["kind"], "step": step}, value)
    return found


def _beside(target, entry, frame, metrics, options):
    """Rows of one published number: one a model of ours that has it, else one that says why there is none."""
    about = {
        "table": target["table"], "dataset": entry["dataset"], "architecture": entry["architecture"],
        "readout": target["readout"], "quantity": target["quantity"],
    }  # fmt: skip
    published = {
        "published": target["published"], "published_sd": target["published_sd"],
        "published_checkpoint": entry["checkpoint"], "published_source": entry["source"], "measured": entry["measured"],
    }  # fmt: skip
    runs = {(run["dataset"], run["model"]): run for run in options["runs"]}
    found = []
    for row, reasons in _ours(target, entry, frame, metrics, runs):
        numbers = _numbers(row, target)
        verdict, why = _verdict(numbers, target, reasons)
        found.append({**about, **numbers, **published, "verdict": verdict, "why": why})
    if not found:
        why = _missing(target, entry, frame, metrics, options)
        nothing = dict.fromkeys(("ours", "lower", "upper", "difference", "examples"), None)
        found = [
            {
                **about,
                "model": "",
                **nothing,
                "seeds": "",
                "interval": "",
                **published,
                "verdict": "not run",
                "why": why,
            }
        ]
    order = [*about, "published", "published_sd", "model", "ours", "lower", "upper", "difference", "examples", "seeds",
             "interval", "verdict", "why", "published_checkpoint", "published_source", "measured"]  # fmt: skip
    return [{key: row[key] for key in order} for row in found]


def _ours(target, entry, frame, metrics, runs):
    """[(row of our table, reasons why it is not comparable)] for a published number."""
    if frame.empty:
        return []
    kept = frame
    for column, value in target["where"].items():
        kept = kept[kept[column] == value]
    if target["table"] == "seed_consistency":
        return [(row, []) for row in kept[kept["source"].str.startswith(RELEASED)].itertuples()]
    found = []
    for row in kept[kept["dataset"] == entry["dataset"]].itertuples():
        models = [row.model, row.other] if target["table"] == "model_consistency" else [row.model]
        facts = [metrics[row.dataset, model] for model in models]
        if facts[0]["architecture"] != entry["architecture"] or not _same_depth(target, entry, frame, row):
            continue
        found.append((row, _reasons(entry, facts, [runs[row.dataset, model] for model in models])))
    return found


def _same_depth(target, entry, frame, row):
    """Layers are compared between models of equal depth."""
    if target["table"] != "isotropy":
        return True
    own = frame[(frame["dataset"] == row.dataset) & (frame["model"] == row.model)]
    return own[own["vectors"] == "transformed"]["layer"].nunique() == len(entry["values"]["transformed"])


def _reasons(entry, models, runs):
    """Why numbers of `models` (metrics.json of each), explained as `runs` say, are not those of the entry."""
    reasons = []
    if checkpoint(entry, *models) == "other":
        for facts in models:
            ours = facts.get("repo") or f"source {facts['source']}"
            trained = f", trained here for {facts['epochs']:g} epochs" if facts["epochs"] else ""
            reasons.append(f"another checkpoint ({ours}{trained})")
    if "sample" in entry:
        reasons.append(f"other examples (in print {entry['sample']})")
    reasons += [f"other examples ({run['split']} split)" for run in runs if run["split"] != "test"]
    return list(dict.fromkeys(reasons))


def _numbers(row, target):
    statistic = "median" if target["quantity"].endswith("median over pairs") else "mean"
    if ", ratio, " in target["quantity"]:
        ours, lower, upper = row.ratio, row.ratio_lower, row.ratio_upper
    else:
        ours = getattr(row, statistic)
        lower, upper = (row.lower, row.upper) if statistic == "mean" else (np.nan, np.nan)
    examples = getattr(row, "examples", None)
    return {
        "model": row.model, "ours": ours, "lower": lower, "upper": upper, "difference": ours - target["published"],
        "examples": None if examples is None or np.isnan(examples) else int(examples), "seeds": row.seeds,
        "interval": row.interval if statistic == "mean" else "none: median",
    }  # fmt: skip


def _verdict(numbers, target, reasons):
    if reasons:
        return "not comparable", "; ".join(reasons)
    apart = abs(numbers["difference"])
    if target["table"] == "seed_consistency":
        if apart <= EXACT:
            return "same", f"computed from the released seeds; within {EXACT:g}"
        return "differs", f"computed from the released seeds; apart by {apart:.2g}"
    if numbers["lower"] <= target["published"] <= numbers["upper"]:
        return "same", "the published number lies inside our interval"
    if apart <= 0.5 * 10.0 ** -_digits(target["published"]):
        return "same", "within the rounding of the published number"
    return "differs", "the published number lies outside our interval"


def _digits(value):
    return len(f"{value:.7f}".rstrip("0").partition(".")[2])


def _missing(target, entry, frame, metrics, options):
    """Why there is no number of ours."""
    table = target["table"]
    if table not in options["tables"]:
        return f"table {table} is not in `tables` of this configuration"
    if table == "seed_consistency":
        if frame.empty or not frame["source"].str.startswith(RELEASED).any():
            return "released_seeds is not set in this configuration"
        return "not among the released matrices; released_seeds: mirror or url has all readouts"
    datasets = {dataset for dataset, _ in metrics}
    if entry["dataset"] not in datasets:
        return f"this scale has no {dataset_label(entry['dataset'])} (it has: {', '.join(sorted(datasets))})"
    here = [model for (dataset, model), facts in metrics.items()
            if (dataset, facts["architecture"]) == (entry["dataset"], entry["architecture"])]  # fmt: skip
    if not here:
        return f"this scale has no {entry['architecture']} on {dataset_label(entry['dataset'])}"
    if table == "isotropy":
        return f"{', '.join(here)} has another number of layers than the published model"
    if table == "selective_rollout" and not frame.empty:
        return f"{', '.join(here)} has another number of layers than the published model, or is no run of the study"
    return f"not computed for {', '.join(here)} in this configuration"


ORDER = ("same", "differs", "not comparable", "not run")


def latex(frame, options):
    """A summary as LaTeX: how many numbers of each table have which verdict, and how far off those that compare are."""
    lines = []
    keys = ["table", "dataset", "architecture"]
    for key, part in frame.groupby(keys, sort=False):
        compared = part[part["verdict"].isin(("same", "differs"))]["difference"].abs()
        counts = part["verdict"].value_counts()
        why = part[~part["verdict"].isin(("same", "differs"))]["why"]
        lines.append(
            [tex.escape(key[0]), tex.escape(dataset_label(key[1])), tex.escape(key[2])]
            + [str(counts.get(verdict, 0)) for verdict in ORDER]
            + [
                tex.number(compared.max()) if len(compared) else "--",
                tex.escape(why.iloc[0] if len(why) else ""),
            ]
        )
    table = tex.table(
        caption=f"{ENTRY.label}: numbers of each published table by verdict.",
        label=f"tab:{ENTRY.id}",
        columns=["Table", "Data", "Architecture", *ORDER, r"largest $|\Delta|$", "why not compared (first reason)"],
        sections=[lines],
        notes=[
            tex.escape(f"Scale: {options['scale']}; N: {len(frame)} rows of {ENTRY.id}.csv, which has every number with its "
                       "source, sample count, seeds and interval."),
            "Same: the published number lies inside our interval, or within its own rounding.",
            tex.command_note(options),
        ],
    )  # fmt: skip
    return tex.document(ENTRY.label, [table], options)
