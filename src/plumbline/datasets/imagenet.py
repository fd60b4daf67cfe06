"""ImageNet's validation photographs, as the hub keeps them (gated: accept its terms there and set HF_TOKEN)."""

from ..registry import Dataset
from . import images, raw
from .imagenet_names import NAMES

ENTRY = Dataset(
    id="imagenet",
    label="ImageNet",
    task="images",
    label_names=NAMES,
    splits=("test",),
    licence="ImageNet's terms: non-commercial research and education; pictures belong to their owners",
    citation="Russakovsky et al. 2015, IJCV",
    sources={
        "hub": {
            # The first of fourteen files: 3,572 of the 50,000 photographs, in random order.
            "validation.parquet": {
                "repo": "ILSVRC/imagenet-1k",
                "repo_type": "dataset",
                "revision": None,
                "filename": "data/validation-00000-of-00014.parquet",
            }
        }
    },
    parameters={"test": None, "order": "source", "seed": 0, "revision": None} | images.PHOTOGRAPHS,
    order=83,
)


def rows(split, block, files):
    """The first photographs and their class index, as they are or cut to squares of `size`."""
    path = files("validation.parquet")
    frame = raw.read_parquet(path, {"image": "image", "label": "label"}, integers={"label": (0, 999)})
    frame = raw.limit(frame, split, block, "imagenet")
    return images.photographs(images.parquet_pictures(frame, path), frame["label"].to_numpy(), block["size"])
