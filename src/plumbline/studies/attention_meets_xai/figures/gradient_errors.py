"""How far the closed-form gradient is from autograd's over all texts: shares of texts below an error.

inputs: theory_gradient. Relative Euclidean norms, double precision; logarithmic axis.
"""

import numpy as np

from ..collect import experiment_rows
from ..registry import Output
from . import xai
from .style import figure, foot, styled

CURVES = {
    "published_first_relative": ("as published, at [cls]", xai.RED, "-"),
    "published_relative": ("as published, after [cls]", "#0173b2", "--"),
    "corrected_worst": ("corrected, worst position", xai.GREEN, "-"),
}
LEAST = 1e-18  # an error of exactly 0 is drawn here

ENTRY = Output(
    id="gradient_errors",
    label="Errors of the closed-form gradient",
    needs=("theory_gradient",),
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    frame, dataset, seed = experiment_rows(inputs["theory_gradient"])
    drawn = figure(4.6, 2.8)
    axes = drawn.subplots()
    shares = np.linspace(0, 1, min(len(frame), 400))
    for name, (label, color, dashes) in CURVES.items():
        values = np.quantile(np.maximum(frame[name].to_numpy(float), LEAST), shares)
        axes.plot(values, shares, color=color, linestyle=dashes, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("relative error (norm of the difference)")
    axes.set_ylabel("share of texts")
    axes.grid(color="0.92", linewidth=0.6)
    axes.legend(fontsize=7.5, loc="center left", bbox_to_anchor=(0.3, 0.55))
    drawn.tight_layout()
    foot(
        drawn,
        xai.foot_text(
            options,
            dataset,
            seed,
            f"N = {len(frame)} texts",
            "no interval: the whole distribution",
            "Both sides in double precision.",
        ),
    )
    return drawn
