"""Comprehensiveness and sufficiency of every readout under every protocol that has a score.

inputs: faithfulness (all methods, seeds), models (any file of each model's folder).
The mean is over training seeds and the examples that have a score under each; the interval is plumbline.stats.mean_interval's,
for a new seed and a new example (one seed: for new examples of this checkpoint). Which readouts are told apart from the best
is said within blocks of comparable scores, see plumbline.tables.standing. Unit: probability of the explained class.

Texts longer than the model's max_tokens are skipped as published (`texts` whole), which makes the sample one of short
texts. Where a run explains longer ones too, cut to max_tokens, rows with `texts` cut stand beside them: the first
texts of the split without a gap, whole or cut.
"""

from ..collect import (
    COMPETING,
    by_model,
    dataset_label,
    facts,
    interval_text,
    provenance_of,
    seed_cells,
    seed_rows,
    seeds_of,
    short_label,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex
from .gaps import remark
from .published import MARKED, beside, in_print, printed
from .standing import note, sections, standing

ENTRY = Output(
    id="comp_suff",
    label="Comprehensiveness and sufficiency",
    needs=("faithfulness", "models", "gaps"),
    options=("bootstrap", "datasets", "faithfulness"),
    published=True,
)

KINDS = {"comp": 1, "suff": -1}  # comp: higher is better; suff: lower
COLUMNS = ["id", "cut", "readout", "protocol", "kind", "score"]


def rows(inputs, options):
    """Make the rows of the table.

    Parameters
    ----------
    inputs : dict
        See the module.
    options : dict
        scale, bootstrap, runs, datasets, faithfulness.

    Returns
    -------
    DataFrame
        One row a data set, model, texts, protocol, kind and readout; see the module for how it is averaged. block, competitors,
        standing, p_best, rank, rank_lowest, rank_highest and best: see plumbline.tables.standing. Columns published_*: see
        plumbline.tables.published.beside; a number in print stands beside the definition that made it.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["faithfulness"]).items():
        tied = _tied(items)
        for (texts, protocol, kind), (cells, readouts) in _scores(items).items():
            seed = seed_of("comp_suff", dataset, model, protocol, kind)
            block = _block(cells, readouts, KINDS[kind], options, seed)
            block.insert(0, "kind", kind)
            block.insert(0, "protocol", protocol)
            block.insert(0, "texts", texts)
            block.insert(0, "model", model)
            block.insert(0, "dataset", dataset)
            block["seeds"] = seeds_of(items)
            block["interval"] = interval_text(options, seeds_of(items))
            block["direction"] = "higher" if KINDS[kind] > 0 else "lower"
            block["tied"] = [tied[texts, protocol, readout] for readout in block["readout"]]
            blocks.append(block)
    frame = beside(pd.concat(blocks, ignore_index=True), ENTRY.id, options, models=inputs["models"])
    frame.insert(0, "scale", options["scale"])
    return frame.drop(columns="published_sd")


def _scores(items):
    """(texts, protocol, kind) -> `seed_cells` of the scores, in the registry's order of protocols."""
    # A protocol without score is a curve alone, and has no place in this table.
    frame = seed_rows(items, COLUMNS).dropna(subset="score")
    frame["score"] = frame["score"].astype(float)
    kinds = _texts(frame)
    return {
        (texts, *key): seed_cells(part, "score")
        for texts, chosen in kinds.items()
        for key, part in _by_protocol(chosen)
    }


def _texts(frame):
    """Texts, whole or cut -> the rows that are averaged."""
    kinds = {"whole": frame[frame["cut"] == 0]}
    if (frame["cut"] > 0).any():
        kinds["cut"] = _without_gap(frame)
    return kinds


def _tied(items):
    """(texts, protocol, readout) -> mean share of the candidates whose score another one has: their order is random."""
    frame = seed_rows(items, [*COLUMNS, "tied"]).dropna(subset="score")
    return {
        (texts, *key): float(value)
        for texts, rows in _texts(frame).items()
        for key, value in rows.groupby(["protocol", "readout"])["tied"].mean().items()
    }


def _without_gap(frame):
    """Rows of the split's first examples up to the first that was not explained, under protocols that take cut texts."""
    protocols = frame.loc[frame["cut"] > 0, "protocol"].unique()
    explained = sorted(frame["id"].unique())
    gap = next((place for place, example in enumerate(explained) if example != place), len(explained))
    return frame[(frame["id"] < gap) & frame["protocol"].isin(protocols)]


def _by_protocol(frame):
    from ..faithfulness import PROTOCOLS

    groups = dict(list(frame.groupby(["protocol", "kind"], sort=True)))
    places = {protocol: place for place, protocol in enumerate(PROTOCOLS)}
    order = sorted(groups, key=lambda key: (places[PROTOCOLS[key[0]].id], key[1]))
    return [(key, groups[key]) for key in order]


def _block(cells, readouts, direction, options, seed):
    import pandas as pd

    about = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in readouts])
    compared = standing(cells, readouts, direction, options["bootstrap"]["level"])
    return about.assign(**over_seeds(cells, **options["bootstrap"], seed=seed), **compared)


