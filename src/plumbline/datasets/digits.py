"""scikit-learn's digits: 1,797 handwritten digits of 8 x 8 pixels, in the package itself.

A fifth of them, drawn once, is the test split; validation is carved from the rest.
"""

from ..registry import Dataset
from . import images, raw

ENTRY = Dataset(
    id="digits",
    label="Digits",
    task="images",
    label_names=tuple("0123456789"),
    splits=("train", "validation", "test"),
    licence="CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)",
    citation="Alpaydin & Kaynak 1998, UCI Machine Learning Repository; scikit-learn",
    sources={"generated": {}},
    parameters={name: value for name, value in images.PARAMETERS.items() if name != "revision"},
    order=80,
)


def rows(split, block, files):
    """Pixels and label of a split: a DataFrame. The source's 17 levels of grey become 0 to 255."""
    from sklearn.datasets import load_digits

    source = load_digits()
    frame = images.frame_of((source.images * 255 / 16).round().astype("uint8"), source.target)
    order = raw.permutation(len(frame), "digits", "test")
    test = len(frame) // 5
    frame = frame.iloc[sorted(order[:test] if split == "test" else order[test:])]
    if split != "test":
        frame = images.carve(frame, split, block, "digits")
    return raw.limit(frame, split, block, "digits")
