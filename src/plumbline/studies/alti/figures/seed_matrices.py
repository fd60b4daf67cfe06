"""Consistency between training seeds as heat maps: a matrix of seeds a readout, a block of them a model.

inputs: seed_consistency, released (the published MultiBERTs seeds, 0 to 9). options: scale, released_seeds. A cell is
the mean dense-rank Spearman correlation over the sentences that both seeds predict alike. Of the released seeds every
readout is shown, those that the published figure leaves out among them; of trained models those whose entries
say so where some are there (else all).
"""

import numpy as np

from ..attribution import shown_in
from ..collect import DAGGER, dataset_label, facts, ordered, short_label
from ..registry import Output
from ..seed_pairs import TRAINED, published, sources, square
from .seed_consistency import sample
from .style import figure, foot, heatmap, styled

METRIC = "spearman_dense"
ACROSS = 5
# Inches: a panel with its title and labels, a block's heading, the colour bar's column.
PANEL, HEADING, BAR = (1.42, 1.55), 0.22, 0.7

ENTRY = Output(
    id="seed_matrices",
    label="Consistency between training seeds, pair by pair",
    needs=("seed_consistency", "released"),
    options=("released_seeds",),
    formats=("pdf", "png"),
)


@styled
def draw(inputs, options):
    """The figure; PlumblineError where there are no seeds to compare."""
    blocks = [_block(published(block)) for block in sources(inputs, options)]
    width = max(block["across"] for block in blocks) * PANEL[0] + BAR
    height = sum(HEADING + PANEL[1] * block["down"] for block in blocks)
    drawn = figure(width, height)
    top, image = height, None
    for block in blocks:
        drawn.text(
            0.01, (top - 0.06) / height, block["title"], ha="left", va="top", fontsize=9, weight="bold"
        )
        top -= HEADING
        for number, (readout, (seeds, values)) in enumerate(block["matrices"].items()):
            row, column = divmod(number, block["across"])
            left, bottom = 0.22 + column * PANEL[0], top - row * PANEL[1] - 0.24 - 1.1
            axes = drawn.add_axes((left / width, bottom / height, 1.1 / width, 1.1 / height))
            image = _panel(axes, readout, seeds, values)
        top -= PANEL[1] * block["down"]
    bar = drawn.add_axes(
        ((width - BAR + 0.1) / width, (height - HEADING - 0.24 - 1.1) / height, 0.1 / width, 1.1 / height)
    )
    drawn.colorbar(image, cax=bar).ax.tick_params(labelsize=6.5)
    bar.set_title("ρ", fontsize=8, loc="left")
    foot(
        drawn,
        f"Scale: {options['scale']}. Rows and columns: seeds; above a matrix: the mean of its pairs. "
        "Spearman's ρ (dense ranks) from 0 (also what lies below) to 1, mean over the sentences that both seeds "
        f"predict alike. {' '.join(block['says'] for block in blocks)} No interval: every pair is shown. {DAGGER}",
    )
    return drawn


def _block(block):
    rows = block["rows"].query("metric == @METRIC")
    readouts = [readout for readout in ordered(rows["readout"].unique()) if not facts(readout)["control"]]
    if block["source"] == TRAINED:
        readouts = [readout for readout in readouts if readout in shown_in("curves")] or readouts
    title = f"{dataset_label(block['dataset'])}, {block['model']}"
    down = -(-len(readouts) // ACROSS)
    return {
        # Lines of equal length, so that none holds one matrix alone.
        "across": -(-len(readouts) // down),
        "down": down,
        "title": f"{title}, {block['source']}",
        "says": f"{title}: {sample(rows)}.",
        "matrices": {readout: square(rows[rows["readout"] == readout]) for readout in readouts},
    }


def _panel(axes, readout, seeds, values):
    image = heatmap(axes, values, ends=(0, 1), colours="Blues", rows=seeds, columns=seeds, gaps=0.2)
    axes.set_facecolor("0.85")
    axes.tick_params(labelsize=5.5, length=0, pad=1.5)
    mean = np.nanmean(values[np.triu_indices(len(values), k=1)])
    axes.set_title(f"{short_label(readout)}: {mean:.3f}", loc="left", fontsize=6.8, pad=3)
    return image
