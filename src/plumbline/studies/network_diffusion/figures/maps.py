"""What the figures of image models share."""

from ..attribution.image_maps import MAPS, RECONSTRUCTION
from .style import mark

FORMATS = ("pdf", "png")
CELLS = {"patches": "patches", "chefer": "pixels"}  # what goes, by protocol
NOTE = f"Diffused: {RECONSTRUCTION}."


def look(name):
    """Return the look of a map.

    Parameters
    ----------
    name : str
        An id of MAPS.

    Returns
    -------
    dict
        color, linestyle, marker and markerfacecolor: colour by what it comes from, dashes by what is done to it.
    """
    return mark(name, MAPS)


def short(label):
    """Return a map's label where room is scarce: a dagger for 'as published'."""
    return label.replace(", as published", "†")


DAGGER = "† as published: of Vision Mamba, broadcast rows, one factor missing, clamped at zero; of a transformer, without the first layer."
