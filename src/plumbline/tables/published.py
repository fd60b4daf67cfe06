"""The published numbers, which numbers of ours may stand beside them, and the one rule that judges them.

published/numbers.csv has a number a row; published/measurements.yaml says of each group of them how they were measured. A number
stands beside those rows of ours that have the values of its own key columns (`KEYS`) and of its measurement's `where`.

same                   of the same checkpoint, texts and definition: the number is determined, and ours is off by no more
                       than the rounding in print and the measurement's `tolerance`
within sampling error  of the same checkpoint and definition, but of other texts (or positions, or training seeds): the
                       interval of the difference of two samples holds 0
differs                neither
not comparable         another checkpoint, split or definition
not run                there is no number of ours
"""

import math
from importlib import resources
from typing import NamedTuple

from ..errors import PlumblineError, unknown
from . import latex as tex

NUMBERS, MEASUREMENTS = PUBLISHED = tuple(
    resources.files("plumbline") / "published" / name for name in ("numbers.csv", "measurements.yaml")
)
# Columns of numbers.csv that name columns of our tables: a filled cell is a value there.
KEYS = ("readout", "kind", "step", "layer", "vectors", "map", "metric", "method", "measure", "strength")
COLUMNS = ("measurement", "readout", "quantity", "column", *KEYS[1:], "value", "sd")
NEEDED = (
    "table",
    "work",
    "dataset",
    "architecture",
    "checkpoint",
    "sample",
    "digits",
    "tolerance",
    "source",
    "measured",
)
FIELDS = (
    *NEEDED, "where", "margin", "other_architecture", "corrected", "verdict", "why", "test", "correction", "intervention",
    "explained", "distinct_words", "logits", "head_logits",
)  # fmt: skip
VERDICTS = ("same", "within sampling error", "differs", "not comparable", "not run")
# Prefix of `source` in table seed_consistency for the MultiBERTs seeds.
RELEASED = "released"


def read(numbers=NUMBERS, measurements=MEASUREMENTS):
    """Every published number, a row each, in the file's order.

    Parameters
    ----------
    numbers, measurements : path, optional
        Files of the form of numbers.csv and measurements.yaml.

    Returns
    -------
    DataFrame
        The columns of numbers.csv, `value` and `sd` as float64 (an empty sd is NaN), the others as text; `about`, the
        measurement's dict, its `sample` looked up, its `where` {} where it has none; and its `table`.

    Raises
    ------
    PlumblineError
        One line: an unknown column, field, measurement or sample; a value that is no number; a number that stands twice.
    """
    import pandas as pd
    import yaml

    texts = yaml.safe_load(measurements.read_text(encoding="utf-8"))
    about = {
        name: _measurement(name, fields, texts["samples"]) for name, fields in texts["measurements"].items()
    }
    with numbers.open(encoding="utf-8") as file:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    for column in (*frame.columns, *COLUMNS):
        if column not in COLUMNS:
            raise unknown(f"column of {numbers.name}", column, COLUMNS)
        if column not in frame:
            raise PlumblineError(f"{numbers.name}: column {column!r} is missing")
    for line, row in enumerate(frame.itertuples(), 2):
        if row.measurement not in about:
            raise unknown(f"measurement in {numbers.name}, line {line},", row.measurement, about)
        for name, text in (("value", row.value), ("sd", row.sd or "0")):
            if not _is_number(text):
                raise PlumblineError(f"{numbers.name}, line {line}: {name} {text!r} is no number")
    twice = frame.duplicated(["measurement", "quantity", *KEYS])
    if twice.any():
        place = int(twice.idxmax())
        what = ", ".join(filter(None, frame.loc[place, ["measurement", *KEYS, "quantity"]]))
        raise PlumblineError(f"{numbers.name}, line {place + 2}: {what} stands twice")
    floats = {name: pd.to_numeric(frame[name]).astype(float) for name in ("value", "sd")}
    frame = frame.assign(**floats, about=frame["measurement"].map(about))
    return frame.assign(table=[fields["table"] for fields in frame["about"]])


