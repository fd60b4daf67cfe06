"""Single photographs of ImageNet classes, for galleries: the 53 of the mirror, none with a mask or box."""

import csv

from ..errors import PlumblineError
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

    with open(files("labels"), encoding="utf-8", newline="") as table:
        lines = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not lines or "class_index" not in lines[0]:
        raise PlumblineError(f"{files('labels')} has no column 'class_index'")
    pictures = [
        images.read_picture(files(f"imagenet_samples/images/{line['file']}"), block["size"]) for line in lines
    ]
    frame = images.frame_of(
        np.stack(pictures),
        [int(line["class_index"]) for line in lines],
        [line["class_name"] for line in lines],
    )
    return raw.limit(frame, split, block, "imagenet_samples")
