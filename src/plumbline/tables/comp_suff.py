"""Comprehensiveness and sufficiency of every readout under every protocol that has a score.

inputs: faithfulness (all methods, seeds), models (any file of each model's folder).
A score is averaged over seeds example by example; the interval is a bootstrap over examples, so it says
nothing about the spread between seeds. Unit: probability of the explained class.

Texts longer than the model's max_tokens are skipped as published (`texts` whole), which makes the sample one of short
texts. Where a run explains longer ones too, cut to max_tokens, rows with `texts` cut stand beside them: the first
texts of the split without a gap, whole or cut.
"""

from ..collect import (
    DAGGER,
    by_model,
    dataset_label,
    facts,
    interval_text,
    mean_over_seeds,
    metrics_of,
    provenance,
    seed_rows,
    seeds_of,
    short_label,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import latex as tex
from .published import entries_of, in_print

ENTRY = Output(
    id="comp_suff",
    label="Comprehensiveness and sufficiency",
    study="alti",
    needs=("faithfulness", "models"),
    order=10,
)

KINDS = {"comp": 1, "suff": -1}  # comp: higher is better; suff: lower
COLUMNS = ["id", "cut", "readout", "protocol", "kind", "score"]


def rows(inputs, options):
    """One row a data set, model, texts, protocol, kind and readout; see the module for how it is averaged.

    options: scale, bootstrap. `best` marks the best readout that is no control; published_value stands beside
    the definition that made it, and published_checkpoint says whether the model is the published one.
    """
    import pandas as pd

    models = by_model(inputs["models"])
    blocks = []
    for (dataset, model), items in by_model(inputs["faithfulness"]).items():
        published = _published(dataset, metrics_of(models[dataset, model][0]))
        for (texts, protocol, kind), scores in _scores(items).items():
            block = _block(scores, options, seed_of("comp_suff", dataset, model, protocol, kind))
            block.insert(0, "kind", kind)
            block.insert(0, "protocol", protocol)
            block.insert(0, "texts", texts)
            block.insert(0, "model", model)
            block.insert(0, "dataset", dataset)
            block["seeds"] = seeds_of(items)
            block["interval"] = interval_text(options)
            block["direction"] = "higher" if KINDS[kind] > 0 else "lower"
            block["best"] = _best(block, KINDS[kind])
            numbers = [published.get((texts, protocol, kind, readout), {}) for readout in block["readout"]]
            for column in ("value", "checkpoint", "source"):
                block[f"published_{column}"] = [number.get(column) for number in numbers]
            blocks.append(block)
    frame = pd.concat(blocks, ignore_index=True)
    frame["published_value"] = frame["published_value"].astype(float)
    frame.insert(0, "scale", options["scale"])
    return frame


def _scores(items):
    """(texts, protocol, kind) -> examples-by-readouts frame of scores, in the registry's order of protocols."""
    # A protocol without score is a curve alone, and has no place in this table.
    frame = seed_rows(items, COLUMNS).dropna(subset="score")
    frame["score"] = frame["score"].astype(float)
    kinds = {"whole": frame[frame["cut"] == 0]}
    if (frame["cut"] > 0).any():
        kinds["cut"] = _without_gap(frame)
    return {
        (texts, *key): mean_over_seeds(part, "score")
        for texts, chosen in kinds.items()
        for key, part in _by_protocol(chosen)
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


def _block(scores, options, seed):
    import pandas as pd

    lower, upper = bootstrap_interval(scores.to_numpy(), **options["bootstrap"], seed=seed, ragged=True)
    numbers = {
        "mean": scores.mean().to_numpy(),
        "lower": lower,
        "upper": upper,
        "examples": scores.notna().sum().to_numpy(),
    }
    about = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in scores.columns])
    return about.assign(**numbers)


def _best(block, direction):
    means = (direction * block["mean"]).where(~block["control"])
    return means == means.max()


def _published(dataset, metrics):
    """(texts, protocol, kind, readout) -> {value, source, checkpoint: 'same' or 'other'}."""
    numbers = {}
    for entry in entries_of("comp_suff", dataset, metrics):
        about = {key: entry[key] for key in ("source", "checkpoint")}
        for readout, pair in entry["values"].items():
            for kind, value in zip(KINDS, pair, strict=True):
                numbers["whole", entry["protocol"], kind, readout] = {"value": value, **about}
    return numbers


def latex(frame, options):
    """The table as LaTeX, one table a data set and model; best in bold, controls below a rule of their own."""
    groups = frame.groupby(["dataset", "model", "texts"], sort=False)
    tables = [_table(key, part, options) for key, part in groups]
    return tex.document(ENTRY.label, tables, options)


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
    sections = []
    for control in (False, True):
        chosen = part[part["control"] == control].drop_duplicates("readout")
        lines = [
            [tex.escape(short_label(row.readout))]
            + [cells.get((row.readout, *pair), "--") for pair in pairs]
            + [published.get((row.readout, kind), "--") for kind in KINDS if published]
            for row in chosen.itertuples()
        ]
        sections += [lines] if lines else []
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}{about}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{texts}",
        columns=["Readout", *heads],
        groups=groups,
        sections=sections,
        notes=_notes(part, published, options),
    )


def _cell(row):
    return tex.number(row.mean, row.lower, row.upper, bold=row.best)


def _printed(part):
    rows = part.dropna(subset="published_value").itertuples()
    return {(row.readout, row.kind): tex.number(row.published_value) for row in rows}


def _notes(part, published, options):
    from ..faithfulness import PROTOCOLS

    counts = part.groupby("protocol", sort=False)["examples"].max()
    each = "; ".join(f"{PROTOCOLS[protocol].label}: {count}" for protocol, count in counts.items())
    seeds = part["seeds"].iloc[0]
    notes = [
        tex.escape(provenance(options, examples=part["examples"], seeds=seeds)),
        tex.escape(f"Examples: {each}."),
        "Index and exponent: the interval's ends. Bold: best of those that are not controls (last block).",
    ]
    if published:
        notes.append(tex.escape(in_print(part.dropna(subset="published_value"))))
    return [*notes, tex.escape(DAGGER), tex.command_note(options)]
