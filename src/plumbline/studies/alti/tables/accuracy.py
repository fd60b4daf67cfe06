"""Accuracy of every trained model, and its mean over training seeds.

inputs: models (any file of each model's folder; metrics.json beside it is read). One seed: Wilson's interval
over examples; mean over seeds: Student's t over the seeds' accuracies, so for a new seed on these examples. Unit: share of examples, in [0, 1].
"""

from ..collect import by_model, dataset_label, metrics_of
from ..registry import Output
from . import latex as tex
from .accuracies import accuracies

ENTRY = Output(id="accuracy", label="Accuracy", needs=("models",))


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap (its level is every interval's).

    Returns
    -------
    DataFrame
        One row a data set, model and seed, and one more (seed 'mean') where there are several seeds.
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
