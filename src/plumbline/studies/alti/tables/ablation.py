"""What each defect of the ALTI reference does to comprehensiveness and sufficiency, one defect at a time.

inputs: faithfulness (all methods, seeds). The starting point is protocol `standard` with corrected readouts: raw
probabilities, mean over the five bins. Each defect is put back alone:

envelope          the running minimum (comp) or maximum (suff) in place of the probability itself
doubled_embedding gradients of a function that applies the embedding block twice (agreement: and of the softmax over
                  positions instead of the sigmoid); readouts of gradient and integrated gradients
raw_norms         GlobEnc without dividing rows by their sum
ddof              the Bessel-corrected standard deviation in ALTI; norm_rollout and globenc do not depend on it, since
                  their rows are divided by their sum
sigmoid           blank-out as softmax minus sigmoid
all               every one of them together, and the convention: what the published tables show

A convention is no defect (column `convention`):

division          the sum over five bins divided by six. DeYoung et al. 2020 divide by |B| + 1 in the paper and by |B| in
                  their code. It makes every score 5/6 of what it was, so it moves no rank.

A readout has a row under a defect that can move it. Means are over training seeds and examples; the interval is
plumbline.stats.mean_interval's of the paired difference (one seed: for this checkpoint). Ranks are among the corrected readouts of
the model in one block (signed, unsigned, see plumbline.tables.standing), 1 the best; under a defect those that it touches are
replaced, the others stay. A rank that moves may be noise: `reversals` counts the pairs of a block that the paired tests (Holm over all
pairs) tell apart both with and without the defect, the other way round. Unit: probability of the explained class.
"""

import numpy as np

