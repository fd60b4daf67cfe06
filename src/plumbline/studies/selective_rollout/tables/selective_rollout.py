"""Selective rollout against the input gradient, layer by layer and threshold by threshold, with controls.

inputs: rollouts (one file a seed), models (any file of each model's folder). What is correlated stands in
plumbline.agreement.rollouts: Spearman's correlation over the tokens of a text, with average ranks or dense ranks as
published; no unit, in [-1, 1]. metric is the column of the artefact, reference the readout of the input gradient that it is
with: `input_gradient`, |sum_d g| as in print (spearman, spearman_dense), which is the derivative along one arbitrary
direction; `input_gradient_l2`, ||g||_2 (spearman_l2); `input_gradient_dot`, |g . x| (spearman_dot). Each example is averaged
over training seeds first, where it has a number under each; intervals, of the mean (lower, upper: plumbline.stats.mean_interval)
and of the median (plumbline.stats.resampled_interval), are for a new seed and a new example, with one seed for this checkpoint.
over_rollout is a readout's median less that of rollout with all
layers, read out likewise, over_first its median less that of the first layer alone; a verdict in words rests on the interval of
this paired difference, whose resamples draw the same examples for both. lowest and uppermost are its ends for a threshold that
was selected among all thresholds of its kind by these numbers (maximum statistic). ratio, to rollout's median, is given only
where the interval of that median is above zero.
used: layers that selective rollout multiplied, mean over examples; left_of_sum: what summing over features
leaves of the gradient, median over examples.
"""

import numpy as np

