"""Test accuracy of the networks that causal graphs are learnt of, and its mean over training seeds; see image_accuracy.

inputs: image_models (metrics.json of each).
"""

from ..registry import Output
from .accuracies import image_latex, image_rows

ENTRY = Output(
    id="causal_accuracy",
    label="Accuracy of the networks with causal graphs",
    needs=("image_models",),
)

rows = image_rows


def latex(frame, options):
    """The table as LaTeX."""
    return image_latex(frame, options, ENTRY)
