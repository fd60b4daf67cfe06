"""What published/published.yaml holds for one model, which numbers of ours may stand beside it, and the one rule that judges them.

same                   of the same checkpoint, texts and definition: the number is determined, and ours is off by no more
                       than the rounding in print and the entry's `tolerance`
within sampling error  of the same checkpoint and definition, but of other texts (or positions, or training seeds): the
                       interval of the difference of two samples holds 0
differs                neither
not comparable         another checkpoint, split or definition
not run                there is no number of ours
"""

from importlib import resources
from typing import NamedTuple

from . import latex as tex

PUBLISHED = resources.files("plumbline") / "published" / "published.yaml"
VERDICTS = ("same", "within sampling error", "differs", "not comparable", "not run")
# Of the key selective_rollout: the readout that the correlations in print are with.
REFERENCE = "input_gradient_published"
# Prefix of `source` in table seed_consistency for the MultiBERTs seeds.
RELEASED = "released"


def all_entries(key):
    """Every entry of one key (a table's id), in the file's order."""
    import yaml

    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))[key]


def entries_of(key, dataset, metrics):
    """The entries of one key (a table's id) for a data set and a model's architecture, in the file's order.

    metrics: the model's metrics.json. `checkpoint` of each says whether the model is the published one: 'same' or
    'other'.
    """
    return [
        {**entry, "checkpoint": checkpoint(entry, metrics)}
        for entry in all_entries(key)
        if dataset in datasets_of(entry) and entry["architecture"] == metrics["architecture"]
    ]


def datasets_of(entry):
    """Our data sets whose numbers may stand beside an entry: its own, and one that is its very sample."""
    return {entry["dataset"], entry["sample"].get("dataset", entry["dataset"])}


def checkpoint(entry, *metrics):
    """'same' where our models are the entry's checkpoints, fetched and not trained further; else 'other'.

    metrics: the metrics.json of one model, or of as many as the entry compares.
    """
    # The hub has moved repositories between owners, so the names alone are compared.
    wanted = [name.strip().split("/")[-1] for name in entry["checkpoint"].split(";")]
    found = [str(facts.get("repo")).split("/")[-1] for facts in metrics]
    fetched = all(facts["source"] == "hub" and not facts.get("epochs") for facts in metrics)
    return "same" if fetched and wanted == found else "other"


def in_print(rows):
    """The note below a table on its published numbers; rows: those that have a published_value, at least one."""
    other = " (another checkpoint than this model)" if "other" in set(rows["published_checkpoint"]) else ""
    return f"In print{other}: {rows['published_source'].iloc[0]}."


# Verdict -> its mark behind a number in print.
MARKS = {"same": "s", "within sampling error": "w", "differs": "d", "not comparable": "n"}
# What the marks mean, for the caption of a table that has numbers in print.
MARKED = (
    "In print, with the verdict on ours as exponent: s, same (the same checkpoint, texts and definition; off by no more than "
    "rounding and tolerance); w, within sampling error (other texts; the interval of the difference holds 0); d, differs; "
    "n, not comparable (another checkpoint, split or definition). Why: the CSV's published_why."
).replace("_", r"\_")


def printed(value, verdict, *more):
    """A number in print as a cell of a LaTeX table, its verdict as exponent; more: LaTeX between the two."""
    return " ".join([tex.number(value), *more]) + f"$^{{{MARKS[verdict]}}}$"


# ------------------------------------------------------------------------------------------------- the verdict


class Ours(NamedTuple):
    """A number of ours: value, its interval (NaN: none) of coverage `level`, and how many texts or images it is of."""

    value: float
    lower: float
    upper: float
    level: float
    examples: int | None


def is_corrected(readout, entry):
    """Whether a readout is the corrected definition of one that was published otherwise; the entry may say that it was not."""
    from ..attribution import READOUTS

    return f"{readout}_published" in READOUTS and readout not in entry.get("corrected", ())


def same_sample(entry, dataset, block, run):
    """Whether a run of ours takes the entry's very texts.

    dataset, block: the data set's id and its completed block (`plumbline.datasets.settings`); run: with split, examples, within.
    """
    sample = entry["sample"]
    if sample["block"] is None or dataset != sample.get("dataset", entry["dataset"]):
        return False
    if any(block[key] != value for key, value in sample["block"].items()):
        return False
    limits = [limit for limit in (run["examples"], block[run["split"]]) if limit is not None]
    return run["split"] == "test" and run["within"] is None and min(limits, default=None) == sample["size"]


