"""Isotropy: mean cosine of two positions' vectors by layer, embeddings against ALTI's transformed vectors.

inputs: isotropy (one file a seed), models (any file of each model's folder). What is measured stands in
plumbline.attribution.isotropy. Two means: as published, over all values, so that of the transformed vectors, of which
a sentence has as many as tokens, long sentences weigh more; corrected, over examples. Means are over
training seeds as well, intervals are plumbline.stats.mean_interval's (one seed: for this checkpoint). Unit: none, a cosine, in [-1, 1].
"""

from ..collect import (
    by_model,
    dataset_label,
    interval_text,
    metrics_of,
    provenance_of,
    seed_rows,
    seeds_of,
)
from ..registry import Output
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex
from .published import MARKED, beside, in_print, printed

ENTRY = Output(
    id="isotropy",
    label="Isotropy: cosine of two positions' vectors",
    needs=("isotropy", "models"),
    options=("bootstrap", "datasets"),
    published=True,
)

VECTORS = ("embeddings", "transformed")
DEFINITIONS = ("corrected", "published")
HEADS = {
    ("embeddings", "corrected"): "cosine",
    ("transformed", "corrected"): "over examples",
    ("transformed", "published"): "over all values",
}


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
        One row a data set, model, kind of vectors, layer and definition (published or corrected). A published number stands
        beside the published definition where the model has as many layers as the published one; columns published_*: see
        plumbline.tables.published.beside.
    """
    import pandas as pd

    models = by_model(inputs["models"])
    blocks = []
    for (dataset, model), items in by_model(inputs["isotropy"]).items():
        metrics = metrics_of(models[dataset, model][0])
        frame = seed_rows(items)
        for vectors in VECTORS:
            own = frame[frame["vectors"] == vectors]
            seed = seed_of(ENTRY.id, dataset, model, vectors)
            block = _block(own, options, seed)
            about = {"dataset": dataset, "model": model, "architecture": metrics["architecture"]}
            seeds = seeds_of(items)
            blocks.append(
                block.assign(**about, vectors=vectors, seeds=seeds, interval=interval_text(options, seeds))
            )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
    frame = beside(frame, ENTRY.id, options, models=inputs["models"])
    first = ["scale", "dataset", "model", "architecture", "vectors", "layer", "definition"]
    last = [f"published_{name}" for name in ("value", "checkpoint", "verdict", "why", "source")]
    return frame[[*first, "mean", "lower", "upper", "examples", "seeds", "interval", *last]]


def _block(own, options, seed):
    """Rows of one model and kind of vectors."""
    import pandas as pd

    # In double precision: single would be summed in single.
    wide = own.astype({"cosine": float}).set_index(["seed", "id", "layer"])["cosine"].unstack("layer")
    seeds, examples = (sorted(wide.index.unique(level)) for level in ("seed", "id"))
    wide = wide.reindex(pd.MultiIndex.from_product([seeds, examples], names=["seed", "id"]))
    cells = wide.to_numpy().reshape(len(seeds), len(examples), -1)
    # The text, and so its number of tokens, is the same in every layer and under every seed.
    sizes = own.groupby("id")["values"].first().to_numpy(dtype=float)
    blocks = [
        pd.DataFrame(
            {
                "layer": wide.columns.astype(int),
                "definition": definition,
                **over_seeds(cells, **options["bootstrap"], seed=seed, weights=weights),
            }
        )
        for definition, weights in zip(DEFINITIONS, (None, sizes), strict=True)
    ]
    return pd.concat(blocks).sort_values("layer", kind="stable", ignore_index=True)


def latex(frame, options):
    """The table as LaTeX, one table a data set and model, a row a layer."""
    tables = [_table(key, part, options) for key, part in frame.groupby(["dataset", "model"], sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(key, part, options):
    dataset, model = key
    cells = {(row.vectors, row.layer, row.definition): row for row in part.itertuples()}
    shown = bool(part["published_value"].notna().any())
    groups, heads, columns = [], [], []
    for vectors in VECTORS:
        own = [pair for pair in HEADS if pair[0] == vectors]
        heads += [HEADS[pair] for pair in own] + ["in print"] * shown
        columns += [(*pair, "mean") for pair in own] + [(vectors, "published", "print")] * shown
        groups.append((vectors, len(own) + shown))
    lines = [
        [
            str(layer),
            *[_cell(cells.get((vectors, layer, definition)), what) for vectors, definition, what in columns],
        ]
        for layer in sorted(part["layer"].unique())
    ]
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)}."
        + f" {MARKED}" * shown,
        label=f"tab:{ENTRY.id}:{dataset}:{model}",
        columns=["Layer", *heads],
        groups=groups,
        sections=[lines],
        notes=_notes(part, shown, options),
    )


def _cell(row, what):
    if row is None or what == "print" and row.published_verdict is None:
        return "--"
    if what == "print":
        return printed(row.published_value, row.published_verdict)
    return tex.number(row.mean, row.lower, row.upper)


def _notes(part, shown, options):
    notes = [
        tex.escape(provenance_of(part, options)),
        "Embeddings: the layer's input, in the last row the last layer's output. Transformed vectors: mean over examples "
        "(corrected), and over all values (as published), where long sentences weigh more; for embeddings the two are "
        "one. Index and exponent: the interval's ends.",
    ]
    if shown:
        notes.append(tex.escape(in_print(part.dropna(subset="published_value"))))
    return [*notes, tex.command_note(options)]
