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
    """[(training seed, CausalGraph)] of the items of stage causal_graphs, by seed and class."""
    found = [(int(item["seed"]), read_graph(item["path"])) for item in items]
    return sorted(found, key=lambda pair: (pair[0], pair[1].target))


def about(options, dataset, model, models, graphs, items):
    """The columns that every row of a model has.

    models: items of the model's image_models, of which the first is read; graphs: see `graphs_of`; items: whose seeds count.
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
    """How the intervals of `bands` were made; units: its DataFrame."""
    return collect.interval_text(options, " ".join(map(str, units.index.unique(0))), "classes")


def bands(units, options, *names):
    """(mean, lower, upper), each float64 (columns,), of a DataFrame as `collect.cells_of` takes it; names: for the seed.

    A class that some seed lacks does not count in that column; an interval needs two.
    """
    cells = collect.cells_of(units)
    lower, upper = mean_interval(cells, **options["bootstrap"], seed=seed_of(*names))
    return complete_mean(cells)[0], lower, upper


def differences(units, options):
    """The columns of the verdict on each column of differences of pairs, a dict each; units: see `bands`.

    `lower` and `upper` are the paired interval of the one comparison, `adjusted_p` Holm's over all columns, on which the verdict
    rests: higher, lower or not told apart from 0.
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
    """What a paired difference says after Holm's correction: words[0] above 0, words[1] below, else 'not told apart'."""
    if not adjusted <= 1 - level:  # NaN too
        return "not told apart"
    return words[int(mean < 0)]


def held(lower, upper, sense, bound):
    """The columns of a band: what a mean is compared with, and whether its interval holds; sense: a key of SENSES."""
    above = sense == ">="
    holds, fails = (lower >= bound, upper < bound) if above else (upper <= bound, lower > bound)
    return {
        "sense": sense,
        "bound": bound,
        "holds": "holds" if holds else "does not hold" if fails else "not told",
    }


def unheld(bands, name):
    """What the bands say, in one or two sentences; bands: their rows, name: the column that names them."""
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
    """Which test images graphs are scored on, in words."""
    if held_out:
        return f"Over {images} test images that no graph was learnt from ({percent(held_out)} of each class)."
    return f"Over all {images} test images, those that the graphs were learnt from among them, as published."


def provenance(options, *, graphs, seeds, images):
    """One sentence on scale, sample count, seeds and interval; images: how many each graph is made from, its ends."""
    counts = sorted({int(count) for count in images})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    word = "seed" if len(seeds.split()) == 1 else "seeds"
    return (
        f"Scale: {options['scale']}; N = {graphs} {'graph' if graphs == 1 else 'graphs'} (a class of a seed each; {word} "
        f"{', '.join(seeds.split())}), {each} images each; intervals: {collect.interval_text(options, seeds, 'classes')}."
    )


def made(row):
    """How the graphs were learnt, in words; row: with SETTINGS."""
    return f"Graphs: {row['test']} test, correction {row['correction']}, {row['intervention']} interventions."


def released(table, columns):
    """The released numbers of one of our tables for a model, those of its own data set, else those of MNIST.

    columns: with dataset, architecture and, where they matter, SETTINGS.
    """
    numbers = numbers_of(table)
    mine = [about["architecture"] == columns["architecture"] for about in numbers["about"]]
    numbers = numbers[mine]
    datasets = numbers["about"].map(lambda about: about["dataset"])
    own = numbers[datasets == columns["dataset"]]
    return own if len(own) else numbers[datasets == "mnist"]


def verdict_on(about, columns):
    """(verdict, why) of a measurement's numbers beside ours; columns: see `released`."""
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
    """Rows of a model with the released number of each in the columns of NOTHING; columns: see `released`."""

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
    """The note below a table on its released numbers, plain text; rows: those that have one, at least one."""
    sources = "; ".join(dict.fromkeys(rows["published_source"]))
    first = rows.iloc[0]
    return f"Released: {sources}. {first['verdict'].capitalize()}: {first['why']}."


def some(count, total, what="graph"):
    """A count in words: 'no graph', '3 of 10 graphs', 'all 10 graphs'."""
    if count in (0, total):
        return f"all {total} {what}s" if count and total > 1 else f"the one {what}" if count else f"no {what}"
    return f"{count} of {total} {what}s"
