"""Accuracies of models with their intervals, and the tables of image models that several studies have."""

import numpy as np

from ..collect import by_model, dataset_label, metrics_of, percent, seeds_of
from ..stats import t_interval, wilson_interval
from . import latex as tex


def accuracies(facts, level):
    """Compute the accuracy of each training seed, and of their mean where there are several.

    Parameters
    ----------
    facts : list of dict
        metrics.json of each seed, with seed, examples and accuracy.
    level : float
        Coverage of the intervals, in (0, 1).

    Returns
    -------
    list of dict
        seed, seeds, examples, accuracy, its interval: lower and upper, in [0, 1], and what it is. Wilson's over examples; of
        the mean Student's t over seeds.
    """
    found = []
    for fact in facts:
        lower, upper = wilson_interval(round(fact["accuracy"] * fact["examples"]), fact["examples"], level)
        found.append(
            {
                "seed": str(fact["seed"]),
                "seeds": str(fact["seed"]),
                "examples": fact["examples"],
                "accuracy": fact["accuracy"],
                "lower": lower,
                "upper": upper,
                "interval": f"{percent(level)} Wilson, over examples",
            }
        )
    if len(facts) > 1:
        values = [fact["accuracy"] for fact in facts]
        # Student's t knows no bounds; a share has some.
        lower, upper = np.clip(t_interval(values, level), 0, 1)
        found.append(
            {
                "seed": "mean",
                "seeds": seeds_of(facts),
                "examples": facts[0]["examples"],
                "accuracy": sum(values) / len(values),
                "lower": lower,
                "upper": upper,
                "interval": f"{percent(level)} Student's t, over {len(values)} seeds, on these examples",
            }
        )
    return found


def image_rows(inputs, options):
    """Make the rows of a table of image models' accuracy.

    Parameters
    ----------
    inputs : dict
        `image_models`, see plumbline.collect.
    options : dict
        scale and bootstrap.

    Returns
    -------
    DataFrame
        One row a data set, model and seed, and one more (seed 'mean') where there are several seeds.
    """
    import pandas as pd

    found = []
    for (dataset, model), items in by_model(inputs["image_models"]).items():
        facts = [metrics_of(item) for item in sorted(items, key=lambda item: int(item["seed"]))]
        about = {"scale": options["scale"], "dataset": dataset, "model": model}
        about |= {key: facts[0][key] for key in ("architecture", "source", "parameters", "epochs")}
        about["published_accuracy"] = facts[0].get("published_accuracy")
        if facts[0]["accuracy"] is None:
            seed = str(facts[0]["seed"])
            found.append(
                about | {"seed": seed, "seeds": seed, "examples": 0, "interval": "none: other classes"}
            )
        else:
            found += [about | numbers for numbers in accuracies(facts, options["bootstrap"]["level"])]
    frame = pd.DataFrame(found)
    for name in ("accuracy", "lower", "upper", "published_accuracy"):
        frame[name] = frame[name].astype(float) if name in frame else float("nan")
    return frame


def image_latex(frame, options, entry):
    """Return a table of the accuracy of image models as LaTeX.

    Parameters
    ----------
    frame : DataFrame
        Of `image_rows`.
    options : dict
        scale and command.
    entry : Output
        The registry's, of the table that it is.

    Returns
    -------
    str
    """
    lines = [
        [
            tex.escape(dataset_label(row.dataset)),
            tex.escape(row.model),
            tex.escape(row.architecture),
            tex.escape(row.source),
            str(row.parameters),
            row.seed,
            str(row.examples) if row.examples else "--",
            tex.number(row.accuracy, row.lower, row.upper),
            tex.number(row.published_accuracy),
        ]
        for row in frame.itertuples()
    ]
    intervals = "; ".join(dict.fromkeys(frame["interval"]))
    table = tex.table(
        caption=f"{entry.label}.",
        label=f"tab:{entry.id}",
        columns=[
            "Data",
            "Model",
            "Architecture",
            "Source",
            "Parameters",
            "Seed",
            "N",
            f"Accuracy {tex.ARROWS[1]}",
            "in print",
        ],
        sections=[lines],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}; N: test images; index and exponent: intervals, {intervals}."
            ),
            tex.command_note(options),
        ],
    )
    return tex.document(entry.label, [table], options)