def _measurement(name, fields, samples):
    """A measurement as `read` returns it."""
    for field in fields:
        if field not in FIELDS:
            raise unknown(f"field of measurement {name}", field, FIELDS)
    missing = [field for field in NEEDED if field not in fields]
    if missing:
        raise PlumblineError(f"{MEASUREMENTS.name}: measurement {name} has no {missing[0]!r}")
    if fields["sample"] not in samples:
        raise unknown(f"sample of measurement {name}", fields["sample"], samples)
    return {"where": {}, **fields, "sample": samples[fields["sample"]]}


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def numbers_of(table):
    """Return the published numbers of one of our tables.

    Parameters
    ----------
    table : str
        The table's id.

    Returns
    -------
    DataFrame
        Rows of `read`.
    """
    numbers = read()
    return numbers[numbers["table"] == table]


def matched(numbers, frame):
    """Published numbers with the rows of ours that have the same quantity.

    Parameters
    ----------
    numbers : DataFrame
        Rows of `read`.
    frame : DataFrame
        Rows of our table. Where it has a column `quantity`, this alone is compared.

    Returns
    -------
    DataFrame
        A row a pair: a published number's columns, `number` and `row`, the places in the index of both. In the order of
        `numbers`, and below that of `frame`. A number without a row of ours is not there.
    """
    import pandas as pd

    if frame.empty or numbers.empty:
        return numbers.iloc[:0].assign(number=[], row=[])
    wanted = [
        {"quantity": number["quantity"]}
        if "quantity" in frame
        else {key: number[key] for key in KEYS if number[key]} | number["about"]["where"]
        for number in numbers.to_dict("records")
    ]
    found = []
    # Numbers with the same keys are merged at once.
    for keys in dict.fromkeys(map(tuple, wanted)):
        chosen = [tuple(values) == keys for values in wanted]
        values = pd.DataFrame([one for one, here in zip(wanted, chosen, strict=True) if here])
        pairs = _alike(values.assign(number=numbers.index[chosen]), frame, list(keys))
        found.append(pairs.merge(numbers, left_on="number", right_index=True))
    return pd.concat(found).sort_values("number", kind="stable", ignore_index=True)


def _alike(values, frame, keys):
    """The merge: `number` of `values` and place in the index (`row`) of `frame` where all keys are equal."""
    import pandas as pd

    own = frame[keys].assign(row=frame.index)
    for key in keys:
        # Numbers as numbers, whatever their text; all else as text, as it is read back from a CSV.
        kind = float if pd.api.types.is_numeric_dtype(own[key]) else str
        own[key] = own[key].astype(kind)
        values[key] = (
            pd.to_numeric(values[key], errors="coerce") if kind is float else values[key].astype(str)
        )
    return values.dropna().merge(own.dropna(), on=keys)[["number", "row"]]


def joined(rows, numbers, columns):
    """Rows of ours with the first published number that each has.

    Parameters
    ----------
    rows : list of dict
        Rows of our table.
    numbers : DataFrame
        Rows of `read`.
    columns : callable
        A published number, a namedtuple of `matched`'s columns -> the columns of it in our row, a dict.

    Returns
    -------
    list of dict
    """
    import pandas as pd

    rows = list(rows)
    first = matched(numbers, pd.DataFrame(rows)).drop_duplicates("row")
    for number in first.itertuples():
        rows[number.row] = rows[number.row] | columns(number)
    return rows


def datasets_of(about):
    """Return our data sets whose numbers may stand beside a measurement's.

    Parameters
    ----------
    about : dict
        A measurement.

    Returns
    -------
    set of str
        Its own data set, and one that is its very sample.
    """
    return {about["dataset"], about["sample"].get("dataset", about["dataset"])}


def checkpoint(about, *metrics):
    """Return whether our models are a measurement's checkpoints.

    Parameters
    ----------
    about : dict
        A measurement.
    *metrics : dict
        The metrics.json of one model, or of as many as the measurement compares.

    Returns
    -------
    {'same', 'other'}
        same: they are fetched and not trained further.
    """
    # The hub has moved repositories between owners, so the names alone are compared.
    wanted = [name.strip().split("/")[-1] for name in about["checkpoint"].split(";")]
    found = [str(facts.get("repo")).split("/")[-1] for facts in metrics]
    fetched = all(facts["source"] == "hub" and not facts.get("epochs") for facts in metrics)
    return "same" if fetched and wanted == found else "other"


