"""LIME's coefficients against the formulas of their limit, when words are masked and when they are deleted.

inputs: theory_lime_mask, theory_lime_delete. One number a text and training seed: l2 (norm of the difference over words,
the published error), relative (over LIME's norm), pearson, spearman, slope (of LIME on the formula). `kernel` says
whether the formula has LIME's kernel, `lime_kernel` whether the LIME that it is held against has one. `noise` is the
norm of the standard error of LIME's own mean, relative to its norm: what no formula can fall below by much. `rho` of the
document: geometric mean over texts and heads. `masking` is LIME by masking held against LIME by deletion, `no_kernel`
LIME without kernel against LIME. The formulas named in CAUSES are paired differences of relative errors. Units: the positive class's logit (l2), else ratios.
"""

import numpy as np

from ..collect import experiment_rows, interval_text
from ..registry import Output
from ..theory.comparison import SETTINGS, WIDTH
from . import latex as tex
from . import xai

FORMULAS = {
    "published": "3/2, as published",
    "rho": "C(ρ)",
    "mean_field": "mean field",
    "first_order": "first order",
    "no_kernel": "LIME without kernel",
    "masking": "LIME by masking",
}
MEASURES = {"l2": -1, "relative": -1, "pearson": 1, "spearman": 1, "slope": 0}
MODES = {"mask": "masked (the theorem's case)", "delete": "deleted (the package's default)"}
# What the relative error of C(rho) is made of: how much it falls when one thing is put right; minuend, subtrahend.
CAUSES = {
    "missing": ("plain_rho", "plain_first_order", "the derivative's missing half, no kernel in the formula"),
    "missing_kernel": ("rho", "first_order", "the derivative's missing half, kernel in the formula"),
    "kernel": ("plain_first_order", "first_order", "the kernel, whole derivative"),
    "kernel_half": ("plain_rho", "rho", "the kernel, half of the derivative"),
}

ENTRY = Output(
    id="lime_theorem",
    label="LIME against its limit",
    needs=("theory_lime_mask", "theory_lime_delete"),
    options=xai.OPTIONS,
)


def with_differences(frame):
    """Return the rows with the relative noise, and a column `<cause>_relative` of each of CAUSES."""
    more = {
        f"{name}_relative": frame[f"{one}_relative"] - frame[f"{other}_relative"]
        for name, (one, other, _) in CAUSES.items()
    }
    more["noise_relative"] = frame["lime_noise"] / frame["lime_norm"]
    more["both_plain_noise_relative"] = frame["lime_plain_noise"] / frame["lime_plain_norm"]
    return frame.assign(**more)


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs, options : dict
        See the module.

    Returns
    -------
    DataFrame
        One row a mode, formula, setting of the kernels and measure: mean over seeds and texts with interval, median, quantiles,
        maximum.
    """
    import pandas as pd

    found = []
    for mode in MODES:
        frame, dataset, seeds = experiment_rows(inputs[f"theory_lime_{mode}"])
        frame = with_differences(frame)
        columns = [
            (prefix, formula, measure)
            for prefix in SETTINGS
            for formula in (*FORMULAS, *CAUSES, "noise")
            for measure in MEASURES
            if f"{prefix}{formula}_{measure}" in frame
        ]
        names = [f"{prefix}{formula}_{measure}" for prefix, formula, measure in columns] + ["log_rho"]
        numbers = xai.summary(frame, names, options, ENTRY.id, dataset, seeds, mode)
        # Of rho, whose logarithm is recorded, the geometric mean over texts and heads.
        numbers[-1] = {
            name: value if name == "examples" else np.exp(value) for name, value in numbers[-1].items()
        }
        for (prefix, formula, measure), values in zip(
            [*columns, ("", "document", "rho")], numbers, strict=True
        ):
            own, limes = (_width(width) for width in SETTINGS[prefix])
            has = formula in ("rho", "mean_field", "first_order")
            found.append(
                {
                    **xai.about(options, dataset, seeds),
                    "mode": mode,
                    "formula": formula,
                    "kernel": own if has else "none",
                    "lime_kernel": limes,
                    "measure": measure,
                    **values,
                    "direction": _direction(formula, measure),
                    "interval": interval_text(options, seeds),
                }
            )
    return pd.DataFrame(found)


def _width(width):
    return "none" if width is None else f"{width:g}"


def _direction(formula, measure):
    if formula in CAUSES or formula == "document":
        return ""
    return {1: "higher", -1: "lower", 0: "1 is exact"}[MEASURES[measure]]


def latex(frame, options):
    """The table as LaTeX: a section a mode and LIME's kernel, a row a formula, means with intervals; then the causes."""
    sections, kernel = [], _width(WIDTH)
    keys = ["formula", "kernel", "lime_kernel", "measure"]
    for mode, label in MODES.items():
        own = frame[frame["mode"] == mode].set_index(keys).sort_index()
        count = own["examples"].iloc[0]
        for limes in (kernel, "none"):
            title = f"{label}, LIME {'with' if limes == kernel else 'without'} kernel, N = {count}"
            lines = [[rf"\emph{{{tex.escape(title)}}}", *[""] * len(MEASURES)]]
            for formula, name in FORMULAS.items():
                for given in (kernel, "none"):
                    if (formula, given, limes, "l2") not in own.index:
                        continue
                    cells = [own.loc[(formula, given, limes, measure)] for measure in MEASURES]
                    more = ", kernel" if given == kernel else ""
                    lines.append([tex.escape(name + more), *(_number(cell) for cell in cells)])
            noise = own.loc[("noise", "none", limes, "relative")]
            lines.append(["noise of LIME's mean", "--", _number(noise), *["--"] * 3])
            sections.append(lines)
        title = f"{label}: falls of the relative error, C(ρ) of words masked"
        causes = [[rf"\emph{{{tex.escape(title)}}}", *[""] * len(MEASURES)]]
        for name, (_, _, what) in CAUSES.items():
            causes.append(
                [tex.escape(what), "--", _number(own.loc[(name, "none", kernel, "relative")]), *["--"] * 3]
            )
        ratio = own.loc[("document", "none", kernel, "rho")]
        causes.append([tex.escape("ρ of the texts"), _number(ratio), *["--"] * 4])
        sections.append(causes)
    table = tex.table(
        caption=f"{ENTRY.label}: means over training seeds and texts.",
        label=f"tab:{ENTRY.id}",
        columns=[
            "Formula",
            *(
                f"{name} {tex.ARROWS[way]}"
                for name, way in zip(
                    ("$L_2$", "relative $L_2$", "Pearson", "Spearman", "slope"),
                    MEASURES.values(),
                    strict=True,
                )
            ),
        ],
        sections=sections,
        notes=xai.notes(
            frame,
            options,
            "Every formula is for masking; slope: of LIME on the formula, 1 where it is exact; kernel: the "
            f"formula has LIME's kernel of width {kernel}.",
        ),
    )
    return tex.document(ENTRY.label, [table], options)


def _number(cell):
    return tex.number(cell["mean"], cell["lower"], cell["upper"])