from ..collect import (
    COMPETING,
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
from ..stats import all_pairs, complete_mean, over_seeds, told_apart
from . import latex as tex
from .gaps import remark
from .standing import ranks, sections

ENTRY = Output(
    id="ablation",
    label="Defects and conventions of the reference, one at a time",
    needs=("faithfulness", "gaps"),
)

KINDS = {"comp": 1, "suff": -1}  # comp: higher is better; suff: lower
# What changes the score, then defects of a definition by the method that has them corrected.
OF_SCORE = ("envelope", "division")
CONVENTIONS = ("division",)
OF_METHOD = {
    "gradient": "doubled_embedding",
    "ig": "doubled_embedding",
    "norms": "raw_norms",
    "alti": "ddof",
    "blankout": "sigmoid",
}
DEFECTS = (*OF_SCORE, *dict.fromkeys(OF_METHOD.values()), "all")


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
        One row a data set, model, kind, defect or convention, and readout that it can move. ranking_changed, best_changed:
        whether any rank, or a block's best readout, is another one under the defect, noise or not. reversals: how many pairs
        are told apart the other way round.

    Raises
    ------
    PlumblineError
        Where no model has scores under protocol `standard`.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["faithfulness"]).items():
        curves = _curves(items)
        for kind in KINDS:
            block = _block(
                curves[curves["kind"] == kind], kind, options, seed_of(ENTRY.id, dataset, model, kind)
            )
            if len(block):
                seeds = seeds_of(items)
                about = {"dataset": dataset, "model": model, "kind": kind, "seeds": seeds}
                interval = f"{interval_text(options, seeds)}, of the paired difference"
                blocks.append(block.assign(**about, interval=interval))
    if not blocks:
        raise PlumblineError(
            "table 'ablation' starts from protocol 'standard', which no run has: add it to `faithfulness`, or take the "
            "table out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    frame["convention"] = frame["defect"].isin(CONVENTIONS)
    first = [
        "scale",
        "dataset",
        "model",
        "kind",
        "defect",
        "convention",
        "readout",
        "label",
        "block",
        "corrected",
        "with_defect",
    ]
    return frame[
        [
            *first,
            "difference",
            "lower",
            "upper",
            "rank",
            "rank_with_defect",
            "ranking_changed",
            "best_changed",
            "reversals",
            "examples",
            "seeds",
            "interval",
        ]
    ]


def _curves(items):
    """Curves under `standard`: id, seed, readout, kind, probability, score; texts that were cut are left out."""
    import pandas as pd

    columns = ["id", "readout", "protocol", "kind", "probability", "score"]
    frames = [whole_texts(item["path"], columns).assign(seed=item["seed"]) for item in items]
    frame = pd.concat(frames, ignore_index=True)
    return frame[frame["protocol"] == "standard"]


def scores(curves, kind, defects=()):
    """Compute the scores of curves under some of the defects of the score.

    A score is p - mean of the curve beyond its index 0, so p, the probability on the full text, is recovered.

    Parameters
    ----------
    curves : DataFrame
        probability and score.
    kind : {'comp', 'suff'}
        Of the curves.
    defects : collection of str
        Of 'envelope' and 'division'.

    Returns
    -------
    numpy.ndarray, float64, shape (rows,)
        In units of probability.
    """
    values = np.array(curves["probability"].tolist(), dtype=np.float64)
    full = curves["score"].to_numpy(dtype=np.float64) + values[:, 1:].mean(axis=1)
    if "envelope" in defects:
        running = np.minimum if kind == "comp" else np.maximum
        values = running.accumulate(values, axis=1)
    falls = full[:, None] - values[:, 1:]
    return falls.sum(axis=1) / (6 if "division" in defects else 5)


def _block(curves, kind, options, seed):
    import pandas as pd

    if not len(curves):
        return pd.DataFrame()
    by_score = {
        defects: seed_cells(curves.assign(value=scores(curves, kind, defects)), "value")
        for defects in ((), ("envelope",), ("division",), OF_SCORE)
    }
    by_score = {
        defects: {readout: cells[:, :, place] for place, readout in enumerate(readouts)}
        for defects, (cells, readouts) in by_score.items()
    }
    readouts = [readout for readout in by_score[()] if block_of(readout) in COMPETING]
    corrected = {readout: by_score[()][readout] for readout in readouts}
    start = _Compared(corrected, kind, options)
    found = []
    for defect in DEFECTS:
        moved = _moved(defect, readouts, by_score)
        if moved:
            found.append(_of_defect(defect, moved, start, options, seed))
    return pd.concat(found, ignore_index=True)


def _moved(defect, readouts, by_score):
    """readout -> its scores (seeds, examples) under a defect, for the readouts that the defect can move."""
    from ..attribution import method_of

    if defect in OF_SCORE:
        return {readout: by_score[defect,][readout] for readout in readouts}
    base = by_score[OF_SCORE if defect == "all" else ()]
    found = {}
    for readout in readouts:
        twin = f"{readout}_published"
        own = OF_METHOD.get(method_of(readout).id)  # None: a definition of another work's
        if own and twin in base and defect in ("all", own):
            found[readout] = base[twin]
        elif defect == "all":
            found[readout] = base[readout]
    return found


class _Compared:
    """Readouts' scores, their means and ranks, and which of a block are told apart.

    scores: readout -> float64 (seeds, examples); signs: block -> int64 (readouts, readouts), see stats.told_apart.
    """

    def __init__(self, scores, kind, options):
        self.scores, self.kind = scores, kind
        self.readouts = list(scores)
        cells = np.stack(list(scores.values()), axis=2)
        self.mean, _ = complete_mean(cells)
        self.rank = ranks(self.mean, self.readouts, KINDS[kind])
        level = options["bootstrap"]["level"]
        blocks = np.array([block_of(readout) for readout in self.readouts])
        self.signs = {
            block: told_apart(all_pairs(cells[:, :, blocks == block], level=level), level=level)
            for block in COMPETING
            if (blocks == block).any()
        }

    def reversals(self, other):
        """The number of pairs of a block that are told apart in both, the other way round."""
        return sum(int((signs * other.signs[block] < 0).sum()) // 2 for block, signs in self.signs.items())


def _of_defect(defect, moved, start, options, seed):
    import pandas as pd

    end = _Compared({**start.scores, **moved}, start.kind, options)
    differences = np.stack([values - start.scores[readout] for readout, values in moved.items()], axis=2)
    numbers = over_seeds(differences, **options["bootstrap"], seed=seed)
    places = [start.readouts.index(readout) for readout in moved]
    return pd.DataFrame(
        {
            "defect": defect,
            "readout": list(moved),
            "label": [facts(readout)["label"] for readout in moved],
            "block": [block_of(readout) for readout in moved],
            "corrected": start.mean[places],
            "with_defect": end.mean[places],
            "difference": numbers.pop("mean"),
            **numbers,
            "rank": start.rank[places],
            "rank_with_defect": end.rank[places],
            "ranking_changed": bool((start.rank != end.rank).any()),
            "best_changed": bool(((start.rank == 1) != (end.rank == 1)).any()),
            "reversals": start.reversals(end),
        }
    )


HEADS = {"envelope": "envelope", "definition": "definition", "division": "sum/6 (convention)", "all": "all"}


def latex(frame, options):
    """The table as LaTeX, one a data set, model and kind: what each defect adds, ranks before and after behind it."""
    groups = frame.groupby(["dataset", "model", "kind"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    dataset, model, kind = key
    # A readout has at most one defect of its definition, so these share a column.
    column = part["defect"].where(part["defect"].isin(HEADS), "definition")
    cells = {(row.readout, place): _cell(row) for row, place in zip(part.itertuples(), column, strict=True)}
    start = part.drop_duplicates("readout").set_index("readout")
    lines, headings = sections(
        part,
        lambda readout: (
            [tex.escape(short_label(readout)), tex.number(start.loc[readout, "corrected"])]
            + [cells.get((readout, place), "--") for place in HEADS]
        ),
    )
    changed = part[part["ranking_changed"]].drop_duplicates("defect")["defect"].tolist()
    best = part[part["best_changed"]].drop_duplicates("defect")["defect"].tolist()
    counts = part.drop_duplicates("defect").set_index("defect")["reversals"]
    turned = ", ".join(f"{defect} {count}" for defect, count in counts.items() if count)
    notes = [
        tex.escape(provenance_of(part, options)),
        tex.escape(
            "What each defect of the reference adds to the corrected score; index and exponent: the interval of the "
            "paired difference; in brackets the rank, corrected and with the defect, where it moves. Definition: "
            f"{', '.join(dict.fromkeys(OF_METHOD.values()))}, as the readout has it. Sum/6: DeYoung et al.'s |B| + 1, a "
            "convention and no defect; it rescales every score."
        ),
        tex.escape(
            f"Ranks move, noise or not, under: {', '.join(changed) or 'none'}; the best readout of a block under: "
            f"{', '.join(best) or 'none'}. Pairs told apart the other way round: {turned or 'none'}."
        ),
        tex.escape(remark(part)),
        tex.command_note(options),
    ]
    return tex.table(
        caption=f"{ENTRY.label}, {kind}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{kind}",
        columns=["Readout", f"corrected {tex.ARROWS[KINDS[kind]]}", *HEADS.values()],
        sections=lines,
        headings=headings,
        notes=notes,
    )


def _cell(row):
    text = tex.number(row.difference, row.lower, row.upper)
    moved = row.rank != row.rank_with_defect
    return text + (rf" ({row.rank:.0f}$\to${row.rank_with_defect:.0f})" if moved else "")
