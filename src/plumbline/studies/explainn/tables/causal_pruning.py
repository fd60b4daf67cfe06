"""What is left of a class when its causal nodes go, others, or everything but its graph.

inputs: pruning, causal_graphs, image_models. Recall and auc (of the class's logit against all other classes) run over the
`examples` test images, those held out from the graphs (`held_out`: their share; 0: all, as published). `kind`

    condition   the mean over graphs (draws averaged first) of a `measure`; the graph's share of nodes and weights too, in [0, 1].
    difference  of two conditions, in pairs: `verdict` (higher, lower, not told apart) by `adjusted_p`, Holm over all of them.
    band        what a specification of ours, calibrated on one seed of digits, expects of these means: `mean` beside `bound`, and
                whether it `holds`, does not hold, or is not told (the interval holds the bound), by training seed and for `all`.

Intervals: stats.mean_interval over seeds and classes; by seed over classes. No such number was released.
"""

from ..collect import by_model, interval_text, seed_rows, title
from ..registry import Output
from . import causal
from . import latex as tex

ENTRY = Output(
    id="causal_pruning",
    label="Pruning by causal graphs",
    needs=("pruning", "causal_graphs", "image_models"),
)
CONDITIONS = {
    "base": "whole network",
    "drop_non_causal": "last layer without non-causal nodes",
    "ablate_causal": "last layer without causal nodes",
    "ablate_random": "… without as many random nodes",
    "ablate_non_causal": "… without as many non-causal nodes",
    "graph_edge": "graph alone: only edges into effects cut",
    "graph_layer": "graph alone: all other weights cut",
}
MEASURES = ("recall", "auc")
SHARES = ("node_share", "weight_share")
# (minuend, subtrahend): a control where as many nodes go, else the whole network.
DIFFERENCES = (
    ("ablate_random", "ablate_causal"),
    ("ablate_non_causal", "ablate_random"),
    ("drop_non_causal", "base"),
    ("graph_layer", "base"),
)
# Name -> (value of each graph from (measure, condition), sense, bound).
BANDS = {
    "recall without causal nodes": (lambda of: of["recall", "ablate_causal"], "<=", 0.40),
    "recall without random nodes": (lambda of: of["recall", "ablate_random"], ">=", 0.80),
    "recall without non-causal edges, less base": (
        lambda of: of["recall", "drop_non_causal"] - of["recall", "base"],
        ">=",
        -0.05,
    ),
    "recall without random nodes, less without causal": (
        lambda of: of["recall", "ablate_random"] - of["recall", "ablate_causal"],
        ">=",
        0.40,
    ),
    "recall without non-causal nodes, less without random": (
        lambda of: of["recall", "ablate_non_causal"] - of["recall", "ablate_random"],
        ">=",
        -0.02,
    ),
    "AUC of the graph alone": (lambda of: of["auc", "graph_layer"], ">=", 0.80),
}


def rows(inputs, options):
    """One row a data set, model and condition and measure, share, difference, or band; options: scale, bootstrap."""
    import pandas as pd

    models, graphs = by_model(inputs["image_models"]), by_model(inputs["causal_graphs"])
    found = []
    for (dataset, model), items in by_model(inputs["pruning"]).items():
        learnt = causal.graphs_of(graphs[dataset, model])
        about = causal.about(options, dataset, model, models[dataset, model], learnt, items)
        frame = seed_rows(items)
        about |= {
            "graphs": frame.groupby(["seed", "class"]).ngroups,
            "draws": int(frame["draw"].max()) + 1,
            "examples": int(frame["images"].min()),
            "held_out": frame["held_out"].min(),
            "seed": causal.EVERY,
            "interval": interval_text(options, about["seeds"], "classes"),
            "bound": None,
            "sense": None,
            "holds": None,
            "adjusted_p": None,
            "verdict": None,
        }
        units = (
            frame.groupby(["seed", "class", "condition"])[[*MEASURES, *SHARES]].mean().unstack("condition")
        )
        found += [about | row for row in _conditions(units, options, (dataset, model))]
        found += [about | row for row in _differences(units, options)]
        for seed in [*units.index.unique("seed"), causal.EVERY]:
            own = units if seed == causal.EVERY else units.loc[[seed]]
            counts = {"graphs": len(own), "seed": str(seed), "interval": causal.interval_text(options, own)}
            found += [about | counts | row for row in _bands(own, options, (dataset, model))]
    return pd.DataFrame(found).astype(dict.fromkeys(("lower", "upper", "bound", "adjusted_p"), float))


def _conditions(units, options, names):
    """The rows of the conditions and shares; units: a row a graph, columns (measure, condition)."""
    columns = [(measure, condition) for condition in CONDITIONS for measure in MEASURES]
    columns += [(share, "base") for share in SHARES]
    ends = causal.bands(units[columns], options, ENTRY.id, *names)
    for (measure, condition), mean, lower, upper in zip(columns, *ends, strict=True):
        condition = "graph" if measure in SHARES else condition
        yield {
            "kind": "condition",
            "condition": condition,
            "measure": measure,
            "mean": mean,
            "lower": lower,
            "upper": upper,
        }


def _differences(units, options):
    """The rows of the differences, in pairs; units: see `_conditions`."""
    import pandas as pd

    pairs = [(*pair, measure) for pair in DIFFERENCES for measure in MEASURES]
    gaps = pd.concat([units[measure, one] - units[measure, other] for one, other, measure in pairs], axis=1)
    for (one, other, measure), row in zip(pairs, causal.differences(gaps, options), strict=True):
        yield {"kind": "difference", "condition": f"{one} less {other}", "measure": measure, **row}


