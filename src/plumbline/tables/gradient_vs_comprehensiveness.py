"""Whether a readout that agrees with the input gradient is faithful: correlation beside comprehensiveness and sufficiency.

inputs: attributions (all seeds of the runs; the methods that `selective_rollout.compared` names), faithfulness. For every readout: spearman, the mean over examples
of Spearman's correlation with `input_gradient` over tokens (none, in [-1, 1]); comp and suff under the protocol
`standard` (probability of the explained class; comp: higher is better, suff: lower). Examples are averaged over seeds
first; intervals are a bootstrap over examples.

Rows without a readout hold Spearman's correlation between `spearman` and comp or suff over methods, the unit of the claim: of
all methods that are no controls, and of the attention family alone (gradients agree with the gradient by construction).
Readouts of one method are near copies of each other, so a method counts once, by the mean over its readouts. No readout of a claim (column `counted`)
are controls, published twins, maxima over rows (of the same product as the row), and what is registered as noise. The interval
resamples methods and examples independently of each other.
"""

import numpy as np

from ..agreement import spearman
from ..artefacts import read_rows
from ..collect import (
    DAGGER,
    by_model,
    dataset_label,
    facts,
    interval_text,
    mean_over_seeds,
    ordered,
    provenance,
    seeds_of,
    short_label,
    whole_texts,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval, percentiles, resampled_counts, verdict
from . import latex as tex

ENTRY = Output(
    id="gradient_vs_comprehensiveness",
    label="Agreement with the input gradient, and faithfulness",
    study="selective_rollout",
    needs=("attributions", "faithfulness"),
    methods=("selective", "input_gradient"),
    compared=True,
    order=111,
)

REFERENCE = "input_gradient"
QUANTITIES = ("spearman", "comp", "suff")
GROUPS = {"all": "over all methods", "attention": "over methods of attention"}
FEWEST = 4  # methods, for an interval over methods


def rows(inputs, options):
    """One row a data set, model and readout, controls included, and one a group of readouts; options: scale, bootstrap.

    Models without the reference's scores are left out.
    """
    import pandas as pd

    curves = by_model(inputs["faithfulness"])
    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"]).items():
        if REFERENCE not in {item["method"] for item in items}:
            continue
        found = {"spearman": _correlations(items), **_scores(curves[dataset, model])}
        readouts = ordered(set.intersection(*(set(frame.columns) for frame in found.values())))
        found = {name: frame[readouts] for name, frame in found.items()}
        seed = seed_of(ENTRY.id, dataset, model)
        block = pd.concat(
            [_each(found, readouts, options, seed), _over(found, readouts, options, seed)], ignore_index=True
        )
        blocks.append(
            block.assign(dataset=dataset, model=model, seeds=seeds_of(items), interval=interval_text(options))
        )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    first = [
        "scale",
        "dataset",
        "model",
        "readout",
        "label",
        "method",
        "control",
        "published_definition",
        "counted",
    ]
    numbers = [f"{name}{end}" for name in QUANTITIES for end in ("", "_lower", "_upper")]
    return frame.astype({"methods": "Int64"})[[*first, *numbers, "methods", "examples", "seeds", "interval"]]


def _correlations(items):
    """An examples-by-readouts frame of Spearman's correlation with the reference, averaged over seeds."""
    import pandas as pd

    frames = []
    for seed in sorted({item["seed"] for item in items}):
        rows = [whole_texts(item["path"]).set_index("id") for item in items if item["seed"] == seed]
        scores = pd.concat([frame.filter(like="scores_") for frame in rows], axis=1)
        scores.columns = [column.removeprefix("scores_") for column in scores.columns]
        names = [REFERENCE, *scores.columns.drop(REFERENCE)]
        for number, row in scores[names].iterrows():
            values = spearman.pairwise(np.stack(row.to_list()))[0, 1:]
            frames.append(pd.DataFrame({"id": number, "readout": names[1:], "value": values}))
    return mean_over_seeds(pd.concat(frames, ignore_index=True), "value")


def _scores(items):
    """comp and suff under the standard protocol, whole texts: kind -> examples-by-readouts frame."""
    import pandas as pd

    columns = ["id", "cut", "readout", "protocol", "kind", "score"]
    frame = pd.concat([read_rows(item["path"], columns) for item in items], ignore_index=True)
    frame = frame[(frame["cut"] == 0) & (frame["protocol"] == "standard")].astype({"score": float})
    return {kind: mean_over_seeds(frame[frame["kind"] == kind], "score") for kind in ("comp", "suff")}


def _each(found, readouts, options, seed):
    """A row a readout."""
    import pandas as pd

    block = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in readouts])
    for name, frame in found.items():
        values = frame.to_numpy()
        block[name] = np.nanmean(np.where(np.isnan(values).all(axis=0), 0, values), axis=0)
        # A readout that ranks nothing, such as the uniform control, has no correlation.
        block.loc[np.isnan(values).all(axis=0), name] = np.nan
        bounds = bootstrap_interval(values, **options["bootstrap"], seed=seed, ragged=True)
        block[f"{name}_lower"], block[f"{name}_upper"] = bounds
    return block.assign(examples=len(found["spearman"]), counted=[counts(readout) for readout in readouts])


