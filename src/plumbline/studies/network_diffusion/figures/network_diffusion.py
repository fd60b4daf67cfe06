"""Every map's perturbation AUC and how it meets the ink, before and after network diffusion, with controls.

inputs: table network_diffusion. A row of panels a data set, model, protocol and fill; a point is the mean over images, a line its
interval; hollow: as published. The vertical line is the random control.
"""

from ..attribution.image_maps import MAPS
from ..collect import provenance, table_rows, title
from ..registry import Output
from ..tables.network_diffusion import KEYS, METRICS, SHOWN
from . import maps
from .style import figure, foot, styled

ENTRY = Output(
    id="network_diffusion",
    label="Maps before and after network diffusion",
    needs=("tables/network_diffusion",),
    formats=maps.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    frame = table_rows(inputs, "network_diffusion")
    groups = list(frame.groupby(KEYS, sort=False))
    shown = [metric for metric in SHOWN if metric in set(frame["metric"])]
    heights = [0.17 * part["map"].nunique() + 0.75 for _, part in groups]
    drawn = figure(2.0 + 1.75 * len(shown), sum(heights))
    panels = drawn.subplots(len(groups), len(shown), squeeze=False, height_ratios=heights)
    for line, (key, part) in zip(panels, groups, strict=True):
        names = list(dict.fromkeys(part["map"]))
        for axes, metric in zip(line, shown, strict=True):
            _panel(axes, part[part["metric"] == metric], names)
            arrow = "↑" if METRICS[metric][1] > 0 else "↓"
            axes.set_xlabel(f"{METRICS[metric][0]} {arrow}", fontsize=7.5)
        line[0].set_yticks(range(len(names)), [maps.short(MAPS[name].label) for name in names], fontsize=7)
        dataset, model, protocol, fill = key
        line[0].set_title(
            title(dataset, model, f"{maps.CELLS[protocol]} set to {fill}"),
            loc="left",
            fontsize=8.5,
            weight="bold",
        )
    drawn.tight_layout()
    text = provenance(options, examples=frame["examples"], seeds=str(frame["seeds"].iloc[0]), interval=False)
    foot(
        drawn,
        f"{text} Lines: intervals, {frame['interval'].iloc[0]}. {maps.NOTE} {maps.DAGGER} Dashed line: random control.",
    )
    return drawn


def _panel(axes, part, names):
    cells = part.set_index("map")
    if "random" in cells.index:
        axes.axvline(cells.loc["random", "mean"], color="0.75", linewidth=0.8, linestyle=(0, (3, 2)))
    for place, name in enumerate(names):
        if name not in cells.index:
            continue
        row, mark = cells.loc[name], maps.look(name)
        axes.plot([row["lower"], row["upper"]], [place, place], color=mark["color"], linewidth=1.4)
        axes.plot(row["mean"], place, markersize=4, **mark | {"linestyle": ""})
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks([])
    axes.tick_params(labelsize=7)
    axes.grid(axis="x", color="0.93", linewidth=0.6)
