"""Which explanation of the multi-head classifier is the most faithful: comprehensiveness and sufficiency, with controls.

inputs: theory_faithfulness. Mean over the top 1, 5, 10, 20 and 50% of the tokens (DeYoung et al. 2020), tokens deleted
or masked. Unit: probability of the predicted class.
"""

from ..collect import experiment_rows
from ..registry import Output
from ..theory.explanations import EXPLANATIONS
from . import latex as tex
from . import xai
from .lime_theorem import MODES

KINDS = {"comp": 1, "suff": -1}

ENTRY = Output(
    id="xai_faithfulness",
    label="Faithfulness of the explanations",
    study=xai.STUDY,
    needs=("theory_faithfulness",),
    options=xai.OPTIONS,
    order=104,
)


def rows(inputs, options):
    """One row a mode, kind and explanation; `best` marks the best that is no control."""
    import pandas as pd

    frame, dataset, seed = experiment_rows(inputs["theory_faithfulness"])
    found = []
    for mode in MODES:
        for kind, way in KINDS.items():
            names = [f"{name}_{mode}_{kind}" for name in EXPLANATIONS]
            numbers = xai.summary(frame, names, options, ENTRY.id, dataset, seed, mode, kind)
            best = max(
                way * values["mean"]
                for entry, values in zip(EXPLANATIONS.values(), numbers, strict=True)
                if not entry.control
            )
            for entry, values in zip(EXPLANATIONS.values(), numbers, strict=True):
                found.append({
                    **xai.about(options, dataset, seed), "mode": mode, "kind": kind, "explanation": entry.id,
                    "label": entry.label, "control": entry.control, **values,
                    "best": not entry.control and way * values["mean"] == best,
                    "direction": "higher" if way > 0 else "lower", "interval": xai.interval_text(options),
                })  # fmt: skip
    return pd.DataFrame(found)


def latex(frame, options):
    """The table as LaTeX: a row an explanation, controls below."""
    keys = [(mode, kind) for mode in MODES for kind in KINDS]
    cells = frame.set_index(["explanation", "mode", "kind"])
    sections = [[], []]
    for entry in EXPLANATIONS.values():
        own = [cells.loc[(entry.id, *key)] for key in keys]
        sections[entry.control].append(
            [
                tex.escape(entry.label),
                *(tex.number(c["mean"], c["lower"], c["upper"], bold=c["best"]) for c in own),
            ]
        )
    table = tex.table(
        caption=f"{ENTRY.label} of the multi-head classifier.",
        label=f"tab:{ENTRY.id}",
        columns=["Explanation", *(f"{kind} {tex.ARROWS[KINDS[kind]]}" for _, kind in keys)],
        groups=[("tokens deleted", 2), ("tokens masked", 2)],
        sections=sections,
        notes=xai.notes(
            frame,
            options,
            "Bold: the best that is no control. Explanations with a sign are turned round where the model says negative.",
        ),
    )
    return tex.document(ENTRY.label, [table], options)