def counts(readout):
    """Whether a readout stands for its method in a claim over methods."""
    from ..attribution import READOUTS, method_of

    entry = READOUTS[readout]
    return not (method_of(readout).control or entry.published or entry.noise or readout.endswith("_max"))


def _over(found, readouts, options, seed):
    """A row a group of methods."""
    import pandas as pd

    from ..attribution import method_of

    count = len(found["spearman"])
    settings = options["bootstrap"]
    generator = np.random.default_rng(seed)
    draws = resampled_counts(count, resamples=settings["resamples"], seed=generator)
    rows = []
    for group, label in GROUPS.items():
        methods = {}
        for readout in filter(counts, readouts):
            if group in ("all", method_of(readout).family):
                methods.setdefault(method_of(readout).id, []).append(readout)
        row = {"readout": "", "label": f"{label} ({len(methods)})", "method": "", "control": False, "counted": False,
               "published_definition": False, "examples": count, "methods": len(methods)}  # fmt: skip
        # The first row of the means is that of the sample, the others are resamples.
        weights = np.vstack([np.ones(count), draws])
        means = {
            name: np.stack([_means(weights, found[name][own]).mean(axis=1) for own in methods.values()], axis=1)
            for name in QUANTITIES
        } if methods else {}  # fmt: skip
        chosen = resampled_counts(max(1, len(methods)), resamples=settings["resamples"], seed=generator)
        for name in ("comp", "suff"):
            row |= {name: np.nan, f"{name}_lower": np.nan, f"{name}_upper": np.nan}
            if len(methods) > 1:
                row[name] = spearman.compute(means["spearman"][0], means[name][0])
            if len(methods) >= FEWEST:
                values = [
                    spearman.compute(np.repeat(first, own), np.repeat(second, own))
                    for first, second, own in zip(means["spearman"][1:], means[name][1:], chosen, strict=True)
                ]
                (lower,), (upper,) = percentiles(np.array(values)[:, None], settings["level"])
                row |= {f"{name}_lower": lower, f"{name}_upper": upper}
        rows.append(row)
    return pd.DataFrame(rows)


def _means(draws, frame):
    """Weighted means of an examples-by-readouts frame, a row of weights a row; an example without a value is left out."""
    values = frame.to_numpy()
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        return (draws @ np.where(missing, 0, values)) / (draws @ ~missing)


def summary(part):
    """Whether agreement with the gradient goes with faithfulness, in words made from one model's rows; plain text."""
    words = []
    for row in part[part["readout"] == ""].itertuples():
        if np.isnan(row.comp_lower):
            words.append(f"{row.label.capitalize()} nothing is said: too few of them for an interval.")
            continue
        said = {
            "better": "closer agreement with the gradient goes with higher comprehensiveness",
            "worse": "closer agreement with the gradient goes with lower comprehensiveness",
            "not told apart": "it is not told whether agreement with the gradient goes with comprehensiveness",
        }[verdict(row.comp_lower, row.comp_upper)]
        words.append(
            f"{row.label.capitalize()} {said}: rank correlation {row.comp:.2f} [{row.comp_lower:.2f}, {row.comp_upper:.2f}]."
        )
    return " ".join(words)


def latex(frame, options):
    """The table as LaTeX, one table a data set and model."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model = key
    own, groups = part[part["readout"] != ""], part[part["readout"] == ""]
    sections = [
        [
            [tex.escape(short_label(row.readout)), *_cells(row)]
            for row in own[own["control"] == control].itertuples()
        ]
        for control in (False, True)
    ]
    sections.append([[tex.escape(row.label), *_cells(row)] for row in groups.itertuples()])
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}. {tex.escape(summary(part))}",
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=[
            "Readout",
            r"$\rho$ with input gradient",
            rf"comp {tex.ARROWS[1]}",
            rf"suff {tex.ARROWS[-1]}",
        ],
        sections=[lines for lines in sections if lines],
        notes=[
            tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
            "Comp and suff: protocol standard, of whole texts. Last block: Spearman's correlation over methods, each by the mean "
            "over its readouts, between the first column and each of the others; controls, published twins, maxima over rows and "
            "noise do not count. Its interval resamples methods and examples. Index and exponent: the interval's ends.",
            tex.escape(DAGGER),
            tex.command_note(options),
        ],
    )


def _cells(row):
    return [
        tex.number(*(getattr(row, name + end) for end in ("", "_lower", "_upper"))) for name in QUANTITIES
    ]
