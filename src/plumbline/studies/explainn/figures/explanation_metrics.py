"""Robustness against faithfulness of every explanation, a panel a metric of faithfulness.

inputs: table explanation_metrics. A point is the mean over images (each averaged over training seeds), lines are its intervals. Arrows on the
axes point to the better end; a fixed random map is as robust as can be, so robustness counts with faithfulness alone.
"""

from ..causal.registry import METRICS
from ..collect import table_rows, title
from ..errors import PlumblineError
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="explanation_metrics",
    label="Robustness against faithfulness",
    needs=("tables/explanation_metrics",),
    options=(),
    formats=causal.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure; options: scale. Raises PlumblineError where no run has a metric of either kind."""
    frame = table_rows(inputs, ENTRY.id)
    measured = set(frame["metric"])
    across, upwards = (
        [name for name in METRICS if METRICS[name].axis == axis and name in measured]
        for axis in ("robustness", "faithfulness")
    )
    if not across or not upwards:
        raise PlumblineError(
            f"figure {ENTRY.id} needs a metric of robustness and one of faithfulness: add them to `metrics`, or drop the figure"
        )
    first = frame[frame["metric"] == across[0]]
    groups = [
        (key, part)
        for key, part in frame.groupby(["dataset", "model"], sort=False)
        if {across[0], *upwards} <= set(part["metric"])
    ]
    drawn = figure(0.5 + 2.35 * len(upwards) + 1.25, 0.3 + 2.35 * len(groups))
    panels = drawn.subplots(len(groups), len(upwards), squeeze=False)
    names = {}
    for line, (key, part) in zip(panels, groups, strict=True):
        rows = {metric: own.set_index("method") for metric, own in part.groupby("metric")}
        for axes, metric in zip(line, upwards, strict=True):
            _panel(axes, rows[across[0]], rows[metric])
            names |= dict.fromkeys(rows[metric].index)
            axes.set_xlabel(f"{METRICS[across[0]].label} {_arrow(across[0], 'x')}", fontsize=7)
            axes.set_ylabel(f"{METRICS[metric].label} {_arrow(metric, 'y')}", fontsize=7)
        line[0].set_title(title(*key), loc="left", fontsize=8, weight="bold")
    width = drawn.get_size_inches()[0]
    drawn.tight_layout(rect=(0, 0, 1 - 1.25 / width, 1), w_pad=1)
    _names(drawn, list(names), 1 - 1.22 / width)
    foot(
        drawn,
        f"{causal.about(first, options)} Lines: intervals, {first['interval'].iloc[0]}. Arrows: the better end. A map that ignores the "
        f"image (Random) is perfectly stable: stability counts together with faithfulness alone. {causal.DAGGER}",
    )
    return drawn


def _panel(axes, x, y):
    for place, name in enumerate(y.index):
        mark, across, up = causal.look(name), x.loc[name], y.loc[name]
        thin = {"color": mark["color"], "linewidth": 0.9, "alpha": 0.6}
        axes.plot([across["lower"], across["upper"]], [up["mean"]] * 2, **thin)
        axes.plot([across["mean"]] * 2, [up["lower"], up["upper"]], **thin)
        axes.plot(across["mean"], up["mean"], linestyle="", markersize=4.5, **mark)
        axes.annotate(
            str(place + 1),
            (across["mean"], up["mean"]),
            xytext=(3, 2.5),
            textcoords="offset points",
            fontsize=6,
        )
    axes.tick_params(labelsize=6.5)
    axes.grid(color="0.94", linewidth=0.6)


def _arrow(metric, axis):
    better = METRICS[metric].direction > 0
    return {"x": "→" if better else "←", "y": "↑" if better else "↓"}[axis]


def _names(drawn, names, left):
    """The numbers in the panels, and what they stand for."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="", markersize=4, **causal.look(name)) for name in names]
    labels = [f"{place + 1} {causal.short(name)}" for place, name in enumerate(names)]
    drawn.legend(
        handles, labels, fontsize=6.5, loc="center left", bbox_to_anchor=(left, 0.5), handletextpad=0.1
    )
