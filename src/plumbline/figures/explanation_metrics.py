"""Robustness against faithfulness of every explanation, a panel a metric of faithfulness.

inputs: explanation_metrics. A point is the mean over images (each averaged over training seeds), lines are its intervals. Arrows on the
axes point to the better end; a fixed random map is as robust as can be, so robustness counts with faithfulness alone.
"""

from ..causal.registry import METRICS
from ..collect import interval_text, title
from ..errors import PlumblineError
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="explanation_metrics",
    label="Robustness against faithfulness",
    study=causal.STUDY,
    needs=("explanation_metrics",),
    formats=causal.FORMATS,
    order=147,
)


@styled
def draw(inputs, options):
    """The figure; options: scale, bootstrap. Raises PlumblineError where no run has a metric of either kind."""
    items = inputs["explanation_metrics"]
    across, upwards = (
        {name: found for name in METRICS if METRICS[name].axis == axis and (found := causal.measured(items, name, False))}
        for axis in ("robustness", "faithfulness")
    )  # fmt: skip
    if not across or not upwards:
        raise PlumblineError(
            f"figure {ENTRY.id} needs a metric of robustness and one of faithfulness: add them to `metrics`, or drop the figure"
        )
    first = next(iter(across))
    groups = [key for key in across[first] if all(key in found for found in upwards.values())]
    drawn = figure(0.5 + 2.35 * len(upwards) + 1.25, 0.3 + 2.35 * len(groups))
    panels = drawn.subplots(len(groups), len(upwards), squeeze=False)
    names = {}
    for line, group in zip(panels, groups, strict=True):
        for axes, (metric, found) in zip(line, upwards.items(), strict=True):
            _panel(axes, across[first][group], found[group], options, (*group, metric))
            names |= dict.fromkeys(found[group])
            axes.set_xlabel(f"{METRICS[first].label} {_arrow(first, 'x')}", fontsize=7)
            axes.set_ylabel(f"{METRICS[metric].label} {_arrow(metric, 'y')}", fontsize=7)
        line[0].set_title(title(*group), loc="left", fontsize=8, weight="bold")
    width = drawn.get_size_inches()[0]
    drawn.tight_layout(rect=(0, 0, 1 - 1.25 / width, 1), w_pad=1)
    _names(drawn, list(names), 1 - 1.22 / width)
    foot(
        drawn,
        f"{causal.about(items, options, across[first])} Lines: intervals, {interval_text(options)}. Arrows: the better end. A map that ignores the "
        f"image (Random) is perfectly stable: stability counts together with faithfulness alone. {causal.DAGGER}",
    )
    return drawn


def _panel(axes, x, y, options, names):
    shared = x.index.intersection(y.index)
    both = [table.loc[shared].to_numpy() for table in (x, y)]
    # One seed: the same images are drawn for both.
    settings = {**options["bootstrap"], "seed": seed_of(ENTRY.id, *names)}
    (left, right), (low, high) = (bootstrap_interval(values, **settings) for values in both)
    means = [values.mean(0) for values in both]
    for place, name in enumerate(y):
        mark = causal.look(name)
        axes.plot(
            [left[place], right[place]], [means[1][place]] * 2, color=mark["color"], linewidth=0.9, alpha=0.6
        )
        axes.plot(
            [means[0][place]] * 2, [low[place], high[place]], color=mark["color"], linewidth=0.9, alpha=0.6
        )
        axes.plot(means[0][place], means[1][place], linestyle="", markersize=4.5, **mark)
        axes.annotate(
            str(place + 1), (means[0][place], means[1][place]), xytext=(3, 2.5), textcoords="offset points", fontsize=6
        )  # fmt: skip
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
