"""How the relative error of LIME's limit changes with the text: medians and quartiles over tenths of the texts.

inputs: theory_lime_mask. Words masked, formulas with LIME's kernel (the published one has none); texts under every
training seed. A group is drawn at the median of its quantity.
"""

from ..collect import experiment_rows
from ..registry import Output
from ..tables.lime_theorem import FORMULAS
from . import xai
from .style import figure, foot, styled

GROUPS = 10
QUANTITIES = {
    "words": "distinct words",
    "concentration": "concentration of attention",
    "log_rho": "ln ρ, mean over heads",
}

ENTRY = Output(
    id="lime_error_growth",
    label="Growth of the limit's error",
    needs=("theory_lime_mask",),
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    import pandas as pd

    frame, dataset, seeds = experiment_rows(inputs["theory_lime_mask"])
    drawn = figure(7.4, 2.7)
    panels = drawn.subplots(1, len(QUANTITIES), sharey=True)
    for axes, (quantity, label) in zip(panels, QUANTITIES.items(), strict=True):
        groups = frame.groupby(pd.qcut(frame[quantity], GROUPS, labels=False, duplicates="drop"))
        place = groups[quantity].median()
        for name, title in FORMULAS.items():
            if f"{name}_relative" not in frame:
                continue
            errors = groups[f"{name}_relative"]
            look = {"color": xai.FORMULA_COLORS[name]}
            axes.plot(
                place, errors.median(), marker=xai.FORMULA_MARKERS[name], markersize=4, label=title, **look
            )
            axes.fill_between(
                place, errors.quantile(0.25), errors.quantile(0.75), alpha=0.15, linewidth=0, **look
            )
        axes.set_xlabel(label, fontsize=8.5)
        axes.grid(color="0.92", linewidth=0.6)
    panels[0].set_ylabel("relative $L_2$ error", fontsize=8.5)
    panels[0].set_ylim(bottom=0)
    panels[0].legend(fontsize=7.5)
    drawn.tight_layout()
    foot(
        drawn,
        xai.foot_text(
            options,
            dataset,
            seeds,
            f"N = {frame['id'].nunique()} texts a seed",
            "bands: quartiles over texts, no interval",
            f"Points: medians of {GROUPS} groups of equal number, all seeds together; words masked.",
        ),
    )
    return drawn
