"""What image data sets share: rows of pixels, IDX files, JPEG files, and the rows that a config block asks for.

A row has `pixels` (uint8, row-major, channels last), `height`, `width`, `channels`, `label`, and where it comes from a file
its `name`.
"""

import math

from ..errors import PlumblineError
from . import raw

PARAMETERS = {
    name: raw.PARAMETERS[name] for name in ("train", "validation", "test", "order", "seed", "revision")
}


def frame_of(images, labels, names=None):
    """A DataFrame of images, uint8 (rows, height, width) or (rows, height, width, channels), and their labels."""
    import pandas as pd

    images = images[..., None] if images.ndim == 3 else images
    height, width, channels = images.shape[1:]
    frame = pd.DataFrame({"label": labels, "height": height, "width": width, "channels": channels})
    frame["pixels"] = list(images.reshape(len(images), height * width * channels))
    return frame if names is None else frame.assign(name=names)


def array(row):
    """The image uint8 (height, width, channels) of a row, as read from Parquet."""
    import numpy as np

    return np.asarray(row.pixels, dtype=np.uint8).reshape(row.height, row.width, row.channels)


def arrays(frame):
    """(images uint8 (rows, height, width, channels), labels int64 (rows,)) of rows of one size, as read from Parquet."""
    import numpy as np

    first = frame.iloc[0]
    shape = (len(frame), int(first["height"]), int(first["width"]), int(first["channels"]))
    return np.stack(frame["pixels"].to_numpy()).reshape(shape), frame["label"].to_numpy(dtype=np.int64)


def read_idx(path):
    """The array of an IDX file (LeCun's format of MNIST), gzip: uint8, of the dimensions that its header gives.

    Raises PlumblineError for a file of another kind, or of another length than its header says.
    """
    import gzip
    import zlib

    import numpy as np

    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as fault:
        raise PlumblineError(f"{path} is no gzip file: {fault}") from fault
    dimensions = content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if not dimensions or len(content) < start:
        raise PlumblineError(f"{path} is no IDX file of bytes, or ends in its header: copy it again")
    shape = tuple(np.frombuffer(content[4:start], dtype=">u4").tolist())
    if len(content) - start != math.prod(shape):
        raise PlumblineError(
            f"{path} holds {len(content) - start} values, its header says {shape}: copy it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def read_picture(file, size):
    """A JPEG or PNG (path or binary file) as uint8 (size, size, 3): shorter side resized (bilinear), middle cut out.

    Raises PlumblineError for what is no picture.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            picture = picture.convert("RGB")
    except (UnidentifiedImageError, OSError) as fault:
        raise PlumblineError(f"{getattr(file, 'name', file)} is no picture: {fault}") from fault
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))


def carve(frame, split, block, dataset):
    """Train or validation of a source that has train alone: validation is the first of a permutation, by default a tenth."""
    size = len(frame) // 10 if block["validation"] is None else block["validation"]
    if size >= len(frame):
        raise PlumblineError(
            f"dataset '{dataset}': {size} validation rows leave none of {len(frame)} for training"
        )
    order = raw.permutation(len(frame), dataset, "validation", block["seed"])
    return frame.iloc[sorted(order[:size] if split == "validation" else order[size:])]
