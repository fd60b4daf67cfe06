"""What the tables of the study explainn share: graphs, intervals over seeds and classes, verdicts, released numbers beside ours.

A graph is of a class and a training seed; those of one seed are of one network. Intervals are of the two-way layout of seeds
and classes, for a new seed and another class (stats.mean_interval).
"""

import numpy as np

from .. import collect
from ..causal.graph import read_graph
from ..collect import dataset_label, metrics_of, percent, seeds_of
from ..seeds import seed_of
from ..stats import complete_mean, mean_interval, paired_differences
from .published import joined, numbers_of

EVERY = "all"  # of layers, classes or seeds
SETTINGS = ("test", "correction", "intervention")
SENSES = {"<=": r"\le", ">=": r"\ge"}  # of a band, and how LaTeX writes it
NOT_COMPARABLE = "not comparable"
# Columns of a released number where there is none.
NOTHING = {"published_value": None, "verdict": None, "why": None, "published_source": None}


def graphs_of(items):
    """Read graphs.

    Parameters
    ----------
    items : list of dict
        Of the stage causal_graphs.

    Returns
    -------
    list of tuple
        (training seed, CausalGraph), by seed and class.
    """
    found = [(int(item["seed"]), read_graph(item["path"])) for item in items]
    return sorted(found, key=lambda pair: (pair[0], pair[1].target))


def about(options, dataset, model, models, graphs, items):
    """Return the columns that every row of a model has.

    Parameters
    ----------
    options : dict
        scale.
    dataset, model : str
        Their names.
    models : list of dict
        Items of the model's image_models, of which the first is read.
    graphs : list of tuple
        See `graphs_of`.
    items : list of dict
        Whose seeds count.

    Returns
    -------
    dict
    """
    known = [graph for _, graph in graphs]
    return {
        "scale": options["scale"],
        "dataset": dataset,
        "model": model,
        "architecture": metrics_of(models[0])["architecture"],
        "test": _same(graph.test for graph in known),
        "correction": _same(graph.correction for graph in known),
        "intervention": _same("soft" if graph.soft else "hard" for graph in known),
        "seeds": seeds_of(items),
    }


def _same(values):
    return ", ".join(dict.fromkeys(values))


def interval_text(options, units):
    """Return how the intervals of `bands` were made.

    Parameters
    ----------
    options : dict
        bootstrap.
    units : DataFrame
        See `bands`.

    Returns
    -------
    str
    """
    return collect.interval_text(options, " ".join(map(str, units.index.unique(0))), "classes")


def bands(units, options, *names):
    """Compute means with their intervals over seeds and classes.

    A class that some seed lacks does not count in that column; an interval needs two.

    Parameters
    ----------
    units : DataFrame
        As `collect.cells_of` takes it.
    options : dict
        bootstrap.
    *names : str
        For the seed.

    Returns
    -------
    mean, lower, upper : numpy.ndarray, float64, shape (columns,)
        In the unit of `units`.
    """
    cells = collect.cells_of(units)
    lower, upper = mean_interval(cells, **options["bootstrap"], seed=seed_of(*names))
    return complete_mean(cells)[0], lower, upper


def differences(units, options):
    """Test each column of differences of pairs.

    Parameters
    ----------
    units : DataFrame
        See `bands`.
    options : dict
        bootstrap.

    Returns
    -------
    list of dict
        One a column: mean, lower, upper, adjusted_p, verdict. `lower` and `upper` are the paired interval of the one
        comparison, `adjusted_p` Holm's over all columns, on which the verdict rests: higher, lower or not told apart from 0.
    """
    level = options["bootstrap"]["level"]
    cells = collect.cells_of(units)
    cells = np.concatenate([cells, np.zeros_like(cells[:, :, :1])], axis=2)
    found = paired_differences(cells, reference=cells.shape[2] - 1, level=level)
    return [
        {
            "mean": mean,
            "lower": lower,
            "upper": upper,
            "adjusted_p": p,
            "verdict": verdict_of(mean, p, level, ("higher", "lower")),
        }
        for mean, lower, upper, p in zip(
            found.mean[:-1], found.lower[:-1], found.upper[:-1], found.adjusted[:-1], strict=True
        )
    ]


def verdict_of(mean, adjusted, level, words=("better", "worse")):
    """Return what a paired difference says after Holm's correction.

    Parameters
    ----------
    mean : float
        The difference.
    adjusted : float
        Its p value after Holm's correction.
    level : float
        Coverage, in (0, 1).
    words : tuple of str
        For a difference above 0, for one below.

    Returns
    -------
    str
        One of `words`, or 'not told apart'.
    """
    if not adjusted <= 1 - level:  # NaN too
        return "not told apart"
    return words[int(mean < 0)]


