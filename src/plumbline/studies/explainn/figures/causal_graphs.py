"""The causal graphs of all classes of one model, side by side; each as in figure causal_graph.

inputs: causal_graphs, of which the lowest training seed is drawn.
"""

from ..collect import title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="causal_graphs",
    label="Causal graphs of all classes",
    needs=("causal_graphs",),
    seeds="lowest",
    per="model",
    options=(),
    formats=causal.FORMATS,
)
COLUMNS = 5


@styled
def draw(inputs, options):
    """The figure; options: scale, dataset, model."""
    from matplotlib.cm import ScalarMappable

    seed, graphs = next(iter(causal.graphs_of(inputs["causal_graphs"]).items()))
    graphs = list(graphs.values())
    columns = min(COLUMNS, len(graphs))
    lines = -(-len(graphs) // columns)
    drawn = figure(0.9 + 1.55 * columns, 0.7 + 1.95 * lines)
    panels = drawn.subplots(lines, columns, squeeze=False)
    norm, cmap = causal.effects(graphs)
    for axes, graph in zip(panels.flat, graphs, strict=False):
        causal.draw_graph(axes, graph, size=3.2, norm=norm, cmap=cmap, line=0.7)
        sizes = " · ".join(str(len(record.causes)) for record in graph.layers if record.rule != "input")
        axes.set_title(
            f"{causal.named(graph)}, n = {graph.n_used}\n{sizes}{' …' * graph.truncated}", fontsize=7
        )
    for axes in panels.flat[len(graphs) :]:
        axes.set_visible(False)
    height = drawn.get_size_inches()[1]
    drawn.suptitle(
        title(options["dataset"], options["model"]),
        fontsize=8.5,
        weight="bold",
        x=0.02,
        ha="left",
        y=1 - 0.08 / height,
    )
    drawn.subplots_adjust(left=0.01, right=0.9, top=1 - 0.62 / height, bottom=0.02, wspace=0.06, hspace=0.28)
    bar = drawn.colorbar(ScalarMappable(norm, cmap), cax=drawn.add_axes((0.925, 0.2, 0.014, 0.6)))
    bar.set_label("Mean change of the logit without the node", fontsize=6.5)
    bar.ax.tick_params(labelsize=6)
    layers = [record.layer for record in graphs[0].layers]
    counts = causal.ends([graph.n_used for graph in graphs])
    fallen = sum(record.rule == "fallback" for graph in graphs for record in graph.layers)
    whole = sum(record.rule != "input" for graph in graphs for record in graph.layers)
    foot(
        drawn,
        (
            f"Top: the class; below it, row by row, the nodes that feed {', '.join(layers)}. Coloured: causes, whose number in each row "
            f"stands above; grey: no cause. In {fallen} of {whole} layers no node passed the test: coloured are those of a small effect. … : no cause was found further down. Scale: {options['scale']}; N = {counts} "
            f"images a class; training seed {seed}; {causal.made(graphs[0])}; single graphs: no interval."
        ),
    )
    return drawn