def judge(ours, published, entry, *, determined, reasons=(), sd=None):
    """(verdict, why) of a number of ours, see the module.

    ours        `Ours`; published: the number in print, in the same unit; sd: its standard deviation over texts, None: ours.
    entry       of published/published.yaml, with digits, tolerance, sample and, for samples that differ, margin.
    determined  whether both are of the same texts (`same_sample`).
    reasons     why they are not comparable at all.
    """
    import numpy as np

    if np.isnan(ours.value):
        reasons = [*reasons, "ours is not defined"]
    if reasons:
        return "not comparable", "; ".join(reasons)
    apart, rounding = abs(ours.value - published), 0.5 * 10.0 ** -entry["digits"]
    if determined:
        allowed = rounding + entry["tolerance"]
        # A sum of decimals is no exact number.
        if apart <= allowed * (1 + 1e-9):
            return "same", f"the same texts; off by no more than {allowed:.2g} (rounding and tolerance)"
        return (
            "differs",
            f"the same texts; off by {apart:.2g}, more than {allowed:.2g} (rounding and tolerance)",
        )
    return _of_two_samples(ours, published, entry, rounding, sd)


def _of_two_samples(ours, published, entry, rounding, sd):
    import numpy as np
    from scipy.special import ndtri

    from ..stats import equivalence_of_samples

    size = entry["sample"]["size"]
    if np.isnan(ours.lower) or not size or not ours.examples:
        return "not comparable", "other texts, and no interval of the difference can be made"
    error = (ours.upper - ours.lower) / (2 * ndtri((1 + ours.level) / 2))
    # Where no spread is in print, that of the published texts is taken to be that of ours.
    theirs = error * (ours.examples / size) ** 0.5 if sd is None else sd / size**0.5
    margin = entry.get("margin")
    found = equivalence_of_samples(
        ours.value, error, published, theirs, margin, level=ours.level, rounding=rounding
    )
    text = f"other texts; difference {found.mean:+.2g} [{found.lower:+.2g}, {found.upper:+.2g}]"
    if margin is not None:
        shown = "equivalent" if found.p <= 1 - ours.level else "not shown to be equivalent"
        text += f", {shown} within {margin:g}"
    apart = found.lower > rounding or found.upper < -rounding
    return ("differs" if apart else "within sampling error"), text


def judge_seed(values, published, entry, *, level):
    """(verdict, why) of a published number that is one training seed's, beside those of ours, float (seeds,).

    The interval of the difference between one more seed and the mean of ours, Student's t: it holds a seed of the same kind in
    `level` of all cases. One seed of ours says nothing of another.
    """
    import numpy as np
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return "not comparable", "one training seed each: no interval of the difference can be made"
    half = stdtrit(len(values) - 1, (1 + level) / 2) * values.std(ddof=1) * (1 + 1 / len(values)) ** 0.5
    difference, rounding = values.mean() - published, 0.5 * 10.0 ** -entry["digits"]
    text = f"another training seed; difference {difference:+.2g} [{difference - half:+.2g}, {difference + half:+.2g}]"
    return ("differs" if abs(difference) > half + rounding else "within sampling error"), text


# ------------------------------------------------------------------------------- which of our numbers is judged


