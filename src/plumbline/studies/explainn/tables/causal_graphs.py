"""How many nodes of each layer are in the causal graph of each class.

inputs: causal_graphs (graph.json, one a class and seed), image_models. `layer` is the layer whose inputs are tested: its
causes are the `nodes`, out of `candidates` that feed it, of which `tested` were tested; layer `all`: all of them together.
Unit: nodes. One row is one graph and layer; seed and class `mean`: over graphs, with an interval over seeds and classes, the
lowest and the highest. A layer that a truncated graph does not reach counts as 0 nodes, its rule is `not reached`.

    by_test     of the nodes those that passed the test; the others are of layers where none did (fallback)
    held_out    share of each class's test images that no graph is learnt from
    rule        test, fallback (no node passes the test, but some have a small effect), none (the graph ends here)
    u           what the weights were set to
    examples    images of the graph (n_used), rightly classified all; of a mean the fewest, examples_most: the most
    truncated, fallback, single     in how many of the `graphs`: ended early; by the fallback; one node alone (at this layer)
"""

from ..collect import by_model, title
from ..registry import Output
from . import causal
from . import latex as tex
from .causal import EVERY

ENTRY = Output(
    id="causal_graphs",
    label="Sizes of the causal graphs",
    needs=("causal_graphs", "image_models"),
    published=True,
)
MEAN = "mean"
NOT_REACHED = "not reached"


def rows(inputs, options):
    """One row a data set, model, seed, class and layer, and their mean a layer; options: scale, bootstrap."""
    import pandas as pd

    models = by_model(inputs["image_models"])
    found = []
    for (dataset, model), items in by_model(inputs["causal_graphs"]).items():
        graphs = causal.graphs_of(items)
        about = causal.about(options, dataset, model, models[dataset, model], graphs, items)
        layers = _layers(graphs)
        single = [_graph(seed, graph, layers) for seed, graph in graphs]
        released = _with_sums(causal.released(ENTRY.id, about))
        found += causal.beside([about | row for part in single for row in part], released, about)
        found += [about | row for row in _means(single, options, (dataset, model))]
    frame = pd.DataFrame(found)
    return frame.astype(dict.fromkeys(("published_value", "lower", "upper", "u"), float))


def _layers(graphs):
    """{tested layer: (candidates, tested)}, from the top down, as the deepest graph has them."""
    found = {}
    for _, graph in graphs:
        for record in graph.layers:
            if record.rule != "input":
                found[record.layer] = record.candidates, len(record.nodes)
    return found


def _with_sums(numbers):
    """Released numbers of layers, and their sum over the layers of each measurement."""
    import pandas as pd

    sums = numbers.groupby("measurement", sort=False)["value"].sum()
    whole = numbers.drop_duplicates("measurement").assign(layer=EVERY, value=list(sums))
    return pd.concat([numbers, whole], ignore_index=True)


def _graph(seed, graph, layers):
    """The rows of one graph."""
    records = {record.layer: record for record in graph.layers if record.rule != "input"}
    rules = {layer: records[layer].rule if layer in records else NOT_REACHED for layer in layers}
    nodes = {layer: len(records[layer].causes) if layer in records else 0 for layer in layers}
    found = []
    for layer in (*layers, EVERY):
        own = list(layers) if layer == EVERY else [layer]
        found.append(
            {
                "seeds": str(seed),
                "seed": str(seed),
                "class": str(graph.target),
                "label": graph.label,
                "layer": layer,
                "candidates": sum(layers[name][0] for name in own),
                "tested": sum(layers[name][1] for name in own),
                "nodes": sum(nodes[name] for name in own),
                "by_test": sum(nodes[name] for name in own if rules[name] == "test"),
                "held_out": graph.held_out,
                "lower": None,
                "upper": None,
                "lowest": None,
                "highest": None,
                "interval": "none: one graph",
                "rule": rules.get(layer),
                "u": records[layer].u if layer in records else None,
                "graphs": 1,
                "examples": graph.n_used,
                "examples_most": graph.n_used,
                "truncated": int(graph.truncated),
                "fallback": int(any(rules[name] == "fallback" for name in own)),
                "single": int(any(nodes[name] == 1 for name in own)),
                **causal.NOTHING,
            }
        )
    return found


def _means(single, options, names):
    """The mean over graphs, a row a layer; single: the rows of each graph, in the same order."""
    import pandas as pd

    index = pd.MultiIndex.from_tuples([(part[0]["seed"], part[0]["class"]) for part in single])
    units = pd.DataFrame([[row["nodes"] for row in part] for part in single], index=index)
    ends = zip(*causal.bands(units, options, ENTRY.id, *names), strict=True)
    for place, (mean, lower, upper) in enumerate(ends):
        own = [part[place] for part in single]
        sizes = [row["nodes"] for row in own]
        yield {
            "seed": MEAN,
            "class": MEAN,
            "label": MEAN,
            **{key: own[0][key] for key in ("layer", "candidates", "tested")},
            "nodes": mean,
            "by_test": sum(row["by_test"] for row in own) / len(own),
            "held_out": own[0]["held_out"],
            "lower": lower,
            "upper": upper,
            "lowest": min(sizes),
            "highest": max(sizes),
            "interval": causal.interval_text(options, units),
            "rule": None,
            "u": None,
            "graphs": len(own),
            "examples": min(row["examples"] for row in own),
            "examples_most": max(row["examples"] for row in own),
            **{key: sum(row[key] for row in own) for key in ("truncated", "fallback", "single")},
            **causal.NOTHING,
        }


