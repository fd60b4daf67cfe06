"""Consistency between two models on the same sentences: a bar a readout, with its interval; a panel a pair of models.

inputs: model_consistency. options: scale, bootstrap. A bar is the mean dense-rank Spearman correlation, as in print,
over the sentences that both models read as the same tokens and predict alike, then over training seeds, with the interval
of the table of this name. All readouts in the registry's order, controls last.
"""

from ..artefacts import read_rows
from ..collect import DAGGER, dataset_label, facts, ordered, short_label
from ..errors import PlumblineError
from ..registry import Output
from ..tables.rank_metrics import averaged, averaged_text
from .seed_consistency import sample
from .style import figure, foot, mark, styled

METRIC = "spearman_dense"
ACROSS = 3

ENTRY = Output(
    id="model_consistency",
    label="Consistency between models",
    needs=("model_consistency",),
    formats=("pdf", "png"),
)


@styled
def draw(inputs, options):
    """The figure; PlumblineError where no two models can be compared."""
    items = inputs.get("model_consistency")
    if not items:
        raise PlumblineError(
            "'model_consistency' compares a BERT with a DistilBERT on one data set and seed, and no runs have both: add "
            "one, or take it out of `tables` and `figures`"
        )
    frames = [read_rows(item["path"]).query("metric == @METRIC") for item in items]
    readouts = sorted(
        ordered({readout for frame in frames for readout in frame["readout"]}),
        key=lambda readout: facts(readout)["control"],
    )
    across = min(ACROSS, len(items))
    down = -(-len(items) // across)
    drawn = figure(1.7 + max(2.6 * across, 3.8), down * (0.95 + 0.17 * len(readouts)))
    panels = drawn.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, frame, item in zip(panels, frames, items, strict=False):
        _panel(panel, averaged(frame, options["bootstrap"]["level"]), readouts)
        panel.set_title(_title(item), loc="left", fontsize=8.5)
    for panel in panels[len(items) :]:
        panel.set_visible(False)
    lowest = min(frame["lower"].min() for frame in frames)
    panels[0].set_xlim(min(0, lowest - 0.03), 1.015)
    panels[0].set_ylim(len(readouts) - 0.4, -0.6)
    drawn.tight_layout()
    said = " ".join(_says(item, frame) for item, frame in zip(items, frames, strict=True))
    intervals = dict.fromkeys(averaged_text(options, _seeds(frame)) for frame in frames)
    foot(
        drawn,
        f"Scale: {options['scale']}. {said} Sentences that both models predict alike; mean over sentences, then over seeds; "
        f"intervals: {'; '.join(intervals)}. {DAGGER}",
    )
    return drawn


def _title(item):
    return f"{dataset_label(item['dataset'])}, {item['model']} and {item['other']}"


def _says(item, frame):
    return f"{_title(item)}: {sample(frame)}, seeds {_seeds(frame).replace(' ', ', ')}."


def _seeds(frame):
    return " ".join(str(int(seed)) for seed in sorted(frame["seed"].unique()))


def _panel(panel, frame, readouts):
    means = frame.set_index("readout")[["mean", "lower", "upper"]]
    for place, readout in enumerate(readouts):
        if readout in means.index:
            mean, lower, upper = means.loc[readout]
            hollow = facts(readout)["published_definition"]
            color = mark(readout)["color"]
            panel.barh(
                place, mean, height=0.7, color="white" if hollow else color, edgecolor=color, linewidth=0.8
            )
            panel.plot([lower, upper], [place, place], color="black", linewidth=1.0, solid_capstyle="butt")
    panel.axvline(0, color="0.5", linewidth=0.6)
    panel.set_xlabel("Spearman's ρ (dense ranks)", fontsize=8)
    panel.set_yticks(range(len(readouts)), [short_label(readout) for readout in readouts])
    panel.tick_params(axis="y", labelsize=7, length=0)
    panel.tick_params(axis="x", labelsize=7.5, labelbottom=True)