def held(lower, upper, sense, bound):
    """Return the columns of a band: what a mean is compared with, and whether its interval holds.

    Parameters
    ----------
    lower, upper : float
        The mean's interval.
    sense : {'<=', '>='}
        A key of SENSES.
    bound : float
        What the mean is compared with.

    Returns
    -------
    dict
        sense, bound, holds.
    """
    above = sense == ">="
    holds, fails = (lower >= bound, upper < bound) if above else (upper <= bound, lower > bound)
    return {
        "sense": sense,
        "bound": bound,
        "holds": "holds" if holds else "does not hold" if fails else "not told",
    }


def unheld(bands, name):
    """Return what the bands say, in one or two sentences.

    Parameters
    ----------
    bands : DataFrame
        Their rows, with the column holds.
    name : str
        The column that names them.

    Returns
    -------
    str
    """
    said = [
        f"Bands that {words}: {'; '.join(part[name])}."
        for words, part in (
            ("do not hold", bands[bands["holds"] == "does not hold"]),
            ("are not told, as their intervals hold the bound", bands[bands["holds"] == "not told"]),
        )
        if len(part)
    ]
    return " ".join(said) or "All bands hold."


def scored_on(images, held_out):
    """Return in words which test images graphs are scored on.

    Parameters
    ----------
    images : int
        Their number.
    held_out : float
        Share of each class's images that are held out.

    Returns
    -------
    str
    """
    if held_out:
        return f"Over {images} test images that no graph was learnt from ({percent(held_out)} of each class)."
    return f"Over all {images} test images, those that the graphs were learnt from among them, as published."


def provenance(options, *, graphs, seeds, images):
    """Return one sentence on scale, sample count, seeds and interval.

    Parameters
    ----------
    options : dict
        scale, bootstrap.
    graphs : int
        The number of graphs.
    seeds : str
        Of collect.seeds_of.
    images : iterable of int
        How many each graph is made from; their ends are named.

    Returns
    -------
    str
    """
    counts = sorted({int(count) for count in images})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    word = "seed" if len(seeds.split()) == 1 else "seeds"
    return (
        f"Scale: {options['scale']}; N = {graphs} {'graph' if graphs == 1 else 'graphs'} (a class of a seed each; {word} "
        f"{', '.join(seeds.split())}), {each} images each; intervals: {collect.interval_text(options, seeds, 'classes')}."
    )


def made(row):
    """Return in words how the graphs were learnt; `row` has SETTINGS."""
    return f"Graphs: {row['test']} test, correction {row['correction']}, {row['intervention']} interventions."


def released(table, columns):
    """Return the released numbers of one of our tables for a model.

    Parameters
    ----------
    table : str
        The table's id.
    columns : mapping
        With dataset, architecture and, where they matter, SETTINGS.

    Returns
    -------
    DataFrame
        Those of the model's own data set, else those of MNIST.
    """
    numbers = numbers_of(table)
    mine = [about["architecture"] == columns["architecture"] for about in numbers["about"]]
    numbers = numbers[mine]
    datasets = numbers["about"].map(lambda about: about["dataset"])
    own = numbers[datasets == columns["dataset"]]
    return own if len(own) else numbers[datasets == "mnist"]


def verdict_on(about, columns):
    """Return the verdict on a measurement's numbers beside ours.

    Parameters
    ----------
    about : dict
        The measurement.
    columns : mapping
        See `released`.

    Returns
    -------
    verdict, why : str
        The verdict and its reasons.
    """
    reasons = [about["why"]]
    if about["dataset"] != columns["dataset"]:
        reasons.insert(
            0, f"{dataset_label(about['dataset'])} there, {dataset_label(columns['dataset'])} here"
        )
    for name in SETTINGS:
        if columns.get(name, about[name]) != about[name]:
            reasons.append(f"{name}: {about[name]} there, {columns[name]} here")
    return about["verdict"] if len(reasons) == 1 else NOT_COMPARABLE, "; ".join(reasons)


def beside(rows, numbers, columns):
    """Add the released number of each row of a model.

    Parameters
    ----------
    rows : list of dict
        The rows.
    numbers : DataFrame
        Of `released`.
    columns : mapping
        See `released`.

    Returns
    -------
    list of dict
        The rows, with the columns of NOTHING filled.
    """

    def said(number):
        verdict, why = verdict_on(number.about, columns)
        return {
            "published_value": number.value,
            "verdict": verdict,
            "why": why,
            "published_source": number.about["source"],
        }

    return joined(rows, numbers, said)


def released_note(rows):
    """Return the note below a table on its released numbers, plain text.

    Parameters
    ----------
    rows : DataFrame
        Those that have one, at least one.

    Returns
    -------
    str
    """
    sources = "; ".join(dict.fromkeys(rows["published_source"]))
    first = rows.iloc[0]
    return f"Released: {sources}. {first['verdict'].capitalize()}: {first['why']}."


def some(count, total, what="graph"):
    """Return a count in words: 'no graph', '3 of 10 graphs', 'all 10 graphs'."""
    if count in (0, total):
        return f"all {total} {what}s" if count and total > 1 else f"the one {what}" if count else f"no {what}"
    return f"{count} of {total} {what}s"
