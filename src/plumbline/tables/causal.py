"""What the tables of the study explainn share: graphs, the unit that is resampled, released numbers beside ours.

A unit is one graph, a class of one training seed. Graphs of one seed are of one network, so an interval over graphs says how
classes and seeds differ, and is no interval over seeds.
"""

import numpy as np

from ..causal.graph import read_graph
from ..collect import dataset_label, metrics_of, percent, seeds_of
from ..seeds import seed_of
from ..stats import bootstrap_interval
from .published import all_entries

STUDY = "explainn"
EVERY = "all"  # of layers, classes or seeds
SETTINGS = ("test", "correction", "intervention")
SENSES = {"<": "<", "<=": r"\le", ">=": r"\ge"}  # of a band, and how LaTeX writes it
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
        "scale": options["scale"], "dataset": dataset, "model": model,
        "architecture": metrics_of(models[0])["architecture"],
        "test": _same(graph.test for graph in known),
        "correction": _same(graph.correction for graph in known),
        "intervention": _same("soft" if graph.soft else "hard" for graph in known),
        "seeds": seeds_of(items),
    }  # fmt: skip


def _same(values):
    return ", ".join(dict.fromkeys(values))


def interval_text(options):
    """How intervals over graphs were made."""
    settings = options["bootstrap"]
    return f"{percent(settings['level'])} percentile bootstrap over graphs (class and seed), {settings['resamples']} resamples"


def bands(values, options, *names):
    """(mean, lower, upper), each float64 (columns,), of values (graphs, columns); names: for the seed.

    NaN: that graph has no such value, and the others count; a column without any is NaN.
    """
    values = np.asarray(values, dtype=np.float64)
    lower, upper = bootstrap_interval(values, **options["bootstrap"], seed=seed_of(*names), ragged=True)
    count = (~np.isnan(values)).sum(axis=0)
    mean = np.divide(np.nansum(values, axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    return mean, lower, upper


def held(mean, sense, bound):
    """The columns of a band: what a mean is compared with, and whether it holds; sense: a key of SENSES."""
    holds = {"<": mean < bound, "<=": mean <= bound, ">=": mean >= bound}[sense]
    return {"sense": sense, "bound": bound, "holds": bool(holds)}


def provenance(options, *, graphs, seeds, images):
    """One sentence on scale, sample count, seeds and interval; images: how many each graph is made from, its ends."""
    counts = sorted({int(count) for count in images})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    word = "seed" if len(seeds.split()) == 1 else "seeds"
    return (
        f"Scale: {options['scale']}; N = {graphs} {'graph' if graphs == 1 else 'graphs'} (a class of a seed each; {word} "
        f"{', '.join(seeds.split())}), {each} images each; intervals: {interval_text(options)}."
    )


def made(row):
    """How the graphs were learnt, in words; row: with SETTINGS."""
    return f"Graphs: {row['test']} test, correction {row['correction']}, {row['intervention']} interventions."


def released(key, columns):
    """The entries of one key of resources/published.yaml for a model, those of its own data set, else those of MNIST.

    columns: with dataset, architecture and, where they matter, SETTINGS. `verdict` and `why` of each are those of the pair.
    """
    mine = [entry for entry in all_entries(key) if entry["architecture"] == columns["architecture"]]
    own = [entry for entry in mine if entry["dataset"] == columns["dataset"]]
    return [
        entry | _verdict(entry, columns)
        for entry in own or [entry for entry in mine if entry["dataset"] == "mnist"]
    ]


def _verdict(entry, columns):
    reasons = [entry["why"]]
    if entry["dataset"] != columns["dataset"]:
        reasons.insert(
            0, f"{dataset_label(entry['dataset'])} there, {dataset_label(columns['dataset'])} here"
        )
    for name in SETTINGS:
        if columns.get(name, entry[name]) != entry[name]:
            reasons.append(f"{name}: {entry[name]} there, {columns[name]} here")
    return {
        "verdict": entry["verdict"] if len(reasons) == 1 else NOT_COMPARABLE,
        "why": "; ".join(reasons),
    }


def beside(entry, value):
    """The columns of a released number."""
    return {
        "published_value": value, "verdict": entry["verdict"], "why": entry["why"], "published_source": entry["source"],
    }  # fmt: skip


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
