"""ImageNet's validation photographs, as the hub keeps them (gated: accept its terms there and set HF_TOKEN)."""

import io

from ..errors import PlumblineError
from ..registry import Dataset
from . import images, raw

ENTRY = Dataset(
    id="imagenet",
    label="ImageNet",
    task="images",
    label_names=(),
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
    parameters={"test": None, "order": "source", "seed": 0, "revision": None, "size": 224},
    order=83,
)


def rows(split, block, files):
    """Pixels and class index of the first photographs, the shorter side resized to `size`, middle cut out."""
    import numpy as np

    path = files("validation.parquet")
    frame = raw.read_parquet(path, {"image": "image", "label": "label"}, integers={"label": (0, 999)})
    frame = raw.limit(frame, split, block, "imagenet")
    pictures = []
    for number, item in enumerate(frame["image"]):
        if not isinstance(item, dict) or not item.get("bytes"):
            raise PlumblineError(f"row {number} of {path} holds no picture")
        pictures.append(images.read_picture(io.BytesIO(item["bytes"]), block["size"]))
    return images.frame_of(np.stack(pictures), frame["label"].to_numpy())
