"""How alike all readouts of one model rank tokens: mean Spearman correlation of every pair, as a heat map.

inputs: agreement (all seeds of the model). options: dataset, model, scale, bootstrap. A cell is the mean over
examples, then over seeds; a pair that is never defined (the uniform control) has no cell. Readouts stand by
family.
"""

import numpy as np

from ..artefacts import read_rows
from ..collect import DAGGER, by_model, dataset_label, ordered, provenance, seeds_of, short_label
from ..registry import Output
from .style import figure, foot, heatmap, styled

METRIC = "spearman"

ENTRY = Output(
    id="readout_correlation",
    label="Correlation between readouts",
    needs=("agreement",),
    per="model",
    formats=("pdf", "png"),
)


@styled
def draw(inputs, options):
    """The figure."""
    import pandas as pd

    ((dataset, model), items), *_ = by_model(inputs["agreement"], options).items()
    pairs = pd.concat([read_rows(item["path"]) for item in items], ignore_index=True)
    readouts, values = matrix(pairs)
    side = max(3.6, 1.6 + 0.195 * len(readouts))
    drawn = figure(side + 0.6, side)
    axes = drawn.add_subplot()
    labels = [short_label(readout) for readout in readouts]
    image = heatmap(
        axes,
        values,
        ends=(-1, 1),
        colours="RdBu_r",
        rows=labels,
        columns=labels,
        gaps=0.3,
        texts=np.vectorize(_short)(values),
        size=5.2 if len(readouts) > 16 else 6.5,
    )
    bar = drawn.colorbar(image, ax=axes, shrink=0.5, pad=0.02)
    bar.set_label("Spearman's ρ, mean over examples", size=7.5)
    bar.outline.set_linewidth(0)
    bar.ax.tick_params(labelsize=6.5)
    axes.set_facecolor("0.85")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(labelsize=6.5, length=0)
    for edge in _edges(readouts):
        axes.axhline(edge, color="black", linewidth=0.9)
        axes.axvline(edge, color="black", linewidth=0.9)
    axes.set_title(f"{dataset_label(dataset)}, {model}", loc="left", fontsize=10, weight="bold")
    drawn.tight_layout()
    rows = pairs[pairs["metric"] == METRIC]
    note = provenance(options, examples=rows["examples"], seeds=seeds_of(items), interval=False)
    widest = (rows["upper"] - rows["lower"]).max() / 2
    level = f"{100 * options['bootstrap']['level']:g}%"
    foot(
        drawn,
        f"{note} Cells in hundredths; widest {level} bootstrap interval over examples: ±{widest:.2f}. "
        f"Lines part families; grey: undefined. {DAGGER}",
    )
    return drawn


def matrix(pairs):
    """Return the mean correlations of readouts as a matrix.

    Parameters
    ----------
    pairs : DataFrame
        metric, readout, other, mean.

    Returns
    -------
    readouts : list of str
        In the registry's order.
    values : numpy.ndarray, float64, shape (readouts, readouts)
        NaN where undefined.
    """
    means = pairs[pairs["metric"] == METRIC].groupby(["readout", "other"])["mean"].mean()
    readouts = ordered({readout for pair in means.index for readout in pair})
    places = {readout: place for place, readout in enumerate(readouts)}
    values = np.full((len(readouts), len(readouts)), np.nan)
    np.fill_diagonal(values, 1.0)
    for (readout, other), mean in means.items():
        values[places[readout], places[other]] = values[places[other], places[readout]] = mean
    return readouts, values


def _short(value):
    """A correlation in hundredths, without the digits that every cell would share."""
    return "" if np.isnan(value) else str(round(100 * value))


def _edges(readouts):
    """Where one family ends and the next begins."""
    from ..attribution import method_of

    families = [method_of(readout).family for readout in readouts]
    return [place for place in range(1, len(families)) if families[place] != families[place - 1]]
