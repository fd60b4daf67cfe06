"""Comprehensiveness and sufficiency of the explanations of the multi-head classifier, with controls.

inputs: table xai_faithfulness. A point is the mean over texts and training seeds, a line its interval. Scores with a
sign and scores without stand in blocks of their own.
"""

from ..attribution.multihead import EXPLANATIONS
from ..collect import BLOCKS, table_rows
from ..registry import Output
from ..tables.lime_theorem import MODES
from ..tables.xai_faithfulness import KINDS
from . import xai
from .style import figure, foot, styled

NAMES = {"comp": "comprehensiveness (higher is better)", "suff": "sufficiency (lower is better)"}

ENTRY = Output(
    id="xai_faithfulness",
    label="Faithfulness of the explanations",
    needs=("tables/xai_faithfulness",),
    options=("bootstrap",),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    frame = table_rows(inputs, "xai_faithfulness")
    blocks = {name: [entry for entry in EXPLANATIONS.values() if entry.block == name] for name in BLOCKS}
    blocks = {name: entries for name, entries in blocks.items() if entries}
    drawn = figure(7.0, 5.2)
    panels = drawn.subplots(
        len(blocks),
        len(KINDS),
        sharex="col",
        squeeze=False,
        gridspec_kw={"height_ratios": [len(entries) + 1 for entries in blocks.values()]},
    )
    for row, (block, entries) in enumerate(blocks.items()):
        for axes, kind in zip(panels[row], KINDS, strict=True):
            _points(axes, frame[frame["kind"] == kind], entries)
            axes.set_yticks(range(len(entries)), [entry.label for entry in entries], fontsize=8)
            axes.set_ylim(len(entries) - 0.5, -0.5)
            axes.grid(axis="x", color="0.92", linewidth=0.6)
            axes.tick_params(axis="y", length=0, labelleft=axes is panels[row][0])
            if row == len(blocks) - 1:
                axes.set_xlabel(NAMES[kind], fontsize=8.5)
        panels[row][0].set_title(BLOCKS[block], fontsize=8.5, loc="left", weight="bold")
    drawn.tight_layout()
    about = frame.iloc[0]
    foot(
        drawn,
        xai.foot_text(
            options,
            about["dataset"],
            about["seeds"],
            f"N = {about['examples']} texts a seed",
            f"lines: intervals, {about['interval']}",
            f"Filled: tokens {MODES['delete'].split()[0]}; hollow: {MODES['mask'].split()[0]}. Square: fitted to this very perturbation.",
        ),
    )
    return drawn


def _points(axes, frame, entries):
    """The explanations of a block, one below the other: tokens deleted above, masked below."""
    for shift, mode, hollow in ((-0.16, "delete", False), (0.16, "mask", True)):
        own = frame[frame["mode"] == mode].set_index("explanation")
        for place, entry in enumerate(entries):
            cell, look = own.loc[entry.id], xai.color(entry)
            axes.plot([cell["lower"], cell["upper"]], [place + shift] * 2, color=look, linewidth=1.5)
            axes.plot(
                cell["mean"],
                place + shift,
                "s" if entry.fitted == mode else "o",
                color=look,
                markersize=4.5,
                markerfacecolor="white" if hollow else look,
            )