from ..attribution.input_gradient import CORRELATIONS
from ..collect import (
    by_model,
    cells_of,
    dataset_label,
    interval_text,
    metrics_of,
    ordered,
    provenance_of,
    seed_rows,
    seeds_of,
    short_label,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import (
    median_differences,
    over_seeds,
    paired_medians,
    resampled_interval,
    resampled_medians,
    verdict,
)
from . import latex as tex
from .published import beside, in_print

ENTRY = Output(
    id="selective_rollout",
    label="Selective rollout and the input gradient",
    needs=("rollouts", "models"),
    options=("bootstrap", "selective_rollout", "datasets"),
    methods=("selective",),
    published=True,
)

DEFINITIONS = ("corrected", "published")
# The threshold of the published experiment.
PUBLISHED_THRESHOLD = 1.0
KEYS = ["layer", "readout", "threshold"]
# Difference -> the readout that is taken off.
RIVALS = {"over_rollout": "rollout", "over_first": "first_layer"}
ENDS = ("", "_lower", "_upper", "_lowest", "_uppermost")
# In an index, instead of the missing threshold of what has none.
NONE = -1.0
# The gradient's sum is rounding noise below this share of it (single precision: about 1e-7).
NOISE = 1e-5


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap, runs, datasets.

    Returns
    -------
    DataFrame
        One row a data set, model, definition, metric, reference, layer, readout and threshold. A published ratio stands beside
        the published definition where the model has as many layers; columns published_*: see plumbline.tables.published.beside.
    """
    import pandas as pd

    models = by_model(inputs["models"])
    blocks = []
    for (dataset, model), items in by_model(inputs["rollouts"]).items():
        metrics = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        frame["threshold"] = frame["threshold"].fillna(NONE)
        depth = int(frame["layer"].max()) + 1
        for definition in DEFINITIONS:
            own = frame[frame["definition"] == definition]
            for metric, (_, reference) in CORRELATIONS.items():
                block = _block(own, metric, options, seed_of(ENTRY.id, dataset, model))
                about = {
                    "dataset": dataset,
                    "model": model,
                    "architecture": metrics["architecture"],
                    "depth": depth,
                    "definition": definition,
                    "metric": metric,
                    "reference": reference,
                    "seeds": seeds_of(items),
                    "interval": interval_text(options, seeds_of(items)),
                }
                blocks.append(block.assign(**about))
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    frame["threshold"] = frame["threshold"].where(frame["threshold"] != NONE)
    frame = beside(frame, ENTRY.id, options, models=inputs["models"], statistics=[("ratio", "value")])
    first = ["scale", "dataset", "model", "architecture", "depth", "definition", "metric", "reference", *KEYS]
    numbers = [
        "mean",
        "lower",
        "upper",
        *(f"{name}{end}" for name in ("median", "ratio") for end in ("", "_lower", "_upper")),
        *(f"{name}{end}" for name in RIVALS for end in ENDS),
    ]
    last = ["sd", "used", "left_of_sum", "examples", "seeds", "interval"]
    last += [f"published_{name}" for name in ("value", "checkpoint", "verdict", "why", "source")]
    return frame[[*first, *numbers, *last]]


def _block(own, metric, options, seed):
    """Rows of one model, definition and metric."""
    import pandas as pd

    # In double precision: single would be summed in single.
    units = own.astype({metric: float}).set_index(["seed", "id", *KEYS])[metric].unstack(KEYS).sort_index()
    places = {readout: place for place, readout in enumerate(ordered(own["readout"].unique()))}
    units = units[sorted(units.columns, key=lambda key: (key[0], places[key[1]], key[2]))]
    values, columns = cells_of(units), list(units.columns)
    settings = {**options["bootstrap"], "seed": seed}
    block = pd.DataFrame(columns, columns=KEYS).assign(
        **over_seeds(values, **options["bootstrap"], seed=seed),
        sd=np.nanstd(values.mean(axis=0), axis=0),
        used=own.astype({"used": float}).groupby(KEYS)["used"].mean().reindex(units.columns).to_numpy(),
        left_of_sum=float(own.groupby("id")["left_of_sum"].mean().median()),
    )
    median = resampled_medians(values, resamples=settings["resamples"], seed=seed)
    for name, found in {"median": median, "ratio": _ratios(values, columns, median, settings)}.items():
        block[name] = found.value
        block[f"{name}_lower"], block[f"{name}_upper"] = resampled_interval(found, level=settings["level"])
    for name, rival in RIVALS.items():
        block[[f"{name}{end}" for end in ENDS]] = _differences(values, columns, rival, median, settings)
    return block


def _differences(values, columns, rival, medians, settings):
    """Each column's median less its rival's, with ENDS: float64 (columns, 5).

    A column is compared with the rival of its layer, read out likewise. Ends that hold for one selected column are those of
    the thresholds of one readout and layer together.
    """
    families = [(layer, readout) for layer, readout, _ in columns]
    twins = _twins(columns, rival)
    found = median_differences(values, reference=twins, families=families, medians=medians, **settings)
    return np.stack(found, axis=1)


def _twins(columns, rival):
    """Of each column the place of the rival of its layer that is read out likewise."""
    return [
        columns.index((layer, rival + "_max" * readout.endswith("_max"), NONE))
        for layer, readout, _ in columns
    ]


def _ratios(values, columns, medians, settings):
    """Resampled ratios to rollout's median, of every column.

    The rollout of a column that fewer examples have is that of these examples. NaN where it is not surely positive.
    """
    draws = {name: settings[name] for name in ("resamples", "seed")}
    _, rollout = paired_medians(values, reference=_twins(columns, "rollout"), medians=medians, **draws)
    lower, _ = resampled_interval(rollout, level=settings["level"])
    sure = (lower > 0) & (rollout.without > 0).all(axis=0)
    # A resample without a positive rollout is left out of the few that remain.
    return medians.beside(rollout, lambda own, other: own / np.where(sure & (other > 0), other, np.nan))


def shown_layer(depth, options):
    """Return the layer of which the summary speaks: the configured one, else the last but one, as published."""
    layer = options["selective_rollout"]["layer"]
    return max(0, depth - 2) if layer is None else min(layer, depth - 1)


# ------------------------------------------------------------------------------------------- the summary in words


def summary(part, options):
    """What the claim looks like after the controls, in sentences made from one model's rows; plain text."""
    layer = shown_layer(part["depth"].iloc[0], options)
    part = part[part["layer"] == layer].assign(threshold=part["threshold"].fillna(NONE))
    cells = {(row.definition, row.metric, row.readout, row.threshold): row for row in part.itertuples()}
    thresholds = sorted(
        {key[3] for key in cells if key[2] == "selective_rollout_max"},
        key=lambda value: abs(value - PUBLISHED_THRESHOLD),
    )
    scaled = sorted({key[3] for key in cells if key[2] == "selective_rollout_scaled_max"})
    sentences = [
        _as_published(cells, thresholds[0], layer, part["depth"].iloc[0]),
        _noise(cells),
        _corrected(cells, thresholds[0]),
        _scaled(cells, scaled),
        _verdict(cells, thresholds[0], scaled),
    ]
    return " ".join(sentences)


def _as_published(cells, threshold, layer, depth):
    chosen = cells["published", "spearman_dense", "selective_rollout_max", threshold]
    joint = cells["published", "spearman_dense", "rollout_max", NONE]
    text = (
        f"Measured as published, at layer {layer} of 0 to {depth - 1}, selective rollout (threshold {threshold:g}) has a median "
        f"correlation of {_median(chosen)} with the input gradient, and rollout with all layers one of {_median(joint)}: "
    )
    claimed = "" if np.isnan(chosen.published_value) else f", in print {chosen.published_value:g}"
    if np.isnan(chosen.ratio):
        ratio = f"their ratio{claimed} has no meaning, since rollout's median is not surely positive"
    else:
        ratio = f"a ratio of {_interval(chosen, 'ratio')}{claimed}"
    return f"{text}{ratio}. So measured selective rollout {_against(chosen, 'over_rollout')}."


def _noise(cells):
    left = {key[0]: row.left_of_sum for key, row in cells.items() if key[2:] == ("rollout_max", NONE)}
    if left["published"] > NOISE:
        return f"Of that gradient the sum over features leaves {left['published']:.1g}."
    return (
        f"But that gradient is taken before a LayerNorm, so its sum over features is zero and only rounding noise, "
        f"{left['published']:.0e} of the gradient, was ranked; at the embedding block's output {left['corrected']:.1g} is left."
    )


def _corrected(cells, threshold):
    chosen, joint, first = (
        cells["corrected", "spearman", name, key]
        for name, key in (
            ("selective_rollout_max", threshold),
            ("rollout_max", NONE),
            ("first_layer_max", NONE),
        )
    )
    return (
        f"With the normal network, the predicted class and average ranks the medians are {_median(chosen)} (selective, which "
        f"uses {chosen.used:.1f} layers on average), {_median(joint)} (all layers) and {_median(first)} (the first layer alone)."
    )


def _scaled(cells, shares):
    found = [cells["corrected", "spearman", "selective_rollout_scaled_max", share] for share in shares]
    values = [row.median for row in found]
    return (
        f"With thresholds of {shares[0]:g} to {shares[-1]:g} of the largest distance possible, which grows with the text, they "
        f"are {min(values):.2f} to {max(values):.2f}."
    )


def _verdict(cells, threshold, scaled):
    readout = "selective_rollout_max"
    chosen, norm, product = (
        cells["corrected", metric, readout, threshold]
        for metric in ("spearman", "spearman_l2", "spearman_dot")
    )
    text = (
        f"After the corrections selective rollout {_against(chosen, 'over_rollout')}. With the gradient's norm in the place of "
        f"its sum, which is one arbitrary direction, it {_against(norm, 'over_rollout')}; with its product with the input it "
        f"{_against(product, 'over_rollout')}."
    )
    if chosen.used < 1.05:
        return f"{text} Selective rollout is the first layer alone here, since hardly any other passes the threshold."
    best = max(
        (cells["corrected", "spearman", "selective_rollout_scaled_max", share] for share in scaled),
        key=lambda row: row.over_first,
    )
    return (
        f"{text} With the published threshold, which uses {chosen.used:.1f} layers, it {_against(chosen, 'over_first')}; with "
        f"the best of {len(scaled)} shares ({best.threshold:g}, {best.used:.1f} layers) it "
        f"{_against(best, 'over_first', selected=True)}."
    )


THAN = {"better": "is better than", "worse": "is worse than", "not told apart": "is not told apart from"}
RIVAL_NAMES = {"over_rollout": "rollout with all layers", "over_first": "the first layer alone"}


def _against(row, name, *, selected=False):
    """The paired difference of medians in words; selected: the row was chosen by these numbers among its thresholds."""
    ends = ("lowest", "uppermost") if selected else ("lower", "upper")
    word = verdict(*(getattr(row, f"{name}_{end}") for end in ends))
    return f"{THAN[word]} {RIVAL_NAMES[name]} (difference of medians {_interval(row, name, ends, sign='+')})"


def _median(row):
    return _interval(row, "median")


def _interval(row, name, ends=("lower", "upper"), sign=""):
    numbers = [getattr(row, name), *(getattr(row, f"{name}_{end}") for end in ends)]
    # Adding zero takes the sign of -0.00 away.
    value, lower, upper = (f"{round(number, 2) + 0.0:{sign}.2f}" for number in numbers)
    return f"{value} [{lower}, {upper}]"


# ------------------------------------------------------------------------------------------------------- LaTeX

HEADS = [
    ("corrected", "spearman", "median"),
    ("corrected", "spearman", "over_rollout"),
    ("corrected", "spearman", "over_first"),
    ("corrected", "spearman_l2", "median"),
    ("corrected", "spearman_l2", "over_rollout"),
    ("corrected", "spearman_dot", "median"),
    ("corrected", "spearman_dot", "over_rollout"),
    ("published", "spearman_dense", "median"),
    ("published", "spearman_dense", "ratio"),
]
NAMES = {
    "median": "median",
    "over_rollout": "less rollout",
    "over_first": "less first layer",
    "ratio": "ratio to rollout",
}


def latex(frame, options):
    """The table as LaTeX, one table a data set and model, of the layer that the summary in its caption speaks of."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    from ..collect import facts

    dataset, model = key
    layer = shown_layer(part["depth"].iloc[0], options)
    own = part[part["layer"] == layer].assign(threshold=part["threshold"].fillna(NONE))
    cells = {(row.definition, row.metric, row.readout, row.threshold): row for row in own.itertuples()}
    sections = {"max": [], "row": [], "control": []}
    for readout, threshold in dict.fromkeys(zip(own["readout"], own["threshold"], strict=True)):
        section = "control" if facts(readout)["control"] else "max" if readout.endswith("_max") else "row"
        line = [cells.get((*head[:2], readout, threshold)) for head in HEADS]
        used = line[0].used
        sections[section].append(
            [tex.escape(short_label(readout) + (f", {threshold:g}" if threshold != NONE else ""))]
            + [_cell(row, name) for row, (_, _, name) in zip(line, HEADS, strict=True)]
            + ["--" if np.isnan(used) else f"${used:.1f}$"]
        )
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}, layer {layer}. "
        + tex.escape(summary(part, options)),
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=["Readout, threshold", *(NAMES[name] for *_, name in HEADS), "layers used"],
        groups=[
            (r"$|\sum_d g|$, corrected", 3),
            (r"$\|g\|_2$", 2),
            (r"$|g \cdot x|$", 2),
            (r"$|\sum_d g|$, as published", 2),
            ("", 1),
        ],
        sections=[lines for lines in sections.values() if lines],
        notes=[
            tex.escape(provenance_of(own, options)),
            "Correlation with the input gradient $g$ over the tokens of a text: with its sum over features, as in print, one "
            "arbitrary direction; with its norm; with its product with the input $x$. First block: maximum over rows, as "
            "published; second: the explained position's row. Scaled thresholds are shares of $\\sqrt{n/2}$. Index and exponent: "
            "the interval's ends, of medians over several seeds by resamples of examples and a jackknife over seeds; no ratio where rollout's median is not surely positive. All "
            f"layers, means, deviations: {ENTRY.id}.csv.".replace("_", r"\_"),
            *_in_print(part),
            tex.command_note(options),
        ],
    )


def _cell(row, name):
    if row is None:  # attention flow as published, which is not computed
        return "--"
    return tex.number(*(getattr(row, name + end) for end in ("", "_lower", "_upper")), digits=2)


def _in_print(part):
    printed = part.dropna(subset="published_value")
    if printed.empty:
        return []
    row = printed.iloc[0]
    return [
        tex.escape(
            f"Ratio in print: {row['published_value']:g}, layer {row['layer']}. {in_print(printed)} Verdict on ours: "
            f"{row['published_verdict']} ({row['published_why']})."
        )
    ]
