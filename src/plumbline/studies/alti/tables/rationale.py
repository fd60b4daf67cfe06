"""Known truth: how well each readout finds the tokens that decide the label.

inputs: attributions (all methods, seeds, the oracle's scores above 0 are the rationale).
R-precision: the share of rationale tokens among the top k candidates, k the example's number of rationale
tokens; its expectation over random orders of tied tokens. Average precision: as scikit-learn's average_precision_score,
which takes tied tokens together. Candidates are all tokens but the first, the last and the one that is read out (the
class token, the mask), as in the perturbation protocols. Signed readouts are ranked as they are. Both measures
lie in [0, 1]; their mean is over training seeds and the examples that have a rationale, the interval is
plumbline.stats.mean_interval's. What is told apart from the best is said within blocks, see plumbline.tables.standing.
"""

import numpy as np

from ..artefacts import open_rows
from ..attribution import READOUTS, method_of
from ..collect import (
    by_model,
    dataset_label,
    facts,
    interval_text,
    ordered,
    provenance,
    seed_cells,
    seeds_of,
    short_label,
    whole_texts,
)
from ..errors import PlumblineError
from ..faithfulness.ranking import candidates, special, top_chances
from ..registry import Output
from ..seeds import seed_of
from ..stats import over_seeds
from . import latex as tex
from .gaps import remark
from .standing import note, sections, standing

ENTRY = Output(
    id="rationale",
    label="Precision against the known rationale",
    needs=("attributions", "gaps"),
)

MEASURES = {"r_precision": "R-precision", "average_precision": "Average precision"}


def r_precision(scores, truth):
    """Compute the share of true candidates among the top k, k their number.

    It is the expectation over random orders of tied candidates.

    Parameters
    ----------
    scores : numpy.ndarray, float, shape (readouts, candidates)
        Higher is more important.
    truth : numpy.ndarray, bool, shape (candidates,)
        At least one is true.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts,)
        In [0, 1].
    """
    return top_chances(scores, truth.sum())[:, truth].mean(axis=1)


def average_precision(scores, truth):
    """Compute the mean over true candidates of the precision among all that score at least as high.

    Parameters
    ----------
    scores, truth
        See `r_precision`.

    Returns
    -------
    numpy.ndarray, float64, shape (readouts,)
        In [0, 1].
    """
    above = scores[:, None, :] >= scores[:, truth, None]  # (readouts, true, candidates)
    return ((above & truth).sum(axis=2) / above.sum(axis=2)).mean(axis=1)


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
        One row a data set, model, measure and readout. `examples` counts those that have a rationale token. Models without
        oracle scores (no known truth) are left out.

    Raises
    ------
    PlumblineError
        Where no model has oracle scores.
    """
    import pandas as pd

    blocks = []
    for (dataset, model), items in by_model(inputs["attributions"]).items():
        seeds = {}
        for item in items:
            seeds.setdefault(item["seed"], {})[item["method"]] = item["path"]
        measured = [(seed, _measure(files)) for seed, files in seeds.items()]
        found = [part.assign(seed=seed) for seed, part in measured if part is not None]
        if not found:
            continue
        scores = pd.concat(found, ignore_index=True)
        for measure in MEASURES:
            cells, readouts = seed_cells(scores, measure)
            block = _block(cells, readouts, options, seed_of("rationale", dataset, model, measure))
            about = {"dataset": dataset, "model": model, "measure": measure, "seeds": seeds_of(items)}
            blocks.append(block.assign(**about, interval=interval_text(options, about["seeds"])))
    if not blocks:
        raise PlumblineError(
            "table 'rationale' needs known-truth data (an oracle), and no run has it: take it out of `tables`"
        )
    frame = pd.concat(blocks, ignore_index=True).assign(scale=options["scale"])
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
    compared = ["block", "competitors", "standing", "p_best", "rank", "rank_lowest", "rank_highest", "best"]
    return frame[[*first, "mean", "lower", "upper", *compared, "examples", "seeds", "interval"]]


def _measure(files):
    """One row an example and readout, with both measures; None without oracle scores. files: method -> path, of one trained model."""
    import pandas as pd

    known = method_of("oracle").id
    if known not in files or READOUTS["oracle"].column not in open_rows(files[known]).schema_arrow.names:
        return None
    frames = {method: whole_texts(path).set_index("id") for method, path in sorted(files.items())}
    oracle = frames[known]
    for method, frame in frames.items():
        if not frame.index.equals(oracle.index):
            raise PlumblineError(f"{files[method]} has other examples than {files[known]}: make both again")
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
        raise PlumblineError(f"{files[known]} has no rationale token at all: make the data again")
    return pd.concat(found, ignore_index=True)


def _block(cells, readouts, options, seed):
    import pandas as pd

    about = pd.DataFrame([{"readout": readout, **facts(readout)} for readout in readouts])
    compared = standing(cells, readouts, 1, options["bootstrap"]["level"])
    return about.assign(**over_seeds(cells, **options["bootstrap"], seed=seed), **compared)


def latex(frame, options):
    """The table as LaTeX: a row a readout, two columns (the measures) a model, one table a data set."""
    tables = [_table(dataset, part, options) for dataset, part in frame.groupby("dataset", sort=False)]
    return tex.document(ENTRY.label, tables, options)


def _table(dataset, part, options):
    models = list(dict.fromkeys(part["model"]))
    cells = {
        (row.readout, row.model, row.measure): tex.number(
            row.mean, row.lower, row.upper, bold=row.best, digits=2
        )
        for row in part.itertuples()
    }
    order = {readout: place for place, readout in enumerate(ordered(part["readout"].unique()))}
    lines, headings = sections(
        part.sort_values("readout", key=lambda column: column.map(order), kind="stable"),
        lambda readout: [
            tex.escape(short_label(readout)),
            *[cells.get((readout, model, measure), "--") for model in models for measure in MEASURES],
        ],
    )
    return tex.table(
        caption=f"{ENTRY.label}: {tex.escape(dataset_label(dataset))}.",
        label=f"tab:{ENTRY.id}:{dataset}",
        columns=["Readout", *[f"{head} {tex.ARROWS[1]}" for _ in models for head in ("R-prec.", "AP")]],
        groups=[(tex.escape(model), len(MEASURES)) for model in models],
        sections=lines,
        headings=headings,
        notes=[
            tex.escape(
                provenance(
                    options,
                    examples=part["examples"],
                    seeds=part["seeds"].iloc[0],
                    interval="; ".join(dict.fromkeys(part["interval"])),
                )
            ),
            "R-prec.: share of rationale tokens among the top k, k their number, tied tokens by their chance in a random order; AP: "
            f"average precision. Index and exponent: the interval's ends. {note(part)}",
            tex.escape(remark(part)),
            tex.command_note(options),
        ],
    )
