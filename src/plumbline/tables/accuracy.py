"""Accuracy of every trained model, and its mean over training seeds.

inputs: models (any file of each model's folder; metrics.json beside it is read). One seed: Wilson's interval
over examples; mean over seeds: Student's t over the seeds' accuracies, so for a new seed on these examples. Unit: share of examples, in [0, 1].
"""

import numpy as np

from ..collect import by_model, dataset_label, metrics_of, percent, seeds_of
from ..registry import Output
from ..stats import t_interval, wilson_interval
from . import latex as tex

ENTRY = Output(id="accuracy", label="Accuracy", study="alti", needs=("models",), order=40)


def rows(inputs, options):
    """One row a data set, model and seed, and one more (seed 'mean') where there are several seeds.

    options: scale, bootstrap (its level is every interval's).
    """
    import pandas as pd

    level = options["bootstrap"]["level"]
    found = []
    for (dataset, model), items in by_model(inputs["models"]).items():
        facts = [metrics_of(item) for item in sorted(items, key=lambda item: int(item["seed"]))]
        about = {"scale": options["scale"], "dataset": dataset, "model": model}
        shared = {key: facts[0][key] for key in ("architecture", "source", "split")}
        found += [{**about, **shared, **numbers} for numbers in accuracies(facts, level)]
    return pd.DataFrame(found)


def accuracies(facts, level):
    """A dict a seed, and one more for their mean where there are several: seed, seeds, examples, accuracy, its interval.

    facts: metrics.json of each seed, with seed, examples and accuracy.
    """
    found = []
    for fact in facts:
        lower, upper = wilson_interval(round(fact["accuracy"] * fact["examples"]), fact["examples"], level)
        found.append({
            "seed": str(fact["seed"]), "seeds": str(fact["seed"]), "examples": fact["examples"],
            "accuracy": fact["accuracy"], "lower": lower, "upper": upper,
            "interval": f"{percent(level)} Wilson, over examples",
        })  # fmt: skip
    if len(facts) > 1:
        values = [fact["accuracy"] for fact in facts]
        # Student's t knows no bounds; a share has some.
        lower, upper = np.clip(t_interval(values, level), 0, 1)
        found.append({
            "seed": "mean", "seeds": seeds_of(facts), "examples": facts[0]["examples"],
            "accuracy": sum(values) / len(values), "lower": lower, "upper": upper,
            "interval": f"{percent(level)} Student's t, over {len(values)} seeds, on these examples",
        })  # fmt: skip
    return found


def latex(frame, options):
    """The table as LaTeX, all data sets and models in one, a rule between data sets."""
    sections = [
        [
            [
                tex.escape(dataset_label(row.dataset)),
                tex.escape(row.model),
                tex.escape(row.architecture),
                tex.escape(row.source),
                tex.escape(row.split),
                row.seed,
                str(row.examples),
                tex.number(row.accuracy, row.lower, row.upper),
            ]
            for row in part.itertuples()
        ]
        for _, part in frame.groupby("dataset", sort=False)
    ]
    intervals = "; ".join(dict.fromkeys(frame["interval"]))
    return tex.document(
        ENTRY.label,
        [
            tex.table(
                caption="Accuracy of the models that are explained.",
                label=f"tab:{ENTRY.id}",
                columns=[
                    "Data",
                    "Model",
                    "Architecture",
                    "Source",
                    "Split",
                    "Seed",
                    "N",
                    f"Accuracy {tex.ARROWS[1]}",
                ],
                sections=sections,
                notes=[
                    tex.escape(
                        f"Scale: {options['scale']}; N: examples; index and exponent: intervals, {intervals}."
                    ),
                    tex.command_note(options),
                ],
            )
        ],
        options,
    )