def targets(table, entry):
    """The numbers of an entry: a list of {table, readout, quantity, where, statistic, published, published_sd}.

    where: column -> value of the row of our table that has the same number; statistic: the column that has it there.
    """
    found = []

    def add(readout, quantity, where, value, sd=None, statistic="mean"):
        found.append({"table": table, "readout": readout, "quantity": quantity, "published": value,
                      "published_sd": sd, "where": where, "statistic": statistic})  # fmt: skip

    for name, values in entry["values"].items():
        own = {"readout": name}
        if table == "comp_suff":
            for kind, value in zip(("comp", "suff"), values, strict=True):
                where = own | {"texts": "whole", "protocol": entry["protocol"], "kind": kind}
                add(name, f"{kind}, {entry['protocol']}", where, value)
        elif table == "agreement":
            where = own | {"reference": entry["reference"], "metric": entry["metric"]}
            add(name, f"{entry['metric']} with {entry['reference']}", where, *values)
        elif table == "special_tokens":
            where = own | {"token": "all", "definition": "published"}
            add(name, "dense rank / n, all tokens", where, *values)
        elif table == "isotropy":
            for layer, value in enumerate(values):
                where = {"vectors": name, "layer": layer, "definition": "published"}
                add("", f"{name}, layer {layer}", where, value)
        elif table == "seed_consistency":
            for statistic, value in values.items():
                where = own | {"metric": entry["metric"]}
                add(name, f"{entry['metric']}, {statistic} over pairs", where, value, statistic=statistic)
        elif table == "model_consistency":
            quantity = f"{entry['metric']} with {entry['other_architecture']}"
            add(name, quantity, own | {"metric": entry["metric"]}, *values)
        elif table == "selective_rollout":
            for layer, pair in zip(entry["layers"], values, strict=True):
                where = own | {
                    "depth": entry["depth"],
                    "layer": layer,
                    "definition": "published",
                    "metric": entry["metric"],
                }
                where |= {} if entry["threshold"] is None else {"threshold": entry["threshold"]}
                add(name, f"{entry['metric']} with {REFERENCE}, {entry['statistic']}, layer {layer} of {entry['depth']}",
                    where, *pair, statistic=entry["statistic"])  # fmt: skip
        elif table == "deletion_curves":
            for step, value in enumerate(values):
                add(name, f"{entry['kind']}, step {step}", own | {"kind": entry["kind"], "step": step}, value)
        elif table == "network_diffusion":
            for metric, value in zip(("positive_auc", "negative_auc"), values, strict=True):
                add(name, metric, {"map": name, "metric": metric, "protocol": entry["protocol"]}, value / 100)
        elif table == "causal_graphs":
            where = {"layer": name, "class": str(entry["class"])}
            add("", f"causes at {name}, class {entry['class']}", where, values)
        elif table == "causal_stability":
            for strength, value in values.items():
                where = {"kind": "strength", "class": str(entry["class"]), "measure": name, "strength": strength}  # fmt: skip
                add("", f"{name}, strength {strength:g}, class {entry['class']}", where, value)
        else:
            where = {"metric": entry["metric"], "method": name}
            add("", f"{entry['metric']}, {name}", where, *values)
    return found


def judged(target, entry, frame, metrics, options):
    """A published number (of `targets`) beside each number of ours in `frame`, the rows of our table: [(place in its index, columns)].

    metrics: (dataset, model) -> metrics.json. options: bootstrap, runs, and datasets and faithfulness, which say of which texts
    ours are.
    """
    import numpy as np

    found = []
    for row, facts, runs in _ours(target, entry, frame, metrics, options):
        number = _number(row, target, options)
        reasons = _reasons(target, entry, facts, runs)
        sd = (
            None if target["table"] == "special_tokens" else target["published_sd"]
        )  # there of values, not of texts
        determined = not reasons and all(
            same_sample(entry, row.dataset, *_sample_of(run, target, options)) for run in runs
        )
        verdict, why = judge(
            number, target["published"], entry, determined=determined, reasons=reasons, sd=sd
        )
        found.append((row.Index, {
            "model": row.model, "ours": number.value, "lower": number.lower, "upper": number.upper,
            "difference": number.value - target["published"], "examples": number.examples, "seeds": row.seeds,
            "interval": "none" if np.isnan(number.lower) else row.interval, "verdict": verdict, "why": why,
            "our_sample": _sample_text(row, runs), "published_checkpoint": checkpoint(entry, *facts) if runs else "same",
        }))  # fmt: skip
    return found


def _ours(target, entry, frame, metrics, options):
    """[(row of our table, metrics.json of its models, runs of its models)] for a published number.

    The released seeds are no models of ours: both lists are empty, and the number is determined. A run that the options do not
    tell is {}.
    """
    if frame.empty:
        return []
    kept = frame
    for column, value in target["where"].items():
        kept = kept[kept[column] == value]
    if target["table"] == "seed_consistency":
        return [(row, [], []) for row in kept[kept["source"].str.startswith(RELEASED)].itertuples()]
    runs = {(run["dataset"], run["model"]): run for run in options["runs"]}
    found = []
    for row in kept[kept["dataset"].isin(datasets_of(entry))].itertuples():
        models = [row.model, row.other] if target["table"] == "model_consistency" else [row.model]
        facts = [metrics[row.dataset, model] for model in models]
        kinds = [entry[key] for key in ("architecture", "other_architecture") if key in entry]
        if [fact["architecture"] for fact in facts] == kinds and _same_depth(target, entry, frame, row):
            found.append((row, facts, [runs.get((row.dataset, model), {}) for model in models]))
    return found


def _same_depth(target, entry, frame, row):
    """Layers are compared between models of equal depth."""
    if target["table"] != "isotropy":
        return True
    own = frame[(frame["dataset"] == row.dataset) & (frame["model"] == row.model)]
    return own[own["vectors"] == "transformed"]["layer"].nunique() == len(entry["values"]["transformed"])


