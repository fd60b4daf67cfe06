"""scikit-learn's digits, half of each class for training and half for the test, so that about 90 test images show a class.

The stand-in for MNIST of the study of ExplainNN, never to be labelled MNIST. No validation split.
"""

from ..registry import Dataset
from . import images, raw

ENTRY = Dataset(
    id="digits_half",
    label="Digits (half)",
    task="images",
    label_names=tuple("0123456789"),
    splits=("train", "test"),
    licence="CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)",
    citation="Alpaydin & Kaynak 1998, UCI Machine Learning Repository; scikit-learn",
    sources={"generated": {}},
    parameters={
        name: value for name, value in images.PARAMETERS.items() if name not in ("validation", "revision")
    },
    order=84,
)


def rows(split, block, files):
    """Pixels and label of a split: a DataFrame in the source's order. The source's 17 levels of grey become 0 to 255."""
    import numpy as np
    from sklearn.datasets import load_digits

    source = load_digits()
    frame = images.frame_of((source.images * 255 / 16).round().astype("uint8"), source.target)
    order = raw.permutation(len(frame), "digits_half", "test")
    test = np.zeros(len(frame), dtype=bool)
    for label in range(10):
        of_class = order[source.target[order] == label]
        test[of_class[: (len(of_class) + 1) // 2]] = True
    return raw.limit(frame[test == (split == "test")], split, block, "digits_half")
