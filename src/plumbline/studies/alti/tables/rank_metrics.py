"""What tables of rank agreement share: headings and notes of the metrics, means over seeds, a table with print beside."""

from ..collect import facts, interval_text, ordered, percent, short_label
from ..stats import summary_interval
from . import latex as tex
from .published import MARKED, printed

HEADS = {
    "spearman": r"$\rho$",
    "spearman_dense": r"$\rho$ dense",
    "kendall": r"$\tau$",
    "top_k_overlap": "top 25\\%",
    "top_k_overlap_published": r"top 25\% published",
}
NOTE = (
    r"Higher: more alike. $\rho$: Spearman, average ranks; $\rho$ dense: the published formula, dense ranks; "
    r"$\tau$: Kendall's $\tau_b$; top 25\%: Jaccard overlap of the top quarter of tokens (published: tied tokens from the lower position on). Special tokens count."
)


def head(metric):
    """Return a metric's heading in LaTeX."""
    return HEADS.get(metric, tex.escape(metric))


def by_metric(frame):
    """Group rows by metric and readout.

    Parameters
    ----------
    frame : DataFrame
        With the columns metric and readout.

    Returns
    -------
    list of tuple
        ((metric, readout), rows), in the registries' order.
    """
    from ..agreement import METRICS

    groups = dict(list(frame.groupby(["metric", "readout"])))
    order = [(metric, readout) for metric in METRICS for readout in ordered(frame["readout"].unique())]
    return [(key, groups[key]) for key in order if key in groups]


def averaged(pairs, level):
    """Average rows of pairs over seeds.

    Parameters
    ----------
    pairs : DataFrame
        One row a seed, metric and readout: mean, sd (population, over examples), examples, lower, upper.
    level : float
        Coverage of the intervals, in (0, 1).

    Returns
    -------
    DataFrame
        One row a metric and readout, in the registries' order, with the readout's facts. mean and sd are means over the seeds'
        rows, `examples` their smallest number. lower and upper are plumbline.stats.summary_interval's over seeds and examples,
        of a single seed its own.
    """
    import pandas as pd

    rows = []
    for (metric, readout), part in by_metric(pairs):
        lower, upper = part["lower"].iloc[0], part["upper"].iloc[0]
        if len(part) > 1:
            ends = summary_interval(
                *(part[[key]].to_numpy() for key in ("mean", "sd", "examples")), level=level
            )
            lower, upper = (float(end[0]) for end in ends)
        rows.append(
            {
                "metric": metric,
                "readout": readout,
                **{key: part[key].mean() for key in ("mean", "sd")},
                "lower": lower,
                "upper": upper,
                "examples": part["examples"].min(),
                **facts(readout),
            }
        )
    return pd.DataFrame(rows)


def averaged_text(options, seeds):
    """Return how the intervals of `averaged` were made.

    Parameters
    ----------
    options : dict
        bootstrap.
    seeds : str
        Of collect.seeds_of.

    Returns
    -------
    str
    """
    if len(seeds.split()) == 1:
        return interval_text(options, seeds)
    level = percent(options["bootstrap"]["level"])
    return f"{level} over training seeds and examples, from each seed's mean and standard deviation (at most too wide)"


def beside_print(part, *, caption, label, heading, notes):
    """Return one LaTeX table: a row a readout, a column a metric, and the published means beside where there are any.

    Controls stand below a rule; the caption says what the verdicts' marks mean.

    Parameters
    ----------
    part : DataFrame
        readout, metric, control, mean, lower, upper, published_mean, published_verdict.
    caption, label : str
        In LaTeX.
    heading : str
        Above the metrics' columns, in LaTeX.
    notes : list of str
        LaTeX lines below the table.

    Returns
    -------
    str
    """
    metrics = list(dict.fromkeys(part["metric"]))
    known = part.dropna(subset="published_mean")
    beside = list(dict.fromkeys(known["metric"]))
    cells = {
        (row.readout, row.metric): tex.number(row.mean, row.lower, row.upper) for row in part.itertuples()
    }
    published = {
        (row.readout, row.metric): printed(row.published_mean, row.published_verdict)
        for row in known.itertuples()
    }
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
        caption=caption + f" {MARKED}" * bool(beside),
        label=label,
        columns=["Readout", *map(head, (*metrics, *beside))],
        groups=[(heading, len(metrics))] + ([("in print", len(beside))] if beside else []),
        sections=sections,
        notes=notes,
    )
