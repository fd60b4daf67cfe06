"""The claim as a ratio and as what it is a ratio of: selective rollout's median correlation over ordinary rollout's.

inputs: tables (selective_rollout.csv). options: scale, bootstrap. A row of panels a model, at the
published threshold. Left: the ratio by layer with its interval, for the published and the corrected definition, where
ordinary rollout's median is surely positive; in print: the star. Right: the medians themselves, selective against ordinary
rollout, a point a layer: far to the left a small gain makes a large ratio.
"""

from ..registry import Output
from .rollouts import finish, grid, models, published_threshold
from .style import styled

ENTRY = Output(
    id="rollout_ratio",
    label="Selective against ordinary rollout: ratio and absolute values",
    needs=("tables/selective_rollout",),
    methods=("selective",),
    formats=("pdf", "png"),
)

LOOKS = {
    "published": ("as published", "#d55e00", "o", "white"),
    "corrected": ("corrected", "#0173b2", "s", "#0173b2"),
}


@styled
def draw(inputs, options):
    """The figure."""
    found = models(inputs)
    drawn, panels = grid(found, legend=1.5, shared=False)
    for (left, right), (title, part) in zip(panels, found, strict=True):
        threshold = published_threshold(part)
        for place, definition in enumerate(LOOKS):
            own = part[part["definition"] == definition]
            chosen = own[(own["readout"] == "selective_rollout") & (own["threshold"] == threshold)]
            joint = own[own["readout"] == "rollout"].set_index("layer").loc[chosen["layer"]]
            _ratios(left, chosen, definition, (place - 0.5) * 0.16)
            _medians(right, chosen, joint, definition)
        _finish_left(left, part)
        left.set_title(f"{title}: τ = {threshold:g}", loc="left", fontsize=8.5, weight="bold")
        _finish_right(right)
    return finish(
        drawn,
        _handles(found),
        found,
        options,
        "Medians over examples of the correlation of the maximum over rows with the input gradient. Ratio to rollout "
        "with all layers, missing where that median is not surely positive; bars: intervals, of the ratio by resampling "
        "both together. Number: layer.",
        legend=1.5,
    )


def _bars(rows, name):
    return abs(rows[[f"{name}_lower", f"{name}_upper"]].to_numpy() - rows[[name]].to_numpy()).T


def _ratios(panel, rows, definition, shift):
    label, color, marker, face = LOOKS[definition]
    rows = rows.dropna(subset="ratio")
    panel.errorbar(
        rows["layer"] + shift,
        rows["ratio"],
        yerr=_bars(rows, "ratio"),
        color=color,
        marker=marker,
        markerfacecolor=face,
        markersize=4,
        linewidth=0,
        elinewidth=1,
        capsize=2,
        label=label,
    )
    printed = rows.dropna(subset="published_value")
    panel.plot(
        printed["layer"], printed["published_value"], color="0.2", marker="*", markersize=9, linestyle=""
    )


def _medians(panel, rows, joint, definition):
    _, color, marker, face = LOOKS[definition]
    panel.errorbar(
        joint["median"],
        rows["median"],
        xerr=_bars(joint, "median"),
        yerr=_bars(rows, "median"),
        color=color,
        marker=marker,
        markerfacecolor=face,
        markersize=4.5,
        linewidth=0,
        elinewidth=0.6,
    )
    for x, y, layer in zip(joint["median"], rows["median"], rows["layer"], strict=True):
        panel.annotate(
            str(layer), (x, y), xytext=(4, -9), textcoords="offset points", fontsize=6.5, color=color
        )


def _finish_left(panel, part):
    panel.axhline(1, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    panel.set_xlabel("Layer")
    panel.set_ylabel("Ratio of medians")
    panel.set_xticks(sorted(part["layer"].unique())[:: max(1, part["layer"].nunique() // 12)])


def _finish_right(panel):
    low = min(0, panel.get_xlim()[0], panel.get_ylim()[0])
    high = max(panel.get_xlim()[1], panel.get_ylim()[1])
    panel.plot([low, high], [low, high], color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    panel.set_xlim(low, high)
    panel.set_ylim(low, high)
    panel.set_xlabel("Median, rollout with all layers")
    panel.set_ylabel("Median, selective rollout")


def _handles(found):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker=marker, markerfacecolor=face, linewidth=0, label=label)
        for label, color, marker, face in LOOKS.values()
    ]
    handles.append(Line2D([], [], color="0.6", linestyle="--", linewidth=0.8, label="no difference"))
    if any(part["published_value"].notna().any() for _, part in found):
        handles.append(Line2D([], [], color="0.2", marker="*", markersize=8, linestyle="", label="in print"))
    return handles
