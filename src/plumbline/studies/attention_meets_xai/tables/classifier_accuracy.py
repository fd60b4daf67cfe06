"""Test accuracy of the multi-head classifier, a training seed a row, and its mean, beside the published one.

inputs: classifier (metrics.json of each seed). One seed: Wilson's interval over texts; mean: Student's t over seeds.
Unit: share of texts, in [0, 1].
"""

import numpy as np

from ..artefacts import read_json
from ..collect import dataset_label
from ..registry import Output
from . import latex as tex
from . import xai
from .accuracies import accuracies
from .published import numbers_of

ENTRY = Output(
    id="classifier_accuracy",
    label="Accuracy of the multi-head classifier",
    needs=("classifier",),
    options=xai.OPTIONS,
    published=True,
)


def rows(inputs, options):
    """One row a seed, and one more (seed 'mean') where there are several; published only beside the mean or one seed."""
    import pandas as pd

    facts = [read_json(item["path"]) for item in inputs["classifier"]]
    best = [max(fact["epochs"], key=lambda entry: entry["validation_accuracy"]) for fact in facts]
    found = [
        {
            **xai.about(options, facts[0]["dataset"], ""),
            **numbers,
            "vocabulary": facts[0]["vocabulary"],
            "parameters": facts[0]["parameters"],
        }
        for numbers in accuracies(facts, options["bootstrap"]["level"])
    ]
    for row, entry in zip(found, best, strict=False):
        row |= {"validation_accuracy": entry["validation_accuracy"], "best_epoch": entry["epoch"]}
    if len(found) > len(best):
        mean = float(np.mean([entry["validation_accuracy"] for entry in best]))
        found[-1] |= {"validation_accuracy": mean, "best_epoch": None}
    frame = pd.DataFrame(found).astype({"best_epoch": "Int64"})
    (printed,) = numbers_of("xai_published").query("quantity == 'test accuracy'").itertuples()
    same = printed.about["dataset"] == facts[0]["dataset"]
    frame["published_value"] = [printed.value if same else None] * len(frame)
    frame["published_source"] = printed.about["source"] if same else ""
    # Never released; table xai_published has the verdict.
    frame["published_checkpoint"] = "other" if same else ""
    return frame.astype({"published_value": float})


def latex(frame, options):
    """The table as LaTeX."""
    lines = [
        [
            row.seed,
            str(row.examples),
            str(row.vocabulary),
            tex.number(row.validation_accuracy),
            "--" if row.seed == "mean" else str(row.best_epoch),
            tex.number(row.accuracy, row.lower, row.upper),
            tex.number(row.published_value),
        ]
        for row in frame.itertuples()
    ]
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
