"""What selective rollout's threshold does: correlation with the input gradient, and how many layers are used.

inputs: tables (selective_rollout.csv). options: scale, bootstrap, selective_rollout. A row of panels a model, at the layer
that the table's summary speaks of, corrected definitions: absolute thresholds beside thresholds as shares of the largest
distance that a text's length allows. Left axis: median correlation of the maximum over rows with its interval, and
ordinary rollout and the first layer alone as horizontal lines; the share of layers used is written beside its dotted line
on the right axis.
"""

from ..registry import Output
from .rollouts import LOOKS, finish, grid, limits, models, shown_layer
from .style import styled

ENTRY = Output(
    id="rollout_thresholds",
    label="Selective rollout by threshold",
    needs=("tables/selective_rollout",),
    options=("bootstrap", "selective_rollout"),
    methods=("selective",),
    formats=("pdf", "png"),
)

PANELS = {
    "selective_rollout": "Threshold τ (Frobenius distance)",
    "selective_rollout_scaled": "Scaled threshold τ / √(n/2)",
}
HORIZONTAL = ("rollout", "first_layer")


@styled
def draw(inputs, options):
    """The figure."""
    found = models(inputs)
    drawn, panels = grid(found, legend=2.2)
    for row, (title, part) in zip(panels, found, strict=True):
        layer = shown_layer(part, options)
        own = part[(part["layer"] == layer) & (part["definition"] == "corrected")]
        for place, (panel, (readout, label)) in enumerate(zip(row, PANELS.items(), strict=True)):
            _panel(panel, own, readout, layer, last=place == len(row) - 1)
            panel.set_xlabel(label)
        row[0].set_title(f"{title}: layer {layer}", loc="left", fontsize=8.5, weight="bold")
        row[0].set_ylabel("Median correlation")
        shown = own[own["readout"].isin((*PANELS, *HORIZONTAL))]
        limits(row[0], shown["median_lower"].min(), shown["median_upper"].max())
    return finish(
        drawn,
        _handles(),
        found,
        options,
        "Corrected: normal network, predicted class, average ranks; maximum over rows. √(n/2) is the largest distance "
        "that n tokens allow. Bars and bands: intervals of the median.",
        legend=2.2,
    )


def _panel(panel, own, readout, layer, last):
    line = own[own["readout"] == readout].sort_values("threshold")
    _, color, marker = LOOKS[readout]
    ends = abs(line[["median_lower", "median_upper"]].to_numpy() - line[["median"]].to_numpy()).T
    panel.errorbar(
        line["threshold"],
        line["median"],
        yerr=ends,
        color=color,
        marker=marker,
        markersize=4,
        linewidth=1.3,
        elinewidth=0.8,
        capsize=2,
    )
    for other in HORIZONTAL:
        row = own[own["readout"] == other].iloc[0]
        panel.axhline(row["median"], color=LOOKS[other][1], linewidth=1.2, linestyle=(0, (4, 1.5)), zorder=1)
        panel.axhspan(
            row["median_lower"], row["median_upper"], color=LOOKS[other][1], alpha=0.1, linewidth=0, zorder=0
        )
    right = panel.twinx()
    right.plot(
        line["threshold"],
        line["used"] / (layer + 1),
        color="0.45",
        linestyle=":",
        marker=".",
        markersize=4,
        linewidth=1.1,
    )
    right.set_ylim(0, 1.08)
    right.spines["right"].set_visible(True)
    if last:
        right.set_ylabel("Share of layers used", color="0.35")
    else:
        right.set_yticklabels([])


def _handles():
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=LOOKS[readout][1],
            marker=LOOKS[readout][2],
            markersize=4,
            linewidth=1.3,
            label=LOOKS[readout][0],
        )
        for readout in PANELS
    ]
    handles += [
        Line2D(
            [], [], color=LOOKS[readout][1], linewidth=1.2, linestyle=(0, (4, 1.5)), label=LOOKS[readout][0]
        )
        for readout in HORIZONTAL
    ]
    return [*handles, Line2D([], [], color="0.45", linestyle=":", marker=".", label="share of layers used")]
