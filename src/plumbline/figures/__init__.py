"""Figures: one module each, named as its output, with `draw(inputs, options) -> matplotlib Figure`.

Every figure states scale, sample count, seeds and interval at its foot.
"""

import importlib

from ..registry import Registry, discover_in_rooms

# A figure lies in its study's room, and is imported as a module of this package.
FIGURES = Registry("figure", {})
discover_in_rooms(FIGURES, "figures")


def write(figure, inputs, options, paths):
    """Draw a figure and write it to every path; equal inputs give equal bytes.

    Parameters
    ----------
    figure : str
        Id of the figure.
    inputs, options : dict
        See plumbline.collect; what a figure needs of them is in its module.
    paths : iterable of path
        Their endings say the kind (pdf, png).
    """
    from .style import save

    module = importlib.import_module(f"{__name__}.{FIGURES[figure].id}")
    save(module.draw(inputs, options), paths)
