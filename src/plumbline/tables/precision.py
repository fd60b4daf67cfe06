"""What forward passes in bfloat16 change: comprehensiveness and sufficiency beside those in float32, readout by readout.

inputs: faithfulness (all methods, seeds), of protocols `standard` and `standard_bfloat16`, on the examples that both have. A
score is averaged over seeds example by example; the interval is a bootstrap over examples of the paired difference, bfloat16
minus float32. `largest_change` is the largest change of a probability anywhere on a curve. Ranks are among the readouts of
the model that are no control, 1 the best; controls have none. Unit: probability of the explained class.
"""

import numpy as np

from ..collect import (
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
from ..errors import PlumblineError
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import latex as tex

ENTRY = Output(
    id="precision",
    label="Forward passes in bfloat16 against float32",
    study="alti",
    needs=("faithfulness",),
    order=55,
)

KINDS = {"comp": 1, "suff": -1}  # comp: higher is better; suff: lower
FULL, LOW = "standard", "standard_bfloat16"
KEY = ["id", "seed", "readout", "kind"]


def rows(inputs, options):
    """One row a data set, model, kind and readout. options: scale, bootstrap.

    PlumblineError where no model has both protocols.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["faithfulness"]).items():
        curves = _pairs(items)
        for kind in KINDS:
            part = curves[curves["kind"] == kind]
            if len(part):
                block = _block(part, kind, options, seed_of(ENTRY.id, dataset, model, kind))
                blocks.append(block.assign(dataset=dataset, model=model, kind=kind, seeds=seeds_of(items)))
    if not blocks:
        raise PlumblineError(
            f"table '{ENTRY.id}' compares protocols '{FULL}' and '{LOW}', and no run has both: add them to `faithfulness`, or "
            "take the table out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(
        scale=options["scale"], interval=f"{interval_text(options)}, of the paired difference"
    )
    first = ["scale", "dataset", "model", "kind", "readout", "label", "control", "float32", "bfloat16"]
    return frame[
        [*first, "difference", "lower", "upper", "largest_change", "rank", "rank_bfloat16", "examples", "seeds", "interval"]
    ]  # fmt: skip


def _pairs(items):
    """A row a curve that both protocols have: KEY, and probability and score of each (suffix _low for bfloat16)."""
    import pandas as pd

    columns = ["id", "readout", "protocol", "kind", "probability", "score"]
    frames = [whole_texts(item["path"], columns).assign(seed=item["seed"]) for item in items]
    frame = pd.concat(frames, ignore_index=True)
    full, low = (frame[frame["protocol"] == name].drop(columns="protocol") for name in (FULL, LOW))
    return full.merge(low, on=KEY, suffixes=("", "_low"), validate="one_to_one")


def _block(pairs, kind, options, seed):
    import pandas as pd

    full, low = (mean_over_seeds(pairs.assign(value=pairs[name]), "value") for name in ("score", "score_low"))
    chosen = ordered(full.columns)
    differences = (low[chosen] - full[chosen]).to_numpy()
    lower, upper = bootstrap_interval(differences, **options["bootstrap"], seed=seed, ragged=True)
    changes = [
        np.abs(low - full).max()
        for full, low in zip(pairs["probability"], pairs["probability_low"], strict=True)
    ]
    largest = pd.Series(changes).groupby(pairs["readout"].to_numpy()).max()
    control = pd.Series({readout: facts(readout)["control"] for readout in chosen})
    ranks = [
        (-KINDS[kind] * scores.mean()[chosen]).mask(control).rank(method="min").to_numpy()
        for scores in (full, low)
    ]
    return pd.DataFrame({
        "readout": chosen, "label": [facts(readout)["label"] for readout in chosen], "control": control.to_numpy(),
        "float32": full.mean()[chosen].to_numpy(), "bfloat16": low.mean()[chosen].to_numpy(),
        "difference": np.nanmean(differences, axis=0), "lower": lower, "upper": upper,
        "largest_change": largest[chosen].to_numpy(), "rank": ranks[0], "rank_bfloat16": ranks[1],
        "examples": (~np.isnan(differences)).sum(axis=0),
    })  # fmt: skip


def latex(frame, options):
    """The table as LaTeX, one a data set, model and kind."""
    groups = frame.groupby(["dataset", "model", "kind"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    dataset, model, kind = key
    lines = [[], []]
    for row in part.itertuples():
        ranks = (
            "--"
            if row.control
            else f"{row.rank:.0f}"
            + ("" if row.rank == row.rank_bfloat16 else rf"$\to${row.rank_bfloat16:.0f}")
        )
        lines[row.control].append(
            [tex.escape(short_label(row.readout)), tex.number(row.float32), tex.number(row.bfloat16),
             tex.number(row.difference, row.lower, row.upper, digits=5), tex.number(row.largest_change, digits=5), ranks]
        )  # fmt: skip
    moved = int((part["rank"] != part["rank_bfloat16"])[~part["control"]].sum())
    notes = [
        tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
        tex.escape(
            "Protocol standard. Change: bfloat16 minus float32; index and exponent: the interval of the paired difference. "
            "Largest: the largest change of a probability anywhere on a curve. Controls stand below the rule, without ranks. "
            f"Readouts whose rank moves: {moved} of {int((~part['control']).sum())}."
        ),
        tex.command_note(options),
    ]
    return tex.table(
        caption=f"{ENTRY.label}, {kind}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{kind}",
        columns=["Readout", f"float32 {tex.ARROWS[KINDS[kind]]}", "bfloat16", "change", "largest", "rank"],
        sections=[section for section in lines if section],
        notes=notes,
    )
