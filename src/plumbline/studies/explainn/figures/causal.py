"""What the figures of the study explainn share: the graphs, how an explanation looks, how a graph is drawn."""

import numpy as np

from ..artefacts import read_rows
from ..attribution.convolutional import EXPLANATIONS
from ..causal.graph import THRESHOLD, read_graph
from ..collect import by_model, title
from ..datasets.images import array
from ..errors import PlumblineError
from .style import mark

FORMATS = ("pdf", "png")
# Families of explanations in words, for keys.
FAMILIES = {
    "causal": "causal graph",
    "gradient": "gradients",
    "propagation": "changed backward rules",
    "perturbation": "perturbation",
    "control": "controls",
}
DAGGER = "† as released."


def look(name):
    """Return the color, marker and markerfacecolor of an explanation."""
    found = mark(name, EXPLANATIONS)
    return {key: found[key] for key in ("color", "marker", "markerfacecolor")}


def short(name):
    """Return an explanation's label where room is scarce: a dagger for 'as released'."""
    return EXPLANATIONS[name].label.replace(", as released", "†")


def key(drawn, names, **where):
    """Draw a legend of the families of some explanations.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure or matplotlib.axes.Axes
        Where it is drawn.
    names : iterable of str
        Ids of EXPLANATIONS.
    **where
        Of matplotlib's legend.
    """
    from matplotlib.lines import Line2D

    # A family's readouts have its colour and marker.
    members = {EXPLANATIONS[name].family: name for name in names}
    present = [family for family in FAMILIES if family in members]
    handles = []
    for family in present:
        shape = look(members[family])
        handles.append(
            Line2D([], [], linestyle="", color=shape["color"], marker=shape["marker"], markersize=4)
        )
    drawn.legend(handles, [FAMILIES[family] for family in present], fontsize=7, handletextpad=0.2, **where)


def graphs_of(items):
    """Read the graphs of a model.

    Parameters
    ----------
    items : list of dict
        Of the stage causal_graphs.

    Returns
    -------
    dict
        {training seed: {class: CausalGraph}}, both ascending.
    """
    found = {}
    for item in sorted(items, key=lambda item: (item["seed"], item["class"])):
        found.setdefault(item["seed"], {})[item["class"]] = read_graph(item["path"])
    return found


def shown_class(graphs, options):
    """Return the class that a figure of one class shows: the configured one, the first one where it was not learnt."""
    wanted = options["explainn"]["shown"]
    return wanted if wanted in graphs else min(graphs)


def named(graph):
    """Return 'class 3', with the class's name where it has another one than its number."""
    return f"class {graph.target}" + (f" ({graph.label})" if graph.label != str(graph.target) else "")


def made(graph):
    """Return in words how a graph was learnt."""
    kind = "soft" if graph.soft else "hard"
    correction = (
        f", z < {THRESHOLD:g}" if graph.correction == "none" else f", {graph.correction} at {graph.level:g}"
    )
    return f"{kind} interventions, {graph.test} test{correction}"


def rows(graph):
    """Return the rows of a drawing, from the top down, the class itself first.

    Parameters
    ----------
    graph : CausalGraph
        The graph.

    Returns
    -------
    list of tuple
        (what the nodes are, record or None). A record's row holds the nodes that feed its layer, which are the output of the
        layer below.
    """
    below = [record.layer for record in graph.layers[1:]]
    below.append("input" if graph.layers[-1].rule == "input" else None)
    return [("class", None), *zip(below, graph.layers, strict=True)]


def kind_of(layer):
    """Return what the nodes of a layer are, in the plural."""
    return "filters" if "conv" in layer else "units"


