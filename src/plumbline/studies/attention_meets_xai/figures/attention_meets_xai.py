"""Figure 1 of Lopardo et al. 2024: one sentence under seven explanations, a row each.

inputs: shown. A word's box is green where its weight is not negative, red where it is; its opacity is the weight's size
over the row's largest. LIME deletes words (the package's default), the first of its runs.
"""

from ..attribution.multihead import EXPLANATIONS
from ..registry import Output
from ..theory.explanations import SEVEN
from . import xai
from .style import figure, foot, plain, styled

# Inches: a row, the labels' column, a letter, the gap between boxes.
ROW, LABELS, LETTER, GAP = 0.34, 0.75, 0.095, 0.09

ENTRY = Output(
    id="attention_meets_xai",
    label="Attention meets post-hoc interpretability",
    needs=("shown",),
    seeds="lowest",
    options=(),
    formats=xai.FORMATS,
)


@styled
def draw(inputs, options):
    """The figure."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import FancyBboxPatch

    facts = xai.shown(inputs)
    sentence = facts["sentence"]
    widths = [LETTER * len(token) + 0.18 for token in sentence["tokens"]]
    width = max(LABELS + sum(widths) + GAP * len(widths), 4.5)
    height = ROW * len(SEVEN)
    drawn = figure(width, height)
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for row, name in enumerate(SEVEN):
        weights = sentence["weights"][name]
        largest = max(abs(weight) for weight in weights) or 1.0
        middle, left = (row + 0.5) * ROW, LABELS
        axes.text(0.02, middle, EXPLANATIONS[name].label, va="center", fontsize=9, weight="bold")
        for token, weight, across in zip(sentence["tokens"], weights, widths, strict=True):
            face = to_rgba(xai.GREEN if weight >= 0 else xai.RED, abs(weight) / largest)
            axes.add_patch(
                FancyBboxPatch(
                    (left, middle - 0.12),
                    across,
                    0.24,
                    boxstyle="round,pad=0.015,rounding_size=0.04",
                    facecolor=face,
                    edgecolor="0.75",
                    linewidth=0.5,
                )
            )
            axes.text(
                left + across / 2,
                middle,
                plain(token),
                ha="center",
                va="center",
                fontsize=9,
                family="monospace",
            )
            left += across + GAP
    unknown = [token for token, flag in zip(sentence["tokens"], sentence["unknown"], strict=True) if flag]
    foot(
        drawn,
        xai.foot_text(
            options,
            facts["dataset"],
            facts["seed"],
            "N = 1 sentence",
            "no interval: a single sentence",
            f"Logits: negative {sentence['logits'][0]:.3f}, positive {sentence['logits'][1]:.3f}.",
            f"LIME: words deleted, {facts['samples']} samples, one run.",
            f"Unknown to the vocabulary: {plain(', '.join(unknown))}." if unknown else "",
        ),
    )
    return drawn
