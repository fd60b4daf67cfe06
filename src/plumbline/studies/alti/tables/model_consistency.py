"""How alike two models explain the same sentences: a BERT and a DistilBERT with one vocabulary.

inputs: model_consistency, models (any file of each model's folder). Compared are the sentences that both models read as
the same tokens and predict alike, seed by seed: models of one training seed with each other. Means are over sentences,
then over seeds; intervals are for a new seed and a new sentence, see plumbline.tables.rank_metrics.averaged. Units: none; correlations in [-1, 1], overlap in [0, 1].
"""

from ..artefacts import read_rows
from ..collect import (
    dataset_label,
    provenance_of,
)
from ..errors import PlumblineError
from ..registry import Output
from . import latex as tex
from .gaps import remark
from .published import beside, in_print
from .rank_metrics import NOTE, averaged, averaged_text, beside_print

ENTRY = Output(
    id="model_consistency",
    label="Consistency between models",
    needs=("model_consistency", "models", "gaps"),
    options=("bootstrap", "datasets"),
    published=True,
)


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
        One row a data set, pair of models, metric and readout. `sd` is the population standard deviation over sentences,
        averaged over seeds; `examples` the smallest number of sentences among the seeds. Columns published_*: see
        plumbline.tables.published.beside; published_checkpoint is 'same' where both models are the published ones, fetched and
        not trained further.

    Raises
    ------
    PlumblineError
        Where no two models can be compared.
    """
    import pandas as pd

    if not inputs.get("model_consistency"):
        raise PlumblineError(
            "'model_consistency' compares a BERT with a DistilBERT on one data set and seed, and no runs have both: add "
            "one, or take it out of `tables` and `figures`"
        )
    blocks = []
    for item in inputs["model_consistency"]:
        dataset, pair = item["dataset"], (item["model"], item["other"])
        pairs = read_rows(item["path"])
        seeds = " ".join(map(str, sorted(pairs["seed"].astype(int).unique())))
        block = averaged(pairs, options["bootstrap"]["level"])
        block = block.assign(seeds=seeds, interval=averaged_text(options, seeds))
        blocks.append(block.assign(dataset=dataset, model=pair[0], other=pair[1]))
    frame = pd.concat(blocks, ignore_index=True)
    frame = beside(frame, ENTRY.id, options, models=inputs["models"], statistics=[("mean", "mean")])
    frame = frame.assign(
        scale=options["scale"],
        difference=frame["mean"] - frame["published_mean"],
    )
    first = ["scale", "dataset", "model", "other", "metric", "readout"]
    return frame[first + [column for column in frame if column not in first]]


def latex(frame, options):
    """The table as LaTeX, one table a data set and pair of models; controls below a rule of their own."""
    groups = frame.groupby(["dataset", "model", "other"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    dataset, model, other = key
    return beside_print(
        part,
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)} and {tex.escape(other)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{other}",
        heading="mean over sentences",
        notes=_notes(part, options),
    )


def _notes(part, options):
    notes = [
        tex.escape(provenance_of(part, options)),
        f"{NOTE} Sentences that both models predict alike. Index and exponent: the interval's ends.",
    ]
    if part["published_mean"].notna().any():
        notes.append(tex.escape(in_print(part.dropna(subset="published_mean"))))
    return [*notes, tex.escape(remark(part)), tex.command_note(options)]
