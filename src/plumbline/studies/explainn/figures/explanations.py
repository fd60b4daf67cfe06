"""Gallery of one model: an image of each of some classes, and every explanation of it, pixel by pixel.

inputs: images, explanations of the lowest training seed. Red speaks for the class, blue against it; each map is divided by its
largest absolute score, after the share of the pixels named in CLIPPED was cut off, and laid out at its own size.
"""

import numpy as np

from ..artefacts import read_rows
from ..attribution.convolutional import EXPLANATIONS
from ..collect import title
from ..registry import Output
from . import causal
from .style import figure, foot, styled

ENTRY = Output(
    id="explanations",
    label="Explanations of images",
    needs=("images", "explanations"),
    seeds="lowest",
    per="model",
    options=("explainn",),
    formats=causal.FORMATS,
)
CLASSES = 6  # classes shown, the configured one among them
CLIPPED = 0.005


@styled
def draw(inputs, options):
    """The figure; options: scale, dataset, model, explainn."""
    item = causal.lowest(inputs["explanations"])
    frame = chosen(read_rows(item["path"]), options["explainn"]["shown"])
    images = causal.pictures(inputs["images"], frame["id"])
    names = [name for name in EXPLANATIONS if f"scores_{name}" in frame]
    drawn = figure(0.62 + 0.62 * (len(names) + 1), 0.66 * len(frame) + 0.75)
    panels = drawn.subplots(len(frame), len(names) + 1, squeeze=False)
    for line, row in zip(panels, frame.itertuples(), strict=True):
        line[0].imshow(images[row.id], cmap="gray_r", vmin=0, vmax=1)
        line[0].set_ylabel(
            f"class {row.target}\np = {row.probability:.2f}",
            fontsize=6,
            rotation=0,
            ha="right",
            va="center",
            labelpad=3,
        )
        for axes, name in zip(line[1:], names, strict=True):
            scores = np.reshape(getattr(row, f"scores_{name}"), (row.height, row.width))
            axes.imshow(scaled(scores), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        for axes in line:
            causal.bare(axes)
    panels[0, 0].set_title("image", fontsize=6, rotation=45, ha="left", va="bottom")
    for axes, name in zip(panels[0, 1:], names, strict=True):
        axes.set_title(causal.short(name), fontsize=6, rotation=45, ha="left", va="bottom", x=0.3)
    width, height = drawn.get_size_inches()
    drawn.subplots_adjust(
        left=0.62 / width, right=1, top=1 - 0.72 / height, bottom=0.02, wspace=0.05, hspace=0.08
    )
    foot(
        drawn,
        f"{title(options['dataset'], options['model'])}. Scale: {options['scale']}; N = {len(frame)} test images, the first rightly "
        f"classified one of a class; training seed {item['seed']}; single images: no interval. Red: for the class, blue: against it; each map "
        f"divided by its largest absolute score but for the top {100 * CLIPPED:g}% of the pixels. {causal.DAGGER} Random, |Input|: controls.",
    )
    return drawn


def chosen(frame, shown):
    """Return the first image of each of at most CLASSES classes, class `shown` among them."""
    first = frame.groupby("target", sort=True).head(1).sort_values("target")
    others = first[first["target"] != shown].head(CLASSES - (shown in set(first["target"])))
    return first[first["target"].isin([shown, *others["target"]])]


def scaled(scores):
    """Scale the scores of a map to [-1, 1], its sign kept; 0 everywhere where all are."""
    most = np.quantile(np.abs(scores), 1 - CLIPPED)
    most = most if most > 0 else np.abs(scores).max()
    return np.clip(scores / most, -1, 1) if most > 0 else scores * 0
