"""How alike two models explain the same sentences: a BERT and a DistilBERT with one vocabulary.

inputs: model_consistency, models (any file of each model's folder). Compared are the sentences that both models read as
the same tokens and predict alike, seed by seed: models of one training seed with each other. Means are over sentences,
then over seeds; the ends of the interval are the means of the seeds' ends (each a bootstrap over sentences), which is
wider than an interval of the seed mean. Units: none; correlations in [-1, 1], overlap in [0, 1].
"""

from pathlib import Path

from ..artefacts import read_rows
from ..collect import (
    DAGGER,
    by_model,
    dataset_label,
    facts,
    interval_text,
    metrics_of,
    ordered,
    provenance,
    short_label,
)
from ..errors import PlumblineError
from ..registry import Output
from . import latex as tex

ENTRY = Output(
    id="model_consistency",
    label="Consistency between models",
    study="alti",
    needs=("model_consistency", "models"),
    order=61,
)

PUBLISHED = Path(__file__).resolve().parents[3] / "resources" / "published.yaml"
HEADS = {
    "spearman": r"$\rho$",
    "spearman_dense": r"$\rho$ dense",
    "kendall": r"$\tau$",
    "top_k_overlap": "top 25\\%",
}


def rows(inputs, options):
    """One row a data set, pair of models, metric and readout.

    options: scale, bootstrap. `sd` is the population standard deviation over sentences, averaged over seeds;
    `examples` the smallest number of sentences among the seeds. published_checkpoint: 'same' where both models are the
    published ones, fetched and not trained further. Raises PlumblineError where no two models can be compared.
    """
    import pandas as pd

    if not inputs.get("model_consistency"):
        raise PlumblineError(
            "'model_consistency' compares a BERT with a DistilBERT on one data set and seed, and no runs have both: add "
            "one, or take it out of `tables` and `figures`"
        )
    models = by_model(inputs["models"])
    blocks = []
    for item in inputs["model_consistency"]:
        dataset, pair = item["dataset"], (item["model"], item["other"])
        block = averaged(read_rows(item["path"]))
        published = _published(dataset, [metrics_of(models[dataset, model][0]) for model in pair])
        numbers = [published.get(key, {}) for key in zip(block["metric"], block["readout"], strict=True)]
        for column in ("mean", "sd", "checkpoint", "source"):
            block[f"published_{column}"] = [number.get(column) for number in numbers]
        blocks.append(block.assign(dataset=dataset, model=pair[0], other=pair[1]))
    frame = pd.concat(blocks, ignore_index=True)
    for column in ("published_mean", "published_sd"):
        frame[column] = frame[column].astype(float)
    frame = frame.assign(
        scale=options["scale"],
        interval=interval_text(options),
        difference=frame["mean"] - frame["published_mean"],
    )
    first = ["scale", "dataset", "model", "other", "metric", "readout"]
    return frame[first + [column for column in frame if column not in first]]


def averaged(pairs):
    """The artefact averaged over seeds: one row a metric and readout, in the registries' order."""
    from ..agreement import METRICS

    how = {"mean": "mean", "lower": "mean", "upper": "mean", "sd": "mean", "examples": "min"}
    means = pairs.groupby(["metric", "readout"], sort=True).agg(how)
    order = [(metric, readout) for metric in METRICS for readout in ordered(pairs["readout"].unique())]
    means = means.loc[[key for key in order if key in means.index]].reset_index()
    about = [facts(readout) for readout in means["readout"]]
    means = means.assign(**{key: [fact[key] for fact in about] for key in about[0]})
    return means.assign(seeds=" ".join(str(int(seed)) for seed in sorted(pairs["seed"].unique())))


def _published(dataset, metrics):
    """(metric, readout) -> {mean, sd, source, checkpoint: 'same' or 'other'}; of several, the first, final one."""
    import yaml

    numbers = {}
    for entry in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))["model_consistency"]:
        kinds = [entry["architecture"], entry["other_architecture"]]
        if entry["dataset"] != dataset or kinds != [fact["architecture"] for fact in metrics]:
            continue
        about = {"source": entry["source"], "checkpoint": _checkpoint(entry, metrics)}
        for readout, (mean, sd) in entry["values"].items():
            numbers.setdefault((entry["metric"], readout), {"mean": mean, "sd": sd, **about})
    return numbers


def _checkpoint(entry, metrics):
    """'same' where both models are the published checkpoints; repositories by name, since the hub moves owners."""
    wanted = [name.strip().split("/")[-1] for name in entry["checkpoint"].split(";")]
    found = [str(fact.get("repo")).split("/")[-1] for fact in metrics]
    fetched = all(fact["source"] == "hub" and not fact["epochs"] for fact in metrics)
    return "same" if fetched and wanted == found else "other"


def latex(frame, options):
    """The table as LaTeX, one table a data set and pair of models; controls below a rule of their own."""
    groups = frame.groupby(["dataset", "model", "other"], sort=False)
    return tex.document(ENTRY.label, [_table(key, part, options) for key, part in groups], options)


def _table(key, part, options):
    dataset, model, other = key
    metrics = list(dict.fromkeys(part["metric"]))
    printed = part.dropna(subset="published_mean")
    beside = list(dict.fromkeys(printed["metric"]))
    cells = {
        (row.readout, row.metric): tex.number(row.mean, row.lower, row.upper) for row in part.itertuples()
    }
    published = {(row.readout, row.metric): tex.number(row.published_mean) for row in printed.itertuples()}
    sections = []
    for control in (False, True):
        lines = [
            [tex.escape(short_label(readout))]
            + [cells.get((readout, metric), "--") for metric in metrics]
            + [published.get((readout, metric), "--") for metric in beside]
            for readout in ordered(part.loc[part["control"] == control, "readout"].unique())
        ]
        sections += [lines] if lines else []
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}, {tex.escape(model)} and {tex.escape(other)}.",
        label=f"tab:{ENTRY.id}:{dataset}:{model}:{other}",
        columns=["Readout", *[HEADS.get(metric, tex.escape(metric)) for metric in (*metrics, *beside)]],
        groups=[("mean over sentences", len(metrics))] + ([("in print", len(beside))] if beside else []),
        sections=sections,
        notes=_notes(part, printed, options),
    )


def _notes(part, printed, options):
    notes = [
        tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
        r"Higher: more alike. $\rho$: Spearman, average ranks; $\rho$ dense: the published formula, dense ranks; "
        r"$\tau$: Kendall's $\tau_b$; top 25\%: Jaccard overlap of the top quarter of tokens. Sentences that both models "
        r"predict alike; special tokens count. Index and exponent: the interval's ends, averaged over seeds.",
    ]
    if len(printed):
        other = (
            " (other checkpoints than these models)"
            if "other" in set(printed["published_checkpoint"])
            else ""
        )
        notes.append(tex.escape(f"In print{other}: {printed['published_source'].iloc[0]}."))
    return [*notes, tex.escape(DAGGER), tex.command_note(options)]
