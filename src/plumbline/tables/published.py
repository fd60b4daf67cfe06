"""What published/published.yaml holds for one model, and the one rule that judges a published number beside ours.

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

PUBLISHED = resources.files("plumbline") / "published" / "published.yaml"
VERDICTS = ("same", "within sampling error", "differs", "not comparable", "not run")


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
