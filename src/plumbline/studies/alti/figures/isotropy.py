"""Isotropy by layer: mean cosine of two positions' vectors, embeddings against ALTI's transformed vectors.

inputs: tables (isotropy.csv, which says how means and intervals are made). options: scale, bootstrap. A panel a data
set, two lines a model: solid with triangles, embeddings; dashed with circles, transformed vectors, mean over examples
(the corrected definition). The band is the interval.
"""

import math

from ..collect import dataset_label, provenance, seeds_of, table_rows
from ..registry import Output
from .style import figure, foot, model_marks, plain, styled

ENTRY = Output(
    id="isotropy",
    label="Isotropy by layer",
    needs=("tables/isotropy",),
    formats=("pdf", "png"),
)

LOOKS = {
    "embeddings": {"linestyle": "-", "marker": "v"},
    "transformed": {"linestyle": (0, (4, 1.5)), "marker": "o"},
}
LABELS = {"embeddings": "embeddings $X^l$", "transformed": "transformed vectors $T^l_{ij}$"}


@styled
def draw(inputs, options):
    """The figure."""
    rows = table_rows(inputs, "isotropy")
    rows = rows[rows["definition"] == "corrected"]
    marks = model_marks(dict(zip(rows["model"], rows["architecture"], strict=True)))
    datasets = list(dict.fromkeys(rows["dataset"]))
    across = min(2, len(datasets))
    down = math.ceil(len(datasets) / across)
    # The legend takes the place of a panel that is left over, else it stands on the right.
    spare = across * down > len(datasets)
    width, height = (0 if spare else 1.7) + 0.2 + 2.8 * across, 0.5 + 2.4 * down
    drawn = figure(width, height)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False).flatten()
    for place, (panel, dataset) in enumerate(zip(panels, datasets, strict=False)):
        _panel(panel, rows[rows["dataset"] == dataset], marks)
        panel.set_title(dataset_label(dataset), loc="left", fontsize=9, weight="bold")
        if place + across >= len(datasets):
            panel.set_xlabel("Layer $l$")
        if place % across == 0:
            panel.set_ylabel("Cosine of two positions")
    drawn.tight_layout(rect=(0, 0, 1 if spare else 1 - 1.7 / width, 1))
    place = {"loc": "center left", "fontsize": 7.5, "handlelength": 3, "handles": _handles(marks)}
    if spare:
        panels[-1].set_axis_off()
        panels[-1].legend(**place)
    else:
        drawn.legend(**place, bbox_to_anchor=(1 - 1.7 / width, 0.55))
    seeds = seeds_of([{"seed": seed} for text in rows["seeds"].unique() for seed in text.split()])
    intervals = "; ".join(dict.fromkeys(rows["interval"]))
    note = provenance(options, examples=rows["examples"], seeds=seeds, interval=intervals)
    foot(
        drawn,
        f"{note} Two positions drawn an example and layer, special tokens included; embeddings at l are the "
        "layer's input, the last ones the last layer's output; transformed vectors: mean over targets i, then over "
        "examples. Bands: intervals.",
    )
    return drawn


def _panel(panel, rows, marks):
    for (model, vectors), line in rows.groupby(["model", "vectors"], sort=False):
        look = {key: marks[model][key] for key in ("color", "fillstyle")} | LOOKS[vectors]
        panel.plot(line["layer"], line["mean"], linewidth=1.3, markersize=4, **look)
        panel.fill_between(
            line["layer"], line["lower"], line["upper"], color=look["color"], alpha=0.18, linewidth=0
        )
    panel.axhline(0, color="0.8", linewidth=0.6, zorder=0)
    panel.set_ylim(min(0, rows["lower"].min()) - 0.03, 1.02)
    panel.xaxis.get_major_locator().set_params(integer=True)


def _handles(marks):
    """The legend's: a square a model, whose colour and fill it has, and a grey line a kind of vectors."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            linewidth=1.3,
            markersize=4,
            marker="s",
            label=plain(model),
            color=mark["color"],
            fillstyle=mark["fillstyle"],
        )
        for model, mark in marks.items()
    ]
    return handles + [
        Line2D([], [], linewidth=1.3, markersize=4, color="0.25", label=LABELS[vectors], **look)
        for vectors, look in LOOKS.items()
    ]
