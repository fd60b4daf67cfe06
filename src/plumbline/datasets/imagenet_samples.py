"""Single photographs of ImageNet classes, for galleries: the 53 of the mirror, none with a mask or box."""

from ..registry import Dataset
from . import images, raw
from .imagenet_names import NAMES

ENTRY = Dataset(
    id="imagenet_samples",
    label="ImageNet samples",
    task="images",
    label_names=NAMES,
    splits=("test",),
    licence="ImageNet's terms: non-commercial research and education; pictures belong to their owners",
    citation="Deng et al. 2009, CVPR; Russakovsky et al. 2015, IJCV",
    sources={"mirror": {"labels": "imagenet_samples/labels.tsv"}},
    parameters={"test": None, "order": "source", "seed": 0} | images.PHOTOGRAPHS,
    order=82,
)


def rows(split, block, files):
    """Photographs, class index and class name, as they are or cut to squares of `size`."""
    table = raw.read_tsv(
        files("labels"),
        ["file", "class_index", "class_name"],
        filled=["file", "class_name"],
        integers={"class_index": (0, 999)},
    )
    table = raw.limit(table, split, block, "imagenet_samples")
    items = [
        (path, str(path)) for path in (files(f"imagenet_samples/images/{name}") for name in table["file"])
    ]
    return images.photographs(
        items, table["class_index"].to_numpy(), block["size"], table["class_name"].to_numpy()
    )
