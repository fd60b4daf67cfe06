"""Data sets of images: how pictures and their files are read, and which are refused."""

import io
import os
from pathlib import Path

import numpy as np
import pytest

from plumbline.artefacts import read_rows, write_rows
from plumbline.datasets import load
from plumbline.datasets.images import arrays, frame_of, read_idx, read_picture
from plumbline.errors import PlumblineError

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")


def test_digits_are_divided_once():
    found = {split: load("digits", split, {}) for split in ("train", "validation", "test")}
    assert [len(frame) for frame in found.values()] == [1295, 143, 359]
    keys = [{bytes(row) for row in frame["pixels"]} for frame in found.values()]
    assert not (keys[0] & keys[1]) and not (keys[0] & keys[2]) and not (keys[1] & keys[2])
    images, labels = arrays(found["test"])
    assert images.shape == (359, 8, 8, 1) and images.max() == 255 and set(labels) == set(range(10))


def test_a_rows_pixels_are_its_image(tmp_path):
    """A gradient down, across and over the channels comes back upright, alone and beside another."""
    down, across, channel = np.meshgrid(np.arange(5), np.arange(3), np.arange(2), indexing="ij")
    image = (40 * down + 10 * across + channel).astype(np.uint8)
    rows = frame_of([image, image[::-1]], [4, 7]).assign(id=[0, 1])
    write_rows(tmp_path / "test.parquet", rows, kind="images")
    images, labels = arrays(read_rows(tmp_path / "test.parquet"))
    assert images.shape == (2, 5, 3, 2) and labels.tolist() == [4, 7]
    assert images[0, 4, 1].tolist() == [170, 171] and images[0, 1, 2].tolist() == [60, 61]
    np.testing.assert_array_equal(images[1], image[::-1])


