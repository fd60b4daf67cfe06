"""How far the closed-form gradient of the multi-head classifier is from autograd's, over all texts.

inputs: theory_gradient. Both sides in double precision. Units: the positive class's logit (max), ratios (relative).
"""

from ..collect import experiment_rows, interval_text
from ..registry import Output
from . import latex as tex
from . import xai

QUANTITIES = {
    "published_max": "as published, after [cls]: largest entry's difference",
    "published_relative": "as published, after [cls]: norm of the difference, relative",
    "published_first_max": "as published, at [cls]: largest entry's difference",
    "published_first_relative": "as published, at [cls]: norm of the difference, relative",
    "corrected_worst": "corrected, every position: norm of the difference over the text's largest gradient norm",
}

ENTRY = Output(
    id="gradient_theorem",
    label="Closed-form gradient against autograd",
    needs=("theory_gradient",),
    options=xai.OPTIONS,
)


def rows(inputs, options):
    """One row a quantity: mean over seeds and texts with interval, median, quantiles, maximum."""
    import pandas as pd

    frame, dataset, seeds = experiment_rows(inputs["theory_gradient"])
    found = xai.summary(frame, list(QUANTITIES), options, ENTRY.id, dataset, seeds)
    return pd.DataFrame(
        [
            {
                **xai.about(options, dataset, seeds),
                "quantity": name,
                "definition": label,
                **numbers,
                "interval": interval_text(options, seeds),
            }
            for (name, label), numbers in zip(QUANTITIES.items(), found, strict=True)
        ]
    )


def scientific(value):
    """A number of any size in LaTeX, two digits."""
    if value == 0:
        return "$0$"
    digits, power = f"{value:.1e}".split("e")
    return rf"${digits}$" if power == "+00" else rf"${digits}\cdot10^{{{int(power)}}}$"


def latex(frame, options):
    """The table as LaTeX."""
    lines = [
        [
            tex.escape(row.definition),
            scientific(row.mean),
            f"[{scientific(row.lower)}, {scientific(row.upper)}]",
            scientific(row.median),
            scientific(row.q95),
            scientific(row.max),
        ]
        for row in frame.itertuples()
    ]
    table = tex.table(
        caption=f"{ENTRY.label}.",
        label=f"tab:{ENTRY.id}",
        columns=["Difference", "Mean", "Interval", "Median", r"95\% of texts", "Largest"],
        sections=[lines],
        notes=xai.notes(
            frame,
            options,
            "As published, the class token's query is held fixed, which leaves out what it gains at [cls]; the corrected "
            "form has it.",
        ),
    )
    return tex.document(ENTRY.label, [table], options)
