"""How the error of LIME's limit grows with the text's length, with the concentration of attention and with rho.

inputs: theory_lime_mask. Texts are divided into five groups of equal number by each quantity; a group with one value
may be missing. Unit: relative L2 error; the groups' ends are in the quantity's own.
"""

from ..collect import experiment_rows
from ..registry import Output
from . import latex as tex
from . import xai
from .lime_theorem import FORMULAS

GROUPS = 5
QUANTITIES = {
    "words": "distinct words",
    "concentration": "concentration of attention (mean over heads of the sum of squares)",
    "log_rho": "ln ρ (mean over heads)",
}

ENTRY = Output(
    id="lime_growth",
    label="Growth of the limit's error",
    study=xai.STUDY,
    needs=("theory_lime_mask",),
    options=xai.OPTIONS,
    order=103,
)


def rows(inputs, options):
    """One row a quantity, group and formula: mean relative error with interval, and Spearman's correlation of the error
    with the quantity over all texts."""
    import pandas as pd

    frame, dataset, seed = experiment_rows(inputs["theory_lime_mask"])
    formulas = [formula for formula in FORMULAS if f"{formula}_relative" in frame]
    found = []
    for quantity in QUANTITIES:
        groups = pd.qcut(frame[quantity], GROUPS, labels=False, duplicates="drop")
        trend = {
            formula: frame[quantity].corr(frame[f"{formula}_relative"], method="spearman")
            for formula in formulas
        }
        for group, part in frame.groupby(groups):
            names = [f"{formula}_relative" for formula in formulas]
            numbers = xai.summary(part, names, options, ENTRY.id, dataset, seed, quantity, group)
            for formula, values in zip(formulas, numbers, strict=True):
                found.append({
                    **xai.about(options, dataset, seed), "quantity": quantity, "group": int(group) + 1,
                    "from": part[quantity].min(), "to": part[quantity].max(), "formula": formula, **values,
                    "trend_spearman": trend[formula], "interval": xai.interval_text(options),
                })  # fmt: skip
    return pd.DataFrame(found)


def latex(frame, options):
    """The table as LaTeX: a section a quantity, a row a group, a column a formula."""
    formulas = list(dict.fromkeys(frame["formula"]))
    sections = []
    for quantity, part in frame.groupby("quantity", sort=False):
        lines = [[rf"\emph{{{tex.escape(QUANTITIES[quantity])}}}", *[""] * (1 + len(formulas))]]
        for _, group in part.groupby("group"):
            low, high = (f"{group[end].iloc[0]:.3g}" for end in ("from", "to"))
            cells = [tex.number(row.mean, row.lower, row.upper) for row in group.itertuples()]
            lines.append([f"{low} to {high}", str(group["examples"].iloc[0]), *cells])
        trend = part.drop_duplicates("formula")["trend_spearman"]
        lines.append([tex.escape("Spearman's ρ with the error"), "", *(tex.number(value) for value in trend)])
        sections.append(lines)
    table = tex.table(
        caption=f"{ENTRY.label}: relative $L_2$ error of each formula, words masked.",
        label=f"tab:{ENTRY.id}",
        columns=["Group", "N", *(tex.escape(FORMULAS[formula]) for formula in formulas)],
        sections=sections,
        notes=xai.notes(frame, options, "Groups: fifths of the texts; N: of a group."),
    )
    return tex.document(ENTRY.label, [table], options)