@needs_mirror
def test_mnist_and_samples_from_the_mirror():
    images, labels = arrays(load("mnist", "test", {"source": "mirror"}, mirror=MIRROR))
    assert images.shape == (10000, 28, 28, 1) and np.bincount(labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # fmt: skip
    samples = load("imagenet_samples", "test", {"size": 64, "test": 5}, mirror=MIRROR)
    assert arrays(samples)[0].shape == (5, 64, 64, 3) and samples["name"][0] == "tench"


def test_broken_pictures(tmp_path):
    import gzip

    path = tmp_path / "images.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(PlumblineError, match="is no gzip file"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + (9).to_bytes(4, "big") + b"abc"))
    with pytest.raises(PlumblineError, match=r"holds 3 values, its header says \(9,\)"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x0d\x01"))
    with pytest.raises(PlumblineError, match="is no IDX file"):
        read_idx(path)
    with pytest.raises(PlumblineError, match="is no picture"):
        read_picture(io.BytesIO(b"nothing"), 8)


def test_imagenet_from_a_parquet_file(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 100, dtype=np.uint8)).save(buffer, format="PNG")
    (tmp_path / "imagenet").mkdir()
    items = [{"bytes": buffer.getvalue(), "path": "x.png"}, {"bytes": None, "path": "y.png"}]
    table = pa.table({"image": items, "label": [7, 8]})
    pq.write_table(table, tmp_path / "imagenet" / "validation.parquet")
    frame = load("imagenet", "test", {"test": 1, "size": 16}, downloads=tmp_path)
    images, labels = arrays(frame)
    assert images.shape == (1, 16, 16, 3) and (images == 100).all() and labels.tolist() == [7]
    with pytest.raises(PlumblineError, match="row 1 of .* holds no picture"):
        load("imagenet", "test", {"size": 16}, downloads=tmp_path)


def encoded(array, mode=None, kind="PNG", **options):
    from PIL import Image

    buffer = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_sixteen_bits_of_grey_keep_their_scale():
    """0..65535 is 0..255: divided by 257, then reduced; a plain conversion to RGB cuts everything above 255."""
    ramp = np.broadcast_to(np.linspace(0, 65535, 64).astype(np.uint16), (64, 64))
    found = read_picture(encoded(np.ascontiguousarray(ramp)), 8)
    assert found[0, :, 0].tolist() == [17, 46, 78, 111, 143, 176, 208, 237]
    assert (found == found[:1, :, :1]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_pictures_of_every_mode_show_their_colours(mode):
    """A picture of black and white, in whatever mode: black and white."""
    wanted = np.zeros((4, 4, 3), dtype=np.uint8)
    wanted[:, 2:] = 255
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    np.testing.assert_array_equal(read_picture(encoded(wanted, mode, kind)), wanted)


def test_pictures_without_one_meaning_are_refused():
    from PIL import Image

    clear = np.full((4, 4, 4), 200, dtype=np.uint8)
    clear[0, 0, 3] = 90
    palette = Image.fromarray(clear[..., :3]).convert("P")
    grey = Image.fromarray(clear[..., 0])
    for content, match in (
        (encoded(clear), "has transparent pixels"),
        (encoded(grey, "LA"), None),
        (encoded(clear, "LA"), "has transparent pixels"),
        (encoded(palette, transparency=palette.getpixel((0, 0))), "has transparent pixels"),
        (encoded(grey, transparency=200), "has transparent pixels"),
        (encoded(np.ones((4, 4), dtype=np.int32), kind="TIFF"), "has 32 bits a pixel"),
        (encoded(np.ones((4, 4), dtype=np.float32), kind="TIFF"), "has 32 bits a pixel"),
        (encoded(clear[..., :3])[:-40], "is no picture"),
    ):
        if match is None:
            assert read_picture(content).shape == (4, 4, 3)
            continue
        with pytest.raises(PlumblineError, match=f"a file {match}"):
            read_picture(content, where="a file")


def test_pictures_above_the_limit_of_pillow(monkeypatch):
    from PIL import Image

    content = encoded(np.zeros((20, 30, 3), dtype=np.uint8))
    for limit in (500, 200):  # Pillow warns of the first, and refuses the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(PlumblineError, match=f"a file is above Pillow's limit of {limit} pixels"):
            read_picture(content, 8, where="a file")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(PlumblineError, match="3 x 300 pixels is too long to be resized"):
        read_picture(encoded(np.zeros((300, 3), dtype=np.uint8)), 64)
    with pytest.raises(PlumblineError, match="resized to 8 pixels holds no crop of 9"):
        read_picture(content, 9, resize=8)


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("dataset", ["imagenet", "cifar10"])
def test_a_bad_picture_or_label_in_a_parquet_file_names_its_row(tmp_path, dataset, size):
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, column = {"imagenet": ("validation", "image"), "cifar10": ("test", "img")}[dataset]
    block = {"size": size} if dataset == "imagenet" else {}
    (tmp_path / dataset).mkdir()
    good = encoded(np.full((32, 32, 3), 7, dtype=np.uint8))
    bad = encoded(np.full((32, 32, 4), 7, dtype=np.uint8))
    for second, labels, match in (
        ({"bytes": good[:50]}, [1, 2], "row 1 of .* is no picture"),
        ({"bytes": bad}, [1, 2], "row 1 of .* has transparent pixels"),
        ({"bytes": None}, [1, 2], "row 1 of .* holds no picture"),
        ({"bytes": good}, ["1", "cat"], "column 'label' of .* not whole numbers"),
        ({"bytes": good}, [1, None], "row 1 of .* has no label"),
        ({"bytes": good}, [1, 1000], "row 1 of .* has the label 1000"),
    ):
        table = pa.table({column: [{"bytes": good}, second], "label": labels})
        pq.write_table(table, tmp_path / dataset / f"{name}.parquet")
        with pytest.raises(PlumblineError, match=match):
            load(dataset, "test", {"source": "hub", **block}, downloads=tmp_path)


def test_mnist_of_unlike_files(tmp_path):
    import gzip

    from plumbline.datasets.mnist import NAMES

    def idx(*shape):
        head = b"\0\0\x08" + bytes([len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
        return gzip.compress(head + bytes(int(np.prod(shape))))

    (tmp_path / "mnist").mkdir()
    for images, labels, match in (
        ((3, 28, 28), (2,), "has 3 images, .* 2 labels"),
        ((2,), (2, 28, 28), "is it the other file"),
    ):
        (tmp_path / "mnist" / NAMES["test_images"]).write_bytes(idx(*images))
        (tmp_path / "mnist" / NAMES["test_labels"]).write_bytes(idx(*labels))
        with pytest.raises(PlumblineError, match=match):
            load("mnist", "test", {"source": "url"}, downloads=tmp_path)
    for content in (b"\0\0\x08", b"\0\0\x08\x03\0\0"):
        (tmp_path / "x.gz").write_bytes(gzip.compress(content))
        with pytest.raises(PlumblineError, match="is no IDX file"):
            read_idx(tmp_path / "x.gz")


@needs_mirror
def test_class_names_are_those_of_the_mirror():
    from plumbline.datasets import DATASETS

    lines = (Path(MIRROR) / "imagenet_samples/imagenet1k_classes.tsv").read_text().splitlines()[1:]
    names = tuple(line.split("\t")[2] for line in lines)
    assert len(names) == 1000
    assert DATASETS["imagenet"].label_names == DATASETS["imagenet_samples"].label_names == names


def test_digits_half_is_half_of_each_class():
    from sklearn.datasets import load_digits

    halves = {split: load("digits_half", split, {}) for split in ("train", "test")}
    pixels = {split: {row.tobytes() for row in frame["pixels"]} for split, frame in halves.items()}
    source = load_digits()
    assert not pixels["train"] & pixels["test"]
    assert len(halves["train"]) + len(halves["test"]) == len(source.target)
    wanted = {(picture * 255 / 16).round().astype(np.uint8).tobytes() for picture in source.images}
    assert pixels["train"] | pixels["test"] == wanted
    for label in range(10):
        train, test = ((frame["label"] == label).sum() for frame in halves.values())
        assert test >= 87 and 0 <= test - train <= 1


def test_cifar10_reads_the_hubs_files(tmp_path):
    import pandas as pd
    from PIL import Image

    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    folder = tmp_path / "cifar10"
    folder.mkdir()
    for split in ("train", "test"):
        files = []
        for picture in pictures:
            Image.fromarray(picture).save(file := io.BytesIO(), "PNG")
            files.append({"bytes": file.getvalue(), "path": None})
        pd.DataFrame({"img": files, "label": np.arange(20) % 10}).to_parquet(folder / f"{split}.parquet")
    found = {
        split: load("cifar10", split, {}, downloads=tmp_path) for split in ("train", "validation", "test")
    }
    images, labels = arrays(found["test"])
    assert np.array_equal(images, pictures) and labels.tolist() == list(range(10)) * 2
    assert (len(found["train"]), len(found["validation"])) == (18, 2)
    pd.DataFrame({"img": [{"bytes": b"", "path": "a.png"}], "label": [0]}).to_parquet(folder / "test.parquet")
    with pytest.raises(PlumblineError, match="row 0 of .*test.parquet holds no picture"):
        load("cifar10", "test", {}, downloads=tmp_path)
