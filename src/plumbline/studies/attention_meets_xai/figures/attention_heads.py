"""Figure 3 of Lopardo et al. 2024: the heads' attention among [cls] and the words of one sentence.

inputs: shown. Rows are queries, columns keys: the top left block of the T x T attention, whose rows sum to 1 with the
padding that is not shown. White to green, every panel on its own scale; only the row of [cls] reaches the output.
"""

import numpy as np

from ..registry import Output
from . import xai
from .style import figure, foot, plain, styled

ACROSS = 3

ENTRY = Output(
    id="attention_heads",
    label="Attention of the heads",
    needs=("shown",),
    seeds="lowest",
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    from matplotlib.colors import LinearSegmentedColormap

    facts = xai.shown(inputs)
    heads = np.array(facts["sentence"]["attention"])
    labels = ["[cls]", *(plain(token) for token in facts["sentence"]["tokens"])]
    down = -(-len(heads) // ACROSS)
    side = 1.0 + 0.14 * len(labels)
    drawn = figure(ACROSS * (side + 0.2), down * (side + 0.4))
    greens = LinearSegmentedColormap.from_list("white_green", ["white", xai.GREEN])
    panels = drawn.subplots(down, ACROSS, squeeze=False).ravel()
    for number, axes in enumerate(panels):
        if number >= len(heads):
            axes.set_visible(False)
            continue
        values = heads[number]
        axes.imshow(values, cmap=greens, vmin=0, vmax=values.max(), interpolation="nearest")
        axes.set_title(f"Head {number + 1} (largest {values.max():.2f})", fontsize=8.5, loc="left")
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(labels)), labels, fontsize=7)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set(visible=True, color="0.7", linewidth=0.5)
        axes.axhline(0.5, color="0.7", linewidth=0.5)
    drawn.tight_layout()
    foot(
        drawn,
        xai.foot_text(
            options,
            facts["dataset"],
            facts["seed"],
            "N = 1 sentence",
            "no interval: a single sentence",
            "Rows: queries, columns: keys; every panel on its own scale from 0. The first row alone reaches the output.",
        ),
    )
    return drawn
