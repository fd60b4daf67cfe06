"""Test accuracy of the multi-head classifier, a training seed a row, and its mean, beside the published one.

inputs: classifier (metrics.json of each seed). One seed: Wilson's interval over texts; mean: Student's t over seeds.
Unit: share of texts, in [0, 1].
"""

import numpy as np

from ..artefacts import read_json
from ..collect import dataset_label, percent
from ..registry import Output
from ..stats import t_interval, wilson_interval
from . import latex as tex
from . import xai
from .published import all_entries

ENTRY = Output(
    id="classifier_accuracy",
    label="Accuracy of the multi-head classifier",
    study=xai.STUDY,
    needs=("classifier",),
    options=xai.OPTIONS,
    order=100,
)


def rows(inputs, options):
    """One row a seed, and one more (seed 'mean') where there are several; published only beside the mean or one seed."""
    import pandas as pd

    level = options["bootstrap"]["level"]
    facts = [read_json(item["path"]) for item in inputs["classifier"]]
    shared = {"scale": options["scale"], "dataset": facts[0]["dataset"], "model": "multihead"}
    found = []
    for fact in facts:
        correct = round(fact["accuracy"] * fact["examples"])
        lower, upper = wilson_interval(correct, fact["examples"], level)
        best = max(fact["epochs"], key=lambda entry: entry["validation_accuracy"])
        found.append({
            **shared, "seed": str(fact["seed"]), "seeds": str(fact["seed"]), "examples": fact["examples"],
            "vocabulary": fact["vocabulary"], "parameters": fact["parameters"],
            "validation_accuracy": best["validation_accuracy"], "best_epoch": best["epoch"],
            "accuracy": fact["accuracy"], "lower": lower, "upper": upper,
            "interval": f"{percent(level)} Wilson, over texts",
        })  # fmt: skip
    if len(facts) > 1:
        values = [fact["accuracy"] for fact in facts]
        lower, upper = np.clip(t_interval(values, level), 0, 1)
        found.append({
            **found[0], "seed": "mean", "seeds": " ".join(str(fact["seed"]) for fact in facts),
            "validation_accuracy": float(np.mean([row["validation_accuracy"] for row in found])), "best_epoch": None,
            "accuracy": float(np.mean(values)), "lower": lower, "upper": upper,
            "interval": f"{percent(level)} Student's t, over {len(values)} seeds",
        })  # fmt: skip
    frame = pd.DataFrame(found).astype({"best_epoch": "Int64"})
    (entry,) = all_entries("classifier_accuracy")
    same = entry["dataset"] == shared["dataset"]
    frame["published_value"] = [entry["values"]["accuracy"] if same else None] * len(frame)
    frame["published_source"] = entry["source"] if same else ""
    return frame.astype({"published_value": float})


def latex(frame, options):
    """The table as LaTeX."""
    lines = [
        [
            row.seed, str(row.examples), str(row.vocabulary), tex.number(row.validation_accuracy),
            "--" if row.seed == "mean" else str(row.best_epoch), tex.number(row.accuracy, row.lower, row.upper),
            tex.number(row.published_value),
        ]
        for row in frame.itertuples()
    ]  # fmt: skip
    intervals = "; ".join(dict.fromkeys(frame["interval"]))
    table = tex.table(
        caption=f"{ENTRY.label} on {tex.escape(dataset_label(frame['dataset'].iloc[0]))}.",
        label=f"tab:{ENTRY.id}",
        columns=[
            "Seed",
            "N",
            "Vocabulary",
            "Validation",
            "Best epoch",
            f"Test accuracy {tex.ARROWS[1]}",
            "Published",
        ],
        sections=[lines],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; N: test texts; index and exponent: intervals, {intervals}."
            ),
            tex.command_note(options),
        ],
    )
    return tex.document(ENTRY.label, [table], options)
