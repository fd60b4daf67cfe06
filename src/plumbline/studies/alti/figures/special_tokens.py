"""Mean rank of special tokens by readout and model, as bars.

inputs: tables (special_tokens.csv, which says what a rank is and how means and intervals are made). options: scale,
bootstrap. A panel a data set, a group of bars a readout, a bar a model: the corrected definition (average ranks), all
special tokens of an example together. Shown: the readouts whose entries say so, controls right of the line. A high share means that special tokens are scored high.
"""

import numpy as np

from ..attribution import shown_in
from ..collect import dataset_label, ordered, provenance, seeds_of, short_label, table_rows
from ..registry import Output
from .style import figure, foot, model_marks, plain, styled

ENTRY = Output(
    id="special_tokens",
    label="Rank of special tokens",
    needs=("tables/special_tokens",),
    formats=("pdf", "png"),
)


@styled
def draw(inputs, options):
    """The figure."""
    rows = table_rows(inputs, "special_tokens")
    rows = rows[(rows["definition"] == "corrected") & (rows["token"] == "all")]
    shown = rows["readout"].isin(shown_in("ranks"))
    # A run may take up other readouts alone.
    rows = rows[shown] if (shown & ~rows["control"]).any() else rows
    marks = model_marks(dict(zip(rows["model"], rows["architecture"], strict=True)))
    readouts = _sorted(rows)
    datasets = list(dict.fromkeys(rows["dataset"]))
    height = 1.25 + 1.5 * len(datasets)
    drawn = figure(7.2, height)
    panels = drawn.subplots(len(datasets), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, dataset in zip(panels, datasets, strict=True):
        _panel(panel, rows[rows["dataset"] == dataset], readouts, marks)
        panel.set_title(dataset_label(dataset), loc="left", fontsize=9, weight="bold")
    names = [short_label(readout) for readout in readouts]
    panels[-1].set_xticks(
        range(len(readouts)), names, rotation=40, ha="right", rotation_mode="anchor", fontsize=7.5
    )
    drawn.supylabel("Mean rank / n of special tokens" if len(datasets) > 1 else "Mean rank / n", fontsize=8.5)
    drawn.tight_layout(rect=(0, 0, 1, 1 - 0.25 / height), h_pad=0.6)
    # A model that one panel lacks has its bars in another.
    named = dict(
        pair for panel in panels for pair in zip(*panel.get_legend_handles_labels()[::-1], strict=True)
    )
    order = [plain(model) for model in marks]
    drawn.legend(
        [named[name] for name in order],
        order,
        loc="upper right",
        ncols=len(order),
        fontsize=7.5,
        handleheight=0.9,
    )
    seeds = seeds_of([{"seed": seed} for text in rows["seeds"].unique() for seed in text.split()])
    intervals = "; ".join(dict.fromkeys(rows["interval"]))
    note = provenance(options, examples=rows["examples"], seeds=seeds, interval=intervals)
    foot(
        drawn,
        f"{note} [CLS], [SEP], full stop and comma, the first of each; rank 1: lowest score, ties share their "
        "mean rank; 1 is the highest share, and 0.5 (dotted) what ties alone or chance would give in long texts. "
        "Right of the line: controls.",
    )
    return drawn


def _sorted(rows):
    """Readouts in the registry's order, controls last."""
    readouts = ordered(rows["readout"].unique())
    controls = set(rows.loc[rows["control"], "readout"])
    return sorted(readouts, key=lambda readout: readout in controls)


def _panel(panel, rows, readouts, marks):
    width = 0.8 / len(marks)
    for place, (model, mark) in enumerate(marks.items()):
        own = rows[rows["model"] == model].set_index("readout").reindex(readouts)
        if own["mean"].isna().all():
            continue
        x = np.arange(len(readouts)) + (place - (len(marks) - 1) / 2) * width
        # A percentile interval need not hold the mean of a resampled skew; a bar's whisker has no negative length.
        ends = np.clip([own["mean"] - own["lower"], own["upper"] - own["mean"]], 0, None)
        panel.bar(
            x,
            own["mean"],
            width,
            yerr=ends,
            label=plain(model),
            color=mark["color"],
            hatch=mark["hatch"],
            edgecolor="white",
            linewidth=0.4,
            error_kw={"linewidth": 0.7, "ecolor": "0.15"},
        )
    controls = rows.loc[rows["control"], "readout"].nunique()
    panel.axvline(len(readouts) - controls - 0.5, color="black", linewidth=0.8)
    panel.axhline(0.5, color="0.45", linewidth=0.7, linestyle=":", zorder=0)
    panel.set_ylim(0, 1)
    panel.set_xlim(-0.6, len(readouts) - 0.4)
