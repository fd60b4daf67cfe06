"""The causal graph of one class of one model: the class on top, the input at the foot, a row a layer's nodes.

inputs: causal_graphs, of which the lowest training seed is drawn. An edge leads from a cause to an effect of the layer above
it; a node's colour is its mean total effect on the class's logit.
"""

from ..collect import title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="causal_graph",
    label="Causal graph of a class",
    needs=("causal_graphs",),
    seeds="lowest",
    per="model",
    options=("explainn",),
    formats=causal.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure; options: scale, dataset, model, explainn."""
    from matplotlib.cm import ScalarMappable

    seed, graphs = next(iter(causal.graphs_of(inputs["causal_graphs"]).items()))
    graph = graphs[causal.shown_class(graphs, options)]
    rows = causal.rows(graph)
    drawn = figure(7.4, 0.85 * len(rows) + 0.75)
    axes = drawn.subplots()
    norm, cmap = causal.effects([graph])
    causal.draw_graph(axes, graph, size=13, norm=norm, cmap=cmap)
    for row, (layer, record) in enumerate(rows):
        axes.text(
            -0.04, -row, _label(graph, layer, record), ha="right", va="center", fontsize=7.5, linespacing=1.3
        )
    axes.set_title(
        f"What {causal.named(graph)} depends on: {title(options['dataset'], options['model'])}, n = {graph.n_used}, "
        f"{causal.made(graph)}",
        fontsize=8.5,
        loc="left",
        x=-0.2,
        weight="bold",
    )
    bar = drawn.colorbar(ScalarMappable(norm, cmap), ax=axes, fraction=0.025, pad=0.02, aspect=28, shrink=0.8)
    bar.set_label("Mean change of the class's logit without the node", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    drawn.subplots_adjust(left=0.22, right=0.97, top=0.93, bottom=0.02)
    foot(drawn, _explained(graph, options, seed))
    return drawn


def _label(graph, layer, record):
    """What a row is, at its left."""
    if record is None:
        return f"output: {causal.named(graph)}\nlogit of {graph.layers[0].layer}"
    if record.rule == "input":
        return "input\nthe whole image"
    what = f"{layer}: {causal.kind_of(layer)}" if layer else f"what feeds {record.layer}"
    tested = f"{len(record.causes)} of {record.candidates} are causes"
    if len(record.nodes) < record.candidates:
        tested += f",\n{len(record.nodes)} tested"
    more = {"fallback": "\n(none passes the test: small effects)", "none": "\n(none: the graph ends here)"}
    return f"{what}\n{tested}{more.get(record.rule, '')}"


def _explained(graph, options, seed):
    """What the drawing says, for a reader without the paper."""
    value = "a weight of almost 0, drawn once a layer" if graph.soft else "0"
    return (
        f"A dot is a node of the network: a filter, a unit, or the whole image. Coloured: a cause, whose weights to the coloured nodes "
        f"above, set to {value}, lower the logit of the class over its {graph.n_used} images, by the colour's amount. Lines: weights "
        f"from a cause to an effect, the thicker the larger their norm within a layer. Grey: no such effect was found. "
        f"Scale: {options['scale']}; N = {graph.n_used} test images, all classified rightly; training seed {seed}; "
        f"{causal.made(graph)}; one graph: no interval."
    )