def in_print(rows):
    """Return the note below a table on its published numbers.

    Parameters
    ----------
    rows : DataFrame
        Those that have a published_value, at least one.

    Returns
    -------
    str
    """
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
    """Return a number in print as a cell of a LaTeX table.

    Parameters
    ----------
    value : float
        The number.
    verdict : str
        The exponent, see MARKS.
    *more : str
        LaTeX between the two.

    Returns
    -------
    str
    """
    return " ".join([tex.number(value), *more]) + f"$^{{{MARKS[verdict]}}}$"


# ------------------------------------------------------------------------------------------------- the verdict


class Ours(NamedTuple):
    """A number of ours.

    Attributes
    ----------
    value : float
        The number.
    lower, upper : float
        Its interval (NaN: none).
    level : float
        The interval's coverage.
    examples : int or None
        How many texts or images it is of.
    """

    value: float
    lower: float
    upper: float
    level: float
    examples: int | None


def is_corrected(readout, about):
    """Return whether a readout is the corrected definition of one that was published otherwise.

    Parameters
    ----------
    readout : str
        Its id.
    about : dict
        A measurement, which may say that it was not published otherwise.

    Returns
    -------
    bool
    """
    from ..attribution import READOUTS

    return f"{readout}_published" in READOUTS and readout not in (about.get("corrected") or ())


def same_sample(about, dataset, block, run):
    """Return whether a run of ours takes the measurement's very texts.

    Parameters
    ----------
    about : dict
        A measurement.
    dataset : str
        The data set's id.
    block : dict
        Its completed block (`plumbline.datasets.settings`).
    run : dict
        With split, examples, within.

    Returns
    -------
    bool
    """
    sample = about["sample"]
    if sample["block"] is None or dataset != sample.get("dataset", about["dataset"]):
        return False
    if any(block[key] != value for key, value in sample["block"].items()):
        return False
    limits = [limit for limit in (run["examples"], block[run["split"]]) if limit is not None]
    return run["split"] == "test" and run["within"] is None and min(limits, default=None) == sample["size"]


def judge(ours, published, about, *, determined, reasons=(), sd=None):
    """Judge a number of ours against one in print, see the module.

    Parameters
    ----------
    ours : Ours
        Our number.
    published : float
        The number in print, in the same unit.
    about : dict
        A measurement, with digits, tolerance, sample and, for samples that differ, margin.
    determined : bool
        Whether both are of the same texts (`same_sample`).
    reasons : sequence of str
        Why they are not comparable at all.
    sd : float, optional
        The published number's standard deviation over texts. None: ours.

    Returns
    -------
    verdict : str
        One of VERDICTS.
    why : str
        The reason.
    """
    import numpy as np

    if np.isnan(ours.value):
        reasons = [*reasons, "ours is not defined"]
    if reasons:
        return "not comparable", "; ".join(reasons)
    apart, rounding = abs(ours.value - published), 0.5 * 10.0 ** -about["digits"]
    if determined:
        allowed = rounding + about["tolerance"]
        # A sum of decimals is no exact number.
        if apart <= allowed * (1 + 1e-9):
            return "same", f"the same texts; off by no more than {allowed:.2g} (rounding and tolerance)"
        return (
            "differs",
            f"the same texts; off by {apart:.2g}, more than {allowed:.2g} (rounding and tolerance)",
        )
    return _of_two_samples(ours, published, about, rounding, sd)


