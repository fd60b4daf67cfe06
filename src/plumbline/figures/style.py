"""The look of all figures: settings, a mark for every readout, files with equal bytes.

A readout's look stands in its entry. A family has its colours from seaborn's colour-blind palette (sky and blue, vermilion and
orange, ...) and a method one of them; in grey print these look alike, so readouts that are shown together have markers of their
own, and those of a method differ in their dashes too. Published definitions are hollow.
"""

import functools
import textwrap
from pathlib import Path

from ..artefacts import atomic
from ..errors import unknown
from ..registry import Look
from ..seeds import seed_of

# Of readouts without a look of their own: none of these is another's.
OTHER = ("#ca9161", "#fbafe4", "#8c564b", "#4b4b8f")
# Models: the published colours of the three architectures, then seaborn's; in grey print fill and hatch tell them apart.
ARCHITECTURES = {"distilbert": "#82B366", "bert": "#6C8EBF", "roberta": "#D79B00"}
MORE = ("#cc78bc", "#d55e00", "#029e73", "#949494", "#ca9161", "#fbafe4", "#0173b2")
FILLS = ("full", "none", "left", "top")
HATCHES = ("", "////", "....", "xx")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">", "p", "h", "d")
DASHES = {
    "solid": "-",
    "dashed": (0, (5, 1.5)),
    "dotted": (0, (1.5, 1.2)),
    "dashdotted": (0, (6, 1.5, 1.5, 1.5)),
    "broken": (0, (3, 3)),
    "sparse": (0, (1, 2.5)),
}
# Arguments of `savefig`: without metadata that would differ from run to run or from version to version. zlib's level 3 takes
# three fifths of level 6's time for files up to a sixth larger.
FORMATS = {
    "pdf": {"metadata": {"CreationDate": None}},
    "png": {"metadata": {"Software": None}, "pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None}},
}
MARGIN = 0.05  # inches around what is drawn
# DejaVu Sans with European letters, Greek and signs alone. A PDF file holds the letters that it shows: to cut these out of the
# whole font takes .15 s for each of two or three fonts of a figure, out of this one .02 s. Other letters come from the whole.
FONTS = Path(__file__).parent / "fonts"


# What `seaborn.axes_style("ticks")` and `seaborn.plotting_context("paper", font_scale=0.95)` set, less what is ours
# below: to import seaborn for it takes longer than matplotlib's import (tests/test_figures.py compares).
TICKS = {
    "figure.facecolor": "white", "axes.facecolor": "white", "axes.edgecolor": ".15", "axes.labelcolor": ".15",
    "axes.axisbelow": True, "axes.grid": False, "grid.color": ".8", "grid.linestyle": "-", "text.color": ".15",
    "xtick.color": ".15", "ytick.color": ".15", "xtick.direction": "out", "ytick.direction": "out",
    "xtick.bottom": True, "xtick.top": False, "ytick.left": True, "ytick.right": False,
    "axes.spines.left": True, "axes.spines.bottom": True, "lines.solid_capstyle": "round",
    "patch.edgecolor": "w", "patch.force_edgecolor": True,
}  # fmt: skip
PAPER = {
    "axes.linewidth": 1.0, "grid.linewidth": 0.8, "lines.linewidth": 1.2, "lines.markersize": 4.8,
    "patch.linewidth": 0.8, "xtick.major.width": 1.0, "ytick.major.width": 1.0, "xtick.minor.width": 0.8,
    "ytick.minor.width": 0.8, "xtick.major.size": 4.8, "ytick.major.size": 4.8, "xtick.minor.size": 3.2,
    "ytick.minor.size": 3.2, "font.size": 9.12, "axes.labelsize": 9.12, "axes.titlesize": 9.12,
    "xtick.labelsize": 8.36, "ytick.labelsize": 8.36, "legend.fontsize": 8.36, "legend.title_fontsize": 9.12,
}  # fmt: skip
OURS = {
    # Both come with us or with matplotlib: the bytes do not depend on the machine's fonts.
    "font.family": ["Plumbline Sans", "DejaVu Sans"],
    "pdf.fonttype": 42,
    "svg.hashsalt": "plumbline",
    "savefig.dpi": 200,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@functools.cache
def add_fonts():
    """Tell matplotlib of the fonts in `FONTS`."""
    from matplotlib.font_manager import fontManager

    for path in sorted(FONTS.glob("*.ttf")):
        fontManager.addfont(path)


def styled(draw):
    """Decorate a `draw` function: it runs under our settings and leaves the caller's alone."""

    @functools.wraps(draw)
    def wrapper(*arguments, **named):
        import matplotlib

        add_fonts()
        with matplotlib.rc_context({**TICKS, **PAPER, **OURS}):
            return draw(*arguments, **named)

    return wrapper


def figure(width, height):
    """Return an empty figure, `width` by `height` inches, outside pyplot, so that nothing keeps it alive."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


@styled
def save(drawn, paths):
    """Write a figure to every path atomically, without time stamp or version.

    What lies outside the figure is kept, and empty margins are cut off, but for `MARGIN`.

    Parameters
    ----------
    drawn : matplotlib.figure.Figure
        The figure.
    paths : iterable of path
        Their endings say the kind (pdf, png or svg).

    Raises
    ------
    PlumblineError
        For another ending.
    """
    kinds = {path: Path(path).suffix.lstrip(".") for path in paths}
    for kind in kinds.values():
        if kind not in FORMATS:
            raise unknown("figure format", kind, FORMATS)
    # For `bbox_inches="tight"`, and for the engine that `tight_layout` leaves behind, matplotlib would draw twice for every
    # path: once to measure.
    drawn.set_layout_engine(None)
    drawn.set_dpi(OURS["savefig.dpi"])  # widths of letters depend on it
    box = drawn.get_tightbbox().padded(MARGIN)
    for path, kind in kinds.items():
        with atomic(path) as temporary:
            drawn.savefig(temporary, format=kind, bbox_inches=box, **FORMATS[kind])


def heatmap(axes, values, *, ends, colours, rows=(), columns=(), gaps=0, texts=None, size=5):
    """Draw a matrix as coloured cells, its first row at the top.

    An image and, for all gaps, two artists: of seaborn's mesh, which draws the whole figure for its labels, a PDF file would
    hold a path for every cell.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    values : numpy.ndarray
        Float (rows, columns), in any unit; NaN: the cell is left out.
    ends : tuple of float
        The values of the first and the last colour.
    colours : str
        Name of a colour map of matplotlib.
    rows, columns : sequence of str
        Names of all rows, and of all columns; none: they have neither names nor ticks.
    gaps : float
        Points between cells.
    texts : numpy.ndarray of str, optional
        (rows, columns): what stands in a cell; '' for nothing. Cells do not let it out, so layouts need not measure it.
    size : float
        Of these texts, in points.

    Returns
    -------
    matplotlib.image.AxesImage
        What a colour bar needs.
    """
    down, across = values.shape
    image = axes.imshow(
        values,
        cmap=colours,
        vmin=ends[0],
        vmax=ends[1],
        extent=(0, across, down, 0),
        interpolation="nearest",
    )
    if gaps:
        axes.hlines(range(down + 1), 0, across, colors="white", linewidths=gaps)
        axes.vlines(range(across + 1), 0, down, colors="white", linewidths=gaps)
    axes.set(xlim=(0, across), ylim=(down, 0))
    axes.set_xticks([place + 0.5 for place in range(len(columns))], columns)
    axes.set_yticks([place + 0.5 for place in range(len(rows))], rows)
    axes.spines[:].set_visible(False)
    if texts is not None:
        # Luminance as the WCAG define it says which of the two can be read on a colour.
        shares = image.to_rgba(values)[..., :3]
        light = ((shares + 0.055) / 1.055) ** 2.4 @ (0.2126, 0.7152, 0.0722) > 0.408
        for row, column in zip(*texts.nonzero(), strict=True):
            axes.text(
                column + 0.5,
                row + 0.5,
                texts[row, column],
                color="0.15" if light[row, column] else "white",
                fontsize=size,
                ha="center",
                va="center",
                in_layout=False,
            )
    return image


def mark(readout, entries=None):
    """Return the look of a readout: that of its entry.

    Parameters
    ----------
    readout : str
        Its id.
    entries : dict, optional
        Id -> `registry.Readout`. None: those of text encoders.

    Returns
    -------
    dict
        color, linestyle, marker and markerfacecolor.
    """
    from ..attribution import READOUTS

    entries = READOUTS if entries is None else entries
    entry = entries[readout]
    twin = entries.get(readout.removesuffix("_published"), entry)
    look = entry.look or twin.look or _look_by_id(twin.id)
    found = {"color": look.color, "linestyle": DASHES[look.dash], "marker": look.marker}
    return found | {"markerfacecolor": "white" if entry.published else look.color}


def _look_by_id(name):
    """A look for an entry without one: by its id and not by its place, so that a new entry changes no other's look."""
    number = seed_of("look", name)
    number, color = divmod(number, len(OTHER))
    number, marker = divmod(number, len(MARKERS))
    return Look(OTHER[color], MARKERS[marker], list(DASHES)[number % len(DASHES)])


def model_marks(models):
    """Choose how models look.

    The first model of an architecture has the architecture's colour, a second one its own.

    Parameters
    ----------
    models : dict
        Model -> architecture, in the order in which they are shown.

    Returns
    -------
    dict
        Model -> {color, fillstyle, hatch}.
    """
    more, taken, found = iter(MORE * (len(models) // len(MORE) + 1)), set(), {}
    for place, (model, architecture) in enumerate(models.items()):
        known = architecture in ARCHITECTURES and architecture not in taken
        taken.add(architecture)
        found[model] = {
            "color": ARCHITECTURES[architecture] if known else next(more),
            "fillstyle": FILLS[place % len(FILLS)],
            "hatch": HATCHES[place % len(HATCHES)],
        }
    return found


def foot(drawn, text):
    """Write a small note at the foot of a figure, wrapped to its width."""
    lines = "\n".join(textwrap.wrap(text, int(drawn.get_size_inches()[0] * 17)))
    drawn.text(0.01, 0, lines, ha="left", va="top", fontsize=6.5, color="0.3")


def plain(text):
    """Return text without mathematics: matplotlib reads what stands between two dollar signs as a formula."""
    return str(text).replace("$", r"\$")