def draw_graph(axes, graph, *, size, norm, cmap, line=1.2):
    """Draw a graph in layers, the class on top, the input at the foot: x in [0, 1], a row a unit of y, from 0 down.

    Grey dots: candidates that are no causes; coloured by norm and cmap: causes, by their mean total effect in logits. An edge's
    width and darkness show its weight norm beside the largest of its layer.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where it is drawn.
    graph : CausalGraph
        The graph.
    size : float
        Of the nodes, in square points.
    norm, cmap
        See `effects`.
    line : float
        Width of the widest edge, in points.
    """
    places = {}
    for row, (_, record) in enumerate(rows(graph)):
        if record is None:
            places[row] = {graph.target: 0.5}
            continue
        indices = [node.index for node in record.nodes] or list(record.causes)
        places[row] = dict(zip(indices, spread(len(indices)), strict=True))
    for row, (_, record) in enumerate(rows(graph)[1:], 1):
        edges = [edge for edge in graph.edges if edge.layer == record.layer]
        strongest = max((edge.weight for edge in edges), default=0) or 1.0
        # Many lines are drawn lighter, so that they can be told apart.
        crowd = min(1, 12 / max(len(edges), 1) ** 0.6)
        for edge in edges:
            share = edge.weight / strongest
            ends = [places[row][edge.cause], places[row - 1][edge.effect]]
            axes.plot(
                ends,
                [-row, 1 - row],
                color="0.45",
                linewidth=line * max(share, 0.08),
                alpha=0.06 + (0.1 + 0.6 * share) * crowd,
                zorder=1,
                solid_capstyle="butt",
            )
        idle = [places[row][node.index] for node in record.nodes if not node.selected]
        axes.scatter(idle, [-row] * len(idle), s=size * 0.45, color="0.82", linewidths=0, zorder=2)
        chosen = [node for node in record.nodes if node.selected]
        if chosen:
            axes.scatter(
                [places[row][node.index] for node in chosen],
                [-row] * len(chosen),
                s=size * 1.5,
                zorder=3,
                c=[node.te for node in chosen],
                norm=norm,
                cmap=cmap,
                edgecolors="0.15",
                linewidths=0.35,
            )
        elif record.causes:
            axes.scatter([0.5], [-row], s=size * 2.2, marker="s", color="0.15", zorder=3)
    axes.scatter([0.5], [0], s=size * 2.6, color="0.15", zorder=3)
    axes.set(xlim=(-0.02, 1.02), ylim=(-len(places) + 0.6, 0.4), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def spread(count):
    """Return the places in [0, 1] of a row's nodes: few ones stand closer, around the middle."""
    if count == 1:
        return [0.5]
    half = min(0.5, 0.05 * count)
    return np.linspace(0.5 - half, 0.5 + half, count).tolist()


def effects(graphs):
    """Return how the mean total effects of the causes of some graphs are coloured.

    Parameters
    ----------
    graphs : iterable of CausalGraph
        The graphs.

    Returns
    -------
    norm : matplotlib.colors.Normalize
        Of effects in logits.
    cmap : str
        The colour map.
    """
    from matplotlib.colors import Normalize

    found = [node.te for graph in graphs for record in graph.layers for node in record.nodes if node.selected]
    return Normalize(min([*found, -1e-9]), 0), "YlOrRd_r"


def pictures(items, ids):
    """Read images of a data set.

    Parameters
    ----------
    items : list of dict
        `inputs["images"]`.
    ids : collection of int
        Of the images.

    Returns
    -------
    dict
        Id -> numpy.ndarray, float64, (height, width) or (height, width, 3), in [0, 1].
    """
    frame = read_rows(items[0]["path"])
    found = {}
    for row in frame[frame["id"].isin(ids)].itertuples():
        values = array(row) / 255
        found[row.id] = values[..., 0] if row.channels == 1 else values
    return found


def jitter(count, width):
    """Return offsets (count,) within +-width of dots that would hide each other, the same at each run."""
    return width * np.sin(2.4 * np.arange(count))


def ends(values):
    """Return the ends of some counts as text: '30', '28 to 30'."""
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def lowest(items):
    """Return the item of the lowest training seed."""
    return min(items, key=lambda item: item["seed"])


def bare(axes):
    """Turn axes into those of an image."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color="0.8", linewidth=0.4)


def values_of(items, metric):
    """Read the values of a metric, averaged over seeds.

    Parameters
    ----------
    items : list of dict
        Of the stage explanation_metrics, of one model.
    metric : str
        Its id.

    Returns
    -------
    DataFrame or None
        A row an image that every seed explains, a column an explanation, in the registry's order. None where it was not
        measured.
    """
    import pandas as pd

    frame = pd.concat([read_rows(item["path"]).assign(seed=item["seed"]) for item in items])
    frame = frame[frame["metric"] == metric]
    if frame.empty:
        return None
    table = frame.pivot_table(index=["id", "seed"], columns="method", values="value")
    table = table.unstack("seed").dropna().stack("seed", future_stack=True).groupby("id").mean()
    return table[[name for name in EXPLANATIONS if name in table]]


def measured(items, metric):
    """Read the values of a metric of the models that it was measured on.

    Parameters
    ----------
    items : list of dict
        Of the stage explanation_metrics.
    metric : str
        Its id.

    Returns
    -------
    dict
        (dataset, model) -> see `values_of`.

    Raises
    ------
    PlumblineError
        Where no model was measured.
    """
    found = {key: values_of(part, metric) for key, part in by_model(items).items()}
    found = {key: table for key, table in found.items() if table is not None}
    if not found:
        raise PlumblineError(
            f"no run measures {metric}: add it to `metrics`, or drop the figures that show it"
        )
    return found


def about(rows, options):
    """Return scale, counts and seeds of a figure of metrics.

    Parameters
    ----------
    rows : DataFrame
        Those of one metric in table explanation_metrics.
    options : dict
        scale.

    Returns
    -------
    str
    """
    words = [
        f"{title(*key)}: N = {part['examples'].iloc[0]} images, seeds {part['seeds'].iloc[0].replace(' ', ', ')}."
        for key, part in rows.groupby(["dataset", "model"], sort=False)
    ]
    return f"Scale: {options['scale']}. {' '.join(words)}"
