"""Whether a readout that agrees with the input gradient is faithful: correlation beside comprehensiveness and sufficiency.

inputs: attributions (all seeds of the runs; the methods that `selective_rollout.compared` names), faithfulness. For every readout: spearman, the mean over examples
of Spearman's correlation with `input_gradient` over tokens (none, in [-1, 1]); comp and suff under the protocol
`standard` (probability of the explained class; comp: higher is better, suff: lower). Means and intervals are over training
seeds and examples (plumbline.stats.mean_interval; with one seed for this checkpoint).

Rows without a readout hold Spearman's correlation between `spearman` and comp or suff over methods, the unit of the claim: of
all methods that are no controls, and of the attention family alone (gradients agree with the gradient by construction).
Readouts of one method are near copies of each other, so a method counts once, by the mean over its readouts. No readout of a claim (column `counted`)
are controls, published twins, maxima over rows (of the same product as the row), and what is registered as noise. The interval
resamples methods, seeds and examples independently of each other; of few seeds it is a little too narrow, as every interval
of resampled seeds.
"""

import numpy as np

from ..agreement import spearman
from ..collect import (
    by_model,
    dataset_label,
    facts,
    interval_text,
    ordered,
    provenance_of,
    seed_cells,
    seed_rows,
    seeds_of,
    short_label,
    whole_texts,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import complete_mean, over_seeds, percentiles, resampled_counts, resampled_means, verdict
from . import latex as tex
from .gaps import remark

ENTRY = Output(
    id="gradient_vs_comprehensiveness",
    label="Agreement with the input gradient, and faithfulness",
    needs=("attributions", "faithfulness", "gaps"),
    methods=("selective", "input_gradient"),
)

REFERENCE = "input_gradient"
QUANTITIES = ("spearman", "comp", "suff")
GROUPS = {"all": "over all methods", "attention": "over methods of attention"}
FEWEST = 4  # methods, for an interval over methods


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap.

    Returns
    -------
    DataFrame
        One row a data set, model and readout, controls included, and one a group of readouts. Models without the reference's
        scores are left out.
    """
    import pandas as pd

    curves = by_model(inputs["faithfulness"])
    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"]).items():
        compared = {item["seed"] for item in items if item["method"] == REFERENCE}
        if not compared:
            continue
        items, scored = (
            [item for item in part if item["seed"] in compared] for part in (items, curves[dataset, model])
        )
        cells, readouts = _crossed({"spearman": _correlations(items), **_scores(scored)})
        seed, seeds = seed_of(ENTRY.id, dataset, model), seeds_of(items)
        block = pd.concat(
            [_each(cells, readouts, options, seed), _over(cells, readouts, options, seed)], ignore_index=True
        )
        blocks.append(
            block.assign(dataset=dataset, model=model, seeds=seeds, interval=interval_text(options, seeds))
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
    """Rows (seed, id, readout, value) of Spearman's correlation with the reference."""
    import pandas as pd

    frames = []
    for seed in sorted({item["seed"] for item in items}):
        rows = [whole_texts(item["path"]).set_index("id") for item in items if item["seed"] == seed]
        scores = pd.concat([frame.filter(like="scores_") for frame in rows], axis=1)
        scores.columns = [column.removeprefix("scores_") for column in scores.columns]
        names = [REFERENCE, *scores.columns.drop(REFERENCE)]
        for number, row in scores[names].iterrows():
            values = spearman.pairwise(np.stack(row.to_list()))[0, 1:]
            frames.append(pd.DataFrame({"seed": seed, "id": number, "readout": names[1:], "value": values}))
    return pd.concat(frames, ignore_index=True)


def _scores(items):
    """comp and suff under the standard protocol, whole texts: kind -> rows (seed, id, readout, value)."""
    frame = seed_rows(items, ["id", "cut", "readout", "protocol", "kind", "score"])
    frame = frame[(frame["cut"] == 0) & (frame["protocol"] == "standard")].rename(columns={"score": "value"})
    return {kind: frame[frame["kind"] == kind] for kind in ("comp", "suff")}


def _crossed(frames):
    """(QUANTITIES -> `seed_cells`, readouts): of the texts and readouts that every seed has a row of in every frame."""
    seeds = [own for frame in frames.values() for _, own in frame.groupby("seed")]
    texts, readouts = (set.intersection(*(set(own[name]) for own in seeds)) for name in ("id", "readout"))
    kept = {
        name: frame[frame["id"].isin(texts) & frame["readout"].isin(readouts)]
        for name, frame in frames.items()
    }
    return {name: seed_cells(frame, "value")[0] for name, frame in kept.items()}, ordered(readouts)


def _each(cells, readouts, options, seed):
    """A row a readout; one that ranks nothing, such as the uniform control, has no correlation."""
    import pandas as pd

    block = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in readouts])
    for name, own in cells.items():
        numbers = over_seeds(own, **options["bootstrap"], seed=seed)
        block[name], block[f"{name}_lower"], block[f"{name}_upper"] = (
            numbers[key] for key in ("mean", "lower", "upper")
        )
    texts = cells["spearman"].shape[1]
    return block.assign(examples=texts, counted=[counts(readout) for readout in readouts])


