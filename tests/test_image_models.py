"""Image models: architectures, checkpoints, preparation of pictures, released transformers, training."""

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from plumbline.artefacts import read_json, write_rows
from plumbline.attribution import image_maps
from plumbline.causal.learn import (
    ready,
)
from plumbline.datasets import load
from plumbline.datasets.images import arrays, frame_of, read_picture, stream_images
from plumbline.errors import PlumblineError
from plumbline.models.image_models import IMAGENET, build, prepared, published_weights, train_job
from plumbline.models.lenet import LeNet, halved
from plumbline.models.resnet import ResNet
from plumbline.models.vit import RELEASED, VisionTransformer, released_weights
from tests.small_images import VIM, as_torchvision, small_vim
from tests.small_networks import train_network

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")


@pytest.mark.slow
@needs_mirror
def test_released_transformers():
    entry = RELEASED["vit_mnist"]
    model = VisionTransformer(**entry["network"]).eval()
    model.load_state_dict(released_weights("vit_mnist", Path(MIRROR) / entry["file"]))
    pictures, labels = arrays(load("mnist", "test", {"source": "mirror", "test": 1000}, mirror=MIRROR))
    facts = {"network": entry["network"], "mean": entry["mean"], "std": entry["std"]}
    from plumbline.models.image_models import correct_of

    assert correct_of(model, pictures, labels, facts) / 1000 >= 0.95
    with pytest.raises(PlumblineError, match="unknown released Vision Transformer 'vit'"):
        released_weights("vit", Path(MIRROR) / entry["file"])


