"""Which explanation of the multi-head classifier is the most faithful: comprehensiveness and sufficiency, with controls.

inputs: theory_faithfulness. Mean over the top 1, 5, 10, 20 and 50% of the tokens (DeYoung et al. 2020), tokens deleted
or masked. Unit: probability of the predicted class.

Scores with a sign know which class a token speaks for, scores without know size alone. So each kind is a block of its
own, in which the explanations are compared (plumbline.tables.standing). `fitted` names the perturbation that an
explanation was fitted to: where it is the one that the row measures by, the explanation has seen the test. `tied_share`:
mean share of the tokens that share their score with another one.
"""

from ..attribution.multihead import EXPLANATIONS
from ..collect import experiment_rows, interval_text
from ..registry import Output
from . import latex as tex
from . import standing, xai
from .lime_theorem import MODES

KINDS = {"comp": 1, "suff": -1}

ENTRY = Output(
    id="xai_faithfulness",
    label="Faithfulness of the explanations",
    needs=("theory_faithfulness",),
    options=xai.OPTIONS,
)


def rows(inputs, options):
    """One row a mode, kind and explanation, by blocks."""
    import pandas as pd

    frame, dataset, seeds = experiment_rows(inputs["theory_faithfulness"])
    entries = list(EXPLANATIONS.values())
    about = {
        **xai.about(options, dataset, seeds),
        "explanation": list(EXPLANATIONS),
        "label": [entry.label for entry in entries],
        "control": [entry.control for entry in entries],
        "fitted": [entry.fitted for entry in entries],
        "tied_share": [frame[f"{name}_tied"].mean() for name in EXPLANATIONS],
        "interval": interval_text(options, seeds),
    }
    found = []
    for mode in MODES:
        for kind, way in KINDS.items():
            names = [f"{name}_{mode}_{kind}" for name in EXPLANATIONS]
            numbers = pd.DataFrame(xai.summary(frame, names, options, ENTRY.id, dataset, seeds, mode, kind))
            compared = standing.standing(
                xai.cells(frame, names),
                list(EXPLANATIONS),
                way,
                options["bootstrap"]["level"],
                blocks=[entry.block for entry in entries],
            )
            direction = "higher" if way > 0 else "lower"
            found.append(numbers.assign(**about, **compared, mode=mode, kind=kind, direction=direction))
    frame = pd.concat(found, ignore_index=True)
    first = [
        "scale",
        "dataset",
        "model",
        "seeds",
        "mode",
        "kind",
        "block",
        "explanation",
        "label",
        "control",
        "fitted",
    ]
    return frame[[*first, *(name for name in frame if name not in first)]]


def latex(frame, options):
    """The table as LaTeX: a section a block, a row an explanation, controls below."""
    keys = [(mode, kind) for mode in MODES for kind in KINDS]
    cells = frame.set_index(["explanation", "mode", "kind"])

    def line(name):
        shown = []
        for mode, kind in keys:
            cell = cells.loc[(name, mode, kind)]
            number = tex.number(cell["mean"], cell["lower"], cell["upper"], bold=cell["best"])
            shown.append(number + ("*" if cell["fitted"] == mode else ""))
        return [tex.escape(EXPLANATIONS[name].label), *shown]

    lines, headings = standing.sections(frame.rename(columns={"explanation": "readout"}), line)
    table = tex.table(
        caption=f"{ENTRY.label} of the multi-head classifier.",
        label=f"tab:{ENTRY.id}",
        columns=["Explanation", *(f"{kind} {tex.ARROWS[KINDS[kind]]}" for _, kind in keys)],
        groups=[(f"tokens {MODES[mode].split()[0]}", len(KINDS)) for mode in MODES],
        sections=lines,
        headings=headings,
        notes=xai.notes(
            frame,
            options,
            standing.note(frame),
            "*: fitted to this very perturbation.",
            "Explanations with a sign are turned round where the model says negative; |.| are their absolute values. Tied "
            "tokens go in random orders.",
        ),
    )
    return tex.document(ENTRY.label, [table], options)
