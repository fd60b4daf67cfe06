"""Token heat maps of chosen examples of one model: a row a readout, a column a token.

inputs: attributions (of the lowest seed; of the methods that have a readout of SHOWN, or of all where none has). options: dataset, model,
scale, heatmap_examples (example ids). Scores are scaled row by row over the example's tokens without the first and
the last, which are special: min-max to [0, 1], signed readouts by their largest absolute score to [-1, 1]. Long
examples go over several lines of at most `WRAP` tokens, up to `LINES` lines; what is left out is said.
"""

import math

import numpy as np

from ..attribution import shown_in
from ..chosen import chosen, instead
from ..collect import by_model, dataset_label, ordered, short_label, whole_texts
from ..registry import Output
from .style import figure, foot, heatmap, plain, styled

SHOWN = shown_in("examples")

ENTRY = Output(
    id="token_heatmap",
    label="Token heat maps",
    needs=("attributions",),
    readouts=SHOWN,
    seeds="lowest",
    per="model",
    options=("heatmap_examples",),
    formats=("pdf", "png"),
)

WRAP, LINES = 26, 2
# Inches: a cell's width and height; room left of, right of and above all, for a title, for a token's letter.
CELL, LEFT, RIGHT, TOP, TITLE, LETTER = (0.25, 0.15), 1.15, 0.6, 0.2, 0.28, 0.05


@styled
def draw(inputs, options):
    """The figure; PlumblineError where an example id lies beyond those that were explained."""
    ((dataset, model), items), *_ = by_model(inputs["attributions"], options).items()
    seed = min(int(item["seed"]) for item in items)
    examples = _read([item for item in items if int(item["seed"]) == seed], options["heatmap_examples"])
    blocks = [block for example in examples for block in _blocks(example, dataset)]
    widest = max(len(block["tokens"]) for block in blocks)
    width, height = LEFT + CELL[0] * widest + RIGHT, TOP + sum(_height(block) for block in blocks)
    drawn = figure(width, height)
    y = height - TOP
    for block in blocks:
        rows = CELL[1] * len(block["values"])
        axes = drawn.add_axes(_share(width, height, LEFT, y - TITLE - rows, CELL[0] * widest, rows))
        image = _heatmap(axes, block, widest)
        y -= _height(block)
    bar = drawn.add_axes(_share(width, height, width - RIGHT + 0.15, height - TOP - TITLE - 1.2, 0.1, 1.2))
    drawn.colorbar(image, cax=bar).ax.tick_params(labelsize=6.5)
    bar.set_title("scaled\nscore", fontsize=6.5, loc="left")
    drawn.suptitle(
        f"{dataset_label(dataset)}, {model}",
        x=0.01,
        y=1 - 0.05 / height,
        ha="left",
        va="top",
        fontsize=10,
        weight="bold",
    )
    foot(
        drawn,
        f"Scale: {options['scale']}; N = {len(examples)} chosen examples; seed {seed}; no interval: "
        "single examples. Scores scaled row by row, special tokens cut off at the scale's ends: min-max, or by the "
        "largest absolute score where signs count (a minus marks cells below -0.05).",
    )
    return drawn


def scaled(scores, signed):
    """Scale the scores of one readout and example for the eye.

    The first and the last token, the special ones, do not set the scale: theirs are cut off at its ends.

    Parameters
    ----------
    scores : array_like of float, shape (tokens,)
        The scores.
    signed : bool
        Whether they have a sign.

    Returns
    -------
    numpy.ndarray, float64, shape (tokens,)
        In [0, 1], signed ones in [-1, 1]; constant ones 0.
    """
    scores = np.asarray(scores, dtype=float)
    inner = scores[1:-1]
    if signed:
        return np.clip(scores / (np.abs(inner).max() or 1.0), -1, 1)
    return np.clip((scores - inner.min()) / (np.ptp(inner) or 1.0), 0, 1)


def _height(block):
    longest = max(len(token) for token in block["tokens"])
    return TITLE + CELL[1] * len(block["values"]) + LETTER * (longest + 1)


def _share(width, height, left, bottom, across, up):
    """A rectangle in inches as shares of the figure, as matplotlib wants it."""
    return left / width, bottom / height, across / width, up / height


def _read(items, wanted):
    """One dict an example: id, tokens, target, probability, scores (readout -> array), in the order asked for."""
    frames = [whole_texts(item["path"]).set_index("id") for item in items]
    found = []
    for asked, example in chosen(wanted, frames[0].index, f"{items[0]['dataset']}/{items[0]['model']}"):
        rows = [frame.loc[example] for frame in frames]
        scores = {
            name.removeprefix("scores_"): row[name]
            for row in rows
            for name in row.index
            if name.startswith("scores_")
        }
        shown = [readout for readout in SHOWN if readout in scores] or ordered(scores)
        about = {key: rows[0][key] for key in ("tokens", "target", "probability")}
        found.append(
            {
                "id": example,
                "asked": asked,
                **about,
                "scores": {readout: scores[readout] for readout in shown},
            }
        )
    return found


def _blocks(example, dataset):
    """The lines of an example: tokens, labels, values (readouts, tokens) in [-1, 1], and a title on the first."""
    from ..attribution import READOUTS
    from ..datasets import DATASETS

    values = np.array(
        [scaled(vector, READOUTS[readout].signed) for readout, vector in example["scores"].items()]
    )
    tokens = [_shown_token(token) for token in example["tokens"]]
    name = DATASETS[dataset].label_names[int(example["target"])]
    other = instead(example["asked"], example["id"])
    title = f"Example {example['id']}{other}: predicted {name}, probability {example['probability']:.3f}"
    if len(tokens) > WRAP * LINES:
        title += f" (first {WRAP * LINES} of {len(tokens)} tokens)"
    shown = min(len(tokens), WRAP * LINES)
    # Lines of equal length, so that none holds two or three tokens alone.
    length = math.ceil(shown / math.ceil(shown / WRAP))
    starts = range(0, shown, length)
    labels = [short_label(readout) for readout in example["scores"]]
    return [
        {
            "tokens": tokens[start : start + length],
            "values": values[:, start : start + length],
            "labels": labels,
            "title": title if not start else "",
        }
        for start in starts
    ]


def _shown_token(token):
    """A token as text; the word-start marks of byte-level and sentence-piece tokenisers as an open box."""
    return plain(token.replace("Ġ", "␣").replace("▁", "␣"))


def _heatmap(axes, block, widest):
    # All lines have the width of the widest, so that cells are equally large everywhere.
    values = np.full((len(block["values"]), widest), np.nan)
    values[:, : len(block["tokens"])] = block["values"]
    image = heatmap(
        axes,
        values,
        ends=(-1, 1),
        colours="RdBu_r",
        rows=block["labels"],
        gaps=0.3,
        texts=np.where(values < -0.05, "−", ""),
    )
    axes.set_aspect("auto")
    axes.set_xticks(
        np.arange(len(block["tokens"])) + 0.5, block["tokens"], rotation=55, ha="right", fontsize=6.5
    )
    axes.xaxis.set_tick_params(pad=0)
    for label in axes.get_xticklabels():
        label.set_rotation_mode("anchor")
    axes.tick_params(axis="y", labelsize=6.5, length=0)
    axes.tick_params(axis="x", length=0)
    if block["title"]:
        axes.set_title(block["title"], loc="left", fontsize=8)
    return image
