"""How tokens mix from layer to layer: ALTI's matrix up to each layer, for one chosen sentence of a model.

inputs: contributions (the lowest seed's). options: dataset, model, scale, heatmap_examples (the first is shown). The
panel of layer k is R^k = C^k ... C^1, as in Ferrando et al. 2022: rows are targets, columns sources, rows sum to one.
Boxed: the row that is read out, of the class token or of the mask of an agreement sentence. Colours run from 0
to the panel's largest value, which stands beside its title, since shares fall from layer to layer.
"""

import math

import numpy as np

from ..collect import dataset_label, short_label
from ..errors import PlumblineError
from ..registry import Output
from .matrix import colour_bar, font_size, panel, provenance, room, sentence, share
from .style import figure, foot, plain, styled

READOUT = "alti"

ENTRY = Output(
    id="layer_contributions",
    label="Contributions layer by layer",
    needs=("contributions",),
    seeds="lowest",
    per="model",
    options=("heatmap_examples",),
    formats=("pdf", "png"),
)

# Inches: a panel's side by token, its bounds; between panels; above them; for the colour bar.
TOKEN, SIDE, GAP, TOP, BAR = 0.13, (1.4, 3.2), (0.12, 0.3), 0.68, 0.6


@styled
def draw(inputs, options):
    """The figure; PlumblineError where the run has no ALTI."""
    found = sentence(inputs, options)
    if READOUT not in found["matrices"]:
        raise PlumblineError(
            f"{found['dataset']}/{found['model']} has no {READOUT}: add method alti to its run, or take "
            "layer_contributions out of `figures`"
        )
    layers = found["matrices"][READOUT]
    columns = columns_of(len(layers))
    lines = math.ceil(len(layers) / columns)
    side = float(np.clip(TOKEN * len(found["tokens"]), *SIDE))
    size = font_size(side / len(found["tokens"]))
    names = room(found["tokens"], size)
    width = names + columns * (side + GAP[0]) + BAR
    height = TOP + lines * (side + GAP[1]) - GAP[1] + names
    drawn = figure(width, height)
    for place, values in enumerate(layers):
        line, column = divmod(place, columns)
        left, bottom = names + column * (side + GAP[0]), height - TOP - side - line * (side + GAP[1])
        axes = drawn.add_axes(share(width, height, left, bottom, side, side))
        image = panel(
            axes,
            values,
            found,
            size=size,
            title=f"Layer {place + 1}",
            left=not column,
            bottom=place + columns >= len(layers),
        )
        axes.set_title(f"max {values.max():.2g}", loc="right", fontsize=6, color="0.35", pad=4)
    up = min(side, 1.6)
    colour_bar(
        drawn, image, share(width, height, width - BAR + 0.02, height - TOP - up, 0.08, up), ("0", "max")
    )
    drawn.suptitle(
        f"{dataset_label(found['dataset'])}, {found['model']}: {short_label(READOUT)} up to each layer",
        x=0.01,
        y=1 - 0.05 / height,
        ha="left",
        va="top",
        fontsize=10,
        weight="bold",
    )
    drawn.text(0.01, 1 - 0.24 / height, found["title"], ha="left", va="top", fontsize=8)
    foot(
        drawn,
        f"{provenance(options, found)} Rows: target tokens; columns: source tokens; a cell: the source's share of "
        f"the target up to that layer. Boxed: the explained row, of {plain(found['explained'])}. Each panel has colours of its own, from 0 to "
        "its maximum.",
    )
    return drawn


def columns_of(layers):
    """Return the columns of the grid: 12 layers stand in 3 lines of 4, 6 in 2 of 3; a full grid where there is one."""
    root = math.ceil(math.sqrt(layers))
    if layers <= 3:
        return layers
    return next((columns for columns in range(root, 7) if layers % columns == 0), root)
