"""Consistency between training seeds: a box a readout over all pairs of seeds, a panel a model.

inputs: seed_consistency (models that were trained with several seeds), released (the MultiBERTs seeds; the published
ones, 0 to 9). options: scale, released_seeds. A point is a pair of seeds, once: the mean dense-rank Spearman
correlation (the published figure's, and the only one in the released matrices) over the sentences that both predict
alike. Boxes: quartiles and median; whiskers: to the outermost pair within 1.5 times the box. All readouts that a panel
has stand in the registry's order, controls last.
"""

from ..collect import DAGGER, dataset_label, facts, ordered, short_label
from ..errors import PlumblineError
from ..registry import Output
from ..seed_pairs import published, sources
from .style import figure, foot, mark, styled

METRIC = "spearman_dense"
ACROSS = 3  # panels beside each other

ENTRY = Output(
    id="seed_consistency",
    label="Consistency between training seeds",
    needs=("seed_consistency", "released"),
    options=("released_seeds",),
    formats=("pdf", "png"),
)


@styled
def draw(inputs, options):
    """The figure; PlumblineError where there are no seeds to compare."""
    blocks = [published(block) for block in sources(inputs, options)]
    return boxes(blocks, options)


def boxes(blocks, options, apart=None, remark=""):
    """Draw panels of boxes of blocks of `sources`, with a note at the foot.

    Parameters
    ----------
    blocks : list of dict
        Of plumbline.seed_pairs.sources.
    options : dict
        scale.
    apart : int, optional
        A seed whose pairs are drawn in another colour and stay out of the boxes.
    remark : str
        More of the note.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    PlumblineError
        Where a block has no pair.
    """
    blocks = [{**block, "rows": block["rows"].query("metric == @METRIC")} for block in blocks]
    if not all(len(block["rows"]) for block in blocks):
        raise PlumblineError(f"no pair of seeds has a {METRIC} correlation: check the readouts of the runs")
    readouts = _order({readout for block in blocks for readout in block["rows"]["readout"]})
    across = min(ACROSS, len(blocks))
    down = -(-len(blocks) // across)
    drawn = figure(1.7 + max(2.6 * across, 3.8), down * (1.1 + 0.17 * len(readouts)))
    panels = drawn.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, block in zip(panels, blocks, strict=False):
        _panel(panel, block, readouts, apart)
    for panel in panels[len(blocks) :]:
        panel.set_visible(False)
    lowest = min(block["rows"]["mean"].min() for block in blocks)
    panels[0].set_xlim(min(0, lowest - 0.03), 1.015)
    panels[0].set_ylim(len(readouts) - 0.4, -0.6)
    drawn.tight_layout()
    foot(
        drawn,
        f"Scale: {options['scale']}. {' '.join(map(_says, blocks))} A point: a pair of seeds, over the sentences "
        "that both predict alike; box: median and quartiles over pairs; no interval: every pair is shown. "
        f"{remark}{DAGGER}",
    )
    return drawn


def _order(readouts):
    """The registry's order, controls last."""
    return sorted(ordered(readouts), key=lambda readout: facts(readout)["control"])


def _says(block):
    """N and seeds of a panel."""
    rows = block["rows"]
    seeds = sorted({*rows["first"], *rows["second"]})
    return f"{_title(block)}, {block['source']}: seeds {', '.join(map(str, seeds))}; {sample(rows)}."


def sample(rows):
    """Return as text how many sentences stand behind each pair."""
    counts = rows["examples"].dropna()
    if counts.empty:
        return "N = as published (not given)"
    low, high = int(counts.min()), int(counts.max())
    return f"N = {low} examples" if low == high else f"N = {low} to {high} examples"


def _title(block):
    return f"{dataset_label(block['dataset'])}, {block['model']}"


def _panel(panel, block, readouts, apart):
    import numpy as np

    rows = block["rows"]
    aside = (rows["first"] == apart) | (rows["second"] == apart)
    for place, readout in enumerate(readouts):
        color = mark(readout)["color"]
        own = rows["readout"] == readout
        values = rows.loc[own & ~aside, "mean"].to_numpy()
        others = rows.loc[own & aside, "mean"].to_numpy()
        if len(values):
            line = {"color": color, "linewidth": 1.0}
            panel.boxplot(
                values,
                positions=[place],
                orientation="horizontal",
                widths=0.62,
                showfliers=False,
                manage_ticks=False,
                boxprops=line,
                whiskerprops=line,
                capprops=line,
                medianprops={"color": "black", "linewidth": 1.3, "zorder": 5},
            )
        # Spread by rank in the list of pairs, not by chance: equal inputs give equal bytes.
        spread = np.linspace(-0.2, 0.2, max(len(values), 1))
        panel.plot(
            values, place + spread[: len(values)], ".", color=color, markersize=2.6, alpha=0.55, zorder=3
        )
        spread = np.linspace(-0.2, 0.2, max(len(others), 1))
        panel.plot(
            others, place + spread[: len(others)], "x", color="black", markersize=3.2, alpha=0.8, zorder=4
        )
    panel.set_yticks(range(len(readouts)), [short_label(readout) for readout in readouts])
    panel.tick_params(axis="y", labelsize=7, length=0)
    panel.tick_params(axis="x", labelsize=7.5, labelbottom=True)
    panel.set_xlabel("Spearman's ρ (dense ranks)", fontsize=8)
    panel.grid(axis="x", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_title(f"{_title(block)}\n{block['source']}", loc="left", fontsize=8.5)
