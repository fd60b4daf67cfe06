"""Single photographs of ImageNet classes, for galleries: the 53 of the mirror, none with a mask or box."""

from ..registry import Dataset
from . import images, raw

ENTRY = Dataset(
    id="imagenet_samples",
    label="ImageNet samples",
    task="images",
    label_names=(),
    splits=("test",),
    licence="ImageNet's terms: non-commercial research and education; pictures belong to their owners",
    citation="Deng et al. 2009, CVPR; Russakovsky et al. 2015, IJCV",
    sources={"mirror": {"labels": "imagenet_samples/labels.tsv"}},
    parameters={"test": None, "order": "source", "seed": 0, "size": 224},
    order=82,
)


def rows(split, block, files):
    """Pixels, class (index among ImageNet's 1,000) and class name, the shorter side resized to `size`, middle cut out."""
    import numpy as np

    table = raw.read_tsv(
        files("labels"), ["file", "class_index", "class_name"],
        filled=["file", "class_name"], integers={"class_index": (0, 999)},
    )  # fmt: skip
    pictures = [
        images.read_picture(files(f"imagenet_samples/images/{name}"), block["size"]) for name in table["file"]
    ]
    frame = images.frame_of(np.stack(pictures), table["class_index"], table["class_name"])
    return raw.limit(frame, split, block, "imagenet_samples")
