"""Local Lipschitz estimates of every explanation, image by image.

inputs: explanation_metrics, table explanation_metrics. A dot is an image (averaged over training seeds), a mark its method's mean, a line the interval. All maps are
absolute and divided by their maximum, which the released numbers are not.
"""

from ..causal.registry import METRICS
from ..collect import table_rows, title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

METRIC = "lipschitz"
ENTRY = Output(
    id="lipschitz",
    label="Local Lipschitz estimates",
    needs=("explanation_metrics", "tables/explanation_metrics"),
    options=(),
    formats=causal.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure; options: scale. Raises PlumblineError where no run has the metric."""
    groups = causal.measured(inputs["explanation_metrics"], METRIC)
    rows = table_rows(inputs, "explanation_metrics").query("metric == @METRIC")
    names = [name for table in groups.values() for name in table]
    tall = max(table.shape[1] for table in groups.values())
    drawn = figure(2.9 + 2.6 * len(groups), 0.21 * tall + 0.75)
    panels = drawn.subplots(1, len(groups), squeeze=False)[0]
    for axes, ((dataset, model), table) in zip(panels, groups.items(), strict=True):
        means = rows.query("dataset == @dataset and model == @model").set_index("method")
        for place, name in enumerate(table):
            mark = causal.look(name)
            axes.plot(
                table[name],
                place + causal.jitter(len(table), 0.22),
                ".",
                color=mark["color"],
                alpha=0.3,
                markersize=3,
                markeredgewidth=0,
            )
            mean, *ends = means.loc[name, ["mean", "lower", "upper"]]
            axes.plot(ends, [place] * 2, color="0.1", linewidth=1.4, zorder=3)
            axes.plot(mean, place, linestyle="", markersize=4.5, zorder=4, **mark)
        axes.set_yticks(range(table.shape[1]), [causal.short(name) for name in table], fontsize=7)
        axes.set_ylim(table.shape[1] - 0.5, -0.5)
        axes.set_xlim(left=-0.02 * table.to_numpy().max())
        axes.set_xlabel(f"{METRICS[METRIC].label} ↓", fontsize=7.5)
        axes.tick_params(labelsize=7)
        axes.grid(axis="x", color="0.93", linewidth=0.6)
        axes.set_title(title(dataset, model), loc="left", fontsize=8, weight="bold")
    width = drawn.get_size_inches()[0]
    drawn.tight_layout(rect=(0, 0, 1 - 1.6 / width, 1))
    causal.key(drawn, names, loc="center left", bbox_to_anchor=(1 - 1.57 / width, 0.5))
    foot(
        drawn,
        f"{causal.about(rows, options)} Lines: intervals, {rows['interval'].iloc[0]}. Lower is more stable; a "
        f"map that ignores the image (Random) is perfectly stable. Maps absolute, divided by their maximum. {causal.DAGGER}",
    )
    return drawn
