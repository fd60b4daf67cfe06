"""LIME's coefficients against the formulas of their limit, when words are masked and when they are deleted.

inputs: theory_lime_mask, theory_lime_delete. One number a text: l2 (norm of the difference over words, the published
error), relative (over LIME's norm), pearson, spearman, slope (of LIME on the formula). `noise` is the norm of the
standard error of LIME's own mean, relative to its norm: what no formula can fall below by much. `rho` of the
document: geometric mean over texts and heads. `masking` is LIME by
masking held against LIME by deletion. Units: the positive class's logit (l2), else ratios.
"""

import numpy as np

from ..collect import experiment_rows
from ..registry import Output
from . import latex as tex
from . import xai

FORMULAS = {
    "published": "3/2, as published",
    "rho": "C(ρ)",
    "mean_field": "mean field",
    "masking": "LIME by masking",
}
MEASURES = {"l2": -1, "relative": -1, "pearson": 1, "spearman": 1, "slope": 0}
MODES = {"mask": "masked (the theorem's case)", "delete": "deleted (the package's default)"}

ENTRY = Output(
    id="lime_theorem",
    label="LIME against its limit",
    study=xai.STUDY,
    needs=("theory_lime_mask", "theory_lime_delete"),
    options=xai.OPTIONS,
    order=102,
)


def rows(inputs, options):
    """One row a mode, formula and measure: mean over texts with interval, median, quantiles, maximum."""
    import pandas as pd

    found = []
    for mode in MODES:
        frame, dataset, seed = experiment_rows(inputs[f"theory_lime_{mode}"])
        frame["noise_relative"] = frame["lime_noise"] / frame["lime_norm"]
        columns = [
            (formula, measure)
            for formula in (*FORMULAS, "noise", "document")
            for measure in (*MEASURES, "rho")
            if (f"{formula}_{measure}" in frame) or (formula, measure) == ("document", "rho")
        ]
        names = [
            "log_rho" if formula == "document" else f"{formula}_{measure}" for formula, measure in columns
        ]
        numbers = xai.summary(frame, names, options, ENTRY.id, dataset, seed, mode)
        # Of rho, whose logarithm is recorded, the geometric mean over texts and heads.
        numbers[-1] = {
            name: value if name == "examples" else np.exp(value) for name, value in numbers[-1].items()
        }
        found += [
            {**xai.about(options, dataset, seed), "mode": mode, "formula": formula, "measure": measure, **values,
             "direction": {1: "higher", -1: "lower", 0: "1 is exact"}[MEASURES.get(measure, 0)] if measure != "rho" else "",
             "interval": xai.interval_text(options)}
            for (formula, measure), values in zip(columns, numbers, strict=True)
        ]  # fmt: skip
    return pd.DataFrame(found)


def latex(frame, options):
    """The table as LaTeX: a section a mode, a row a formula, means with intervals."""
    sections = []
    for mode, label in MODES.items():
        own = frame[frame["mode"] == mode].set_index(["formula", "measure"])
        lines = [[rf"\emph{{{tex.escape(label)}, N = {own['examples'].iloc[0]}}}", *[""] * len(MEASURES)]]
        for formula, name in FORMULAS.items():
            if (formula, "l2") in own.index:
                cells = [own.loc[(formula, measure)] for measure in MEASURES]
                lines.append(
                    [tex.escape(name), *(tex.number(c["mean"], c["lower"], c["upper"]) for c in cells)]
                )
        noise, ratio = own.loc[("noise", "relative")], own.loc[("document", "rho")]
        lines.append(
            [
                "noise of LIME's mean",
                "--",
                tex.number(noise["mean"], noise["lower"], noise["upper"]),
                *["--"] * 3,
            ]
        )
        lines.append(
            [
                tex.escape("ρ of the texts"),
                tex.number(ratio["mean"], ratio["lower"], ratio["upper"]),
                *["--"] * 4,
            ]
        )
        sections.append(lines)
    table = tex.table(
        caption=f"{ENTRY.label}: means over texts.",
        label=f"tab:{ENTRY.id}",
        columns=[
            "Formula", *(f"{name} {tex.ARROWS[way]}" for name, way in zip(
                ("$L_2$", "relative $L_2$", "Pearson", "Spearman", "slope"), MEASURES.values(), strict=True))
        ],
        sections=sections,
        notes=xai.notes(frame, options, "Every formula is for masking; slope: of LIME on the formula, 1 where it is exact."),
    )  # fmt: skip
    return tex.document(ENTRY.label, [table], options)
