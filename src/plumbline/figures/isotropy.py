"""Isotropy by layer: mean cosine of two positions' vectors, embeddings against ALTI's transformed vectors.

inputs: tables (isotropy.csv, which says how means and intervals are made). options: scale, bootstrap. A panel a data
set, two lines a model: solid with triangles, embeddings; dashed with circles, transformed vectors, mean over examples
(the corrected definition). The band is the interval.
"""

import math

from ..collect import dataset_label, provenance, rows_of_table
from ..registry import Output
from .style import figure, foot, model_marks, plain, styled

ENTRY = Output(
    id="isotropy",
    label="Isotropy by layer",
    study="alti",
    needs=("tables/isotropy",),
    formats=("pdf", "png"),
    order=50,
)

LOOKS = {
    "embeddings": {"linestyle": "-", "marker": "v"},
    "transformed": {"linestyle": (0, (4, 1.5)), "marker": "o"},
}
LABELS = {"embeddings": "embeddings $X^l$", "transformed": "transformed vectors $T^l_{ij}$"}


@styled
def draw(inputs, options):
    """The figure."""
    rows = rows_of_table(inputs["tables"], "isotropy")
    rows = rows[rows["definition"] == "corrected"]
    marks = model_marks(dict(zip(rows["model"], rows["architecture"], strict=True)))
    datasets = list(dict.fromkeys(rows["dataset"]))
    across = min(2, len(datasets))
    down = math.ceil(len(datasets) / across)
    width, height = 1.9 + 2.8 * across, 0.5 + 2.4 * down
    drawn = figure(width, height)
    panels = drawn.subplots(down, across, sharey=True, squeeze=False).flatten()
    for panel, dataset in zip(panels, datasets, strict=False):
        _panel(panel, rows[rows["dataset"] == dataset], marks)
        panel.set_title(dataset_label(dataset), loc="left", fontsize=9, weight="bold")
    for panel in panels[len(datasets) :]:
        panel.set_axis_off()
    for place in range(len(datasets)):
        panels[place].tick_params(labelleft=True)
        if place + across >= len(datasets):
            panels[place].set_xlabel("Layer $l$")
    for row in range(down):
        panels[row * across].set_ylabel("Cosine of two positions")
    drawn.tight_layout(rect=(0, 0, 1 - 1.7 / width, 1))
    _legend(drawn, marks, 1 - 1.7 / width)
    note = provenance(options, examples=rows["examples"], seeds=rows["seeds"].iloc[0])
    foot(drawn, f"{note} Two positions drawn an example and layer, special tokens included; embeddings at l are the "
                "layer's input, the last ones the last layer's output; transformed vectors: mean over targets i, then over "
                "examples. Bands: intervals.")  # fmt: skip
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


def _legend(drawn, marks, left):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linewidth=1.3, markersize=4, marker="s", label=plain(model),
               color=mark["color"], fillstyle=mark["fillstyle"])
        for model, mark in marks.items()
    ]  # fmt: skip
    handles += [
        Line2D([], [], linewidth=1.3, markersize=4, color="0.25", label=LABELS[vectors], **look)
        for vectors, look in LOOKS.items()
    ]
    drawn.legend(
        handles=handles, loc="center left", bbox_to_anchor=(left, 0.55), fontsize=7.5, handlelength=3
    )