def _reasons(target, entry, models, runs):
    """Why numbers of `models` (metrics.json of each), explained as `runs` say, are not those of the entry."""
    reasons = []
    if runs and checkpoint(entry, *models) == "other":
        for facts in models:
            ours = facts.get("repo") or f"source {facts['source']}"
            trained = f", trained here for {facts['epochs']:g} epochs" if facts["epochs"] else ""
            reasons.append(f"another checkpoint ({ours}{trained})")
    if not all(runs):
        reasons.append("of which texts ours is was not told")
    reasons += [f"other examples ({run['split']} split)" for run in runs if run and run["split"] != "test"]
    if is_corrected(target["readout"], entry):
        reasons.append("the corrected definition, in print another")
    return list(dict.fromkeys(reasons))


def _sample_of(run, target, options):
    """(completed block of the run's data set or None, the run as far as the number's protocol takes it)."""
    from ..datasets import settings

    run = {"within": None, "examples": None, **run}
    protocol = {"comp_suff": target["where"].get("protocol"), "deletion_curves": "published_steps"}.get(
        target["table"]
    )
    for entry in options.get("faithfulness", ()):
        if (
            entry["protocol"] == protocol
            and entry["examples"]
            and run["dataset"] in (entry["datasets"] or [run["dataset"]])
        ):
            run["examples"] = min(entry["examples"], run["examples"] or entry["examples"])
    blocks = options.get("datasets", {})
    return settings(run["dataset"], blocks[run["dataset"]]) if run["dataset"] in blocks else None, run


def _sample_text(row, runs):
    from ..collect import dataset_label

    if not runs:
        return "the released arrays"
    run = runs[0]
    if not run:
        return ""
    first = "all" if run.get("examples") is None else f"first {run['examples']}"
    return f"{dataset_label(row.dataset)}: {first} of the {run['split']} split"


def _number(row, target, options):
    import numpy as np

    statistic = target["statistic"]
    names = {"mean": ("mean", "lower", "upper"), "ratio": ("ratio", "ratio_lower", "ratio_upper")}
    # As the CSV has it, so that a verdict is the same before and after it is written.
    value, *ends = (float(f"{getattr(row, name):.6g}") for name in names.get(statistic, (statistic,)))
    examples = getattr(row, "examples", None)
    examples = None if examples is None or np.isnan(examples) else int(examples)
    return Ours(value, *(ends or (np.nan, np.nan)), options["bootstrap"]["level"], examples)


def beside(frame, table, options, *, models=(), statistics=(("mean", "value"),)):
    """The rows of a table with the published numbers that may stand beside them, and how ours compare: new columns.

    published_<name>  the number in print, published_sd its standard deviation over texts, NaN where there is none; of several
                      entries the first, final one counts.
    published_checkpoint, published_verdict, published_why, published_source
                      `checkpoint`, `judge` and where the number stands, None where there is none.

    models: `inputs["models"]`; statistics: (column that has our number, its <name>). Verdicts of a second one stand in
    published_<name>_verdict and _why. options: see `judged`.
    """
    import numpy as np

    from ..collect import by_model, metrics_of

    metrics = {key: metrics_of(items[0]) for key, items in by_model(models).items()} if models else {}
    statistics = dict(statistics)
    numbers = {f"published_{name}": np.nan for name in (*statistics.values(), "sd")}
    names = {
        statistic: f"{name}_" * bool(place) for place, (statistic, name) in enumerate(statistics.items())
    }
    texts = [
        "checkpoint",
        *(f"{first}{what}" for first in names.values() for what in ("verdict", "why")),
        "source",
    ]
    frame = frame.assign(**numbers, **{f"published_{name}": None for name in texts})
    for entry in all_entries(table):
        for target in targets(table, entry):
            if target["statistic"] not in statistics:
                continue
            first = names[target["statistic"]]
            for index, found in judged(target, entry, frame, metrics, options):
                column = f"published_{statistics[target['statistic']]}"
                if np.isnan(frame.at[index, column]):
                    frame.at[index, column] = target["published"]
                    frame.at[index, "published_sd"] = target["published_sd"]
                    for key in ("verdict", "why"):
                        frame.at[index, f"published_{first}{key}"] = found[key]
                    frame.at[index, "published_checkpoint"] = found["published_checkpoint"]
                    frame.at[index, "published_source"] = entry["source"]
    return frame
