"""Correlation with the input gradient by layer: selective rollout, its controls and its rivals.

inputs: tables (selective_rollout.csv, which says what is correlated and how intervals are made). options: scale,
bootstrap. A row of panels a model: as published (doubled embedding, class 1, dense ranks) beside corrected; a line a
readout, maximum over rows, the median over examples with its interval as a band. Selective rollout: at the published
threshold, and at the scaled one in the middle of those of the configuration.
"""

from ..registry import Output
from .rollouts import LOOKS, finish, grid, limits, look, models, published_threshold
from .style import styled

ENTRY = Output(
    id="rollout_layers",
    label="Rollouts and the input gradient by layer",
    needs=("tables/selective_rollout",),
    methods=("selective",),
    formats=("pdf", "png"),
)

TITLES = {"published": "as published", "corrected": "corrected"}


@styled
def draw(inputs, options):
    """The figure."""
    found = models(inputs)
    drawn, panels = grid(found)
    for row, (title, part) in zip(panels, found, strict=True):
        lines = _lines(part)
        for panel, (definition, name) in zip(row, TITLES.items(), strict=True):
            own = part[part["definition"] == definition]
            for readout, threshold in lines:
                _line(panel, own, readout, threshold)
            panel.axhline(0, color="0.8", linewidth=0.6, zorder=0)
            panel.set_title(
                f"{title if panel is row[0] else ''}\n{name}", loc="left", fontsize=8.5, weight="bold"
            )
            panel.set_xlabel("Layer")
            panel.xaxis.get_major_locator().set_params(integer=True)
        limits(row[0], part["median_lower"].min(), part["median_upper"].max())
        row[0].set_ylabel("Median correlation")
    handles = _handles(found)
    return finish(
        drawn,
        handles,
        found,
        options,
        "Correlation of the maximum over rows with the input gradient, over the tokens of a text, special tokens "
        "included; bands: intervals of the median. As published the gradient's sum is rounding noise. Attention flow: "
        "corrected, of the first short texts alone.",
    )


def _lines(part):
    """[(readout, threshold or None)] that are drawn: of the scaled thresholds the middle one."""
    shares = sorted(part.loc[part["readout"] == "selective_rollout_scaled", "threshold"].unique())
    chosen = {
        "selective_rollout": published_threshold(part),
        "selective_rollout_scaled": shares[len(shares) // 2],
    }
    here = dict.fromkeys(part["readout"])
    ordered = [name for name in LOOKS if name in here] + [name for name in here if name not in LOOKS]
    return [(readout, chosen.get(readout)) for readout in ordered]


def _line(panel, own, readout, threshold):
    own = own[own["readout"] == readout]
    own = own if threshold is None else own[own["threshold"] == threshold]
    _, color, marker = look(readout)
    style = _style(readout)
    panel.plot(own["layer"], own["median"], color=color, marker=marker, **style)
    panel.fill_between(
        own["layer"], own["median_lower"], own["median_upper"], color=color, alpha=0.1, linewidth=0
    )


def _style(readout):
    thin = readout in ("random", "position")
    dashed = (0, (4, 1.5)) if readout in ("rollout", "first_layer") or thin else "-"
    return {"linestyle": dashed, "linewidth": 0.9 if thin else 1.3, "markersize": 4}


def _handles(found):
    from matplotlib.lines import Line2D

    lines = dict(line for _, part in found for line in _lines(part))
    return [
        Line2D(
            [],
            [],
            color=look(readout)[1],
            marker=look(readout)[2],
            label=_label(readout, threshold),
            **_style(readout),
        )
        for readout, threshold in lines.items()
    ]


def _label(readout, threshold):
    label, *_ = look(readout)
    if threshold is None:
        return label
    return f"{label} = {threshold:g}" if "τ" in label else f"{label}, τ = {threshold:g}"
