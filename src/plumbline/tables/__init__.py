"""Tables: one module each, named as its output, with `rows(inputs, options)` and `latex(frame, options)`.

A table whose ENTRY has the format `html` has `html(frame, options)` too, a whole page as text.
Every CSV has scale, sample count, seeds ('seed 0', 'seeds 0 1 2') and interval as columns; every .tex has them in its notes.
"""

import importlib

from ..artefacts import write_text
from ..collect import seeds_text
from ..registry import Registry, discover_in_rooms
from .gaps import beside

# A table lies in its study's room, and is imported as a module of this package.
TABLES = Registry("table", {})
discover_in_rooms(TABLES, "tables")


def module_of(table):
    """Return the module of a table."""
    return importlib.import_module(f"{__name__}.{TABLES[table].id}")


def write(table, frame, inputs, options, csv_path, tex_path, html_path=None):
    """Write a table as CSV (six significant digits), as LaTeX and, where it has that format, as HTML.

    Equal rows give equal bytes.

    Parameters
    ----------
    table : str
        Id of the table.
    frame : pandas.DataFrame
        What `rows(inputs, options)` of its module returns.
    inputs, options : dict
        See plumbline.collect. What a table needs of them is in its module.
    csv_path, tex_path, html_path : path_like
        The files.
    """
    module = module_of(table)
    if "gaps" in TABLES[table].needs and "readout" in frame:
        frame = beside(frame, inputs.get("gaps") or [])
    named = frame.assign(seeds=frame["seeds"].map(seeds_text)) if "seeds" in frame else frame
    write_text(csv_path, named.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_text(tex_path, module.latex(frame, options))
    if html_path:
        write_text(html_path, module.html(frame, options))
