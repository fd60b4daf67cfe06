"""Stability of the causal graphs: how often a node is found again under stronger interventions, and how alike graphs stay under
input noise and with fewer images.

inputs: stability, table causal_stability. Left, as published: the mean appearance rate
of the nodes found at least once at a strength, a thin line a class, thick their mean. Right: Jaccard index of a layer's causes
with those of the graph.
Bands and lines are the table's intervals, over seeds and classes. Released points stand in the table, where their class is learnt.
"""

import numpy as np

from ..collect import by_model, seed_rows, seeds_of, table_rows, title
from ..registry import Output
from ..tables.causal import EVERY
from ..tables.causal_stability import rates
from . import causal
from .style import MARKERS, figure, foot, styled

ENTRY = Output(
    id="stability_curve",
    label="Stability of causal graphs",
    needs=("stability", "tables/causal_stability"),
    options=("explainn",),
    formats=causal.FORMATS,
)
COLOR = "#0173b2"


@styled
def draw(inputs, options):
    """The figure; options: scale, explainn."""
    groups = by_model(inputs["stability"])
    rows = table_rows(inputs, "causal_stability")
    drawn = figure(7.4, 0.25 + 2.75 * len(groups))
    panels = drawn.subplots(len(groups), 2, squeeze=False, width_ratios=(1.15, 1))
    notes = []
    for line, ((dataset, model), items) in zip(panels, groups.items(), strict=True):
        frame = seed_rows(items)
        line[0].set_title(title(dataset, model), loc="left", fontsize=8.5, weight="bold")
        own = rows.query("dataset == @dataset and model == @model")
        _curve(
            line[0],
            frame[frame["kind"] == "strength"],
            own[(own["kind"] == "strength") & (own["measure"] == "appearance_rate")],
            options,
        )
        _alike(line[1], own[own["kind"].isin(["noise", "subsample"])])
        graphs = frame[["seed", "class"]].drop_duplicates()
        strong = frame[frame["kind"] == "strength"]
        notes.append(
            f"{title(dataset, model)}: N = {len(graphs)} graphs (class and seed), seeds {seeds_of(items).replace(' ', ', ')}, "
            f"{strong['repetition'].nunique()} repetitions of {causal.ends(strong['images'])} images a strength, layer "
            f"{', '.join(strong['layer'].unique())}."
        )
    drawn.tight_layout(w_pad=2)
    intervals = "; ".join(dict.fromkeys(rows[rows["class"] == EVERY]["interval"]))
    foot(
        drawn,
        f"Scale: {options['scale']}. {' '.join(notes)} Appearance rate: share of the repetitions in which a node was found again, mean over "
        f"the nodes found at least once. Bands and lines: intervals, {intervals}. Crosses: released (MNIST, other weights), "
        "to be compared in shape and magnitude alone.",
    )
    return drawn


def _curve(axes, frame, rows, options):
    """rows: the table's rows of appearance rates, over all graphs and of the classes that were released."""
    table = rates(frame)
    strengths = table.columns.to_numpy()
    for (_, label), values in table.iterrows():
        shown = label == options["explainn"]["shown"]
        axes.plot(
            strengths,
            values,
            color="#d55e00" if shown else "0.75",
            linewidth=1.0 if shown else 0.6,
            zorder=2 + shown,
        )
    over = rows[rows["class"] == EVERY]
    axes.fill_between(
        over["strength"], over["lower"], over["upper"], color=COLOR, alpha=0.2, linewidth=0, zorder=1
    )
    (thick,) = axes.plot(over["strength"], over["mean"], color=COLOR, linewidth=2, zorder=5)
    handles = {"mean over graphs": thick}
    thin = [line for line in axes.lines if line.get_color() == "0.75"]
    marked = [line for line in axes.lines if line.get_color() == "#d55e00"]
    handles |= {"a graph": thin[0]} if thin else {}
    handles |= {f"a graph of class {options['explainn']['shown']}": marked[0]} if marked else {}
    for label, points in rows[rows["published_value"].notna()].groupby("class"):
        handles[f"released, class {label}"] = axes.scatter(
            points["strength"],
            points["published_value"],
            marker="x",
            color="0.15",
            s=22,
            linewidths=1.2,
            zorder=6,
        )
    axes.legend(handles.values(), handles.keys(), fontsize=6.5, loc="upper right")
    axes.set_ylim(0, 104)
    axes.set_xlabel("Strength β: weights become u ~ Uniform(0, β)", fontsize=7.5)
    axes.set_ylabel("Mean appearance rate (%)", fontsize=7.5)
    axes.tick_params(labelsize=7)


def _alike(axes, rows):
    settings = list(dict.fromkeys(zip(rows["kind"], rows["strength"], strict=True)))
    layers = list(dict.fromkeys(rows["layer"]))[::-1]
    for place, layer in enumerate(layers):
        own = rows[rows["layer"] == layer].set_index(["kind", "strength"]).reindex(settings)
        shift = 0.16 * (place - (len(layers) - 1) / 2)
        color = ("#0173b2", "#d55e00", "#029e73", "#cc78bc", "#ca9161", "#949494")[place % 6]
        spots = np.arange(len(settings)) + shift
        axes.vlines(spots, own["lower"], own["upper"], color=color, linewidth=1.3)
        axes.plot(spots, own["mean"], MARKERS[place % len(MARKERS)], color=color, markersize=4, label=layer)
    words = {"noise": "noise\nσ {:g}", "subsample": "{:g}\nimages"}
    axes.set_xticks(range(len(settings)), [words[kind].format(value) for kind, value in settings], fontsize=7)
    axes.set_ylim(0, 1.04)
    axes.set_ylabel("Jaccard index with the graph's causes", fontsize=7.5)
    axes.tick_params(axis="y", labelsize=7)
    axes.legend(
        fontsize=6.5,
        loc="lower left",
        title="causes at",
        title_fontsize=6.5,
        ncols=2,
        columnspacing=0.8,
        handletextpad=0.2,
    )
