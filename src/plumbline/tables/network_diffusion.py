"""How good the maps of image models are, before and after network diffusion, with controls: perturbation curves and ink.

inputs: patch_faithfulness (one file a seed), image_models. Each image is averaged over seeds first; the interval is a
bootstrap over images. `difference` is the paired difference from another map (`against`): of a diffused map the
same steps without the diffusion (`_normalised`), of the others the random control; its interval is a bootstrap over the same images. Unit of all metrics: a share, in
[0, 1]; what they are stands in plumbline.faithfulness.patches. The diffusion is a reconstruction.
"""

from ..attribution.image_maps import MAPS, RECONSTRUCTION
from ..collect import by_model, dataset_label, interval_text, metrics_of, provenance, seed_rows, seeds_of
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import latex as tex
from .published import entries_of

ENTRY = Output(
    id="network_diffusion",
    label="Maps of image models, before and after network diffusion",
    study="network_diffusion",
    needs=("patch_faithfulness", "image_models"),
    order=130,
)
# Metric -> (heading, direction).
METRICS = {
    "positive_auc": ("AUC, relevant first", -1),
    "negative_auc": ("AUC, irrelevant first", 1),
    "positive_probability_auc": ("probability AUC, relevant first", -1),
    "negative_probability_auc": ("probability AUC, irrelevant first", 1),
    "ink_precision": ("average precision for ink", 1),
    "ink_mass": ("share of score on ink", 1),
    "ink_pointing": ("highest score on ink", 1),
}
SHOWN = ("positive_auc", "negative_auc", "ink_precision", "ink_pointing")


def against(name):
    """The map that a map is compared with."""
    if MAPS[name].diffused:
        suffix = "_published" if MAPS[name].published else ""
        return f"{name.split('_')[0]}_normalised{suffix}"
    return "random"


def rows(inputs, options):
    """One row a data set, model, fill, map and metric; options: scale, bootstrap."""
    import pandas as pd

    models = by_model(inputs["image_models"])
    found = []
    for (dataset, model), items in by_model(inputs["patch_faithfulness"]).items():
        facts = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        about = {
            "scale": options["scale"], "dataset": dataset, "model": model, "architecture": facts["architecture"],
            "seeds": seeds_of(items), "interval": interval_text(options),
        }  # fmt: skip
        published = entries_of(ENTRY.id, dataset, facts)
        for fill, part in frame.groupby("fill", sort=False):
            for metric in METRICS:
                if metric in part and part[metric].notna().any():
                    found += [
                        {**about, "fill": fill, "metric": metric, **row, **_published(published, metric, row["map"])}
                        for row in _metric(part, metric, options, (dataset, model, fill))
                    ]  # fmt: skip
    return pd.DataFrame(found)


def _metric(part, metric, options, names):
    """One row a map of one metric."""
    # In double precision: single would be summed in single.
    values = part.astype({metric: float}).pivot_table(index="id", columns="map", values=metric)
    order = [name for name in MAPS if name in values]
    values = values[order].dropna()
    # One seed for all metrics: the same images are drawn.
    settings = {**options["bootstrap"], "seed": seed_of(ENTRY.id, *names)}
    lower, upper = bootstrap_interval(values.to_numpy(), **settings)
    twins = [against(name) for name in order]
    gaps = values.to_numpy() - values[twins].to_numpy()
    gap_lower, gap_upper = bootstrap_interval(gaps, **settings)
    _, direction = METRICS[metric]
    best = max((direction * values[name].mean() for name in order if not MAPS[name].control), default=None)
    for place, name in enumerate(order):
        entry = MAPS[name]
        mean = values[name].mean()
        yield {
            "map": name, "label": entry.label, "control": entry.control, "published_definition": entry.published,
            "reconstruction": entry.diffused, "mean": mean, "lower": lower[place], "upper": upper[place],
            "direction": "higher" if direction > 0 else "lower", "examples": len(values),
            "best": not entry.control and direction * mean == best,
            "against": twins[place] if twins[place] != name else None,
            "difference": gaps[:, place].mean(), "difference_lower": gap_lower[place],
            "difference_upper": gap_upper[place],
        }  # fmt: skip


