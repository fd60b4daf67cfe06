"""What the figures of the multi-head classifier's study share."""

from ..artefacts import read_json
from ..attribution.multihead import EXPLANATIONS
from ..collect import dataset_label, seeds_text
from .style import mark

FORMATS = ("pdf", "png")
# The paper's red and green, from seaborn's colour-blind palette.
GREEN, RED = "#029e73", "#d55e00"
FORMULA_COLORS = {
    "published": RED,
    "rho": "#de8f05",
    "mean_field": "#0173b2",
    "first_order": GREEN,
    "no_kernel": "#cc78bc",
    "masking": "#949494",
}
FORMULA_MARKERS = {
    "published": "x",
    "rho": "+",
    "mean_field": "d",
    "first_order": "s",
    "no_kernel": "v",
    "masking": "o",
}


def shown(inputs):
    """Read the JSON of the sentence and the document, of the lowest training seed: a picture is of one model."""
    return read_json(min(inputs["shown"], key=lambda item: item["seed"])["path"])


def foot_text(options, dataset, seeds, sample, interval, *more):
    """Return the text of a figure's foot: scale, data, sample, training seeds and interval, then `more`.

    Parameters
    ----------
    options : dict
        scale.
    dataset : str
        The data set's id.
    seeds : str
        Training seeds, as text.
    sample, interval : str
        In words.
    *more : str
        Further sentences.

    Returns
    -------
    str
    """
    head = f"Scale: {options['scale']}; {dataset_label(dataset)}; {sample}; training {seeds_text(seeds)}; {interval}."
    return " ".join([head, *more])


def color(explanation):
    """Return the colour of an explanation."""
    return mark(explanation.id, EXPLANATIONS)["color"]


def diverging():
    """Return a colour map of red, white, green: the paper's map for gradients."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("red_white_green", [RED, "white", GREEN])