def counts(readout):
    """Return whether a readout stands for its method in a claim over methods."""
    from ..attribution import READOUTS

    entry = READOUTS[readout]
    return not (entry.control or entry.published or entry.noise or readout.endswith("_max"))


def _over(cells, readouts, options, seed):
    """A row a group of methods."""
    import pandas as pd

    from ..attribution import method_of

    settings = options["bootstrap"]
    generator = np.random.default_rng(seed)
    # All quantities in one call, so that a resample draws the same seeds and examples for them.
    together = np.concatenate([cells[name] for name in QUANTITIES], axis=2)
    drawn = resampled_means(together, resamples=settings["resamples"], seed=generator)
    # The first row of the means is that of the sample, the others are resamples.
    means = np.vstack([complete_mean(together)[0], drawn]).reshape(-1, len(QUANTITIES), len(readouts))
    rows = []
    for group, label in GROUPS.items():
        methods = {}
        for place, readout in enumerate(readouts):
            if counts(readout) and group in ("all", method_of(readout).family):
                methods.setdefault(method_of(readout).id, []).append(place)
        row = {
            "readout": "",
            "label": f"{label} ({len(methods)})",
            "method": "",
            "control": False,
            "counted": False,
            "published_definition": False,
            "examples": together.shape[1],
            "methods": len(methods),
        }
        by_method = (
            {
                name: np.stack([means[:, place, own].mean(axis=1) for own in methods.values()], axis=1)
                for place, name in enumerate(QUANTITIES)
            }
            if methods
            else {}
        )
        chosen = resampled_counts(max(1, len(methods)), resamples=settings["resamples"], seed=generator)
        for name in ("comp", "suff"):
            row |= {name: np.nan, f"{name}_lower": np.nan, f"{name}_upper": np.nan}
            if len(methods) > 1:
                row[name] = spearman.compute(by_method["spearman"][0], by_method[name][0])
            if len(methods) >= FEWEST:
                values = [
                    spearman.compute(np.repeat(first, own), np.repeat(second, own))
                    for first, second, own in zip(
                        by_method["spearman"][1:], by_method[name][1:], chosen, strict=True
                    )
                ]
                (lower,), (upper,) = percentiles(np.array(values)[:, None], settings["level"])
                row |= {f"{name}_lower": lower, f"{name}_upper": upper}
        rows.append(row)
    return pd.DataFrame(rows)


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
            tex.escape(provenance_of(part, options)),
            "Comp and suff: protocol standard, of whole texts. Last block: Spearman's correlation over methods, each by the mean "
            "over its readouts, between the first column and each of the others; controls, published twins, maxima over rows and "
            "noise do not count. Its interval resamples methods, seeds and examples. Index and exponent: the interval's ends.",
            tex.escape(remark(part)),
            tex.command_note(options),
        ],
    )


def _cells(row):
    return [
        tex.number(*(getattr(row, name + end) for end in ("", "_lower", "_upper"))) for name in QUANTITIES
    ]
