"""The mean number of words. inputs: the table toy_words."""

from ..collect import table_rows
from ..registry import Output
from .style import figure, styled

ENTRY = Output(id="toy_words", label="Words", needs=("tables/toy_words",), options=(), formats=("pdf", "png"))


@styled
def draw(inputs, options):
    """The figure."""
    rows = table_rows(inputs, ENTRY.id)
    drawn = figure(3, 2)
    drawn.subplots().bar(rows["dataset"], rows["words"])
    return drawn
