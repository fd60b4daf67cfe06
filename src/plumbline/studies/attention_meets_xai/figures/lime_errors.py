"""How far the formulas are from LIME over many texts: boxes a formula, words masked and words deleted, LIME with and
without its kernel.

inputs: theory_lime_mask, theory_lime_delete. Texts under every training seed. Boxes: quartiles and median; whiskers: 5%
and 95%. The formulas have the kernel of the LIME that they are held against; the published one has none.
"""

from ..collect import experiment_rows
from ..registry import Output
from ..tables.lime_theorem import FORMULAS
from . import xai
from .style import figure, foot, styled

MEASURES = {"relative": "relative $L_2$ error", "pearson": "Pearson", "slope": "slope of LIME on the formula"}
# Where an axis begins and may end at most: a few texts lie far out.
LIMITS = {"relative": (0, 3), "pearson": (-1, 1.02), "slope": (-0.5, 3)}
# Title of a row of panels -> mode, prefix of the columns.
PANELS = {
    "masked, LIME with its kernel": ("mask", ""),
    "masked, no kernel in LIME and formulas": ("mask", "both_plain_"),
    "deleted, LIME with its kernel": ("delete", ""),
}

ENTRY = Output(
    id="lime_errors",
    label="Errors of LIME's limit",
    needs=("theory_lime_mask", "theory_lime_delete"),
    options=("attention_meets_xai",),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    frames = {mode: experiment_rows(inputs[f"theory_lime_{mode}"])[0] for mode in ("mask", "delete")}
    _, dataset, seeds = experiment_rows(inputs["theory_lime_mask"])
    drawn = figure(7.4, 6.2)
    panels = drawn.subplots(len(PANELS), len(MEASURES), sharex="col", sharey=True)
    for row, (title, (mode, prefix)) in enumerate(PANELS.items()):
        frame = frames[mode]
        for axes, (measure, label) in zip(panels[row], MEASURES.items(), strict=True):
            for place, name in enumerate(FORMULAS):
                if f"{prefix}{name}_{measure}" not in frame:
                    continue
                line = {"color": xai.FORMULA_COLORS[name], "linewidth": 1.2}
                axes.boxplot(
                    frame[f"{prefix}{name}_{measure}"].to_numpy(float),
                    positions=[place],
                    orientation="horizontal",
                    widths=0.6,
                    whis=(5, 95),
                    showfliers=False,
                    manage_ticks=False,
                    boxprops=line,
                    whiskerprops=line,
                    capprops=line,
                    medianprops={"color": "black", "linewidth": 1.3},
                )
            if measure == "slope":
                axes.axvline(1, color="0.6", linestyle=":", linewidth=1)
            low, high = axes.get_xlim()
            axes.set_xlim(max(low, LIMITS[measure][0]), min(high, LIMITS[measure][1]))
            axes.grid(axis="x", color="0.92", linewidth=0.6)
            if row == len(PANELS) - 1:
                axes.set_xlabel(label, fontsize=8.5)
        panels[row][0].set_title(title, fontsize=8.5, loc="left", weight="bold")
    panels[0][0].set_yticks(range(len(FORMULAS)), list(FORMULAS.values()), fontsize=7.5)
    panels[0][0].set_ylim(len(FORMULAS) - 0.5, -0.5)
    drawn.tight_layout()
    counts = ", ".join(
        f"{frame['id'].nunique()} ({'masked' if mode == 'mask' else 'deleted'})"
        for mode, frame in frames.items()
    )
    block = options["attention_meets_xai"]
    foot(
        drawn,
        xai.foot_text(
            options,
            dataset,
            seeds,
            f"N = {counts} texts a seed",
            "no interval: quartiles, whiskers from 5% to 95%",
            f"LIME: mean of {block['repeats']} runs of {block['samples']} samples. Formulas have the kernel of their LIME; 3/2 has "
            "none. Axes end where few texts lie beyond.",
        ),
    )
    return drawn