def _published(entries, metric, name):
    """The published number of a metric and map, a share; None where there is none."""
    for entry in entries:
        pair = entry["values"].get(name)
        if pair and metric in ("positive_auc", "negative_auc"):
            value = pair[metric == "negative_auc"] / 100
            return {"published_value": value, "published_source": entry["source"]}
    return {"published_value": None, "published_source": None}


def summary(frame):
    """What the numbers say of the claim that diffusion makes better maps, in plain words, a model and fill after the other."""
    said = []
    for (dataset, model, fill), part in frame.groupby(["dataset", "model", "fill"], sort=False):
        cells = part.set_index(["map", "metric"])
        positive, negative = (
            _verdict(cells.loc[("rollout_diffused", metric)]) for metric in ("positive_auc", "negative_auc")
        )
        said.append(
            f"{dataset_label(dataset)}, {model}, patches set to {fill}: beside the same steps without it, the diffusion of the "
            f"rollout {positive} with the relevant patches first and {negative} with the irrelevant ones first."
        )
        rivals = [
            MAPS[name].label.lower()
            for name in ("rollout_normalised", "gradient_x_input", "centre")
            if _ahead(cells, name, "rollout_diffused")
        ]
        if rivals:
            said.append(
                f"Without diffusion, with better means than diffused rollout both ways: {', '.join(rivals)}."
            )
    return " ".join(said)


def _verdict(row):
    """How a paired difference is to be read."""
    text = f"({row['difference']:+.3f} [{row['difference_lower']:+.3f}, {row['difference_upper']:+.3f}])"
    if row["difference_lower"] <= 0 <= row["difference_upper"]:
        return f"makes no difference that these images show {text}"
    helps = (row["difference"] > 0) == (row["direction"] == "higher")
    return f"{'helps' if helps else 'harms'} {text}"


def _ahead(cells, name, other):
    """Whether one map's means beat another's in both directions."""
    gap = {
        metric: cells.loc[(name, metric), "mean"] - cells.loc[(other, metric), "mean"]
        for metric in ("positive_auc", "negative_auc")
    }
    return gap["positive_auc"] < 0 < gap["negative_auc"]


def latex(frame, options):
    """The table as LaTeX, one a data set, model and fill; the plain summary stands in the caption."""
    tables = [
        _table(key, part, options) for key, part in frame.groupby(["dataset", "model", "fill"], sort=False)
    ]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model, fill = key
    cells = part.set_index(["map", "metric"])
    shown = [metric for metric in SHOWN if metric in set(part["metric"])]
    printed = bool(part["published_value"].notna().any())
    sections = [[], [], []]
    for name in dict.fromkeys(part["map"]):
        entry = MAPS[name]
        line = [tex.escape(entry.label)]
        for metric in shown:
            row = cells.loc[(name, metric)]
            line.append(tex.number(row["mean"], row["lower"], row["upper"], bold=row["best"]))
            if printed and metric in SHOWN[:2]:
                line.append(tex.number(row["published_value"]))
        sections[2 if entry.control else int(entry.diffused)].append(line)
    columns = ["Map"]
    for metric in shown:
        heading, direction = METRICS[metric]
        columns.append(f"{heading} {tex.ARROWS[direction]}")
        columns += ["in print"] * (printed and metric in SHOWN[:2])
    notes = [
        tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
        f"Patches set to {tex.escape(fill)}, 0 to 90\\% of them; bold: the best that is no control. Second part: "
        f"{tex.escape(RECONSTRUCTION)}. Index and exponent: the interval's ends.",
        tex.command_note(options),
    ]
    if printed:
        notes.insert(2, tex.escape(f"In print: {part['published_source'].dropna().iloc[0]}."))
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}. In plain words: "
        + tex.escape(summary(part)),
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{fill}",
        columns=columns,
        sections=[section for section in sections if section],
        notes=notes,
    )
