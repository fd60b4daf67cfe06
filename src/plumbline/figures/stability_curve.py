"""Stability of the causal graphs: how often a node is found again under stronger interventions, and how alike graphs stay under
input noise and with fewer images.

inputs: stability, table causal_stability. Left, as published (specs: explainnn, section 4, curve A): the mean appearance rate
of the nodes found at least once at a strength, a thin line a class, thick their mean. Right: Jaccard index of a layer's causes
with those of the graph.
Bands and lines are intervals over graphs (class and seed). Released points stand in the table, where their class is learnt.
"""

import numpy as np

from ..collect import by_model, seed_rows, seeds_of, table_rows, title
from ..registry import Output
from ..tables.causal import bands, interval_text
from ..tables.causal_stability import rates
from . import causal
from .style import MARKERS, figure, foot, styled

ENTRY = Output(
    id="stability_curve",
    label="Stability of causal graphs",
    study=causal.STUDY,
    needs=("stability", "tables/causal_stability"),
    options=("bootstrap", "explainn"),
    formats=causal.FORMATS,
    order=142,
)
COLOR = "#0173b2"


@styled
def draw(inputs, options):
    """The figure; options: scale, bootstrap, explainn."""
    groups = by_model(inputs["stability"])
    drawn = figure(7.4, 0.25 + 2.75 * len(groups))
    panels = drawn.subplots(len(groups), 2, squeeze=False, width_ratios=(1.15, 1))
    notes = []
    for line, ((dataset, model), items) in zip(panels, groups.items(), strict=True):
        frame = seed_rows(items)
        line[0].set_title(title(dataset, model), loc="left", fontsize=8.5, weight="bold")
        _curve(
            line[0],
            frame[frame["kind"] == "strength"],
            _released(inputs, dataset, model),
            options,
            (dataset, model),
        )
        _alike(line[1], frame[frame["kind"] != "strength"], options, (dataset, model))
        graphs = frame[["seed", "class"]].drop_duplicates()
        strong = frame[frame["kind"] == "strength"]
        notes.append(
            f"{title(dataset, model)}: N = {len(graphs)} graphs (class and seed), seeds {seeds_of(items).replace(' ', ', ')}, "
            f"{strong['repetition'].nunique()} repetitions of {causal.ends(strong['images'])} images a strength, layer "
            f"{', '.join(strong['layer'].unique())}."
        )
    drawn.tight_layout(w_pad=2)
    foot(
        drawn,
        f"Scale: {options['scale']}. {' '.join(notes)} Appearance rate: share of the repetitions in which a node was found again, mean over "
        f"the nodes found at least once. Bands and lines: intervals, {interval_text(options)}. Crosses: released (MNIST, other weights), "
        "to be compared in shape and magnitude alone.",
    )
    return drawn


def _released(inputs, dataset, model):
    """The rows of the table with released appearance rates of a model."""
    rows = table_rows(inputs["tables"], "causal_stability").query("dataset == @dataset and model == @model")
    return rows[rows["published_value"].notna() & (rows["measure"] == "appearance_rate")]


def _curve(axes, frame, released, options, names):
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
    mean, lower, upper = bands(table, options, ENTRY.id, *names)
    axes.fill_between(strengths, lower, upper, color=COLOR, alpha=0.2, linewidth=0, zorder=1)
    (thick,) = axes.plot(strengths, mean, color=COLOR, linewidth=2, zorder=5)
    handles = {"mean over graphs": thick}
    thin = [line for line in axes.lines if line.get_color() == "0.75"]
    marked = [line for line in axes.lines if line.get_color() == "#d55e00"]
    handles |= {"a graph": thin[0]} if thin else {}
    handles |= {f"a graph of class {options['explainn']['shown']}": marked[0]} if marked else {}
    for label, points in released.groupby("class"):
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


def _alike(axes, frame, options, names):
    settings = list(dict.fromkeys(zip(frame["kind"], frame["strength"], strict=True)))
    layers = list(dict.fromkeys(frame["layer"]))[::-1]
    for place, layer in enumerate(layers):
        part = frame[frame["layer"] == layer]
        # A mean over repetitions for each graph; those that do not reach the layer are missing.
        table = (
            part.groupby(["seed", "class", "kind", "strength"])["jaccard"]
            .mean()
            .unstack(["kind", "strength"])
        )
        table = table.reindex(columns=settings)
        mean, lower, upper = bands(table, options, ENTRY.id, *names, layer)
        shift = 0.16 * (place - (len(layers) - 1) / 2)
        color = ("#0173b2", "#d55e00", "#029e73", "#cc78bc", "#ca9161", "#949494")[place % 6]
        spots = np.arange(len(settings)) + shift
        axes.vlines(spots, lower, upper, color=color, linewidth=1.3)
        axes.plot(spots, mean, MARKERS[place % len(MARKERS)], color=color, markersize=4, label=layer)
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
