"""How stable the causal graphs are under intervention strength, input noise and fewer images.

inputs: stability, causal_graphs, image_models. `kind`:

    strength    one layer tested anew with weights u ~ Uniform(0, strength): `appearance_rate` (percent: of the repetitions, in how many
                a node is found, mean over the nodes found at least once; as published), `set_size` (nodes found, mean over repetitions),
                `nonempty` (percent of the repetitions that find any). An empty run counts as an empty set, a graph without any node
                at a strength as a rate of 0.
    noise, subsample    the graph learnt anew: `jaccard` of a layer's causes with the graph's own, in [0, 1].
    difference  of pairs: the appearance rate at the last strength less that at the first; the Jaccard index with the fewest images less
                that under the strongest noise, mean over layers. `verdict` (higher, lower, not told apart) by `adjusted_p`, Holm over
                both.
    band        what we expect of the appearance rate, calibrated on digits: `mean` beside `bound`, and whether it `holds`, does not
                hold, or is not told (the interval holds the bound), by training `seed` and for all.

A row is a mean over graphs with an interval over seeds and classes (stats.mean_interval; by seed over classes); class other than
`all`: over its seeds alone (Student's t), beside the released number of that class. Images are drawn of all rightly classified
ones of the class, also of those that no graph is learnt from.
"""

import itertools

import numpy as np

from ..collect import by_model, percent, seed_rows, title
from ..registry import Output
from ..stats import t_interval
from . import causal
from . import latex as tex
from .causal import EVERY

ENTRY = Output(
    id="causal_stability",
    label="Stability of the causal graphs",
    needs=("stability", "causal_graphs", "image_models"),
    published=True,
)
MEASURES = {
    "appearance_rate": "appearance rate (%)",
    "set_size": "nodes found",
    "nonempty": "runs with any (%)",
}
WEAK, STRONG = 0.1, 0.4  # strengths up to, and from, which the appearance rates are compared
FIRST = {True: 70.0, False: 100.0}  # least appearance rate at strength 0, by whether images are drawn anew
# The bands.
AT_ZERO = "appearance rate (%) at strength 0"
FALLS = f"appearance rate (%) from {STRONG:g} on, less up to {WEAK:g}"
MOST_FALL = "share of graphs whose rate falls so"


def rows(inputs, options):
    """See the module; options: scale, bootstrap."""
    import pandas as pd

    models, graphs = by_model(inputs["image_models"]), by_model(inputs["causal_graphs"])
    found = []
    for (dataset, model), items in by_model(inputs["stability"]).items():
        learnt = causal.graphs_of(graphs[dataset, model])
        about = causal.about(options, dataset, model, models[dataset, model], learnt, items)
        frame = seed_rows(items)
        strong, others = frame[frame["kind"] == "strength"], frame[frame["kind"] != "strength"]
        about |= {"repetitions": int(frame["repetition"].max()) + 1}
        for part in (
            _strengths(strong, options, (dataset, model), about),
            _relearnt(others, options, (dataset, model)),
            _differences(strong, others, options),
            _bands(strong, options, (dataset, model)),
        ):
            found += [about | row for row in part]
    floats = ("strength", "lower", "upper", "bound", "adjusted_p", "published_value")
    return pd.DataFrame(found).astype(dict.fromkeys(floats, float))


def appearance_rate(runs):
    """Compute the mean appearance rate of the nodes found at least once.

    Parameters
    ----------
    runs : list of array_like of int
        The nodes of each repetition.

    Returns
    -------
    float
        In percent; 0 without any node.
    """
    listed = np.concatenate([np.asarray(nodes, dtype=int) for nodes in runs])
    if not len(listed):
        return 0.0
    return 100 * np.unique(listed, return_counts=True)[1].mean() / len(runs)


def rates(frame):
    """Return the appearance rate in percent, a row a graph (seed, class), a column a strength."""
    groups = frame.groupby(["seed", "class", "strength"])["nodes"]
    return groups.apply(lambda nodes: appearance_rate(list(nodes))).unstack("strength")


def _row(layer, kind, strength, label, measure, mean, **more):
    return {
        "layer": layer,
        "kind": kind,
        "strength": strength,
        "class": label,
        "measure": measure,
        "seed": EVERY,
        "mean": mean,
        "lower": None,
        "upper": None,
        "graphs": None,
        "examples": None,
        "interval": None,
        "bound": None,
        "sense": None,
        "holds": None,
        "adjusted_p": None,
        "difference": None,
        **causal.NOTHING,
        **more,
    }


