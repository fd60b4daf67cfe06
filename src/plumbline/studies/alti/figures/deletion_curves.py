"""Deletion curves of one model: the explained probability as tokens go one by one.

inputs: tables (deletion_curves.csv of the model, whose module says how it is averaged and what the band is). Two
panels: comp (the top tokens go) and suff (the top tokens alone stay). Shown is the probability, of which the tables' comp and
suff are falls: where comp is high, the curve is low. Shown: the readouts whose entries
say so where some are there (else all), controls in grey.
"""

from ..attribution import shown_in
from ..collect import dataset_label, provenance, short_label, table_rows
from ..registry import Output
from .style import figure, foot, mark, styled

ENTRY = Output(
    id="deletion_curves",
    label="Deletion curves",
    needs=("tables/deletion_curves",),
    per="model",
    options=(),
    formats=("pdf", "png"),
)

PANELS = {
    # The probability itself; comp and suff of the tables are its falls, so their arrows point the other way.
    "comp": ("Deletion: a lower curve is better", "Most relevant tokens removed"),
    "suff": ("Insertion: a higher curve is better", "Most relevant tokens kept"),
}


@styled
def draw(inputs, options):
    """The figure."""
    frame = table_rows(inputs, "deletion_curves", options)
    frame = frame[frame["readout"].isin(_shown(frame))]
    first = frame.iloc[0]
    drawn = figure(7.2, 3.3)
    panels = drawn.subplots(1, 2, sharey=True)
    for panel, (kind, (title, label)) in zip(panels, PANELS.items(), strict=True):
        _panel(panel, frame[frame["kind"] == kind])
        panel.set_title(title, fontsize=9)
        panel.set_xlabel(label)
    panels[0].set_ylabel("Probability of the explained class")
    panels[0].set_ylim(0, 1.02)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.tight_layout(rect=(0, 0, 0.82, 0.94))
    drawn.legend(
        handles, labels, loc="center left", bbox_to_anchor=(0.82, 0.53), fontsize=7.5, handlelength=3.4
    )
    drawn.suptitle(
        f"{dataset_label(first['dataset'])}, {first['model']}", x=0.01, ha="left", fontsize=10, weight="bold"
    )
    note = provenance(options, examples=[frame["examples"].max()], seeds=first["seeds"], interval=False)
    foot(
        drawn,
        f"{note} Band: the mean's interval, {first['interval']}. Running minimum (left) and maximum (right) of the probability, as published; a text "
        "that has no token left keeps its last value. Grey: controls.",
    )
    return drawn


def _shown(frame):
    """The readouts that stand in figures of curves; every readout where none but controls is there."""
    shown = frame["readout"].isin(shown_in("curves"))
    return set(frame["readout"] if frame.loc[shown, "control"].all() else frame.loc[shown, "readout"])


def _panel(panel, frame):
    # Controls first, so that they are drawn below and lead the legend.
    frame = frame.sort_values("control", ascending=False, kind="stable")
    for place, (readout, rows) in enumerate(frame.groupby("readout", sort=False)):
        control = rows["control"].iloc[0]
        look, every = mark(readout), max(4, len(rows) // 8)
        line = {"linewidth": 0.9, "markersize": 2.5} if control else {"linewidth": 1.3, "markersize": 3.2}
        panel.plot(
            rows["step"],
            rows["mean"],
            **look,
            **line,
            markevery=(place % every, every),
            label=short_label(readout),
            zorder=2 if control else 3,
        )
        panel.fill_between(
            rows["step"], rows["lower"], rows["upper"], color=look["color"], alpha=0.10, linewidth=0, zorder=1
        )
    panel.margins(x=0.02)
    panel.xaxis.get_major_locator().set_params(integer=True)