def _of_two_samples(ours, published, about, rounding, sd):
    import numpy as np
    from scipy.special import ndtri

    from ..stats import equivalence_of_samples

    size = about["sample"]["size"]
    if np.isnan(ours.lower) or not size or not ours.examples:
        return "not comparable", "other texts, and no interval of the difference can be made"
    error = (ours.upper - ours.lower) / (2 * ndtri((1 + ours.level) / 2))
    # Where no spread is in print, that of the published texts is taken to be that of ours.
    theirs = error * (ours.examples / size) ** 0.5 if sd is None else sd / size**0.5
    margin = about.get("margin")
    found = equivalence_of_samples(
        ours.value, error, published, theirs, margin, level=ours.level, rounding=rounding
    )
    text = f"other texts; difference {found.mean:+.2g} [{found.lower:+.2g}, {found.upper:+.2g}]"
    if margin is not None:
        shown = "equivalent" if found.p <= 1 - ours.level else "not shown to be equivalent"
        text += f", {shown} within {margin:g}"
    apart = found.lower > rounding or found.upper < -rounding
    return ("differs" if apart else "within sampling error"), text


def judge_seed(values, published, about, *, level):
    """Judge a published number that is one training seed's, beside those of ours.

    The interval is of the difference between one more seed and the mean of ours, Student's t: it holds a seed of the same kind
    in `level` of all cases. One seed of ours says nothing of another.

    Parameters
    ----------
    values : array_like of float, shape (seeds,)
        Our numbers.
    published : float
        The number in print, in the same unit.
    about : dict
        A measurement, with digits.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    verdict : str
        One of VERDICTS.
    why : str
        The reason.
    """
    import numpy as np
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return "not comparable", "one training seed each: no interval of the difference can be made"
    half = stdtrit(len(values) - 1, (1 + level) / 2) * values.std(ddof=1) * (1 + 1 / len(values)) ** 0.5
    difference, rounding = values.mean() - published, 0.5 * 10.0 ** -about["digits"]
    text = f"another training seed; difference {difference:+.2g} [{difference - half:+.2g}, {difference + half:+.2g}]"
    return ("differs" if abs(difference) > half + rounding else "within sampling error"), text


# ------------------------------------------------------------------------------- which of our numbers is judged


def judged(numbers, frame, metrics, options):
    """Judge the published numbers beside each number of ours.

    Parameters
    ----------
    numbers : DataFrame
        Rows of `read`, of one table.
    frame : DataFrame
        The rows of our table.
    metrics : dict
        (dataset, model) -> metrics.json.
    options : dict
        bootstrap, runs, and datasets and faithfulness, which say of which texts ours are.

    Returns
    -------
    list of tuple
        (number, place in the index of `frame`, columns). number: a namedtuple of `matched`'s columns.
    """
    import numpy as np

    found = []
    runs_of = {(run["dataset"], run["model"]): run for run in options["runs"]}
    pairs = matched(numbers, frame)
    rows = {row.Index: row for row in frame.loc[pairs["row"].unique()].itertuples()}
    for number in pairs.itertuples():
        row, about = rows[number.row], number.about
        models = _models(about, row)
        if models and row.dataset not in datasets_of(about):
            continue
        facts = [metrics[row.dataset, model] for model in models]
        if not _same_kind(about, numbers, frame, row, facts):
            continue
        runs = [runs_of.get((row.dataset, model), {}) for model in models]
        ours = _number(row, number.column, options)
        reasons = _reasons(number.readout, about, facts, runs)
        # The spread of ranks in print is that of values, not of texts.
        sd = None if about["table"] == "special_tokens" or np.isnan(number.sd) else number.sd
        determined = not reasons and all(
            same_sample(about, row.dataset, *_sample_of(run, about, options)) for run in runs
        )
        verdict, why = judge(ours, number.value, about, determined=determined, reasons=reasons, sd=sd)
        found.append(
            (
                number,
                number.row,
                {
                    "model": row.model,
                    "ours": ours.value,
                    "lower": ours.lower,
                    "upper": ours.upper,
                    "difference": ours.value - number.value,
                    "examples": ours.examples,
                    "seeds": row.seeds,
                    "interval": "none" if np.isnan(ours.lower) else row.interval,
                    "verdict": verdict,
                    "why": why,
                    "our_sample": _sample_text(row, runs),
                    "published_checkpoint": checkpoint(about, *facts) if runs else "same",
                },
            )
        )
    return found


