"""What is left of a class when parts of the network go: its causal nodes, others, or everything but its graph.

inputs: pruning, table causal_pruning. A dot is a graph (class and training seed; draws averaged), a mark the mean, a line its interval.
Recall of a class alone misleads, for the other logits are not pruned: the area under the ROC curve is the honest number.
"""

from ..collect import by_model, seed_rows, seeds_of, table_rows, title
from ..registry import Output
from ..tables.causal import scored_on
from ..tables.causal_pruning import CONDITIONS
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="pruning",
    label="Pruning by causal graphs",
    needs=("pruning", "tables/causal_pruning"),
    options=(),
    formats=causal.FORMATS,
)
MEASURES = {"recall": "Recall of the class", "auc": "ROC-AUC of its logit"}


@styled
def draw(inputs, options):
    """The figure; options: scale."""
    groups = by_model(inputs["pruning"])
    rows = table_rows(inputs, "causal_pruning").query("kind == 'condition'")
    drawn = figure(7.4, 2.15 * len(groups) + 0.25)
    panels = drawn.subplots(len(groups), len(MEASURES), squeeze=False, sharey=True)
    notes = []
    for line, ((dataset, model), items) in zip(panels, groups.items(), strict=True):
        frame = seed_rows(items)
        for axes, (measure, label) in zip(line, MEASURES.items(), strict=True):
            table = (
                frame.groupby(["seed", "class", "condition"])[measure]
                .mean()
                .unstack("condition")[list(CONDITIONS)]
            )
            own = rows.query("dataset == @dataset and model == @model and measure == @measure")
            _panel(axes, table, own.set_index("condition"))
            axes.set_xlabel(f"{label} ↑", fontsize=7.5)
        line[0].set_title(title(dataset, model), loc="left", fontsize=8.5, weight="bold")
        share = frame.drop_duplicates(["seed", "class"])
        first = rows.query("dataset == @dataset and model == @model").iloc[0]
        notes.append(
            f"{title(dataset, model)}: N = {len(share)} graphs (class and seed), seeds {seeds_of(items).replace(' ', ', ')}, "
            f"{frame['draw'].max() + 1} random draws; graphs hold {100 * share['node_share'].mean():.0f}% of the nodes and "
            f"{100 * share['weight_share'].mean():.0f}% of the weights. {scored_on(first['examples'], first['held_out'])}"
        )
    drawn.tight_layout(w_pad=1.5)
    foot(
        drawn,
        f"Scale: {options['scale']}. {' '.join(notes)} Lines: intervals, {rows['interval'].iloc[0]}. Causal nodes: of the last "
        "layer; a weight to the class is cut, biases stay. The other classes are not pruned, so recall of a pruned graph is inflated.",
    )
    return drawn


def _panel(axes, table, rows):
    jitter = causal.jitter(len(table), 0.2)
    for place, condition in enumerate(CONDITIONS):
        color = {"base": "0.2", "ablate_causal": "#d55e00", "drop_non_causal": "#029e73"}.get(
            condition, "#0173b2" if condition.startswith("graph") else "0.55"
        )
        axes.plot(
            table[condition], place + jitter, ".", color=color, alpha=0.35, markersize=4, markeredgewidth=0
        )
        mean, *ends = rows.loc[condition, ["mean", "lower", "upper"]]
        axes.plot(ends, [place] * 2, color=color, linewidth=1.6)
        axes.plot(mean, place, "D" if condition.startswith("graph") else "o", color=color, markersize=4.5)
    axes.set_yticks(range(len(CONDITIONS)), CONDITIONS.values(), fontsize=7)
    axes.set_ylim(len(CONDITIONS) - 0.5, -0.5)
    axes.tick_params(labelsize=7)
    axes.grid(axis="x", color="0.93", linewidth=0.6)
