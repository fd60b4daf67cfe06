"""Selective rollout against the input gradient, layer by layer and threshold by threshold, with controls.

inputs: rollouts (one file a seed), models (any file of each model's folder). What is correlated stands in
plumbline.agreement.rollouts: Spearman's correlation over the tokens of a text, with average ranks or dense ranks as
published; no unit, in [-1, 1]. metric is the column of the artefact, reference the readout of the input gradient that it is
with: `input_gradient`, |sum_d g| as in print (spearman, spearman_dense), which is the derivative along one arbitrary
direction; `input_gradient_l2`, ||g||_2 (spearman_l2); `input_gradient_dot`, |g . x| (spearman_dot). Each example is averaged over seeds first; intervals are a bootstrap over examples, of the
mean (lower, upper) and of the median. ratio is a readout's median over that of rollout with all layers, read out likewise,
and over_first its median less that of the first layer alone; their intervals resample the same examples for both.
joint_not_positive is the share of resamples whose median of rollout is not positive: where it is not near zero, a ratio
says nothing. used: layers that selective rollout multiplied, mean over examples; left_of_sum: what summing over features
leaves of the gradient, median over examples.
"""

import numpy as np

from ..artefacts import read_rows
from ..attribution.input_gradient import CORRELATIONS
from ..collect import (
    by_model,
    dataset_label,
    interval_text,
    metrics_of,
    ordered,
    provenance,
    seeds_of,
    short_label,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval, percentiles, resampled_medians
from . import latex as tex
from .published import entries_of

ENTRY = Output(
    id="selective_rollout",
    label="Selective rollout and the input gradient",
    study="selective_rollout",
    needs=("rollouts", "models"),
    options=("bootstrap", "selective_rollout"),
    methods=("selective",),
    order=110,
)

DEFINITIONS = ("corrected", "published")
# The threshold of the published experiment.
PUBLISHED_THRESHOLD = 1.0
KEYS = ["layer", "readout", "threshold"]
# In an index, instead of the missing threshold of what has none.
NONE = -1.0
# A ratio says nothing where more of the resamples leave its denominator at zero or below.
POSITIVE = 0.025
# The gradient's sum is rounding noise below this share of it (single precision: about 1e-7).
NOISE = 1e-5


def rows(inputs, options):
    """One row a data set, model, definition, metric, reference, layer, readout and threshold.

    options: scale, bootstrap. A published ratio stands beside the published definition where the model has as many
    layers; published_checkpoint says whether it is that model.
    """
    import pandas as pd

    models = by_model(inputs["models"])
    blocks = []
    for (dataset, model), items in by_model(inputs["rollouts"]).items():
        metrics = metrics_of(models[dataset, model][0])
        frame = pd.concat([read_rows(item["path"]) for item in items], ignore_index=True)
        frame["threshold"] = frame["threshold"].fillna(NONE)
        depth = int(frame["layer"].max()) + 1
        for definition in DEFINITIONS:
            own = frame[frame["definition"] == definition]
            for metric, (_, reference) in CORRELATIONS.items():
                block = _block(own, metric, options, seed_of(ENTRY.id, dataset, model))
                about = {"dataset": dataset, "model": model, "architecture": metrics["architecture"], "depth": depth,
                         "definition": definition, "metric": metric, "reference": reference,
                         "seeds": seeds_of(items)}  # fmt: skip
                blocks.append(_beside(block.assign(**about), entries_of(ENTRY.id, dataset, metrics)))
    frame = pd.concat(blocks, ignore_index=True).assign(
        scale=options["scale"], interval=interval_text(options)
    )
    frame["threshold"] = frame["threshold"].where(frame["threshold"] != NONE)
    first = ["scale", "dataset", "model", "architecture", "depth", "definition", "metric", "reference", *KEYS]
    numbers = [
        f"{name}{end}"
        for name in ("", "median", "ratio", "over_first")
        for end in ("mean" if not name else "", "_lower" if name else "lower", "_upper" if name else "upper")
    ]
    last = ["sd", "joint_not_positive", "used", "left_of_sum", "examples", "seeds", "interval", "published_value",
            "published_checkpoint", "published_source"]  # fmt: skip
    return frame[[*first, *numbers, *last]]


def _block(own, metric, options, seed):
    """Rows of one model, definition and metric."""
    import pandas as pd

    # In double precision: single would be summed in single.
    means = own.astype({metric: float}).groupby(["id", *KEYS])[metric].mean().unstack(KEYS).sort_index()
    places = {readout: place for place, readout in enumerate(ordered(own["readout"].unique()))}
    means = means[sorted(means.columns, key=lambda key: (key[0], places[key[1]], key[2]))]
    values, columns = means.to_numpy(), list(means.columns)
    lower, upper = bootstrap_interval(values, **options["bootstrap"], seed=seed, ragged=True)
    settings = options["bootstrap"]
    resampled = resampled_medians(values, resamples=settings["resamples"], seed=seed)
    medians = np.nanmedian(values, axis=0)
    joint, first = (_twins(columns, name) for name in ("rollout", "first_layer"))

    def against(twins):
        """(medians, resampled medians) of each column's twin, over the examples that the column has."""
        others = np.where(np.isnan(values), np.nan, values[:, twins])
        fewer = np.isnan(others).sum(axis=0) > np.isnan(values[:, twins]).sum(axis=0)
        found = resampled[:, twins].copy()
        found[:, fewer] = resampled_medians(others[:, fewer], resamples=settings["resamples"], seed=seed)
        return np.nanmedian(others, axis=0), found

    (over, drawn), (lowest, drawn_lowest) = against(joint), against(first)
    found = {
        "median": (medians, resampled),
        "ratio": (_ratio(medians, over), _ratio(resampled, drawn)),
        "over_first": (medians - lowest, resampled - drawn_lowest),
    }
    block = pd.DataFrame(columns, columns=KEYS).assign(
        mean=np.nanmean(values, axis=0), lower=lower, upper=upper, sd=np.nanstd(values, axis=0),
        joint_not_positive=(drawn <= 0).mean(axis=0), examples=(~np.isnan(values)).sum(axis=0),
        used=own.astype({"used": float}).groupby(KEYS)["used"].mean().reindex(means.columns).to_numpy(),
        left_of_sum=float(own.groupby("id")["left_of_sum"].mean().median()),
    )  # fmt: skip
    for name, (value, draws) in found.items():
        block[name] = value
        block[f"{name}_lower"], block[f"{name}_upper"] = percentiles(draws, settings["level"])
    return block


def _ratio(values, others):
    """values / others, NaN where the denominator is zero."""
    return np.divide(values, others, out=np.full_like(values, np.nan), where=others != 0)


def _twins(columns, name):
    """The place, for each column (layer, readout, threshold), of readout `name` of that layer, read out likewise."""
    return [
        columns.index((layer, name + "_max" * readout.endswith("_max"), NONE))
        for layer, readout, _ in columns
    ]


def _beside(block, entries):
    """The block with the columns of published ratios, empty where there is none."""
    block = block.assign(published_value=np.nan, published_checkpoint=None, published_source=None)
    for entry in entries:
        if entry["statistic"] != "ratio" or entry["depth"] != block["depth"].iloc[0]:
            continue
        for readout, values in entry["values"].items():
            for layer, (value, _) in zip(entry["layers"], values, strict=True):
                here = (block["layer"] == layer) & (block["readout"] == readout)
                here &= (block["definition"] == "published") & (block["metric"] == entry["metric"])
                here &= block["threshold"] == entry["threshold"]
                block.loc[here, "published_value"] = value
                block.loc[here, "published_checkpoint"] = entry["checkpoint"]
                block.loc[here, "published_source"] = entry["source"]
    return block


def shown_layer(depth, options):
    """The layer of which the summary speaks: the configured one, else the last but one, as published."""
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
    if chosen.joint_not_positive > POSITIVE:
        return text + (
            f"their ratio{claimed} has no meaning, since rollout's median is not positive in "
            f"{100 * chosen.joint_not_positive:.0f}% of the resamples."
        )
    return text + f"a ratio of {_interval(chosen, 'ratio', 2)}{claimed}."


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
    chosen = cells["corrected", "spearman", "selective_rollout_max", threshold]
    best = max(
        (cells["corrected", "spearman", "selective_rollout_scaled_max", share] for share in scaled),
        key=lambda row: row.over_first,
    )
    text = f"After the corrections there is {'a' if chosen.ratio_lower > 1 else 'no'} gain over rollout with all layers"
    if chosen.used < 1.05:
        return f"{text}; selective rollout is the first layer alone here, since hardly any other passes the threshold."
    named = [("the published threshold", chosen), (f"the best share ({best.threshold:g})", best)]
    words = [
        f"{_against_first(row)} with {name} ({_interval(row, 'over_first', 2)}, {row.used:.1f} layers used)"
        for name, row in named
    ]
    return f"{text}; against the first layer alone selective rollout is {' and '.join(words)}."


def _against_first(row):
    if row.over_first_lower > 0:
        return "better"
    return "worse" if row.over_first_upper < 0 else "not told apart"


def _median(row):
    return _interval(row, "median", 2)


def _interval(row, name, digits):
    ends = [getattr(row, f"{name}_{end}") for end in ("lower", "upper")]
    return f"{getattr(row, name):.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


# ------------------------------------------------------------------------------------------------------- LaTeX

HEADS = [
    ("corrected", "spearman", "median"), ("corrected", "spearman", "over_first"), ("corrected", "spearman", "ratio"),
    ("published", "spearman_dense", "median"), ("published", "spearman_dense", "ratio"),
]  # fmt: skip
NAMES = {"median": "median", "over_first": "less first layer", "ratio": "ratio to rollout"}


def latex(frame, options):
    """The table as LaTeX, one table a data set and model, of the layer that the summary in its caption speaks of."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    from ..collect import facts

    dataset, model = key
    layer = shown_layer(part["depth"].iloc[0], options)
    own = part[part["layer"] == layer].assign(threshold=part["threshold"].fillna(NONE))
    cells = {
        (row.definition, row.metric, row.readout, row.threshold): row
        for row in own.itertuples()
    }  # fmt: skip
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
        groups=[("corrected", 3), ("as published", 2), ("", 1)],
        sections=[lines for lines in sections.values() if lines],
        notes=[
            tex.escape(provenance(options, examples=own["examples"], seeds=own["seeds"].iloc[0])),
            "Correlation with the input gradient over the tokens of a text. First block: maximum over rows, as published; "
            "second: the explained position's row. Scaled thresholds are shares of $\\sqrt{n/2}$. Index and exponent: the "
            "interval's ends; \\textit{italic}: rollout's median is not surely positive, so the ratio means nothing. All "
            f"layers, means, deviations: {ENTRY.id}.csv.".replace("_", r"\_"),
            *_in_print(part),
            tex.command_note(options),
        ],
    )  # fmt: skip


def _cell(row, name):
    if row is None:  # attention flow as published, which is not computed
        return "--"
    text = tex.number(*(getattr(row, name + end) for end in ("", "_lower", "_upper")), digits=2)
    return (
        rf"\textit{{({text})}}"
        if name == "ratio" and row.joint_not_positive > POSITIVE and text != "--"
        else text
    )


def _in_print(part):
    from .published import in_print

    printed = part.dropna(subset="published_value")
    if printed.empty:
        return []
    row = printed.iloc[0]
    return [
        tex.escape(f"Ratio in print: {row['published_value']:g}, layer {row['layer']}. {in_print(printed)}")
    ]
