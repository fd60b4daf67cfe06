"""What forward passes in bfloat16 change: comprehensiveness and sufficiency beside those in float32, readout by readout.

inputs: faithfulness (all methods, seeds), of protocols `standard` and `standard_bfloat16`, on the examples that both have. Means
are over training seeds and examples; the interval is plumbline.stats.mean_interval's of the paired difference, bfloat16 minus float32
(one seed: for this checkpoint). `largest_change` is the largest change of a probability anywhere on a curve. Ranks are among the
readouts of a block (signed, unsigned, see plumbline.tables.standing), 1 the best; the other blocks have none. Unit: probability of
the explained class.
"""

import numpy as np

from ..collect import (
    block_of,
    by_model,
    dataset_label,
    facts,
    interval_text,
    provenance_of,
    seed_cells,
    seeds_of,
    short_label,
    whole_texts,
)
from ..errors import PlumblineError
from ..registry import Output
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex
from .gaps import remark
from .standing import ranks, sections

ENTRY = Output(
    id="precision",
    label="Forward passes in bfloat16 against float32",
    needs=("faithfulness", "gaps"),
)

KINDS = {"comp": 1, "suff": -1}  # comp: higher is better; suff: lower
FULL, LOW = "standard", "standard_bfloat16"
KEY = ["id", "seed", "readout", "kind"]


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
        One row a data set, model, kind and readout.

    Raises
    ------
    PlumblineError
        Where no model has both protocols.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["faithfulness"]).items():
        curves = _pairs(items)
        for kind in KINDS:
            part = curves[curves["kind"] == kind]
            if len(part):
                block = _block(part, kind, options, seed_of(ENTRY.id, dataset, model, kind))
                seeds = seeds_of(items)
                about = {"dataset": dataset, "model": model, "kind": kind, "seeds": seeds}
                interval = f"{interval_text(options, seeds)}, of the paired difference"
                blocks.append(block.assign(**about, interval=interval))
    if not blocks:
        raise PlumblineError(
            f"table '{ENTRY.id}' compares protocols '{FULL}' and '{LOW}', and no run has both: add them to `faithfulness`, or "
            "take the table out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    first = [
        "scale",
        "dataset",
        "model",
        "kind",
        "readout",
        "label",
        "control",
        "block",
        "float32",
        "bfloat16",
    ]
    return frame[
        [
            *first,
            "difference",
            "lower",
            "upper",
            "largest_change",
            "rank",
            "rank_bfloat16",
            "examples",
            "seeds",
            "interval",
        ]
    ]


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

    (full, chosen), (low, _) = (seed_cells(pairs, name) for name in ("score", "score_low"))
    changes = [
        np.abs(low - full).max()
        for full, low in zip(pairs["probability"], pairs["probability_low"], strict=True)
    ]
    largest = pd.Series(changes).groupby(pairs["readout"].to_numpy()).max()
    means, means_low = (over_seeds(cells, **options["bootstrap"], seed=seed)["mean"] for cells in (full, low))
    difference = over_seeds(low - full, **options["bootstrap"], seed=seed)
    return pd.DataFrame(
        {
            "readout": chosen,
            **{key: [facts(name)[key] for name in chosen] for key in ("label", "control")},
            "block": [block_of(name) for name in chosen],
            "float32": means,
            "bfloat16": means_low,
            "difference": difference.pop("mean"),
            **difference,
            "largest_change": largest[chosen].to_numpy(),
            "rank": ranks(means, chosen, KINDS[kind]),
            "rank_bfloat16": ranks(means_low, chosen, KINDS[kind]),
        }
    )


def latex(frame, options):
    """The table as LaTeX, one a data set, model and kind."""
    groups = frame.groupby(["dataset", "model", "kind"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    dataset, model, kind = key
    rows_of = {row.readout: row for row in part.itertuples()}
    lines, headings = sections(part, lambda readout: _line(rows_of[readout]))
    moved = int((part["rank"] != part["rank_bfloat16"])[part["rank"].notna()].sum())
    notes = [
        tex.escape(provenance_of(part, options)),
        tex.escape(
            "Protocol standard. Change: bfloat16 minus float32; index and exponent: the interval of the paired difference. "
            "Largest: the largest change of a probability anywhere on a curve. Ranks are within signed and unsigned scores. "
            f"Readouts whose rank moves: {moved} of {int(part['rank'].notna().sum())}."
        ),
        tex.escape(remark(part)),
        tex.command_note(options),
    ]
    return tex.table(
        caption=f"{ENTRY.label}, {kind}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{kind}",
        columns=["Readout", f"float32 {tex.ARROWS[KINDS[kind]]}", "bfloat16", "change", "largest", "rank"],
        sections=lines,
        headings=headings,
        notes=notes,
    )


def _line(row):
    """Cells of one readout."""
    rank = "--"
    if not np.isnan(row.rank):
        moved = "" if row.rank == row.rank_bfloat16 else rf"$\to${row.rank_bfloat16:.0f}"
        rank = f"{row.rank:.0f}{moved}"
    return [
        tex.escape(short_label(row.readout)),
        tex.number(row.float32),
        tex.number(row.bfloat16),
        tex.number(row.difference, row.lower, row.upper, digits=5),
        tex.number(row.largest_change, digits=5),
        rank,
    ]