def numpy_vit(arrays, image, heads):
    """vit_cifar10's forward pass in NumPy from its own names, by the mirror's vit_cifar10.config.json: attention and logits."""
    from scipy.special import erf, softmax

    def normed(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def linear(x, name):
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    kernel, patches = arrays["patch_embedding.embed.weight"], []
    for top in range(0, 32, 4):
        for left in range(0, 32, 4):
            window = image[:, top : top + 4, left : left + 4]
            patches.append((kernel * window).sum((1, 2, 3)) + arrays["patch_embedding.embed.bias"])
    x = np.concatenate([arrays["cls_token"][0], patches]) + arrays["pos_embed"][0]
    for layer in range(4):
        name, attended = f"transformer_layers.{layer}", []
        read = normed(x, f"{name}.norm1") @ arrays[f"{name}.attention.in_proj_weight"].T
        read = read + arrays[f"{name}.attention.in_proj_bias"]
        query, key, value = np.split(read, 3, axis=-1)
        for head in range(heads):
            part = slice(16 * head, 16 * head + 16)
            attention = softmax(query[:, part] @ key[:, part].T / 4, axis=-1)
            attended.append(attention @ value[:, part])
        x = x + linear(np.concatenate(attended, -1), f"{name}.attention.out_proj")
        hidden = linear(normed(x, f"{name}.norm2"), f"{name}.mlp.0")
        x = x + linear(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, f"{name}.mlp.2")
    return attention, linear(normed(x[0], "out_head.0"), "out_head.1")


@needs_mirror
def test_vit_cifar10_is_run(tmp_path):
    """On photographs: logits and the last layer's attention are those of a forward pass written apart, and its maps exist."""
    from PIL import Image

    entry, path = RELEASED["vit_cifar10"], Path(MIRROR) / RELEASED["vit_cifar10"]["file"]
    model = VisionTransformer(**entry["network"]).eval().requires_grad_(False)
    model.load_state_dict(released_weights("vit_cifar10", path))
    facts = {name: entry[name] for name in ("network", "mean", "std")} | {
        "resize": 32,
        "interpolation": "bilinear",
    }
    rows = load("imagenet_samples", "test", {"test": 3}, mirror=MIRROR)
    ready = prepared(arrays(rows)[0], facts)
    # What the checkpoint's own description says: x / 255, nothing subtracted; of a picture that is not flat.
    about = read_json(Path(MIRROR) / "small_models" / "vit_cifar10.config.json")
    assert about["input_normalisation"] == "x/255"
    assert about["author_reported_test_accuracy"] == entry["accuracy"]
    folder = Path(MIRROR) / "imagenet_samples"
    names = [line.split("\t")[0] for line in (folder / "labels.tsv").read_text().splitlines()[1:4]]
    pictures = [as_torchvision(folder / "images" / name, 32, 32, Image.Resampling.BILINEAR) for name in names]
    shown = np.stack(pictures).transpose(0, 3, 1, 2) / 255
    assert (shown.std((1, 2, 3)) > 0.1).all()
    np.testing.assert_allclose(ready.numpy(), shown, atol=1e-6)
    trace = []
    found = model(ready, trace)
    with np.load(path) as arrays_of:
        weights = {name: arrays_of[name].astype(np.float64) for name in arrays_of.files}
    for image in range(3):
        attention, wanted = numpy_vit(weights, shown[image], heads=4)
        np.testing.assert_allclose(found[image].detach().numpy(), wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(trace[-1][1][image, -1].detach().numpy(), attention, atol=1e-5)
    about, maps, _ = image_maps.compute(model, ready, start_layer=0, alpha=0.9, seeds=[0, 1, 2])
    assert about["target"].tolist() == found.argmax(1).tolist()
    assert set(maps) == set(image_maps.maps_of("vit")) and all(
        values.isfinite().all() for values in maps.values()
    )


def test_published_checkpoint_is_read_without_running_code(tmp_path):
    model = small_vim().float()
    options = argparse.Namespace(lr=0.1)
    torch.save({"model": model.state_dict(), "args": options, "epoch": 3}, tmp_path / "good.pth")
    weights = published_weights(tmp_path / "good.pth")
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with open(tmp_path / "evil.pth", "wb") as file:
        pickle.dump({"model": Evil()}, file)
    torch.save({"model": {}, "bad": Evil()}, tmp_path / "worse.pth")
    for name in ("evil.pth", "worse.pth"):
        with pytest.raises(PlumblineError, match=f"{name} is not read: it holds more than tensors"):
            published_weights(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(PlumblineError, match="has no 'model'"):
        published_weights(tmp_path / "list.pth")


@pytest.mark.slow
def test_pixels_are_scaled_by_the_training_images_a_channel_each(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, [100, 180, 256], (8, 16, 16, 3)).astype(np.uint8)
    rows = frame_of(images, np.arange(8)).assign(id=np.arange(8))
    write_rows(tmp_path / "train.parquet", rows, kind="images")
    outputs = {key: tmp_path / key for key in ("weights", "architecture", "metrics")}
    block = VIM | {"channels": 3, "training": VIM["training"] | {"batch_size": 8}}
    files = {"train": tmp_path / "train.parquet"}
    train_job(dataset="digits", model="m", seed=0, block=block, labels=False, files=files, outputs=outputs)
    facts, pixels = read_json(outputs["architecture"]), images.reshape(-1, 3) / 255
    assert facts["mean"] == pytest.approx(pixels.mean(0), abs=5.1e-5)
    assert facts["std"] == pytest.approx(pixels.std(0), abs=5.1e-5)


@pytest.mark.slow
@needs_mirror
@pytest.mark.parametrize(("resize", "interpolation"), [(224, "bilinear"), (256, "bicubic"), (235, "bicubic")])
def test_all_photographs_are_prepared_as_torchvision_does(resize, interpolation, tmp_path):
    """All 53, as the data stage keeps them and the model reads them; at other sizes the crop's rounding shows."""
    from PIL import Image

    filter = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    folder = Path(MIRROR) / "imagenet_samples"
    names = [line.split("\t")[0] for line in (folder / "labels.tsv").read_text().splitlines()[1:]]
    wanted = [as_torchvision(folder / "images" / name, 224, resize, filter) for name in names]
    assert len(wanted) == 53
    for name, pixels in zip(names, wanted, strict=True):
        found = read_picture(folder / "images" / name, 224, resize=resize, interpolation=interpolation)
        np.testing.assert_array_equal(found, pixels, err_msg=name)
    rows = load("imagenet_samples", "test", {}, mirror=MIRROR)
    write_rows(tmp_path / "test.parquet", rows, kind="images")
    facts = {"network": {"image_size": 224}, "resize": resize, "interpolation": interpolation, **IMAGENET}
    blocks = list(stream_images(tmp_path / "test.parquet", 20))
    assert [len(images) for images, _ in blocks] == [20, 20, 13]
    ready = torch.cat([prepared(images, facts) for images, _ in blocks])
    scaled = torch.from_numpy(np.stack(wanted)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(IMAGENET[key])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(ready, (scaled - mean) / std)


@pytest.mark.parametrize(("old", "new"), [(8, 8), (5, 8), (9, 4)])
def test_square_pictures_are_scaled_and_standardised_by_hand(old, new):
    """Each side by the triangle filter, as wide as a pixel of the coarser grid; then a channel's own mean and deviation."""
    images = np.random.default_rng(old).integers(0, 256, (2, old, old, 3), dtype=np.uint8)
    centres = (np.arange(new) + 0.5) * old / new
    away = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(1, old / new)
    filter = np.maximum(1 - away, 0)
    filter /= filter.sum(1, keepdims=True)
    facts = {"network": {"image_size": new}, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    scaled = np.einsum("ia,jb,nabc->nijc", filter, filter, images / 255)
    want = ((scaled - facts["mean"]) / facts["std"]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(prepared(images, facts).numpy(), want, atol=1e-5)


def test_photographs_need_to_be_cut():
    facts = {"network": {"image_size": 8}, **IMAGENET}
    with pytest.raises(PlumblineError, match="an image of 12 x 9 pixels has to be cut .* `resize`"):
        prepared(np.zeros((2, 9, 12, 3), dtype=np.uint8), facts)
    with pytest.raises(PlumblineError, match="has to be cut to a square"):
        prepared([np.zeros((9, 9, 3), dtype=np.uint8), np.zeros((8, 8, 3), dtype=np.uint8)], facts)


@pytest.mark.slow
def test_a_checkpoint_must_reach_its_published_accuracy(trained_vim, monkeypatch, tmp_path):
    """The upper end of Wilson's interval at 99.8%, by its own formula, must reach what is published."""
    from plumbline.models import image_models, published

    correct, total = 660, 1000
    z, share = 3.0902323, correct / total
    upper = (share + z * z / 2 / total + z * np.sqrt(share * (1 - share) / total + z * z / 4 / total**2)) / (
        1 + z * z / total
    )
    assert 0.04 < upper - share < 0.05
    published.reach_published(correct, total, upper - 1e-6, "x")
    published.reach_published(correct, total, None, "x")
    with pytest.raises(PlumblineError, match="x: accuracy 0.660 on 1000 examples .* but 0.710 is published"):
        published.reach_published(correct, total, 0.71, "x")
    torch.save(
        {"model": small_vim(image_size=16, patch_size=4, classes=10).float().state_dict()},
        tmp_path / "vim.pth",
    )
    block = VIM | {"source": "hub", "depth": 3, "d_state": 3, "published_accuracy": 0.761}
    monkeypatch.setattr(image_models, "IMAGENET", {"mean": [0.5], "std": [0.5]})
    files = {"weights": tmp_path / "w", "architecture": tmp_path / "a", "metrics": tmp_path / "m"}
    about = {
        "dataset": "digits",
        "model": "vim",
        "seed": 0,
        "labels": True,
        "checkpoint": tmp_path / "vim.pth",
    }
    with pytest.raises(
        PlumblineError, match="vim on digits: accuracy .* but 0.761 is published: check revision"
    ):
        train_job(**about, block=block, files={"test": trained_vim / "test.parquet"}, outputs=files)
    assert not files["metrics"].exists()
    train_job(
        **about,
        block=block | {"published_accuracy": None},
        files={"test": trained_vim / "test.parquet"},
        outputs=files,
    )
    assert read_json(files["metrics"])["published_accuracy"] is None


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_checkpoint_reads_pictures_as_its_block_says(interpolation, monkeypatch, tmp_path):
    """Resized and cut as in the configuration: a picture of 24 x 31 becomes 20 x int(25.8), then 16 x 16 from (2, 4) on."""
    from PIL import Image

    from plumbline.models import image_models

    weights = small_vim(image_size=16, patch_size=4, classes=10).float().state_dict()
    torch.save({"model": weights}, tmp_path / "vim.pth")
    monkeypatch.setattr(image_models, "IMAGENET", {"mean": [0.5], "std": [0.25]})
    block = VIM | {"source": "hub", "depth": 3, "d_state": 3, "resize": 20, "interpolation": interpolation}
    files = {key: tmp_path / key for key in ("weights", "architecture", "metrics")}
    train_job(
        dataset="digits",
        model="vim",
        seed=0,
        block=block,
        labels=False,
        checkpoint=tmp_path / "vim.pth",
        files={},
        outputs=files,
    )
    picture = np.random.default_rng(0).integers(0, 256, (31, 24), dtype=np.uint8)
    filter = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    cut = np.asarray(Image.fromarray(picture).resize((20, 25), filter))[4:20, 2:18]
    ready = prepared(picture[None, ..., None], read_json(files["architecture"]))
    np.testing.assert_allclose(ready[0, 0].numpy(), (cut / 255 - 0.5) / 0.25, atol=1e-6)


def test_channels_must_fit():
    facts = {"network": {"image_size": 8}, "mean": [0.5], "std": [0.5]}
    frame = frame_of(np.zeros((1, 8, 8, 3), dtype=np.uint8), [0])
    with pytest.raises(PlumblineError, match="the images have 3 channels, the model reads 1"):
        prepared(arrays(frame)[0], facts)


@pytest.mark.parametrize("size", [(2, 2), (6, 8), (5, 8), (6, 7), (9, 9)])
def test_pooling_is_torchs(size):
    """By torch's kernel itself, ties and NaN included; with a gradient, of equal pixels the first has all of it."""
    images = torch.randint(-2, 3, (3, 4, *size), generator=torch.manual_seed(0)).float()
    images[0, 0, 1, 0] = torch.nan
    wanted = torch.max_pool2d(images, 2)
    torch.testing.assert_close(halved(images), wanted, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(LeNet().pool1(images), wanted, rtol=0, atol=0, equal_nan=True)
    pixels = torch.ones(1, 1, *size, requires_grad=True)
    with torch.no_grad():
        assert not halved(pixels).requires_grad
    halved(pixels).sum().backward()
    first = torch.zeros(1, 1, *size)
    first[..., : size[0] // 2 * 2 : 2, : size[1] // 2 * 2 : 2] = 1
    assert torch.equal(pixels.grad, first)


def test_lenet_is_the_published_network():
    model = LeNet()
    assert sum(weight.numel() for weight in model.parameters()) == 61706
    assert {name.split(".")[0] for name in model.state_dict()} == {"conv1", "conv2", "fc1", "fc2", "fc3"}
    kinds = [type(module) for module in model.modules()]
    assert (kinds.count(nn.ReLU), kinds.count(nn.MaxPool2d)) == (4, 2)
    x = torch.rand(2, 1, 32, 32)
    wanted = x
    for layer in (model.conv1, model.conv2):
        wanted = torch.nn.functional.max_pool2d(layer(wanted).relu(), 2)
    wanted = model.fc3(model.fc2(model.fc1(wanted.flatten(1)).relu()).relu())
    torch.testing.assert_close(model(x), wanted)
    assert wanted.shape == (2, 10)
    with pytest.raises(PlumblineError, match="16 pixels a side or more, not 15"):
        LeNet(image_size=15)
    assert LeNet(image_size=16).fc1.in_features == 16


def test_resnet_has_a_module_for_every_relu_and_adds_its_skips():
    model = ResNet(channels=1).eval()
    seen = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, *_: seen.append(module))
    x = torch.rand(2, 1, 32, 32)
    assert model(x).shape == (2, 10)
    assert len(seen) == len(set(seen)) == 7
    block = model.block2
    inner = block.norm2(block.conv2(block.norm1(block.conv1(x := torch.rand(1, 16, 8, 8))).relu()))
    torch.testing.assert_close(block(x), (inner + block.skip(x)).relu())
    assert block(x).shape == (1, 32, 4, 4)


@pytest.mark.parametrize(
    ("architecture", "channels", "mean", "std"),
    [("lenet", 1, [0.0], [1.0]), ("lenet", 3, [0.5] * 3, [0.5] * 3), ("resnet", 1, [0.4], [0.2])],
)
def test_each_architecture_scales_pixels_its_own_way(tmp_path, architecture, channels, mean, std):
    """LeNet reads pixels in [0, 1] as they are; the residual network goes by the training images."""
    pixels = np.repeat(np.array([51, 153] * 12, dtype=np.uint8), 32 * 32 * channels).reshape(24, -1)
    rows = {
        "id": range(24),
        "label": [0, 1] * 12,
        "height": [32] * 24,
        "width": [32] * 24,
        "channels": [channels] * 24,
        "pixels": list(pixels),
    }
    write_rows(tmp_path / "rows.parquet", rows, kind="images")
    folder = train_network(
        tmp_path / "model",
        tmp_path / "rows.parquet",
        architecture=architecture,
        channels=channels,
        classes=2,
        epochs=1,
    )
    facts = read_json(folder / "config.json")
    assert (facts["mean"], facts["std"]) == (mean, std)
    assert facts["network"] == {"image_size": 32, "channels": channels, "classes": 2}
    assert set(build(facts).state_dict()) == set(
        ready(folder, tmp_path / "rows.parquet", "cpu", 1)[0].state_dict()
    )
