"""What each token adds to each other over all layers, by several methods, for one chosen sentence of a model.

inputs: contributions (the lowest seed's). options: dataset, model, scale, heatmap_examples (the first is shown). A
panel is R of the last layer, C^L ... C^1, as in Ferrando et al. 2022: rows are targets, columns sources, rows sum to
one. Boxed: the row that is read out, of the class token or of the mask of an agreement sentence. Colours run from 0
to the panel's largest value, so they compare within a panel and not between panels.
"""

import numpy as np

from ..attribution import READOUTS, method_of, shown_in
from ..collect import dataset_label, short_label
from ..errors import PlumblineError
from ..registry import Output
from .matrix import colour_bar, font_size, panel, provenance, room, sentence, share
from .style import figure, foot, plain, styled

ENTRY = Output(
    id="contributions",
    label="Contributions over all layers",
    needs=("contributions",),
    seeds="lowest",
    per="model",
    options=("heatmap_examples",),
    formats=("pdf", "png"),
)

# Layered ones alone have matrices.
SHOWN = tuple(readout for readout in shown_in("matrices") if READOUTS[readout].layered)
# Inches: a panel's side by token, its bounds; room above the panels and for a colour bar.
TOKEN, SIDE, TOP, BAR = 0.19, (2.1, 3.8), 0.68, 0.62


@styled
def draw(inputs, options):
    """The figure; PlumblineError where the run has none of the readouts."""
    found = sentence(inputs, options)
    shown = [readout for readout in SHOWN if readout in found["matrices"]]
    if not shown:
        raise PlumblineError(
            f"{found['dataset']}/{found['model']} has none of {', '.join(SHOWN)}: add one of the methods "
            f"{', '.join(dict.fromkeys(method_of(readout).id for readout in SHOWN))} to its run, or take contributions out of "
            "`figures`"
        )
    count = len(found["tokens"])
    side = float(np.clip(TOKEN * count, *SIDE))
    size = font_size(side / count)
    names = room(found["tokens"], size)
    width, height = names + len(shown) * (side + BAR), TOP + side + names
    drawn = figure(width, height)
    for place, readout in enumerate(shown):
        left = names + place * (side + BAR)
        axes = drawn.add_axes(share(width, height, left, names, side, side))
        values = found["matrices"][readout][-1]
        image = panel(axes, values, found, size=size, title=short_label(readout), left=not place)
        colour_bar(
            drawn, image, share(width, height, left + side + 0.07, names + side * 0.25, 0.07, side * 0.5)
        )
    drawn.suptitle(
        f"{dataset_label(found['dataset'])}, {found['model']}",
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
        f"the target after the last of {len(found['matrices'][shown[0]])} layers. Boxed: the explained row, of "
        f"{plain(found['explained'])}. Each panel has colours of its own.",
    )
    return drawn
