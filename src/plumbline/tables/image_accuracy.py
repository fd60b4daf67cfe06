"""Test accuracy of every image model, and its mean over training seeds.

inputs: image_models (metrics.json of each). One seed: Wilson's interval over images; mean: Student's t over seeds. Unit:
share of images, in [0, 1]. A model whose classes are not the data's has no accuracy. published_accuracy: of a checkpoint of
others, which it has to reach (plumbline.models.published).
"""

from ..collect import by_model, dataset_label, metrics_of
from ..registry import Output
from . import latex as tex
from .accuracy import accuracies

ENTRY = Output(
    id="image_accuracy",
    label="Accuracy of the image models",
    study="network_diffusion",
    needs=("image_models",),
    order=131,
)


def rows(inputs, options):
    """One row a data set, model and seed, and one more (seed 'mean') where there are several seeds."""
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


def latex(frame, options, entry=ENTRY):
    """The table as LaTeX; entry: of the table that it is."""
    lines = [
        [
            tex.escape(dataset_label(row.dataset)), tex.escape(row.model), tex.escape(row.architecture),
            tex.escape(row.source), str(row.parameters), row.seed, str(row.examples) if row.examples else "--",
            tex.number(row.accuracy, row.lower, row.upper), tex.number(row.published_accuracy),
        ]
        for row in frame.itertuples()
    ]  # fmt: skip
    intervals = "; ".join(dict.fromkeys(frame["interval"]))
    table = tex.table(
        caption=f"{entry.label}.",
        label=f"tab:{entry.id}",
        columns=["Data", "Model", "Architecture", "Source", "Parameters", "Seed", "N", f"Accuracy {tex.ARROWS[1]}", "in print"],
        sections=[lines],
        notes=[
            tex.escape(f"Scale: {options['scale']}; N: test images; index and exponent: intervals, {intervals}."),
            tex.command_note(options),
        ],
    )  # fmt: skip
    return tex.document(entry.label, [table], options)
