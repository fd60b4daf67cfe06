"""Test accuracy of every image model, and its mean over training seeds.

inputs: image_models (metrics.json of each). One seed: Wilson's interval over images; mean: Student's t over seeds. Unit:
share of images, in [0, 1]. A model whose classes are not the data's has no accuracy. published_accuracy: of a checkpoint of
others, which it has to reach (plumbline.models.published).
"""

from ..registry import Output
from .accuracies import image_latex, image_rows

ENTRY = Output(
    id="image_accuracy",
    label="Accuracy of the image models",
    needs=("image_models",),
)


rows = image_rows


def latex(frame, options):
    """The table as LaTeX."""
    return image_latex(frame, options, ENTRY)
