"""MNIST: 60,000 and 10,000 handwritten digits of 28 x 28 pixels; validation is carved from the former."""

from ..errors import PlumblineError
from ..registry import Dataset
from . import images, raw

NAMES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
# Of the original files of yann.lecun.com.
SHA256 = {
    "train_images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train_labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "test_images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "test_labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
HOST = "https://ossci-datasets.s3.amazonaws.com/mnist"

ENTRY = Dataset(
    id="mnist",
    label="MNIST",
    task="images",
    label_names=tuple("0123456789"),
    splits=("train", "validation", "test"),
    licence="CC BY-SA 3.0 (LeCun & Cortes)",
    citation="LeCun, Bottou, Bengio & Haffner 1998, Proceedings of the IEEE",
    sources={
        "mirror": {key: f"mnist/{name}" for key, name in NAMES.items()},
        "url": {name: {"url": f"{HOST}/{name}", "sha256": SHA256[key]} for key, name in NAMES.items()},
    },
    parameters={name: value for name, value in images.PARAMETERS.items() if name != "revision"}
    | {"url": None},  # another address of the folder with the four files
    order=81,
)


def rows(split, block, files):
    """Pixels and label of a split: a DataFrame in the source's order."""
    part = "test" if split == "test" else "train"
    keys = [f"{part}_images", f"{part}_labels"]
    paths = [files(key if block["source"] == "mirror" else NAMES[key]) for key in keys]
    pictures, labels = map(images.read_idx, paths)
    for path, found, dimensions in zip(paths, (pictures, labels), (3, 1), strict=True):
        if found.ndim != dimensions:
            raise PlumblineError(
                f"{path} has {found.ndim} dimensions, not {dimensions}: is it the other file?"
            )
    if len(pictures) != len(labels):
        raise PlumblineError(
            f"{paths[0]} has {len(pictures)} images, {paths[1]} {len(labels)} labels: copy both again"
        )
    wrong = (labels > 9).nonzero()[0]
    if len(wrong):
        raise PlumblineError(f"row {wrong[0]} of {paths[1]} has the label {labels[wrong[0]]}; legal: 0 to 9")
    frame = images.frame_of(pictures, labels)
    if split != "test":
        frame = images.carve(frame, split, block, "mnist")
    return raw.limit(frame, split, block, "mnist")