def _strengths(frame, options, names, about):
    """Rows of intervention strength: over all graphs, and of the classes whose numbers were released, where they were.

    about: the columns of every row of the model.
    """
    if frame.empty:
        return
    (layer,) = frame["layer"].unique()
    sizes = frame.assign(size=frame["nodes"].map(len))
    by_graph = sizes.groupby(["seed", "class", "strength"])["size"]
    tables = {
        "appearance_rate": rates(frame),
        "set_size": by_graph.mean().unstack("strength"),
        "nonempty": by_graph.apply(lambda size: 100 * (size > 0).mean()).unstack("strength"),
    }
    numbers = causal.released(ENTRY.id, about)
    classes = [fields["where"]["class"] for fields in numbers["about"]]
    for label in [EVERY, *(label for label in dict.fromkeys(classes) if label in set(frame["class"]))]:
        found = []
        for measure, table in tables.items():
            own = table if label == EVERY else table.xs(label, level="class")
            ends = (
                causal.bands(own, options, ENTRY.id, *names, label)
                if label == EVERY
                else _over_seeds(own, options)
            )
            found += [
                _row(
                    layer,
                    "strength",
                    strength,
                    str(label),
                    measure,
                    mean,
                    lower=lower,
                    upper=upper,
                    graphs=len(own),
                    examples=int(frame["images"].max()),
                    interval=_interval(own, options, label),
                )
                for strength, mean, lower, upper in zip(own.columns, *ends, strict=True)
            ]
        if label == EVERY:
            yield from found
        else:
            beside = causal.beside(found, numbers, about)
            yield from (row for row in beside if row["published_value"] is not None)


def _over_seeds(table, options):
    """(mean, lower, upper) of the columns of a class, a row a seed: Student's t; without an interval for one seed."""
    mean = table.mean().to_numpy()
    if len(table) < 2:
        return mean, np.full(len(mean), np.nan), np.full(len(mean), np.nan)
    ends = [t_interval(values, options["bootstrap"]["level"]) for values in table.to_numpy().T]
    return mean, *np.array(ends).T


def _interval(table, options, label):
    if label == EVERY:
        return causal.interval_text(options, table)
    return (
        f"{percent(options['bootstrap']['level'])} Student's t over training seeds"
        if len(table) > 1
        else "none: one graph"
    )


def _relearnt(frame, options, names):
    """Rows of noise and of fewer images, by layer."""
    for (kind, strength, layer), part in frame.groupby(["kind", "strength", "layer"], sort=False):
        own = part.groupby(["seed", "class"])[["jaccard"]].mean()
        (mean,), (lower,), (upper,) = causal.bands(own, options, ENTRY.id, *names, layer)
        yield _row(
            layer,
            kind,
            strength,
            EVERY,
            "jaccard",
            mean,
            lower=lower,
            upper=upper,
            graphs=len(own),
            examples=int(part["images"].max()),
            interval=_interval(own, options, EVERY),
        )


def _differences(strong, others, options):
    """Rows of what the summary says of the strengths and of images against noise."""
    import pandas as pd

    gaps, layers, examples = {}, {}, {}
    if not strong.empty and strong["strength"].nunique() > 1:
        table = rates(strong)
        gaps["appearance_rate"] = table.iloc[:, -1] - table.iloc[:, 0]
        layers["appearance_rate"], examples["appearance_rate"] = (
            strong["layer"].iloc[0],
            strong["images"].max(),
        )
    means = others.groupby(["kind", "strength", "seed", "class"])["jaccard"].mean()
    kinds = set(others["kind"])
    if {"noise", "subsample"} <= kinds:
        most, fewest = means["noise"].index[-1][0], means["subsample"].index[0][0]
        gaps["jaccard"] = means["subsample", fewest] - means["noise", most]
        layers["jaccard"], examples["jaccard"] = EVERY, others["images"].max()
    if not gaps:
        return
    table = pd.DataFrame(gaps)
    for measure, row in zip(table, causal.differences(table, options), strict=True):
        mean, verdict = row.pop("mean"), row.pop("verdict")
        yield _row(
            layers[measure],
            "difference",
            None,
            EVERY,
            measure,
            mean,
            **row,
            difference=verdict,
            graphs=len(table),
            examples=int(examples[measure]),
            interval=_interval(table, options, EVERY),
        )


