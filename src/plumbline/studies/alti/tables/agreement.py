"""Every readout against blank-out and against the gradient, by every agreement metric.

Both stand in their corrected and their published definition, where the run has it; the LaTeX table shows the corrected.

inputs: agreement (one file a seed). Means are over examples, then over seeds; intervals are for a new seed and a new example,
see plumbline.tables.rank_metrics.averaged (one seed: a bootstrap over the examples of this checkpoint).
Units: none; correlations in [-1, 1], overlap in [0, 1].
"""

from ..artefacts import read_rows
from ..collect import (
    by_model,
    dataset_label,
    ordered,
    provenance_of,
    seeds_of,
    short_label,
)
from ..errors import PlumblineError
from ..registry import Output
from . import latex as tex
from .gaps import remark
from .rank_metrics import NOTE, averaged, averaged_text, head

ENTRY = Output(
    id="agreement",
    label="Agreement with blank-out and with the gradient",
    needs=("agreement", "gaps"),
)

REFERENCES = ("blankout", "grad_l2")
PUBLISHED = tuple(f"{reference}_published" for reference in REFERENCES)


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap.

    Returns
    -------
    DataFrame
        One row a data set, model, reference, readout and metric. `sd` is the population standard deviation over examples,
        averaged over seeds; `examples` the smallest count of examples among the seeds. Readouts that are never defined have no
        row.

    Raises
    ------
    PlumblineError
        Where no run has a reference, blank-out or the gradient.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["agreement"]).items():
        pairs = pd.concat([read_rows(item["path"]) for item in items], ignore_index=True)
        for reference in (*REFERENCES, *PUBLISHED):
            block = _against(reference, pairs, options["bootstrap"]["level"])
            if len(block):
                seeds = seeds_of(items)
                about = {"dataset": dataset, "model": model, "reference": reference, "seeds": seeds}
                blocks.append(block.assign(**about, interval=averaged_text(options, seeds)))
    if not blocks:
        raise PlumblineError(
            "table 'agreement' compares with blankout and grad_l2, and no run has either: add method blankout "
            "or gradient to a run, or take the table out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    first = ["scale", "dataset", "model", "reference", "metric", "readout", "label", "method", "control"]
    return frame[
        [*first, "published_definition", "mean", "lower", "upper", "sd", "examples", "seeds", "interval"]
    ]


def _against(reference, pairs, level):
    """Rows of all readouts against one, averaged over seeds, in the registries' order."""
    import pandas as pd

    second = pairs[pairs["other"] == reference]
    first = pairs[pairs["readout"] == reference].assign(readout=lambda rows: rows["other"])
    return averaged(pd.concat([first, second]), level)


def latex(frame, options):
    """The table as LaTeX, one table a data set and model; controls below a rule of their own."""
    shown = frame[frame["reference"].isin(REFERENCES)]
    tables = [_table(key, part, options) for key, part in shown.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    from ..attribution import READOUTS

    dataset, model = key
    pairs = list(dict.fromkeys(zip(part["reference"], part["metric"], strict=True)))
    references = list(dict.fromkeys(part["reference"]))
    cells = {
        (row.readout, row.reference, row.metric): tex.number(row.mean, row.lower, row.upper, digits=2)
        for row in part.itertuples()
    }
    sections = []
    for control in (False, True):
        chosen = ordered(part.loc[part["control"] == control, "readout"].unique())
        if chosen:
            sections.append(
                [
                    [tex.escape(short_label(r)), *[cells.get((r, *pair), "--") for pair in pairs]]
                    for r in chosen
                ]
            )
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=["Readout", *[head(metric) for _, metric in pairs]],
        groups=[
            (f"with {tex.escape(READOUTS[reference].label)}", sum(other == reference for other, _ in pairs))
            for reference in references
        ],
        sections=sections,
        notes=[
            tex.escape(provenance_of(part, options)),
            f"{NOTE} Index and exponent: the interval's ends.",
            tex.escape(remark(part)),
            tex.command_note(options),
        ],
    )
