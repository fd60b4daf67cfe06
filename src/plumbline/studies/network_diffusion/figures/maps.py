"""What the figures of image models share."""

from ..attribution.image_maps import MAPS, RECONSTRUCTION
from .style import DASHES, SHADES

FORMATS = ("pdf", "png")
CELLS = {"patches": "patches", "chefer": "pixels"}  # what goes, by protocol
NOTE = f"Diffused: {RECONSTRUCTION}."
_COLORS = {"raw": "#029e73", "rollout": "#0173b2", "attribution": "#cc78bc"}


def look(name):
    """color, linestyle and whether filled, of a map: colour by what it comes from, dashes by what is done to it."""
    entry = MAPS[name]
    if entry.control:
        return {
            "color": SHADES["control"][0],
            "linestyle": DASHES["dotted" if name == "centre" else "dashed"],
            "filled": True,
        }
    if entry.post_hoc:
        return {"color": SHADES["gradient"][0], "linestyle": "-", "filled": True}
    dash = "dashed" if entry.diffused else "dashdotted" if "_normalised" in name else "solid"
    return {
        "color": _COLORS[name.split("_")[0]],
        "linestyle": DASHES["dotted" if entry.published else dash],
        "filled": not entry.published,
    }


def short(label):
    """A map's label where room is scarce: a dagger for 'as published'."""
    return label.replace(", as published", "†")


DAGGER = "† as published: of Vision Mamba, broadcast rows, one factor missing, clamped at zero; of a transformer, without the first layer."