def latex(frame, options):
    """The tables as LaTeX: the best readouts by protocol, then all readouts, block by block, a data set and model each."""
    groups = frame.groupby(["dataset", "model", "texts"], sort=False)
    tables = [_headline(frame, options), *[_table(key, part, options) for key, part in groups]]
    return tex.document(ENTRY.label, tables, options)


def _headline(frame, options):
    """The best readout of each block, protocol by protocol, and how many take part and are not told apart from it."""
    from ..faithfulness import PROTOCOLS

    lines = {}
    keys = ["dataset", "model", "texts", "protocol", "kind", "block"]
    for (dataset, model, texts, protocol, kind, block), part in frame.groupby(keys, sort=False):
        if block not in COMPETING or not (part["standing"] == "best").any():
            continue
        best = part[part["standing"] == "best"].iloc[0]
        alike = "not testable" if (part["standing"] == "not testable").any() else int(part["best"].sum())
        about = [PROTOCOLS[protocol].label, "cut" if texts == "cut" else "whole"]
        lines.setdefault((dataset, model), []).append(
            [tex.escape(text) for text in about]
            + [f"{kind} {tex.ARROWS[KINDS[kind]]}", block, tex.escape(short_label(best["readout"]))]
            + [tex.number(best["mean"], best["lower"], best["upper"]), str(alike), str(best["competitors"])]
        )
    return tex.table(
        caption="The best readout by protocol. A protocol is a question of its own: no readout is the best of all.",
        label=f"tab:{ENTRY.id}:best",
        columns=["Protocol", "Texts", "Score", "Block", "Best", "mean", "alike", "of"],
        sections=list(lines.values()),
        headings=[f"{tex.escape(dataset_label(dataset))}, {tex.escape(model)}" for dataset, model in lines],
        notes=[
            tex.escape(
                f"Scale: {options['scale']}. Alike: readouts that are the best or not told apart from it; of: readouts that take "
                f"part. Index and exponent: intervals, {'; '.join(dict.fromkeys(frame['interval']))}."
            ),
            tex.command_note(options),
        ],
    )


def _table(key, part, options):
    from ..faithfulness import PROTOCOLS

    dataset, model, texts = key
    about = ", longer texts cut" if texts == "cut" else ""
    pairs = list(dict.fromkeys(zip(part["protocol"], part["kind"], strict=True)))
    protocols = list(dict.fromkeys(protocol for protocol, _ in pairs))
    groups = [(tex.escape(PROTOCOLS[p].label), sum(q == p for q, _ in pairs)) for p in protocols]
    heads = [f"{kind} {tex.ARROWS[KINDS[kind]]}" for _, kind in pairs]
    published = {} if part["published_value"].isna().all() else _printed(part)
    if published:
        groups.append(("in print", 2))
        heads += [f"{kind} {tex.ARROWS[direction]}" for kind, direction in KINDS.items()]
    cells = {(row.readout, row.protocol, row.kind): _cell(row) for row in part.itertuples()}
    lines, headings = sections(
        part,
        lambda readout: (
            [tex.escape(short_label(readout))]
            + [cells.get((readout, *pair), "--") for pair in pairs]
            + [published.get((readout, kind), "--") for kind in KINDS if published]
        ),
    )
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}{about}."
        + f" {MARKED}" * bool(published),
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{texts}",
        columns=["Readout", *heads],
        groups=groups,
        sections=lines,
        headings=headings,
        notes=_notes(part, published, options),
    )


def _cell(row):
    return tex.number(row.mean, row.lower, row.upper, bold=row.best)


def _printed(part):
    rows = part.dropna(subset="published_value").itertuples()
    return {(row.readout, row.kind): printed(row.published_value, row.published_verdict) for row in rows}


def _notes(part, published, options):
    from ..faithfulness import PROTOCOLS

    counts = part.groupby("protocol", sort=False)["examples"].max()
    each = "; ".join(f"{PROTOCOLS[protocol].label}: {count}" for protocol, count in counts.items())
    notes = [
        tex.escape(provenance_of(part, options)),
        tex.escape(f"Examples: {each}."),
        f"Index and exponent: the interval's ends. {note(part)}",
    ]
    if published:
        notes.append(tex.escape(in_print(part.dropna(subset="published_value"))))
    return [*notes, tex.escape(remark(part)), tex.command_note(options)]
