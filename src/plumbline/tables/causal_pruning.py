"""What is left of a class when its causal nodes go, others, or everything but its graph (specs: explainnn, section 7).

inputs: pruning, causal_graphs, image_models. `kind` condition: the mean over graphs (draws averaged first) of a `measure`, with a
bootstrap over graphs; recall and auc (of the class's logit against all other classes, over the `examples` test images) and the
graph's share of nodes and weights lie in [0, 1]. `kind` band: what a specification of ours, calibrated on one seed of digits,
expects of these means: `mean` beside `bound`, and whether it `holds`, by training seed and for `all`. No such number was released.
"""

from ..collect import by_model, metrics_of, seed_rows, title
from ..registry import Output
from . import causal
from . import latex as tex

ENTRY = Output(
    id="causal_pruning",
    label="Pruning by causal graphs",
    study=causal.STUDY,
    needs=("pruning", "causal_graphs", "image_models"),
    order=152,
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
# Name -> (value of (condition, measure) -> mean, sense, bound).
BANDS = {
    "recall without causal nodes": (lambda mean: mean["ablate_causal", "recall"], "<=", 0.40),
    "recall without random nodes": (lambda mean: mean["ablate_random", "recall"], ">=", 0.80),
    "recall without non-causal edges, less base": (
        lambda mean: mean["drop_non_causal", "recall"] - mean["base", "recall"], ">=", -0.05,
    ),
    "recall without random nodes, less without causal": (
        lambda mean: mean["ablate_random", "recall"] - mean["ablate_causal", "recall"], ">=", 0.40,
    ),
    "recall without non-causal nodes, less without random": (
        lambda mean: mean["ablate_non_causal", "recall"] - mean["ablate_random", "recall"], ">=", -0.02,
    ),
    "AUC of the graph alone": (lambda mean: mean["graph_layer", "auc"], ">=", 0.80),
}  # fmt: skip


def rows(inputs, options):
    """One row a data set, model and condition and measure, share, or band; options: scale, bootstrap."""
    import pandas as pd

    models, graphs = by_model(inputs["image_models"]), by_model(inputs["causal_graphs"])
    found = []
    for (dataset, model), items in by_model(inputs["pruning"]).items():
        learnt = causal.graphs_of(graphs[dataset, model])
        about = causal.about(options, dataset, model, models[dataset, model], learnt, items)
        frame = seed_rows(items)
        draws = int(frame["draw"].max()) + 1
        about |= {"graphs": frame.groupby(["seed", "class"]).ngroups, "draws": draws}
        about |= {"examples": metrics_of(models[dataset, model][0])["examples"]}
        units = (
            frame.groupby(["seed", "class", "condition"])[[*MEASURES, *SHARES]].mean().unstack("condition")
        )
        columns = [(measure, condition) for condition in CONDITIONS for measure in MEASURES]
        columns += [(share, "base") for share in SHARES]
        ends = causal.bands(units[columns], options, ENTRY.id, dataset, model)
        for (measure, condition), mean, lower, upper in zip(columns, *ends, strict=True):
            condition = "graph" if measure in SHARES else condition
            found.append({
                **about, "kind": "condition", "seed": causal.EVERY, "condition": condition, "measure": measure, "mean": mean, "lower": lower, "upper": upper,
                "interval": causal.interval_text(options), "bound": None, "sense": None, "holds": None,
            })  # fmt: skip
        for seed in [*units.index.unique("seed"), causal.EVERY]:
            own = units if seed == causal.EVERY else units.loc[[seed]]
            found += [about | {"graphs": len(own)} | row for row in _bands(own, str(seed))]
    return pd.DataFrame(found).astype(dict.fromkeys(("lower", "upper", "bound"), float))


def _bands(units, seed):
    """The rows of the bands of some graphs; units: a row a graph, columns (measure, condition)."""
    means = {
        (condition, measure): units[measure, condition].mean()
        for measure in MEASURES
        for condition in CONDITIONS
    }
    for name, (value, sense, bound) in BANDS.items():
        mean = value(means)
        yield {
            "kind": "band", "seed": seed, "condition": name, "measure": "difference" if "less" in name else name.split()[0].lower(),
            "mean": mean, "lower": None, "upper": None, "interval": "none: a mean of graphs beside a bound", **causal.held(mean, sense, bound),
        }  # fmt: skip


def summary(part):
    """What the numbers say, in plain words; part: the rows of one model."""
    cells = part[part["kind"] == "condition"].set_index(["condition", "measure"])["mean"]
    bands = part[(part["kind"] == "band") & (part["seed"] == causal.EVERY)]
    failed = bands[~bands["holds"].astype(bool)]["condition"].tolist()
    recall = cells["ablate_causal", "recall"], cells["ablate_random", "recall"]
    auc = cells["ablate_causal", "auc"], cells["ablate_random", "auc"]
    cut = (
        f"Without its causal nodes of the last layer, {100 * recall[0]:.0f}% of a class are still recognised, without as many random ones "
        f"{100 * recall[1]:.0f}%; the AUC of its logit is {auc[0]:.3f} and {auc[1]:.3f}"
    )
    if recall[1] - recall[0] <= 0.05:
        cut += ": the nodes found do no more than others."
    elif auc[1] - auc[0] <= 0.01:
        cut += ": the logit loses its height, hardly its order."
    else:
        cut += ": the nodes found carry the class."
    alone = (
        f"The graph alone, {100 * cells['graph', 'weight_share']:.0f}% of the weights, ranks a class's images with an AUC of "
        f"{cells['graph_layer', 'auc']:.2f}, the whole network with {cells['base', 'auc']:.3f}; its recall of "
        f"{cells['graph_layer', 'recall']:.2f} means little, for the logits of the other classes lose their weights "
        "too: the AUC is the honest number."
    )
    said = "All bands hold." if not failed else f"Bands that do not hold: {'; '.join(failed)}."
    return f"{cut} {alone} {said}"


def latex(frame, options):
    """The table as LaTeX, one a data set and model."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    cells = part[part["kind"] == "condition"].set_index(["condition", "measure"])
    first = part.iloc[0]
    lines = [
        [tex.prose(label), *(tex.number(*cells.loc[(name, measure), ["mean", "lower", "upper"]]) for measure in MEASURES)]
        for name, label in CONDITIONS.items()
    ]  # fmt: skip
    shares = [
        [tex.escape(f"share of the {word} in the graph"), tex.number(*cells.loc[("graph", share), ["mean", "lower", "upper"]]), "--"]
        for word, share in zip(("nodes", "weights"), SHARES, strict=True)
    ]  # fmt: skip
    listed = part[part["kind"] == "band"]
    bands = [
        [tex.escape(name), tex.number(own["mean"].iloc[-1]) + _by_seed(own), _beside(own.iloc[-1])]
        for name, own in listed.groupby("condition", sort=False)
    ]
    counts = f"N = {first['graphs']} graphs (a class of a seed each), seeds {first['seeds'].replace(' ', ', ')}, {first['draws']} random draws"
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(title(*key))}. In plain words: {tex.escape(summary(part))}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}",
        columns=["Network", f"Recall of the class {tex.ARROWS[1]}", f"AUC of its logit {tex.ARROWS[1]}"],
        sections=[lines, shares, bands],
        notes=[
            tex.escape(f"Scale: {options['scale']}; {counts}; intervals (index and exponent): {causal.interval_text(options)}."),
            tex.escape(f"{causal.made(first)} Over all {first['examples']} test images. Third part: bands of our specification, calibrated on one seed of digits, over all graphs (and by seed); "
                       "nothing of this was released."),
            tex.command_note(options),
        ],
    )  # fmt: skip


def _by_seed(own):
    """The means of the seeds, where there are several; own: the rows of one band, all seeds last."""
    return (
        f" ({', '.join(tex.number(mean, digits=2) for mean in own['mean'].iloc[:-1])})"
        if len(own) > 2
        else ""
    )


def _beside(row):
    return f"${causal.SENSES[row['sense']]} {row['bound']:g}$: {'holds' if row['holds'] else 'does not hold'}"
