"""Comprehensiveness and sufficiency of the explanations of the multi-head classifier, with controls.

inputs: table xai_faithfulness. A point is the mean over texts, a line its interval.
"""

from ..collect import interval_text, table_rows
from ..registry import Output
from ..tables.lime_theorem import MODES
from ..tables.xai_faithfulness import KINDS
from ..theory.explanations import EXPLANATIONS
from . import xai
from .style import figure, foot, styled

NAMES = {"comp": "comprehensiveness (higher is better)", "suff": "sufficiency (lower is better)"}

ENTRY = Output(
    id="xai_faithfulness",
    label="Faithfulness of the explanations",
    study=xai.STUDY,
    needs=("tables/xai_faithfulness",),
    options=("bootstrap",),
    formats=xai.FORMATS,
    order=107,
)


@styled
def draw(inputs, options):
    """The figure."""
    frame = table_rows(inputs["tables"], "xai_faithfulness")
    drawn = figure(7.0, 3.1)
    panels = drawn.subplots(1, len(KINDS), sharey=True)
    for axes, kind in zip(panels, KINDS, strict=True):
        for shift, mode, hollow in ((-0.16, "delete", False), (0.16, "mask", True)):
            own = frame[(frame["kind"] == kind) & (frame["mode"] == mode)].set_index("explanation")
            for place, entry in enumerate(EXPLANATIONS.values()):
                row, look = own.loc[entry.id], xai.color(entry)
                axes.plot([row["lower"], row["upper"]], [place + shift] * 2, color=look, linewidth=1.5)
                axes.plot(row["mean"], place + shift, "o", color=look, markersize=4.5,
                          markerfacecolor="white" if hollow else look)  # fmt: skip
        axes.set_xlabel(NAMES[kind], fontsize=8.5)
        axes.grid(axis="x", color="0.92", linewidth=0.6)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(
        range(len(EXPLANATIONS)), [entry.label for entry in EXPLANATIONS.values()], fontsize=8
    )
    panels[0].set_ylim(len(EXPLANATIONS) - 0.5, -0.5)
    drawn.tight_layout()
    about = frame.iloc[0]
    foot(drawn, xai.foot_text(
        options, about["dataset"], about["seeds"], f"N = {about['examples']} texts", f"lines: intervals, {interval_text(options)}",
        f"Filled: tokens {MODES['delete'].split()[0]}; hollow: {MODES['mask'].split()[0]}.",
    ))  # fmt: skip
    return drawn
