"""How exact integrated gradients are: quantiles of the completeness gap, and the steps that it took.

inputs: gaps (attributions of both methods, all seeds). The gap is |sum of attributions - (f(input) - f(baseline))|, zero for the exact
integral; unit: probability of the explained class. Quantiles are over whole texts and training seeds together, each the least
value that at least so many of them do not exceed. `method` ig takes as many steps as an example's gap needs (steps: auto, with the
bound and the maximum of `methods.ig`), ig_published always 100. A small gap does not prove that every token's share is exact.
"""

from ..collect import dataset_label, provenance
from ..registry import Output
from . import latex as tex
from .gaps import QUANTILES, SHARES, exactness

ENTRY = Output(
    id="ig_gaps",
    label="Integrated gradients: completeness gap and steps",
    needs=("gaps",),
    options=(),
    methods=("ig",),
)

INTERVAL = "none: quantiles of the examples shown"


def rows(inputs, options):
    """One row a data set, model and method of integrated gradients. options: scale."""
    import pandas as pd

    frame = pd.DataFrame(exactness(inputs["gaps"]))
    frame.insert(0, "scale", options["scale"])
    return frame.assign(interval=INTERVAL)


def latex(frame, options):
    """The table as LaTeX: a row a data set, model and method."""
    heads = ["median", r"90\%", r"99\%", "largest"]
    lines = [
        [
            tex.escape(f"{dataset_label(row['dataset'])}, {row['model']}, {row['method']}"),
            *(tex.number(row[f"gap_{key}"], digits=4) for key in QUANTILES),
            *(tex.escape(f"{100 * row[name]:.1f}%") for name in SHARES),
            *(str(row[f"steps_{key}"]) for key in QUANTILES),
        ]
        for row in frame.to_dict("records")
    ]
    block = tex.table(
        caption=f"{ENTRY.label}.",
        label=f"tab:{ENTRY.id}",
        columns=["Data, model, method", *heads, *(f"above {bound}" for bound in SHARES.values()), *heads],
        groups=[("completeness gap", len(heads) + len(SHARES)), ("steps", len(heads))],
        sections=[lines],
        notes=_notes(frame, options),
    )
    return tex.document(ENTRY.label, [block], options)


def _notes(frame, options):
    seeds = " ".join(sorted({seed for text in frame["seeds"] for seed in text.split()}, key=int))
    return [
        tex.escape(provenance(options, examples=frame["examples"], seeds=seeds, interval=False)),
        "No interval. Gap: the attributions' sum against the difference of the probabilities that it should be. Quantiles over examples and "
        "seeds; above: the share of examples with a larger gap. Method ig doubles its steps until an example's gap is below the "
        "configuration's bound; ig\\_published takes 100.",
        tex.command_note(options),
    ]
