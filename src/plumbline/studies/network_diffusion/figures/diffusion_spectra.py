"""Singular values of the layers' attention matrices, before and after each diffusion, a panel a model.

inputs: spectra of the images of the gallery. A line is the mean over images and layers, the band the smallest and largest
layer's mean; values are divided by the largest.
"""

import numpy as np

from ..artefacts import read_rows
from ..collect import by_model, provenance, seeds_of, title
from ..registry import Output
from . import maps
from .style import DASHES, figure, foot, styled

ENTRY = Output(
    id="diffusion_spectra",
    label="Singular values before and after diffusion",
    needs=("spectra",),
    options=(),
    formats=maps.FORMATS,
)
LOOKS = {
    "before": ("before", "0.2", "-"),
    "network_enhancement": ("Network Enhancement", "#0173b2", DASHES["dashed"]),
    "heat": ("heat kernel", "#d55e00", DASHES["dashdotted"]),
    "pagerank": ("personalised PageRank", "#029e73", DASHES["dotted"]),
}


@styled
def draw(inputs, options):
    """The figure."""
    import pandas as pd

    groups = by_model(inputs["spectra"])
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    drawn = figure(1.9 + 2.4 * across, 0.4 + 2.2 * down)
    panels = drawn.subplots(down, across, squeeze=False, sharey=True).flatten()
    counts = []
    for axes, ((dataset, model), items) in zip(panels, groups.items(), strict=False):
        frame = pd.concat([read_rows(item["path"]) for item in items])
        counts.append(frame["id"].nunique())
        for name, (label, color, dashes) in LOOKS.items():
            by_layer = np.stack(
                [np.mean(np.stack(part[name].to_numpy()), axis=0) for _, part in frame.groupby("layer")]
            )
            places = np.arange(1, by_layer.shape[1] + 1)
            axes.plot(places, by_layer.mean(0), color=color, linestyle=dashes, label=label, linewidth=1.4)
            axes.fill_between(places, by_layer.min(0), by_layer.max(0), color=color, alpha=0.12, linewidth=0)
        axes.set_title(title(dataset, model), loc="left", fontsize=8.5, weight="bold")
        axes.set_xlabel("Singular value, by size")
        axes.set_xscale("log")
    for axes in panels[len(groups) :]:
        axes.set_visible(False)
    for axes in panels[::across]:
        axes.set_ylabel("Share of the largest")
    width = drawn.get_size_inches()[0]
    drawn.tight_layout(rect=(0, 0, 1 - 1.7 / width, 1))
    drawn.legend(
        *panels[0].get_legend_handles_labels(),
        loc="center left",
        bbox_to_anchor=(1 - 1.68 / width, 0.5),
        fontsize=7.5,
        handlelength=3,
    )
    seeds = seeds_of(next(iter(groups.values())))
    foot(
        drawn,
        f"{provenance(options, examples=counts, seeds=seeds, interval=False)} Bands: smallest to largest layer, no interval. {maps.NOTE}",
    )
    return drawn
