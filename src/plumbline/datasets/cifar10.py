"""CIFAR-10: 50,000 and 10,000 photographs of 32 x 32 pixels in ten classes; validation is carved from the former."""

from ..registry import Dataset
from . import images, raw

HUB = {"repo": "uoft-cs/cifar10", "repo_type": "dataset", "revision": None}
SIZE = 32

ENTRY = Dataset(
    id="cifar10",
    label="CIFAR-10",
    task="images",
    label_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    splits=("train", "validation", "test"),
    licence="no licence given (Krizhevsky 2009)",
    citation="Krizhevsky 2009, Learning multiple layers of features from tiny images",
    sources={
        "hub": {
            "train.parquet": HUB | {"filename": "plain_text/train-00000-of-00001.parquet"},
            "test.parquet": HUB | {"filename": "plain_text/test-00000-of-00001.parquet"},
        },
        # The same two files.
        "mirror": {"train.parquet": "cifar10/train.parquet", "test.parquet": "cifar10/test.parquet"},
    },
    parameters=images.PARAMETERS,
    order=85,
)


def rows(split, block, files):
    """Pixels and label of a split: a DataFrame in the source's order."""
    path = files("test.parquet" if split == "test" else "train.parquet")
    frame = raw.read_parquet(path, {"img": "image", "label": "label"}, integers={"label": (0, 9)})
    if split != "test":
        frame = images.carve(frame, split, block, "cifar10")
    frame = raw.limit(frame, split, block, "cifar10")
    return images.photographs(images.parquet_pictures(frame, path), frame["label"].to_numpy(), SIZE)
