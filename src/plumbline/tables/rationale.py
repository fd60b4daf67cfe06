"""Known truth: how well each readout finds the tokens that decide the label.

inputs: attributions (all methods, seeds, the oracle's among them: its scores above 0 are the rationale).
R-precision: the share of rationale tokens among the top k candidates, k the example's number of rationale
tokens; its expectation over random orders of tied tokens. Average precision: as scikit-learn's average_precision_score,
which takes tied tokens together. Candidates are all tokens but the first, the last and the one that is read out (the
class token, the mask), as in the perturbation protocols. Signed readouts are ranked as they are. Both measures
lie in [0, 1]; they are averaged over seeds example by example, then bootstrapped over examples.
"""

import numpy as np

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
from ..errors import PlumblineError
from ..faithfulness.ranking import candidates, special, top_chances
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import latex as tex

ENTRY = Output(
    id="rationale",
    label="Precision against the known rationale",
    study="alti",
    needs=("attributions",),
    order=30,
)

MEASURES = {"r_precision": "R-precision", "average_precision": "Average precision"}


def r_precision(scores, truth):
    """The share of true candidates among the top k, k their number; expectation over random orders of tied ones.

    scores: float (readouts, candidates); truth: bool (candidates,), at least one true. float64 (readouts,).
    """
    return top_chances(scores, truth.sum())[:, truth].mean(axis=1)


def average_precision(scores, truth):
    """Mean over true candidates of the precision among all that score at least as high; shapes as above."""
    above = scores[:, None, :] >= scores[:, truth, None]  # (readouts, true, candidates)
    return ((above & truth).sum(axis=2) / above.sum(axis=2)).mean(axis=1)


def rows(inputs, options):
    """One row a data set, model, measure and readout. options: scale, bootstrap.

    `examples` counts those that have a rationale token. Models without an oracle file (no known truth) are left
    out; PlumblineError where none has one.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"]).items():
        seeds = {}
        for item in items:
            seeds.setdefault(item["seed"], {})[item["method"]] = item["path"]
        found = [_measure(files).assign(seed=seed) for seed, files in seeds.items() if "oracle" in files]
        if not found:
            continue
        scores = pd.concat(found, ignore_index=True)
        for measure in MEASURES:
            block = _block(
                mean_over_seeds(scores, measure), options, seed_of("rationale", dataset, model, measure)
            )
            blocks.append(block.assign(dataset=dataset, model=model, measure=measure, seeds=seeds_of(items)))
    if not blocks:
        raise PlumblineError(
            "table 'rationale' needs known-truth data (an oracle), and no run has it: take it out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(
        scale=options["scale"], interval=interval_text(options)
    )
    first = [
        "scale",
        "dataset",
        "model",
        "measure",
        "readout",
        "label",
        "method",
        "control",
        "published_definition",
    ]
    return frame[[*first, "mean", "lower", "upper", "best", "examples", "seeds", "interval"]]


def _measure(files):
    """One row an example and readout, with both measures. files: method -> path, of one trained model."""
    import pandas as pd

    frames = {method: whole_texts(path).set_index("id") for method, path in sorted(files.items())}
    oracle = frames["oracle"]
    for method, frame in frames.items():
        if not frame.index.equals(oracle.index):
            raise PlumblineError(
                f"{files[method]} has other examples than {files['oracle']}: make both again"
            )
    columns = {
        column.removeprefix("scores_"): frame[column].to_numpy()
        for frame in frames.values()
        for column in frame.columns
        if column.startswith("scores_")
    }
    found = []
    for index, (example, position) in enumerate(oracle["position"].items()):
        tokens = oracle["tokens"][example]
        places = candidates(len(tokens), position, special(tokens))
        truth = columns["oracle"][index][places] > 0
        if not truth.any():
            continue
        scores = np.stack([vectors[index][places] for vectors in columns.values()])
        measures = {
            "r_precision": r_precision(scores, truth),
            "average_precision": average_precision(scores, truth),
        }
        found.append(pd.DataFrame({"id": example, "readout": list(columns), **measures}))
    if not found:
        raise PlumblineError(f"{files['oracle']} has no rationale token at all: make the data again")
    return pd.concat(found, ignore_index=True)


def _block(scores, options, seed):
    import pandas as pd

    lower, upper = bootstrap_interval(scores.to_numpy(), **options["bootstrap"], seed=seed, ragged=True)
    block = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in scores.columns]).assign(
        mean=scores.mean().to_numpy(), lower=lower, upper=upper, examples=scores.notna().sum().to_numpy()
    )
    means = block["mean"].where(~block["control"])
    return block.assign(best=means == means.max())


def latex(frame, options):
    """The table as LaTeX: a row a readout, two columns (the measures) a model, one table a data set."""
    tables = [_table(dataset, part, options) for dataset, part in frame.groupby("dataset", sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(dataset, part, options):
    models = list(dict.fromkeys(part["model"]))
    cells = {(row.readout, row.model, row.measure): tex.number(row.mean, row.lower, row.upper, bold=row.best, digits=2)
             for row in part.itertuples()}  # fmt: skip
    sections = []
    for control in (False, True):
        chosen = ordered(part.loc[part["control"] == control, "readout"].unique())
        lines = [
            [
                tex.escape(short_label(r)),
                *[cells.get((r, model, m), "--") for model in models for m in MEASURES],
            ]
            for r in chosen
        ]
        sections += [lines] if lines else []
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}.",
        label=f"tab:{ENTRY.id}:{dataset}",
        columns=["Readout", *[f"{head} {tex.ARROWS[1]}" for _ in models for head in ("R-prec.", "AP")]],
        groups=[(tex.escape(model), len(MEASURES)) for model in models],
        sections=sections,
        notes=[
            tex.escape(provenance(options, examples=part["examples"], seeds=part["seeds"].iloc[0])),
            "R-prec.: share of rationale tokens among the top k, k their number, ties to the lower position; AP: "
            "average precision. Index and exponent: the interval's ends. Bold: best of those that are not controls.",
            tex.escape(DAGGER),
            tex.command_note(options),
        ],
    )
