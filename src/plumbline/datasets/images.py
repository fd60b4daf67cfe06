"""What image data sets share: rows of pixels, IDX files, pictures, and the rows that a config block asks for.

A row has `height`, `width`, `channels`, `label`, and either `pixels` (uint8, row-major, channels last) or, of a photograph that
is kept as it is, `encoded` (the bytes of its file); where it comes from a file its `name`.
"""

from ..errors import PlumblineError
from . import raw

PARAMETERS = {
    name: raw.PARAMETERS[name] for name in ("train", "validation", "test", "order", "seed", "revision")
}
# Of photographs: pixels of a side at which they are kept; None: as they are, and the model's own preparation cuts them.
PHOTOGRAPHS = {"size": None}


def frame_of(images, labels, names=None):
    """Make the rows of images in memory.

    Parameters
    ----------
    images : array_like of uint8, shape (rows, height, width) or (rows, height, width, channels)
        The pixels.
    labels : array_like of int, shape (rows,)
        Classes of the images.
    names : list of str, optional
        Of the images.

    Returns
    -------
    DataFrame
        Columns: see the module.

    Raises
    ------
    PlumblineError
        Where images and labels differ in number or in shape.
    """
    import numpy as np
    import pandas as pd

    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim not in (3, 4) or labels.ndim != 1:
        raise PlumblineError(
            f"images have {images.ndim} dimensions and labels {labels.ndim}; expected 3 or 4, and 1: are the files exchanged?"
        )
    if len(images) != len(labels):
        raise PlumblineError(f"{len(images)} images have {len(labels)} labels: copy both files again")
    images = images[..., None] if images.ndim == 3 else images
    height, width, channels = images.shape[1:]
    frame = pd.DataFrame({"label": labels, "height": height, "width": width, "channels": channels})
    frame["pixels"] = list(images.reshape(len(images), height * width * channels))
    return frame if names is None else frame.assign(name=names)


def array(row):
    """Return the image of a row.

    Parameters
    ----------
    row : namedtuple
        As read from Parquet.

    Returns
    -------
    numpy.ndarray, uint8, shape (height, width, channels)
    """
    import numpy as np

    if getattr(row, "encoded", None) is not None:
        return np.asarray(_decoded(row.encoded, f"image {row.id}"))
    return np.asarray(row.pixels, dtype=np.uint8).reshape(row.height, row.width, row.channels)


def arrays(frame):
    """Return images and labels of rows.

    Parameters
    ----------
    frame : DataFrame
        As read from Parquet.

    Returns
    -------
    images : numpy.ndarray, uint8, shape (rows, height, width, channels)
        Or a list of (height, width, channels) where they differ in size.
    labels : numpy.ndarray, int64, shape (rows,)
        Classes of the images.
    """
    import numpy as np

    images = [array(row) for row in frame.itertuples()]
    same = len({image.shape for image in images}) == 1
    return np.stack(images) if same else images, frame["label"].to_numpy(dtype=np.int64)


def stream_images(path, size, *, start=0, stop=None):
    """Read a Parquet file of images part by part: no more rows are in memory.

    Parameters
    ----------
    path : path
        The file.
    size : int
        Rows of a part.
    start, stop : int
        The rows that are read; None: to the end.

    Yields
    ------
    images, labels
        See `arrays`.
    """
    from ..artefacts import stream_tables

    for table in stream_tables(path, size, start=start, stop=stop):
        yield arrays(table.to_pandas())


def read_idx(path):
    """Read an IDX file (LeCun's format of MNIST), gzip.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    numpy.ndarray, uint8
        Of the dimensions that its header gives.

    Raises
    ------
    PlumblineError
        For a file of another kind, or of another length than its header says.
    """
    import gzip
    import math
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


# ---------------------------------------------------------------------------------------------------- pictures


def read_picture(file, size=None, *, resize=None, interpolation="bilinear", where=None):
    """Read a picture as 8-bit RGB.

    16-bit grey is divided by 257: white is 255.

    Parameters
    ----------
    file : path, bytes or binary file
        JPEG, PNG, ...
    size, resize, interpolation
        See `fitted`. size None: the picture is left as it is.
    where : str, optional
        What a message calls it.

    Returns
    -------
    numpy.ndarray, uint8, shape (height, width, 3)

    Raises
    ------
    PlumblineError
        For what is no picture, and for one whose 8-bit colours are a matter of opinion: transparent pixels, 32 bits a pixel and
        channel.
    """
    import numpy as np

    picture = _decoded(
        file, where or getattr(file, "name", None) or (file if isinstance(file, str) else None) or str(file)
    )
    return np.asarray(picture) if size is None else fitted(picture, size, resize, interpolation)


