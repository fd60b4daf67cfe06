"""How good the maps of image models are, before and after network diffusion, with controls: perturbation curves and ink.

inputs: patch_faithfulness (one file a seed), image_models. The interval is over images and, from two on, seeds. `difference` is the paired
difference from another map (`against`): of a diffused map the same steps without the diffusion (`_normalised`), of the others
the random control; `verdict` says whether it is better, worse or not told apart, after Holm's correction over the maps of one
metric. `best` marks the maps that are not told apart from the one with the best mean, controls and published twins left out.
Unit of all metrics: a share, in [0, 1]; what they are stands in plumbline.faithfulness.patches; `area`: not divided by the range
of the shares. The diffusion is a reconstruction.
"""

import functools

import numpy as np

from ..attribution.image_maps import MAPS, RECONSTRUCTION
from ..collect import by_model, dataset_label, interval_text, metrics_of, provenance, seed_rows, seeds_of
from ..faithfulness.patches import shares
from ..registry import Output
from ..seeds import seed_of
from ..stats import mean_interval, paired_differences, verdict
from . import latex as tex
from .published import checkpoint, datasets_of, in_print, joined, numbers_of
from .standing import alike

ENTRY = Output(
    id="network_diffusion",
    label="Maps of image models, before and after network diffusion",
    needs=("patch_faithfulness", "image_models"),
    published=True,
)
# Columns of a published number.
PUBLISHED = (
    "published_value",
    "published_checkpoint",
    "published_verdict",
    "published_why",
    "published_source",
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
KEYS = ["dataset", "model", "protocol", "fill"]
PROTOCOLS = {
    "patches": "patches set to {fill}, 0 to 90% of them",
    "chefer": "pixels set to black, 10 to 90% of them",
}


def against(name):
    """Return the map that a map is compared with."""
    if MAPS[name].diffused:
        suffix = "_published" if MAPS[name].published else ""
        return f"{name.split('_')[0]}_normalised{suffix}"
    return "random"


def rows(inputs, options):
    """One row a data set, model, protocol, fill, map and metric; options: scale, bootstrap."""
    import pandas as pd

    models = by_model(inputs["image_models"])
    found = []
    for (dataset, model), items in by_model(inputs["patch_faithfulness"]).items():
        facts = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        about = {
            "scale": options["scale"],
            "dataset": dataset,
            "model": model,
            "architecture": facts["architecture"],
            "seeds": seeds_of(items),
            "interval": interval_text(options, seeds_of(items), "images"),
        }
        own = []
        for (protocol, fill), part in frame.groupby(["protocol", "fill"], sort=False):
            for metric in METRICS:
                if metric in part and part[metric].notna().any():
                    names = (dataset, model, protocol, fill)
                    own += [
                        about
                        | {"protocol": protocol, "fill": fill, "metric": metric}
                        | row
                        | dict.fromkeys(PUBLISHED)
                        for row in _metric(part, metric, options, names)
                    ]
        found += joined(own, _numbers(dataset, facts), functools.partial(_published, facts))
    return pd.DataFrame(found)


def cells_of(part, value, names):
    """Return the cells of a column, of the images that all seeds and maps have.

    Parameters
    ----------
    part : DataFrame
        Rows of one model: seed, id, map and the column.
    value : str
        The column.
    names : list of str
        Ids of the maps, in the order wanted.

    Returns
    -------
    numpy.ndarray, float64, shape (seeds, images, maps)
    """
    wide = part.astype({value: float}).pivot(index=["seed", "id"], columns="map", values=value)[names]
    cells = np.stack([group.to_numpy() for _, group in wide.groupby(level="seed")])
    return cells[:, ~np.isnan(cells).any(axis=(0, 2))]


def _metric(part, metric, options, names):
    """One row a map of one metric."""
    level = options["bootstrap"]["level"]
    present = set(part["map"])
    order = [name for name in MAPS if name in present]
    cells = cells_of(part, metric, order)
    means = cells.mean((0, 1))
    # One seed for all metrics: the same images are drawn.
    lower, upper = mean_interval(cells, **options["bootstrap"], seed=seed_of(ENTRY.id, *names))
    lower, upper = np.clip(lower, 0, 1), np.clip(upper, 0, 1)  # Student's t knows no bounds; a share has some
    twins = [against(name) for name in order]
    gaps = cells - cells[..., [order.index(name) for name in twins]]
    # Each beside nothing: so all comparisons are one family.
    found = paired_differences(
        np.concatenate([np.zeros_like(gaps[..., :1]), gaps], -1), reference=0, level=level
    )
    _, direction = METRICS[metric]
    competing = [place for place, name in enumerate(order) if MAPS[name].readout]
    best = dict(zip(competing, alike(direction * cells[..., competing], level), strict=True))
    tied = part.groupby("map")["tied"].mean()
    points = shares(names[2])
    for place, name in enumerate(order):
        entry, own = MAPS[name], twins[place] == name
        ends = (found.lower[place + 1], found.upper[place + 1])
        apart = found.adjusted[place + 1] <= 1 - level
        signed = sorted(direction * end for end in ends) if apart else (np.nan, np.nan)
        yield {
            "map": name,
            "label": entry.label,
            "control": entry.control,
            "published_definition": entry.published,
            "reconstruction": entry.diffused,
            "tied": tied[name],
            "mean": means[place],
            "lower": lower[place],
            "upper": upper[place],
            "direction": "higher" if direction > 0 else "lower",
            "area": means[place] * (points[-1] - points[0]) if metric.endswith("_auc") else np.nan,
            "examples": cells.shape[1],
            "best": best.get(place, False),
            "against": None if own else twins[place],
            "difference": np.nan if own else gaps[..., place].mean(),
            "difference_lower": np.nan if own else ends[0],
            "difference_upper": np.nan if own else ends[1],
            "adjusted_p": np.nan if own else found.adjusted[place + 1],
            "verdict": None if own else verdict(*signed),
        }


def _numbers(dataset, facts):
    """The published numbers of a data set and a model's architecture; facts: its metrics.json."""
    numbers = numbers_of(ENTRY.id)
    kept = [
        dataset in datasets_of(about) and about["architecture"] == facts["architecture"]
        for about in numbers["about"]
    ]
    return numbers[kept]


def _published(facts, number):
    """The columns PUBLISHED of a published number, a share, beside a model's; facts: its metrics.json."""
    about = number.about
    kind = checkpoint(about, facts)
    why = f"another checkpoint; {about['why']}" if kind == "other" else about["why"]
    return dict(zip(PUBLISHED, (number.value, kind, about["verdict"], why, about["source"]), strict=True))


def summary(frame):
    """What the numbers say of the claim that diffusion makes better maps, in plain words, a model and protocol after the other."""
    said = []
    for (dataset, model, protocol, fill), part in frame.groupby(KEYS, sort=False):
        cells = part.set_index(["map", "metric"])
        positive, negative = (
            _said(cells.loc[("rollout_diffused", metric)]) for metric in ("positive_auc", "negative_auc")
        )
        said.append(
            f"{dataset_label(dataset)}, {model}, {PROTOCOLS[protocol].format(fill=fill)}: beside the same steps without it, the "
            f"diffusion of the rollout is {positive} with the relevant ones first and {negative} with the irrelevant ones first."
        )
        worse = [
            MAPS[name].label
            for name in dict.fromkeys(part["map"])
            if MAPS[name].readout
            and cells.loc[(name, "positive_auc"), "against"] == "random"
            and cells.loc[(name, "positive_auc"), "verdict"] == "worse"
        ]
        if worse:
            said.append(f"Worse than random with the relevant ones first: {', '.join(worse)}.")
    return " ".join(said)


def _said(row):
    """A paired difference in words, with its interval."""
    ends = f"{row['difference']:+.3f} [{row['difference_lower']:+.3f}, {row['difference_upper']:+.3f}]"
    return f"{row['verdict']} ({ends})"


def latex(frame, options):
    """The table as LaTeX, one a data set, model, protocol and fill; the plain summary stands in the caption."""
    tables = [_table(key, part, options) for key, part in frame.groupby(KEYS, sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model, protocol, fill = key
    cells = part.set_index(["map", "metric"])
    shown = [metric for metric in SHOWN if metric in set(part["metric"])]
    printed = bool(part["published_value"].notna().any())
    sections = [[], [], []]
    for name in dict.fromkeys(part["map"]):
        entry = MAPS[name]
        line = [tex.escape(entry.label), tex.number(cells.loc[(name, shown[0]), "tied"], digits=2)]
        for metric in shown:
            row = cells.loc[(name, metric)]
            line.append(tex.number(row["mean"], row["lower"], row["upper"], bold=row["best"]))
            if printed and metric in SHOWN[:2]:
                line.append(tex.number(row["published_value"]))
        sections[2 if entry.control else int(entry.diffused)].append(line)
    columns = ["Map", "tied"]
    for metric in shown:
        heading, direction = METRICS[metric]
        columns.append(f"{heading} {tex.ARROWS[direction]}")
        columns += ["in print"] * (printed and metric in SHOWN[:2])
    described = PROTOCOLS[protocol].format(fill=fill)
    points = shares(protocol)
    notes = [
        tex.escape(
            provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0], interval=False)
        ),
        tex.escape(
            f"Intervals: {part['interval'].iloc[0]}, as index and exponent. Protocol {protocol}: {described}; "
        )
        + f"AUC: area over the range of the shares; not divided by it, {points[-1] - points[0]:.1f} times that. "
        + "Bold: not told apart from the best (paired, Holm), controls and published definitions left out; tied: share of "
        f"patches whose score another has. Second part: {tex.escape(RECONSTRUCTION)}.",
        tex.command_note(options),
    ]
    if printed:
        rows_ = part.dropna(subset="published_value")
        notes.insert(2, tex.escape(f"{in_print(rows_)} {rows_['published_why'].iloc[0]}."))
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}. In plain words: "
        + tex.escape(summary(part)),
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{protocol}:{fill}",
        columns=columns,
        sections=[section for section in sections if section],
        notes=notes,
    )