def _bands(units, options, names):
    """The rows of the bands of some graphs; units: see `_conditions`."""
    for name, (value, sense, bound) in BANDS.items():
        (mean,), (lower,), (upper,) = causal.bands(value(units).to_frame(), options, ENTRY.id, *names, name)
        yield {
            "kind": "band",
            "condition": name,
            "measure": "difference" if "less" in name else name.split()[0].lower(),
            "mean": mean,
            "lower": lower,
            "upper": upper,
            **causal.held(lower, upper, sense, bound),
        }


# What the difference of random nodes and causal ones says, by verdict.
_CUT = {
    "higher": "less than without random ones: the nodes found carry recall",
    "lower": "more than without random ones: the nodes found carry less recall than others",
    "not told apart": "not told apart from random ones",
}
_ORDER = {
    "higher": "is lower too, so the logit loses its order as well",
    "lower": "is higher, so the logit's order does not suffer",
    "not told apart": "is not told apart, so no loss of the logit's order is shown",
}


def summary(part):
    """What the numbers say, in plain words; part: the rows of one model."""
    cells = part[part["kind"] == "condition"].set_index(["condition", "measure"])["mean"]
    bands = part[(part["kind"] == "band") & (part["seed"] == causal.EVERY)]
    gaps = part[part["kind"] == "difference"].set_index(["condition", "measure"])["verdict"]
    cut, order = (gaps["ablate_random less ablate_causal", measure] for measure in MEASURES)
    recall, auc = (
        [cells[condition, measure] for condition in ("ablate_causal", "ablate_random")]
        for measure in MEASURES
    )
    return (
        f"Without its causal nodes of the last layer, {100 * recall[0]:.0f}% of a class are still recognised, without as many random ones "
        f"{100 * recall[1]:.0f}%: {_CUT[cut]}. The AUC of its logit ({auc[0]:.3f} against {auc[1]:.3f}) {_ORDER[order]}. "
        f"The graph alone, {100 * cells['graph', 'weight_share']:.0f}% of the weights, ranks a class's images with an AUC of "
        f"{cells['graph_layer', 'auc']:.2f}, the whole network with {cells['base', 'auc']:.3f}; its recall of "
        f"{cells['graph_layer', 'recall']:.2f} means little, for the logits of the other classes lose their weights "
        f"too: the AUC is the honest number. {causal.unheld(bands, 'condition')}"
    )


def latex(frame, options):
    """The table as LaTeX, one a data set and model."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    cells = part[part["kind"] == "condition"].set_index(["condition", "measure"])
    first = part.iloc[0]
    lines = [
        [
            tex.prose(label),
            *(tex.number(*cells.loc[(name, measure), ["mean", "lower", "upper"]]) for measure in MEASURES),
        ]
        for name, label in CONDITIONS.items()
    ]
    shares = [
        [
            tex.escape(f"share of the {word} in the graph"),
            tex.number(*cells.loc[("graph", share), ["mean", "lower", "upper"]]),
            "--",
        ]
        for word, share in zip(("nodes", "weights"), SHARES, strict=True)
    ]
    listed = part[part["kind"] == "difference"].set_index(["condition", "measure"])
    gaps = [
        [
            tex.escape(_gap(*pair)),
            *(_told(listed.loc[(" less ".join(pair), measure)]) for measure in MEASURES),
        ]
        for pair in DIFFERENCES
    ]
    listed = part[part["kind"] == "band"]
    bands = [
        [
            tex.escape(name),
            tex.number(*own[["mean", "lower", "upper"]].iloc[-1]) + _by_seed(own),
            _beside(own.iloc[-1]),
        ]
        for name, own in listed.groupby("condition", sort=False)
    ]
    counts = f"N = {first['graphs']} graphs (a class of a seed each), seeds {first['seeds'].replace(' ', ', ')}, {first['draws']} random draws"
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(title(*key))}. In plain words: {tex.escape(summary(part))}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}",
        columns=["Network", f"Recall of the class {tex.ARROWS[1]}", f"AUC of its logit {tex.ARROWS[1]}"],
        sections=[lines, shares, gaps, bands],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; {counts}; intervals (index and exponent): {first['interval']}."
            ),
            tex.escape(
                f"{causal.made(first)} {causal.scored_on(first['examples'], first['held_out'])} Third part: differences in pairs, Holm-adjusted over all of them. Fourth part: bands of our specification, calibrated on one seed of "
                "digits, over all graphs (and by seed); a band is not told where the interval holds its bound. Nothing of this was released."
            ),
            tex.command_note(options),
        ],
    )


def _gap(one, other):
    """A difference in words."""
    return " less ".join(name.replace("ablate_", "without ").replace("_", " ") for name in (one, other))


def _told(row):
    return f"{tex.number(*row[['mean', 'lower', 'upper']])} ({row['verdict']})"


def _by_seed(own):
    """The means of the seeds, where there are several; own: the rows of one band, all seeds last."""
    return (
        f" ({', '.join(tex.number(mean, digits=2) for mean in own['mean'].iloc[:-1])})"
        if len(own) > 2
        else ""
    )


def _beside(row):
    return f"${causal.SENSES[row['sense']]} {row['bound']:g}$: {row['holds']}"
