"""Accuracy while patches or pixels go: the most relevant first (left), the least relevant first (right), a row a model, protocol
and fill.

inputs: patch_faithfulness. A line is the mean over images and seeds; a band, of the maps that
stand in `bands`, is its interval, over images and, from two on, seeds.
"""

import numpy as np

from ..attribution.image_maps import MAPS
from ..collect import by_model, interval_text, provenance, seed_rows, seeds_of, title
from ..faithfulness.patches import KINDS, shares
from ..registry import Output
from ..seeds import seed_of
from ..stats import mean_interval
from . import maps
from .style import figure, foot, styled

ENTRY = Output(
    id="perturbation_curves",
    label="Perturbation curves of image models",
    needs=("patch_faithfulness",),
    formats=maps.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    groups = []
    for key, items in by_model(inputs["patch_faithfulness"]).items():
        parts = seed_rows(items).groupby(["protocol", "fill"], sort=False)
        groups += [((*key, *protocol), part, items) for protocol, part in parts]
    drawn = figure(7.4, 0.3 + 2.45 * len(groups))
    panels = drawn.subplots(len(groups), 2, squeeze=False, sharex=True)
    for line, (names, part, _) in zip(panels, groups, strict=True):
        dataset, model, protocol, fill = names
        cells = maps.CELLS[protocol]
        for axes, kind in zip(line, KINDS, strict=True):
            _panel(axes, part, kind, options, names)
            first = "the most relevant" if kind == "positive" else "the least relevant"
            heading = title(dataset, model, f"{cells} set to {fill}") if kind == "positive" else ""
            axes.set_title(f"{heading}\n{first} {cells} first", loc="left", fontsize=8)
        line[0].set_ylabel("Accuracy")
    for axes in panels[-1]:
        axes.set_xlabel("Share that is gone")
    handles = {}
    for axes in panels.flatten():
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    drawn.tight_layout(rect=(0, 0, 0.78, 1))
    drawn.legend(
        handles.values(), handles, loc="center left", bbox_to_anchor=(0.785, 0.5), fontsize=7, handlelength=3
    )
    counts = [part["id"].nunique() for _, part, _ in groups]
    seeds = seeds_of(groups[0][2])
    text = provenance(options, examples=counts, seeds=seeds, interval=False)
    bands = interval_text(options, seeds, "images")
    foot(drawn, f"{text} Bands: intervals, {bands}. {maps.NOTE} {maps.DAGGER}")
    return drawn


def _panel(axes, part, kind, options, names):
    present = set(part["map"])
    for name in (name for name, entry in MAPS.items() if entry.stands_in("curves") and name in present):
        own = part[part["map"] == name]
        curves = np.stack(
            [np.stack(rows[f"{kind}_correct"]) for _, rows in own.sort_values("id").groupby("seed")]
        )
        points = shares(names[2])
        mark = maps.look(name)
        line = {"color": mark["color"], "linestyle": mark["linestyle"], "linewidth": 1.3}
        axes.plot(points, curves.mean((0, 1)), label=maps.short(MAPS[name].label), **line)
        if MAPS[name].stands_in("bands"):
            lower, upper = mean_interval(curves, **options["bootstrap"], seed=seed_of(ENTRY.id, *names, name))
            lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)
            axes.fill_between(points, lower, upper, color=mark["color"], alpha=0.15, linewidth=0)
    axes.set_ylim(-0.03, 1.03)
    axes.tick_params(labelsize=7.5)