def summary(part):
    """What the sizes say, in plain words; part: the rows of one model."""
    whole = part[(part["layer"] == EVERY) & (part["class"] == MEAN)].iloc[0]
    graphs = int(whole["graphs"])
    cut = "cut" if whole["intervention"] == "hard" else "set to almost nothing"
    ends = "" if whole[["lower", "upper"]].isna().any() else f" [{whole['lower']:.1f}, {whole['upper']:.1f}]"
    said = [
        f"Of {whole['candidates']:.0f} nodes that feed the tested layers, {whole['nodes']:.1f}{ends} "
        f"({100 * whole['nodes'] / whole['candidates']:.0f}%) are causes of a class, on average. {whole['by_test']:.1f} of them passed the "
        f"test: where their connections to the part of the graph above them are {cut}, the class's logit falls by more than the "
        "test allows for chance."
    ]
    fallback = int(whole["fallback"])
    if fallback:
        said.append(
            f"The other {whole['nodes'] - whole['by_test']:.1f} did not: in {causal.some(fallback, graphs)} some layer has no node that "
            "passes, and those whose mean effect is below -0.1% of the mean logit are taken instead (the fallback)."
        )
    if whole["single"]:
        said.append(f"In {causal.some(int(whole['single']), graphs)}, some layer has one cause alone.")
    ended = causal.some(int(whole["truncated"]), graphs)
    said.append(f"{ended[0].upper()}{ended[1:]} ended early for want of a cause.")
    if whole["test"] == "welch":
        said.append(
            "The published test compares two independent samples although the same images are measured twice, so it misses small "
            "effects: that a node is not in the graph does not show that it does nothing."
        )
    return " ".join(said)


def latex(frame, options):
    """The table as LaTeX, one a data set and model: classes down, layers across."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    single, means = part[part["class"] != MEAN], part[part["class"] == MEAN].set_index("layer")
    layers = list(means.index)
    beside = single[single["published_value"].notna()]
    whole = means.loc[EVERY]
    sections = [
        [["of", "--", *(str(means.loc[layer, "candidates"]) for layer in layers)]],
        [_class_line(own, layers) for _, own in single.groupby("class", sort=False)],
        [
            [
                "mean",
                "--",
                *(tex.number(*means.loc[layer, ["nodes", "lower", "upper"]], digits=1) for layer in layers),
            ],
            [
                "lowest to highest",
                f"{whole['examples']}--{whole['examples_most']}",
                *(f"{means.loc[layer, 'lowest']:.0f}--{means.loc[layer, 'highest']:.0f}" for layer in layers),
            ],
        ],
    ]
    if len(beside):
        sections.append([_released_line(own, layers) for _, own in beside.groupby("class", sort=False)])
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(title(*key))}. In plain words: {tex.escape(summary(part))}",
        label=f"tab:{ENTRY.id}:{key[0]}:{key[1]}",
        columns=["Class", "N", *(tex.escape(layer) for layer in layers)],
        sections=sections,
        notes=[
            tex.escape(
                causal.provenance(
                    options,
                    graphs=whole["graphs"],
                    seeds=whole["seeds"],
                    images=whole[["examples", "examples_most"]],
                )
            ),
            tex.escape(
                f"Nodes that feed a layer and are causes of the class, of all that feed it. {causal.made(whole)} Index and exponent: of a "
                "class the lowest and the highest seed, of the mean the interval. N: images, the fewest; *: truncated, what it does not reach counts as 0; "
                "+: fallback, no node passed the test."
            ),
            *([tex.escape(causal.released_note(beside))] if len(beside) else []),
            tex.command_note(options),
        ],
    )


def _class_line(own, layers):
    """The line of a class, over seeds."""
    name = tex.escape(own["label"].iloc[0]) + ("*" if own["truncated"].any() else "")
    line = [name, str(own["examples"].min())]
    for layer in layers:
        here = own[own["layer"] == layer]
        sizes = here["nodes"]
        ends = (sizes.min(), sizes.max()) if len(sizes) > 1 else ()
        digits = 0 if float(sizes.mean()).is_integer() else 1
        mark = "+" if here["fallback"].any() and layer != EVERY else ""
        line.append(tex.number(sizes.mean(), *ends, digits=digits) + mark)
    return line


def _released_line(own, layers):
    """The line of the released numbers of a class."""
    values = own.drop_duplicates("layer").set_index("layer")["published_value"].reindex(layers)
    first = own.iloc[0]
    name = tex.escape(f"released, {first['label']} ({first['verdict']})")
    return [name, "--", *(tex.number(value, digits=0) for value in values)]
