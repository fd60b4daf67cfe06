"""The mean number of words. inputs: toy_words."""

from ..artefacts import read_json
from ..registry import Output
from . import latex as tex

ENTRY = Output(id="toy_words", label="Words", needs=("toy_words",), options=())


def rows(inputs, options):
    """One row a data set."""
    import pandas as pd

    found = [{"dataset": item["dataset"], **read_json(item["path"])} for item in inputs["toy_words"]]
    return pd.DataFrame(found).assign(scale=options["scale"])


def latex(frame, options):
    """The table as LaTeX."""
    lines = [[tex.escape(row.dataset), tex.number(row.words)] for row in frame.itertuples()]
    table = tex.table(
        caption=ENTRY.label, label="tab:toy", columns=["Data", "Words"], sections=[lines], notes=[]
    )
    return tex.document(ENTRY.label, [table], options)
