"""What the figures of contribution matrices share: one chosen sentence, the part of it that is shown, one heat map."""

import numpy as np

from ..artefacts import read_rows
from ..chosen import chosen, instead
from ..collect import by_model
from .style import heatmap, plain

# Longer sentences are shown in part.
LONGEST = 40
# The colour of the box around the explained row.
BOX = "#1764AB"
# Inches a letter of a token's name takes at one point of font size.
LETTER = 0.0079


def sentence(inputs, options):
    """Return what a figure shows of the first of `heatmap_examples` under the lowest seed.

    Parameters
    ----------
    inputs : dict
        `contributions`, see plumbline.collect.
    options : dict
        heatmap_examples, and dataset and model where they are chosen.

    Returns
    -------
    dict
        dataset, model, seed, title, tokens (shown ones), row (place of the explained token among them), explained (that token),
        matrices (readout -> numpy.ndarray, float64, (layers, shown, shown), R of every layer), note (what is left out, '' where
        nothing is).
    """
    ((dataset, model), items), *_ = by_model(inputs["contributions"], options).items()
    item = min(items, key=lambda item: int(item["seed"]))
    frame = read_rows(item["path"])
    ((asked, number),) = chosen(options["heatmap_examples"][:1], frame["id"].unique(), f"{dataset}/{model}")
    frame = frame[frame["id"] == number].sort_values("layer")
    first = frame.iloc[0]
    length = len(first["tokens"])
    part = shown_part(length, int(first["position"]))
    left_out = f"tokens {part.start + 1} to {part.stop} of {length} are shown" if length > LONGEST else ""
    return {
        "dataset": dataset,
        "model": model,
        "seed": int(item["seed"]),
        "title": _title(dataset, first, asked),
        "tokens": [plain(token.replace("Ġ", "␣").replace("▁", "␣")) for token in first["tokens"][part]],
        "row": int(first["position"]) - part.start,
        "explained": str(first["tokens"][first["position"]]),
        "matrices": {
            readout: np.stack([values.reshape(length, length) for values in rows["matrix"]])[:, part, part]
            for readout, rows in frame.groupby("readout", sort=False)
        },
        "note": left_out,
    }


def shown_part(length, position):
    """Choose the tokens that are shown.

    Parameters
    ----------
    length : int
        The number of tokens.
    position : int
        Of the explained token.

    Returns
    -------
    slice
        The first `LONGEST`, or as many around a mask that stands further back.
    """
    start = 0 if position < LONGEST else min(position - LONGEST // 2, length - LONGEST)
    return slice(start, min(start + LONGEST, length))


def _title(dataset, row, asked):
    from ..datasets import DATASETS

    name = DATASETS[dataset].label_names[int(row["target"])]
    other = instead(asked, int(row["id"]))
    return f"Example {row['id']}{other}: predicted {name}, probability {row['probability']:.3f}"


def provenance(options, found):
    """Return the foot's first sentences: scale, count, seed, why there is no interval, what is left out.

    Parameters
    ----------
    options : dict
        scale.
    found : dict
        Of `sentence`.

    Returns
    -------
    str
    """
    text = f"Scale: {options['scale']}; N = 1 chosen example; seed {found['seed']}; no interval: a single example."
    return f"{text} Of this sentence, {found['note']}." if found["note"] else text


def font_size(cell):
    """Return the points of a token's name beside cells of `cell` inches."""
    return float(np.clip(0.85 * 72 * cell, 4.2, 7.5))


def room(tokens, size):
    """Return the inches that the longest token's name takes at a font size, in points."""
    return LETTER * size * max(map(len, tokens)) + 0.08


def panel(axes, values, found, *, size, title, left=True, bottom=True):
    """Draw one matrix as a heat map from 0 to its largest value, the explained row boxed.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where it is drawn.
    values : numpy.ndarray, float64, shape (shown, shown)
        The matrix.
    found : dict
        Of `sentence`.
    size : float
        Of the tokens' names, in points.
    title : str
        Of the panel.
    left, bottom : bool
        Whether tokens are named there.

    Returns
    -------
    matplotlib.cm.ScalarMappable
        What a colour bar needs.
    """
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    image = heatmap(
        axes,
        values,
        ends=(0, values.max()),
        colours="Blues",
        rows=found["tokens"] if left else (),
        columns=found["tokens"] if bottom else (),
    )
    axes.tick_params(labelsize=size, length=0, pad=1.5)
    axes.tick_params(axis="x", rotation=90)
    axes.set_title(title, fontsize=8.5, pad=4)
    for spine in axes.spines.values():
        spine.set(visible=True, color="0.8", linewidth=0.5)
    box = Rectangle((0, found["row"]), len(values), 1, fill=False, edgecolor=BOX, clip_on=False, zorder=5)
    box.set_linewidth(min(1.4, 0.2 * size))
    # Cells have the box's colours, so it needs an edge.
    box.set_path_effects([withStroke(linewidth=1.8 * box.get_linewidth(), foreground="white")])
    axes.add_patch(box)
    return image


def colour_bar(drawn, image, rectangle, ends=None):
    """Draw a colour bar.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure
        The figure.
    image : matplotlib.cm.ScalarMappable
        Of `panel`.
    rectangle : tuple of float
        left, bottom, width, height, as shares of the figure.
    ends : tuple of str, optional
        What stands at its ends instead of numbers.
    """
    bar = drawn.colorbar(image, cax=drawn.add_axes(rectangle))
    if ends:
        bar.set_ticks([bar.vmin, bar.vmax], labels=ends)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6.5, length=2)


def share(width, height, left, bottom, across, up):
    """Return a rectangle in inches as shares of the figure, as matplotlib wants it.

    Parameters
    ----------
    width, height : float
        Of the figure, in inches.
    left, bottom, across, up : float
        Of the rectangle, in inches.

    Returns
    -------
    tuple of float
    """
    return left / width, bottom / height, across / width, up / height
