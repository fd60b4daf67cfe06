"""How far the formulas are from LIME over many texts: boxes a formula, words masked and words deleted.

inputs: theory_lime_mask, theory_lime_delete. Boxes: quartiles and median; whiskers: 5% and 95%.
"""

from ..collect import experiment_rows
from ..registry import Output
from ..tables.lime_theorem import FORMULAS, MODES
from . import xai
from .style import figure, foot, styled

MEASURES = {"relative": "relative $L_2$ error", "pearson": "Pearson", "slope": "slope of LIME on the formula"}
# Where an axis begins and may end at most: a few texts lie far out.
LIMITS = {"relative": (0, 3), "pearson": (-1, 1.02), "slope": (-0.5, 3)}

ENTRY = Output(
    id="lime_errors",
    label="Errors of LIME's limit",
    study=xai.STUDY,
    needs=("theory_lime_mask", "theory_lime_delete"),
    options=("attention_meets_xai",),
    formats=xai.FORMATS,
    order=105,
)


@styled
def draw(inputs, options):
    """The figure."""
    frames = {mode: experiment_rows(inputs[f"theory_lime_{mode}"])[0] for mode in MODES}
    _, dataset, seed = experiment_rows(inputs["theory_lime_mask"])
    drawn = figure(7.4, 3.6)
    panels = drawn.subplots(len(MODES), len(MEASURES), sharex="col", sharey=True)
    for row, (mode, frame) in enumerate(frames.items()):
        for axes, (measure, label) in zip(panels[row], MEASURES.items(), strict=True):
            for place, name in enumerate(FORMULAS):
                if f"{name}_{measure}" not in frame:
                    continue
                line = {"color": xai.FORMULA_COLORS[name], "linewidth": 1.2}
                axes.boxplot(
                    frame[f"{name}_{measure}"].to_numpy(float), positions=[place], orientation="horizontal", widths=0.6,
                    whis=(5, 95), showfliers=False, manage_ticks=False, boxprops=line, whiskerprops=line, capprops=line,
                    medianprops={"color": "black", "linewidth": 1.3},
                )  # fmt: skip
            if measure == "slope":
                axes.axvline(1, color="0.6", linestyle=":", linewidth=1)
            low, high = axes.get_xlim()
            axes.set_xlim(max(low, LIMITS[measure][0]), min(high, LIMITS[measure][1]))
            axes.grid(axis="x", color="0.92", linewidth=0.6)
            if row == len(MODES) - 1:
                axes.set_xlabel(label, fontsize=8.5)
        panels[row][0].set_title(MODES[mode], fontsize=8.5, loc="left", weight="bold")
    panels[0][0].set_yticks(range(len(FORMULAS)), list(FORMULAS.values()), fontsize=7.5)
    panels[0][0].set_ylim(len(FORMULAS) - 0.5, -0.5)
    drawn.tight_layout()
    counts = ", ".join(
        f"{len(frame)} ({'masked' if mode == 'mask' else 'deleted'})" for mode, frame in frames.items()
    )
    block = options["attention_meets_xai"]
    foot(drawn, xai.foot_text(
        options, dataset, seed, f"N = {counts} texts", "no interval: quartiles, whiskers from 5% to 95%",
        f"LIME: mean of {block['repeats']} runs of {block['samples']} samples. Axes end where few texts lie beyond.",
    ))  # fmt: skip
    return drawn
