"""What the three figures of selective rollout share: the table's rows, a panel a model, lines with their looks. No torch."""

from ..collect import dataset_label, provenance, seeds_of, short_label, table_rows
from ..tables import selective_rollout as table
from .style import figure, foot, mark

# Readout without its `_max` -> (label, colour, marker); in grey print the markers tell them apart.
LOOKS = {
    "selective_rollout": ("selective", "#d55e00", "o"),
    "selective_rollout_scaled": ("selective, scaled τ", "#cc78bc", "D"),
    "rollout": ("rollout", "#029e73", "s"),
    "rollout_no_residual": ("rollout, no residual", "#ca9161", "v"),
    "first_layer": ("first layer alone", "#0173b2", "^"),
    "raw_attention": ("raw attention", "#de8f05", "P"),
    "flow": ("attention flow", "#56b4e9", "X"),
    "random": ("random", "#949494", "x"),
    "position": ("position", "#949494", "+"),
}
# Definition -> the metric that belongs to it.
DEFINITIONS = {"corrected": "spearman", "published": "spearman_dense"}


def look(readout):
    """Return the look of a readout: that of LOOKS, or else of its registry entry.

    Parameters
    ----------
    readout : str
        Its id, without `_max`.

    Returns
    -------
    label, colour, marker : str
        As matplotlib takes them.
    """
    if readout in LOOKS:
        return LOOKS[readout]
    found = mark(readout)
    return short_label(readout), found["color"], found["marker"]


def models(inputs):
    """Return the rows of table selective_rollout of each model, maxima over rows and controls alone.

    Parameters
    ----------
    inputs : dict
        See plumbline.collect.

    Returns
    -------
    list of tuple
        (title, rows).
    """
    frame = table_rows(inputs, table.ENTRY.id)
    kept = frame["readout"].str.endswith("_max") | frame["readout"].isin(("random", "position"))
    kept &= frame["definition"].map(DEFINITIONS) == frame["metric"]
    frame = frame[kept].assign(readout=frame["readout"].str.removesuffix("_max"))
    return [
        (f"{dataset_label(dataset)}, {model}", part)
        for (dataset, model), part in frame.groupby(["dataset", "model"], sort=False)
    ]


def published_threshold(part):
    """Return the threshold of the rows that is nearest to the published one."""
    values = part.loc[part["readout"] == "selective_rollout", "threshold"]
    return min(values, key=lambda value: abs(value - table.PUBLISHED_THRESHOLD))


def shown_layer(part, options):
    """Return the layer of which the table's summary speaks."""
    return table.shown_layer(int(part["depth"].iloc[0]), options)


def grid(found, across=2, height=2.5, legend=1.9, shared=True):
    """Make a figure with a row of panels a model.

    Parameters
    ----------
    found : list of tuple
        Of `models`.
    across : int
        Panels of a row.
    height : float
        Of a row, in inches.
    legend : float
        Room on the right for a legend, in inches.
    shared : bool
        Whether the panels of a row have one y axis.

    Returns
    -------
    drawn : matplotlib.figure.Figure
        The figure.
    panels : numpy.ndarray of matplotlib.axes.Axes, shape (models, across)
        Its panels.
    """
    width = 0.3 + 2.9 * across + legend
    drawn = figure(width, 0.45 + height * len(found))
    return drawn, drawn.subplots(len(found), across, squeeze=False, sharey="row" if shared else False)


def finish(drawn, handles, found, options, text, legend=1.9):
    """Add legend, layout and foot to a figure.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure
        Of `grid`.
    handles : list
        Of the legend.
    found : list of tuple
        Of `models`.
    options : dict
        See plumbline.collect.
    text : str
        More of the foot.
    legend : float
        Room on the right for the legend, in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import pandas as pd

    share = 1 - legend / drawn.get_size_inches()[0]
    drawn.tight_layout(rect=(0, 0, share, 1))
    drawn.legend(
        handles=handles, loc="center left", bbox_to_anchor=(share, 0.55), fontsize=7.5, handlelength=2.6
    )
    rows = pd.concat([part for _, part in found])
    seeds = seeds_of([{"seed": seed} for text in rows["seeds"].astype(str).unique() for seed in text.split()])
    whole = rows[rows["readout"] != "flow"]
    interval = "; ".join(rows["interval"].unique())
    foot(drawn, f"{provenance(options, examples=whole['examples'], seeds=seeds, interval=interval)} {text}")
    return drawn


def limits(panel, low, high):
    """Set y limits of a panel around the values `low` to `high`, zero in sight."""
    low, high = min(0.0, low), max(0.0, high)
    room = 0.06 * (high - low or 1.0)
    panel.set_ylim(low - room, high + room)