def _bands(frame, options, names):
    """Rows of what we expect of the appearance rate, by seed and over all; a band needs its strengths."""
    if frame.empty:
        return
    (layer,) = frame["layer"].unique()
    table = rates(frame)
    weak = [strength for strength in table.columns if strength <= WEAK + 1e-9]
    strong = [strength for strength in table.columns if strength >= STRONG - 1e-9]
    # Images are the same in all repetitions of a graph where its sets at strength 0 are.
    first = frame[frame["strength"] == 0].groupby(["seed", "class"])["nodes"]
    anew = first.agg(lambda sets: len({tuple(nodes) for nodes in sets}) > 1).any()
    for seed in [*table.index.get_level_values("seed").unique(), EVERY]:
        own = table if seed == EVERY else table.loc[[seed]]
        found = []
        if 0.0 in own:
            found.append((AT_ZERO, 0.0, own[0.0], ">=", FIRST[bool(anew)]))
        if weak and strong:
            low, high = own[weak].mean(axis=1), own[strong].mean(axis=1)
            found.append((FALLS, STRONG, high - low, "<=", 0.0))
            found.append((MOST_FALL, STRONG, (high < low).astype(float), ">=", 0.9))
        for measure, strength, values, sense, bound in found:
            (mean,), (lower,), (upper,) = causal.bands(values.to_frame(), options, ENTRY.id, *names, measure)
            yield _row(
                layer,
                "band",
                strength,
                EVERY,
                measure,
                mean,
                lower=lower,
                upper=upper,
                seed=str(seed),
                graphs=len(own),
                examples=int(frame["images"].max()),
                interval=_interval(own, options, EVERY),
                **causal.held(lower, upper, sense, bound),
            )


# By verdict of the last strength less the first.
_STRENGTH = {
    "lower": "falls with intervention strength",
    "higher": "rises with intervention strength",
    "not told apart": "is not told apart at the two ends of intervention strength",
}
# By verdict of fewer images less noise.
_IMAGES = {
    "lower": ": graphs depend on the images more than on noise",
    "higher": ": graphs depend on noise more than on the images",
    "not told apart": ": not told apart from noise",
}


def summary(part):
    """What the numbers say, in plain words; part: the rows of one model."""
    said, told = [], part[part["kind"] == "difference"].set_index("measure")["difference"]
    strong = part[
        (part["kind"] == "strength") & (part["class"] == EVERY) & (part["measure"] == "appearance_rate")
    ]
    if len(strong) > 1:
        first, last = strong.iloc[0], strong.iloc[-1]
        said.append(
            f"The mean appearance rate of the causes at {first['layer']} {_STRENGTH[told['appearance_rate']]}, from {first['mean']:.0f}% at "
            f"{first['strength']:g} to {last['mean']:.0f}% at {last['strength']:g}."
        )
    noise, fewer = (part[part["kind"] == kind] for kind in ("noise", "subsample"))
    if len(noise):
        worst = noise[noise["strength"] == noise["strength"].max()]
        said.append(
            f"Under the strongest noise ({worst['strength'].iloc[0]:g}) the causes overlap with the graph's by {worst['mean'].min():.2f} to "
            f"{worst['mean'].max():.2f} (Jaccard, by layer)."
        )
    if len(fewer):
        least = fewer[fewer["strength"] == fewer["strength"].min()]
        text = f"Learnt from {least['strength'].iloc[0]:.0f} images, by {least['mean'].min():.2f} to {least['mean'].max():.2f}"
        if len(noise):
            text += _IMAGES[told["jaccard"]]
        said.append(text + ".")
    bands = part[part["kind"] == "band"]
    if len(bands):
        said.append(causal.unheld(bands.assign(named=bands["measure"] + ", seed " + bands["seed"]), "named"))
    return " ".join(said)


def latex(frame, options):
    """The tables as LaTeX, of each data set and model: strengths, noise and fewer images, bands; the summary is in the first."""
    tables = []
    for key, part in frame.groupby(["dataset", "model"], sort=False):
        said = f" In plain words: {tex.escape(summary(part))}"
        for make in (_strength_table, _jaccard_table, _band_table):
            own = make(key, part, options, said)
            if own:
                tables.append(own)
                said = ""
    return tex.document(ENTRY.label, tables, options)


