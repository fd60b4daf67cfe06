"""Accuracy while patches go: the most relevant first (left), the least relevant first (right), a row a model and fill.

inputs: patch_faithfulness. A line is the mean over images and seeds; the band of diffused rollout and of the random control
is its interval, a bootstrap over images.
"""

import numpy as np

from ..artefacts import read_rows
from ..attribution.image_maps import MAPS
from ..collect import by_model, interval_text, provenance, seeds_of, title
from ..faithfulness.patches import KINDS, SHARES
from ..registry import Output
from ..seeds import seed_of
from ..stats import bootstrap_interval
from . import maps
from .style import figure, foot, styled

ENTRY = Output(
    id="perturbation_curves",
    label="Perturbation curves of image models",
    study=maps.STUDY,
    needs=("patch_faithfulness",),
    formats=maps.FORMATS,
    order=131,
)
SHOWN = ("raw", "rollout_published", "rollout", "rollout_normalised", "rollout_diffused", "attribution", "attribution_diffused",
         "gradient_x_input", "random", "centre")  # fmt: skip
BANDS = ("rollout_diffused", "random")


@styled
def draw(inputs, options):
    """The figure."""
    import pandas as pd

    groups = []
    for key, items in by_model(inputs["patch_faithfulness"]).items():
        frame = pd.concat([read_rows(item["path"]) for item in items])
        groups += [((*key, fill), part, items) for fill, part in frame.groupby("fill", sort=False)]
    drawn = figure(7.4, 0.3 + 2.45 * len(groups))
    panels = drawn.subplots(len(groups), 2, squeeze=False, sharex=True)
    for line, ((dataset, model, fill), part, _) in zip(panels, groups, strict=True):
        for axes, kind in zip(line, KINDS, strict=True):
            _panel(axes, part, kind, options, (dataset, model, fill))
            first = "the most relevant" if kind == "positive" else "the least relevant"
            heading = title(dataset, model, f"patches set to {fill}") if kind == "positive" else ""
            axes.set_title(f"{heading}\n{first} patches first", loc="left", fontsize=8)
        line[0].set_ylabel("Accuracy")
    for axes in panels[-1]:
        axes.set_xlabel("Share of the patches that are gone")
    handles = {}
    for axes in panels.flatten():
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    drawn.tight_layout(rect=(0, 0, 0.78, 1))
    drawn.legend(
        handles.values(), handles, loc="center left", bbox_to_anchor=(0.785, 0.5), fontsize=7, handlelength=3
    )
    counts = [part["id"].nunique() for _, part, _ in groups]
    text = provenance(options, examples=counts, seeds=seeds_of(groups[0][2]), interval=False)
    foot(drawn, f"{text} Bands: intervals, {interval_text(options)}. {maps.NOTE} {maps.DAGGER}")
    return drawn


def _panel(axes, part, kind, options, names):
    present = set(part["map"])
    for name in (name for name in SHOWN if name in present):
        own = part[part["map"] == name]
        curves = np.stack([_mean(rows[f"{kind}_correct"]) for _, rows in own.groupby("id")])
        mark = maps.look(name)
        line = {"color": mark["color"], "linestyle": mark["linestyle"], "linewidth": 1.3}
        axes.plot(SHARES, curves.mean(0), label=maps.short(MAPS[name].label), **line)
        if name in BANDS:
            lower, upper = bootstrap_interval(
                curves, **options["bootstrap"], seed=seed_of(ENTRY.id, *names, name)
            )
            axes.fill_between(SHARES, lower, upper, color=mark["color"], alpha=0.15, linewidth=0)
    axes.set_ylim(-0.03, 1.03)
    axes.tick_params(labelsize=7.5)


def _mean(values):
    return np.mean(np.stack(values.to_numpy()), axis=0)