def fitted(picture, size, resize=None, interpolation="bilinear"):
    """Resize and crop a picture as torchvision's Resize(resize), CenterCrop(size) do, to the bit.

    Parameters
    ----------
    picture : PIL.Image.Image or numpy.ndarray, uint8, shape (height, width, channels)
        The picture.
    size : int
        Of a side, in pixels.
    resize : int, optional
        Of the shorter side, `size` where None; the longer one becomes int(resize * long / short).
    interpolation : {'bilinear', 'bicubic'}
        With antialiasing, on 8-bit pixels.

    Returns
    -------
    numpy.ndarray, uint8, shape (size, size, channels)

    Raises
    ------
    PlumblineError
        Where resize is smaller than size, or the resized picture would be above Pillow's limit.
    """
    import numpy as np
    from PIL import Image

    resize = size if resize is None else resize
    if resize < size:
        raise PlumblineError(f"a side resized to {resize} pixels holds no crop of {size}: raise `resize`")
    if not isinstance(picture, Image.Image):
        pixels = np.asarray(picture, dtype=np.uint8)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    width, height = picture.size
    short, long = min(width, height), int(resize * max(width, height) / min(width, height))
    width, height = (resize, long) if width == short else (long, resize)
    if width * height > (Image.MAX_IMAGE_PIXELS or width * height):
        raise PlumblineError(
            f"a picture of {picture.size[0]} x {picture.size[1]} pixels is too long to be resized: cut it"
        )
    picture = picture.resize((width, height), Image.Resampling[interpolation.upper()])
    left, top = (int(round((side - size) / 2.0)) for side in (width, height))
    found = np.asarray(picture.crop((left, top, left + size, top + size)))
    return found.reshape(size, size, -1)


def photographs(items, labels, size, names=None):
    """Make the rows of photographs.

    Parameters
    ----------
    items : iterable of tuple
        (file: path or bytes, what a message calls it).
    labels : array_like of int, shape (rows,)
        Classes of the photographs.
    size : int or None
        See PHOTOGRAPHS.
    names : list of str, optional
        Of the photographs.

    Returns
    -------
    DataFrame
        Columns: see the module.

    Raises
    ------
    PlumblineError
        As `read_picture`.
    """
    import numpy as np
    import pandas as pd

    if size is not None:
        pixels = [read_picture(file, size, where=where) for file, where in items]
        return frame_of(np.stack(pixels) if pixels else np.zeros((0, size, size, 3), np.uint8), labels, names)
    rows = []
    for file, where in items:
        height, width, channels = np.asarray(_decoded(file, where)).shape
        content = file if isinstance(file, bytes) else _bytes(file)
        rows.append({"height": height, "width": width, "channels": channels, "encoded": content})
    frame = pd.DataFrame(rows, columns=["height", "width", "channels", "encoded"]).assign(label=labels)
    return frame if names is None else frame.assign(name=names)


def parquet_pictures(frame, path):
    """Read the column `image` of a hub's image data set, as `photographs` takes it.

    Parameters
    ----------
    frame : DataFrame
        Rows of the file; the index is the row's number.
    path : path
        The file, named in messages.

    Yields
    ------
    tuple
        (bytes, the row of the file in words).

    Raises
    ------
    PlumblineError
        For a row without a picture.
    """
    for number, item in zip(frame.index, frame["image"], strict=True):
        where = f"row {number} of {path}"
        if not isinstance(item, dict) or not isinstance(item.get("bytes"), bytes) or not item["bytes"]:
            raise PlumblineError(f"{where} holds no picture")
        yield item["bytes"], where


def _bytes(path):
    from pathlib import Path

    return Path(path).read_bytes()


def _decoded(file, where):
    """A picture of Pillow, RGB, of a path, bytes or a binary file."""
    import io
    import struct
    import warnings
    import zlib

    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Above its limit Pillow warns, above twice that it refuses.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as picture:
                return _rgb(picture, where)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PlumblineError(
            f"{where} is above Pillow's limit of {Image.MAX_IMAGE_PIXELS} pixels: make it smaller"
        ) from fault
    # What Pillow's readers raise for damaged files.
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        struct.error,
        zlib.error,
    ) as fault:
        raise PlumblineError(f"{where} is no picture: {fault}") from fault


def _rgb(picture, where):
    import numpy as np
    from PIL import Image

    mode = picture.mode
    if mode.startswith("I;16"):
        if "transparency" in picture.info:
            raise PlumblineError(f"{where} has a transparent grey: put it on a background first")
        grey = np.asarray(picture).astype(np.uint16) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if mode in ("I", "F"):
        raise PlumblineError(
            f"{where} has 32 bits a pixel (mode {mode}), of which none says what is white: save it with 8 or 16"
        )
    if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise PlumblineError(f"{where} has transparent pixels (mode {mode}): put it on a background first")
    return picture.convert("RGB")


def carve(frame, split, block, dataset):
    """Return train or validation of a source that has train alone.

    Validation is the first of a permutation, by default a tenth.

    Parameters
    ----------
    frame : DataFrame
        The source's train split.
    split : {'train', 'validation'}
        Which is asked for.
    block : dict
        The data set's block.
    dataset : str
        Its id.

    Returns
    -------
    DataFrame
        In the source's order.

    Raises
    ------
    PlumblineError
        Where validation leaves nothing for training.
    """
    size = len(frame) // 10 if block["validation"] is None else block["validation"]
    if size >= len(frame):
        raise PlumblineError(
            f"dataset '{dataset}': {size} validation rows leave none of {len(frame)} for training"
        )
    order = raw.permutation(len(frame), dataset, "validation", block["seed"])
    return frame.iloc[sorted(order[:size] if split == "validation" else order[size:])]