def _models(about, row):
    """The models that our row is of; none where it is of the released seeds, which are no models of ours."""
    if about["table"] == "seed_consistency":
        return []
    return [row.model, row.other] if about["table"] == "model_consistency" else [row.model]


def _same_kind(about, numbers, frame, row, facts):
    """Whether our row is of the measurement's architectures, or the released seeds; layers: of a model of equal depth."""
    if about["table"] == "seed_consistency":
        return row.source.startswith(RELEASED)
    kinds = [about[key] for key in ("architecture", "other_architecture") if about.get(key)]
    if [fact["architecture"] for fact in facts] != kinds:
        return False
    if about["table"] != "isotropy":
        return True
    own = frame[(frame["dataset"] == row.dataset) & (frame["model"] == row.model)]
    printed = numbers[[other is about for other in numbers["about"]]]
    return (
        own[own["vectors"] == "transformed"]["layer"].nunique() == (printed["vectors"] == "transformed").sum()
    )


def _reasons(readout, about, models, runs):
    """Why numbers of `models` (metrics.json of each), explained as `runs` say, are not those of the measurement."""
    reasons = []
    if runs and checkpoint(about, *models) == "other":
        for facts in models:
            ours = facts.get("repo") or f"source {facts['source']}"
            trained = f", trained here for {facts['epochs']:g} epochs" if facts["epochs"] else ""
            reasons.append(f"another checkpoint ({ours}{trained})")
    if not all(runs):
        reasons.append("of which texts ours is was not told")
    reasons += [f"other examples ({run['split']} split)" for run in runs if run and run["split"] != "test"]
    if is_corrected(readout, about):
        reasons.append("the corrected definition, in print another")
    return list(dict.fromkeys(reasons))


def _sample_of(run, about, options):
    """(completed block of the run's data set or None, the run as far as the measurement's protocol takes it)."""
    from ..datasets import settings

    run = {"within": None, "examples": None, **run}
    protocols = {"comp_suff": about["where"].get("protocol"), "deletion_curves": "published_steps"}
    protocol = protocols.get(about["table"])
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


def _number(row, column, options):
    """`Ours` of a row of our table, read from its column `column`."""
    import numpy as np

    names = {"mean": ("mean", "lower", "upper"), "ratio": ("ratio", "ratio_lower", "ratio_upper")}
    # As the CSV has it, so that a verdict is the same before and after it is written.
    value, *ends = (float(f"{getattr(row, name):.6g}") for name in names.get(column, (column,)))
    examples = getattr(row, "examples", None)
    examples = None if examples is None or np.isnan(examples) else int(examples)
    return Ours(value, *(ends or (np.nan, np.nan)), options["bootstrap"]["level"], examples)


def beside(frame, table, options, *, models=(), statistics=(("mean", "value"),)):
    """Add the published numbers that may stand beside the rows of a table, and how ours compare.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    table : str
        The table's id.
    options : dict
        See `judged`.
    models : list of dict
        `inputs["models"]`.
    statistics : sequence of tuple
        (column that has our number, its <name>). Verdicts of a second one stand in published_<name>_verdict and _why.

    Returns
    -------
    DataFrame
        `frame` with new columns. published_<name>: the number in print, published_sd its standard deviation over texts, NaN
        where there is none; of several the first, final one counts. published_checkpoint, published_verdict, published_why,
        published_source: `checkpoint`, `judge` and where the number stands, None where there is none.
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
    numbers = numbers_of(table)
    numbers = numbers[numbers["column"].isin(statistics)]
    for number, index, found in judged(numbers, frame, metrics, options):
        column = f"published_{statistics[number.column]}"
        if np.isnan(frame.at[index, column]):
            frame.at[index, column] = number.value
            frame.at[index, "published_sd"] = number.sd
            for key in ("verdict", "why"):
                frame.at[index, f"published_{names[number.column]}{key}"] = found[key]
            frame.at[index, "published_checkpoint"] = found["published_checkpoint"]
            frame.at[index, "published_source"] = number.about["source"]
    return frame