def _table(key, own, options, name, about, said, notes, **cells):
    """One table; own: its rows, name: what of, about: the same in a caption."""
    return tex.table(
        caption=f"{ENTRY.label}, {about}: {tex.escape(title(*key))}.{said}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}:{name}",
        notes=[
            tex.escape(
                causal.provenance(
                    options,
                    graphs=int(own["graphs"].max()),
                    seeds=own["seeds"].iloc[0],
                    images=[own["examples"].min(), own["examples"].max()],
                )
            ),
            tex.escape(
                f"{own['repetitions'].iloc[0]} repetitions each. {causal.made(own.iloc[0])} Index and exponent: the interval's ends."
            ),
            *map(tex.escape, notes),
            tex.command_note(options),
        ],
        **cells,
    )


def _strength_table(key, part, options, said):
    own = part[part["kind"] == "strength"]
    if own.empty:
        return None
    cells = own.set_index(["class", "measure", "strength"])
    beside = own[own["published_value"].notna()]
    classes = list(dict.fromkeys(own["class"]))
    shown = [
        strength
        for strength in sorted(set(own["strength"]))
        if abs(10 * strength - round(10 * strength)) < 1e-6
    ]
    lines = []
    for strength in shown:
        line = [f"{strength:g}"]
        for measure, label in itertools.product(MEASURES, classes):
            there = (label, measure, strength) in cells.index
            row = cells.loc[(label, measure, strength)] if there else None
            line.append(tex.number(*row[["mean", "lower", "upper"]], digits=1) if there else "--")
            line += (
                [] if label == EVERY else [tex.number(row["published_value"], digits=1) if there else "--"]
            )
        lines.append(line)
    heads = [
        head for label in classes for head in ([EVERY] if label == EVERY else [f"class {label}", "released"])
    ]
    layer = own["layer"].iloc[0]
    return _table(
        key,
        own,
        options,
        "strength",
        f"intervention strength at {tex.escape(layer)}",
        said,
        [
            "Weights are set to a draw from 0 to the strength. Strengths in steps of 0.1; the CSV has all. Appearance rate: of the "
            "repetitions, in how many a node is found, mean over the nodes found at least once.",
            *([causal.released_note(beside)] if len(beside) else []),
        ],
        columns=["Strength", *(head for _ in MEASURES for head in heads)],
        groups=[(tex.escape(label), len(heads)) for label in MEASURES.values()],
        sections=[lines],
    )


def _jaccard_table(key, part, options, said):
    own = part[part["kind"].isin(["noise", "subsample"])]
    if own.empty:
        return None
    cells = own.set_index(["kind", "strength", "layer"])
    layers = list(dict.fromkeys(own["layer"]))
    sections = []
    for kind, lines in own.groupby("kind", sort=False):
        section = []
        for strength in dict.fromkeys(lines["strength"]):
            line = [f"noise {strength:g}" if kind == "noise" else f"{strength:.0f} images"]
            for layer in layers:
                there = (kind, strength, layer) in cells.index
                line.append(
                    tex.number(*cells.loc[(kind, strength, layer), ["mean", "lower", "upper"]], digits=2)
                    if there
                    else "--"
                )
            section.append(line)
        sections.append(section)
    return _table(
        key,
        own,
        options,
        "jaccard",
        "noise and fewer images",
        said,
        [
            "Jaccard index of the causes of a layer with those of the graph, in [0, 1]; none in both: 1. Noise: its standard deviation, "
            "on pixels in [0, 1]. Nothing of this was released."
        ],
        columns=["Learnt anew with", *(f"{tex.escape(layer)} {tex.ARROWS[1]}" for layer in layers)],
        sections=sections,
    )


def _band_table(key, part, options, said):
    own = part[part["kind"] == "band"]
    if own.empty:
        return None
    sections = [
        [
            [
                tex.escape(measure),
                row["seed"],
                tex.number(row["mean"], row["lower"], row["upper"], digits=2),
                f"${causal.SENSES[row['sense']]} {row['bound']:.2f}$",
                row["holds"],
            ]
            for _, row in lines.iterrows()
        ]
        for measure, lines in own.groupby("measure", sort=False)
    ]
    return _table(
        key,
        own,
        options,
        "bands",
        "what we expect",
        said,
        ["Means over the graphs of a seed, and of all. Not told: the interval holds the bound."],
        columns=["Band", "Seed", "Value", "Bound", ""],
        sections=sections,
    )
