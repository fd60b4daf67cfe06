"""How the error of LIME's limit grows with the text's length, with the concentration of attention and with rho.

inputs: theory_lime_mask. Texts are divided into five groups of equal number by each quantity, averaged over training
seeds; a group with one value may be missing. Unit: relative L2 error (words masked, formula and LIME with the kernel; the
published formula has none); the groups' ends are in the quantity's own.
"""

from ..collect import experiment_rows, interval_text
from ..registry import Output
from ..stats import t_interval
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
    needs=("theory_lime_mask",),
    options=xai.OPTIONS,
)


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs, options : dict
        See the module.

    Returns
    -------
    DataFrame
        One row a quantity, group and formula: mean relative error with interval, and Spearman's correlation of the error with
        the quantity over all texts, its mean over seeds with Student's t over them (one seed: none).
    """
    import pandas as pd

    frame, dataset, seeds = experiment_rows(inputs["theory_lime_mask"])
    formulas = [formula for formula in FORMULAS if f"{formula}_relative" in frame]
    found = []
    for quantity in QUANTITIES:
        trends = {formula: _trend(frame, quantity, formula, options) for formula in formulas}
        values = frame.groupby("id")[quantity].mean()
        groups = pd.qcut(values, GROUPS, labels=False, duplicates="drop")
        for group, ids in groups.groupby(groups).groups.items():
            part = frame[frame["id"].isin(ids)]
            names = [f"{formula}_relative" for formula in formulas]
            numbers = xai.summary(part, names, options, ENTRY.id, dataset, seeds, quantity, group)
            for formula, cells in zip(formulas, numbers, strict=True):
                found.append(
                    {
                        **xai.about(options, dataset, seeds),
                        "quantity": quantity,
                        "group": int(group) + 1,
                        "from": values[ids].min(),
                        "to": values[ids].max(),
                        "formula": formula,
                        **cells,
                        **trends[formula],
                        "interval": interval_text(options, seeds),
                    }
                )
    return pd.DataFrame(found)


def _trend(frame, quantity, formula, options):
    """Spearman's correlation of a formula's error with a quantity: trend_spearman, trend_lower, trend_upper."""
    found = [
        part[quantity].corr(part[f"{formula}_relative"], method="spearman")
        for _, part in frame.groupby("seed")
    ]
    ends = t_interval(found, options["bootstrap"]["level"]) if len(found) > 1 else (float("nan"),) * 2
    return {"trend_spearman": sum(found) / len(found), "trend_lower": ends[0], "trend_upper": ends[1]}


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
        trend = part.drop_duplicates("formula")
        cells = [
            tex.number(row.trend_spearman, row.trend_lower, row.trend_upper) for row in trend.itertuples()
        ]
        lines.append([tex.escape("Spearman's ρ with the error"), "", *cells])
        sections.append(lines)
    table = tex.table(
        caption=f"{ENTRY.label}: relative $L_2$ error of each formula, words masked.",
        label=f"tab:{ENTRY.id}",
        columns=["Group", "N", *(tex.escape(FORMULAS[formula]) for formula in formulas)],
        sections=sections,
        notes=xai.notes(
            frame,
            options,
            "Groups: fifths of the texts, by the mean over seeds; N: of a group. Formulas but the published one "
            "have LIME's kernel. Correlations: mean over seeds, Student's t over them.",
        ),
    )
    return tex.document(ENTRY.label, [table], options)
