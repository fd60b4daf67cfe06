"""Figure 5 of Lopardo et al. 2024: the gradient of one sentence by the closed form and by autograd.

inputs: shown. Rows: positions, the two last ones padding; columns: the first coordinates of the embedding. Red, white,
green, symmetric; the range is the smaller of the two extremes after [cls], so that the row of [cls] saturates.
"""

import numpy as np

from ..registry import Output
from . import xai
from .style import figure, foot, plain, styled

COORDINATES = 80
TITLES = {
    "published": "Theory, as published (the query of [cls] held fixed)",
    "corrected": "Theory, corrected at [cls]",
    "autograd": "Practice (autograd)",
}

ENTRY = Output(
    id="gradient_meets_attention",
    label="Gradient meets attention",
    needs=("shown",),
    seeds="lowest",
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    facts = xai.shown(inputs)
    found = {name: np.array(facts["sentence"]["gradients"][name])[:, :COORDINATES] for name in TITLES}
    rest = np.concatenate([values[1:] for values in found.values()])
    bound = min(abs(rest.min()), abs(rest.max())) or 1.0
    labels = ["[cls]", *(plain(token) for token in facts["sentence"]["tokens"])]
    rows, columns = found["autograd"].shape
    drawn = figure(7.4, 3 * (0.45 + 0.13 * rows))
    panels = drawn.subplots(3, 1, sharex=True)
    for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
        mesh = axes.imshow(
            found[name], cmap=xai.diverging(), vmin=-bound, vmax=bound, aspect="auto", interpolation="nearest"
        )
        axes.set_yticks(range(len(labels)), labels, fontsize=6.5)
        axes.tick_params(length=0)
        axes.set_title(title, fontsize=8.5, loc="left", pad=3)
        axes.axhline(0.5, color="0.6", linewidth=0.5)
    panels[-1].set_xlabel(f"coordinate of the embedding (first {columns})", fontsize=8)
    drawn.tight_layout()
    drawn.colorbar(mesh, ax=panels, fraction=0.02, pad=0.01).ax.tick_params(labelsize=7)
    after = np.abs(found["published"][1:] - found["autograd"][1:]).max()
    first = [np.abs(found[name][0] - found["autograd"][0]).max() for name in ("published", "corrected")]
    foot(
        drawn,
        xai.foot_text(
            options,
            facts["dataset"],
            facts["seed"],
            "N = 1 sentence",
            "no interval: a single sentence",
            f"Largest difference to autograd among the shown: {after:.1e} after [cls]; at [cls] {first[0]:.1e} as published, "
            f"{first[1]:.1e} corrected. Unlabelled rows: padding. The scale is cut at ±{bound:.2g}.",
        ),
    )
    return drawn
