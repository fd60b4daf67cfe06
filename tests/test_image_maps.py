"""Maps of images: each derived again by hand, and their files."""

import itertools

import numpy as np
import pytest
import torch

from plumbline.artefacts import check_file, read_json, read_rows
from plumbline.attribution import image_maps
from plumbline.errors import PlumblineError
from plumbline.models.image_models import prepared
from tests.small_images import enhanced, maps_on_disk, small_vim, small_vit, vim_on_disk


def test_transformer_maps_rederived():
    """Chefer et al. 2021, equations 13 and 14 without relevance: C = A1 ... AB with A = I + mean over heads of (gradient x
    attention)^+, rows as they are; their evaluation leaves the first layer out. In NumPy, double precision."""
    model, trace = small_vit(depth=4).double(), []
    logits = model(torch.randn(2, 1, 28, 28, dtype=torch.float64), trace)
    attentions = [attention for _, attention in trace]
    gradients = torch.autograd.grad(logits.max(1).values.sum(), attentions)
    stacked, slopes = torch.stack(attentions).detach(), torch.stack(gradients)
    found = image_maps.transformer_maps(
        stacked.mean(2), (slopes * stacked).clamp(min=0).mean(2), start_layer=0, class_position=0
    )
    layers = [
        np.maximum(attention.detach().numpy() * gradient.numpy(), 0).mean(1) + np.eye(17)
        for attention, gradient in zip(attentions, gradients, strict=True)
    ]
    for name, chosen in (("attribution", layers), ("attribution_published", layers[1:])):
        for image in range(2):
            row = np.eye(17)[0]
            for layer in reversed(chosen):
                row = row @ layer[image]
            np.testing.assert_allclose(found[name][image].numpy(), row[1:], rtol=1e-10)
    product = np.eye(17)
    for attention in attentions:
        mean = attention[0].detach().numpy().mean(0) + np.eye(17)
        product = mean / mean.sum(-1, keepdims=True) @ product
    np.testing.assert_allclose(found["rollout"][0].numpy(), product[0, 1:], rtol=1e-10)
    torch.testing.assert_close(found["raw"], torch.stack(attentions).mean((0, 2))[:, 0, 1:].detach())


def hidden_by_hand(direction, at=None):
    """M (batch, channels, tokens, tokens) of one direction from the definition; at: the row there as published, without the
    step's own factor and without the diagonal."""
    delta, A, B, C = (getattr(direction, name).detach().numpy() for name in ("delta", "A", "B", "C"))
    tokens = delta.shape[-1]
    found = np.zeros((*delta.shape, tokens))
    for i, j in itertools.product(range(tokens), repeat=2):
        if j > i or (at is not None and j == i):
            continue
        between = delta[..., j + 1 : i + (at is None)].sum(-1)[..., None]
        decay = np.exp(between * A) * delta[..., j, None]
        found[:, :, i, j] = (decay * (C[:, :, i] * B[:, :, j])[:, None]).sum(-1)
    return found if at is None else found[:, :, at]


def unit(values, axes):
    low, high = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    return (values - low) / (high - low)


def singular(matrix, change):
    """Rows over their sums where these are no zeros, singular values over the largest one changed, negative entries 0."""
    sums = matrix.sum(-1, keepdims=True)
    u, s, v = np.linalg.svd(matrix / np.where(np.abs(sums) < 1e-3, 1, sums))
    return np.maximum(u @ np.diag(change(s / s[0])) @ v, 0)


def rolled_by_hand(matrices, place, transform=None, divided=True):
    """The class token's row of the product of I + matrix of one image's layers, its own place left out."""
    product = np.eye(len(matrices[0]))
    for matrix in matrices:
        mixed = (matrix if transform is None else transform(matrix)) + np.eye(len(matrix))
        product = (mixed / mixed.sum(-1, keepdims=True) if divided else mixed) @ product
    return np.delete(product[place], place)


def diffused_by_hand(matrices, weighted, place, alpha):
    changes = {
        "normalised": lambda s: s,
        "diffused": lambda s: (1 - alpha) * s / (1 - alpha * s**2),
        "pagerank": lambda s: alpha * s / (1 - (1 - alpha) * s),
        "heat": lambda s: s * np.exp(-alpha * (1 - s)),
    }
    found = {
        f"rollout_{name}": rolled_by_hand(matrices, place, lambda m, f=change: singular(m, f))
        for name, change in changes.items()
    } | {
        f"attribution_{name}": rolled_by_hand(weighted, place, lambda m, f=changes[name]: singular(m, f))
        for name in ("normalised", "diffused")
    }
    return found | {"rollout_enhanced": rolled_by_hand(matrices, place, lambda m: enhanced(m, alpha))}


def vim_by_hand(trace, slopes, image, place, alpha):
    """Maps of one image by Vision Mamba, from layer 1 on."""
    tokens, rows, matrices = trace[0].residual.shape[1], [], []
    for layer in trace[1:]:
        row = (
            hidden_by_hand(layer.forward, place)
            + hidden_by_hand(layer.backward, tokens - 1 - place)[..., ::-1]
        )
        both = hidden_by_hand(layer.forward) + hidden_by_hand(layer.backward)[..., ::-1, ::-1]
        rows.append(row[image])
        matrices.append(both[image].mean(0))
    weight = [unit(np.maximum(slope[image], 0).max(-1), 0) for slope in slopes[1:]]
    weighted = [unit(np.maximum(m, 0), (0, 1)) * w for m, w in zip(matrices, weight, strict=True)]
    positive = [unit(np.maximum(row, 0), (0, 1)).mean(0) * w for row, w in zip(rows, weight, strict=True)]

    def broadcast(row):
        return np.tile(row, (tokens, 1))

    shown = [broadcast(row.mean(0)) for row in rows]
    found = {
        "raw": np.delete(np.mean([unit(m[place], 0) for m in matrices], 0), place),
        "raw_published": np.delete(np.mean([unit(row, (0, 1)).mean(0) for row in rows], 0), place),
        "rollout": rolled_by_hand(matrices, place),
        "attribution": rolled_by_hand(weighted, place),
        "rollout_published": np.maximum(rolled_by_hand(shown, place), 0),
        "attribution_published": rolled_by_hand([broadcast(row) for row in positive], place),
    }
    added = [matrix + np.eye(tokens) for matrix in shown]
    published = diffused_by_hand(added, added, place, alpha)
    found |= {
        f"rollout_{name}_published": published[f"rollout_{name}"] for name in ("normalised", "diffused")
    }
    return found | diffused_by_hand(matrices, weighted, place, alpha)


def vit_by_hand(trace, slopes, image, place, alpha):
    """Maps of one image by a Vision Transformer, from layer 1 on; the published attribution has that layer whatever is set."""
    means = [attention[image].detach().numpy().mean(0) for _, attention in trace]
    weighted = [
        np.maximum(attention[image].detach().numpy() * slope[image], 0).mean(0)
        for (_, attention), slope in zip(trace, slopes, strict=True)
    ]
    attributed = rolled_by_hand(weighted[1:], place, divided=False)
    return {
        "raw": np.delete(np.mean([mean[place] for mean in means[1:]], 0), place),
        "rollout": rolled_by_hand(means[1:], place),
        "attribution": attributed,
        "attribution_published": attributed,
    } | diffused_by_hand(means[1:], weighted[1:], place, alpha)


@pytest.mark.parametrize("architecture", ["vim", "vit"])
def test_every_map_is_what_its_name_says(architecture):
    """All maps of the registry, corrected and as published, from a trace alone: in NumPy, by the definitions."""
    vim = architecture == "vim"
    model = small_vim() if vim else small_vit(depth=3).double()
    if not vim:
        for layer in model.layers:
            layer.qkv.weight *= 8  # sharper attention, so that maps differ by more than rounding
    size = 12 if vim else 28
    draw = torch.Generator().manual_seed(5)
    images = torch.randn(2, 1, size, size, generator=draw, dtype=torch.float64)
    about, found, _ = image_maps.compute(model, images, start_layer=1, alpha=0.7, seeds=[11, 12])
    assert set(found) == set(image_maps.maps_of(architecture))
    trace, place, grid = [], model.class_position, model.grid
    inputs = images.clone().requires_grad_()
    logits = model(inputs, trace)
    assert about["target"].tolist() == logits.argmax(1).tolist()
    torch.testing.assert_close(about["probability"], logits.softmax(1).amax(1).detach())
    wanted = [layer.residual if vim else layer[1] for layer in trace]
    to_images, *slopes = torch.autograd.grad(logits.amax(1).sum(), [inputs, *wanted])
    product = (to_images * images)[:, 0].numpy()
    for image in range(2):
        by_hand = vim_by_hand if vim else vit_by_hand
        maps = by_hand(trace, [slope.numpy() for slope in slopes], image, place, 0.7)
        signed = product[image].reshape(grid, size // grid, grid, size // grid).sum((1, 3)).ravel()
        maps |= {"gradient_x_input_signed": signed, "gradient_x_input": np.abs(signed)}
        maps["random"] = np.random.default_rng(11 + image).random(grid**2, dtype=np.float32)
        centre = np.indices((grid, grid)) - (grid - 1) / 2
        maps["centre"] = -np.hypot(*centre).ravel()
        assert set(maps) == set(found)
        for name, values in maps.items():
            np.testing.assert_allclose(found[name][image].numpy(), values, rtol=1e-6, atol=1e-9, err_msg=name)
    # No two of them are alike, so that none can stand in another one's place.
    kept = {
        name: values[0].numpy() for name, values in found.items() if vim or name != "attribution_published"
    }
    for one, other in itertools.combinations(kept, 2):
        assert not np.allclose(kept[one], kept[other], rtol=1e-4), (one, other)


@pytest.mark.slow
def test_stages_write_sound_files(trained_vim):
    for name in ("maps", "spectra", "patches"):
        assert check_file(trained_vim / "a" / f"{name}.parquet") == []
    maps = read_rows(trained_vim / "a" / "maps.parquet")
    assert list(maps["id"]) == list(range(20)) and set(maps["height"]) == {4}
    assert {name.removeprefix("scores_") for name in maps if name.startswith("scores_")} == set(
        image_maps.maps_of("vim")
    )
    assert len(read_rows(trained_vim / "a" / "spectra.parquet")) == 3 * 2
    metrics = read_json(trained_vim / "a" / "metrics.json")
    assert metrics["examples"] == 60 and len(metrics["loss_curve"]) >= 5
    assert metrics["loss_curve"][-1]["loss"] < metrics["loss_curve"][0]["loss"]


@pytest.mark.slow
def test_same_bytes_again(trained_vim):
    again = vim_on_disk(trained_vim, "b")
    for file in sorted(again.iterdir()):
        assert file.read_bytes() == (trained_vim / "a" / file.name).read_bytes(), file.name


@pytest.mark.slow
def test_maps_do_not_depend_on_how_many_are_explained(trained_vim, tmp_path):
    for file in (trained_vim / "a").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    maps_on_disk(tmp_path, trained_vim / "test.parquet", images=7)
    few, many = (read_rows(folder / "maps.parquet") for folder in (tmp_path, trained_vim / "a"))
    for name in few.columns:
        for one, other in zip(few[name], many[name].head(7), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_tied_patches_go_in_random_orders(trained_vim):
    """A published map is clamped; the mean over orders drawn apart is what stands in the file, and the share of ties."""
    maps = read_rows(trained_vim / "a" / "maps.parquet")
    found = read_rows(trained_vim / "a" / "patches.parquet").set_index(["id", "map", "protocol", "fill"])
    names = [name for name in image_maps.maps_of("vim") if f"scores_{name}" in maps]
    for row in maps.head(5).itertuples():
        for name in names:
            scores = list(getattr(row, f"scores_{name}"))
            tied = np.mean([scores.count(score) > 1 for score in scores])
            assert found.loc[(row.Index, name, "patches", "mean"), "tied"] == pytest.approx(tied)
    clamped = [name for name in names if (np.stack(maps[f"scores_{name}"]) == 0).sum(1).max() > 1]
    assert "rollout_published" in clamped and "rollout" not in clamped


@pytest.mark.slow
def test_shards_change_no_byte_and_a_block_is_in_memory(trained_vim, tmp_path, monkeypatch):
    from plumbline.artefacts import gather_rows
    from plumbline.models import image_models

    seen = []
    monkeypatch.setattr(
        image_models, "prepared", lambda images, facts: seen.append(len(images)) or prepared(images, facts)
    )
    for number in (0, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes((trained_vim / "a" / name).read_bytes())
        maps_on_disk(
            folder, trained_vim / "test.parquet", shard=(number, 2), maps=trained_vim / "a" / "maps.parquet"
        )
    assert 0 < max(seen) <= image_maps.BLOCK
    for name, kind in (("maps", "maps"), ("spectra", "spectra"), ("patches", "patch_faithfulness")):
        gather_rows(tmp_path / "whole", [tmp_path / number / f"{name}.parquet" for number in "01"], kind=kind)
        assert (tmp_path / "whole").read_bytes() == (trained_vim / "a" / f"{name}.parquet").read_bytes(), name
    with pytest.raises(PlumblineError, match="20 examples, in blocks of 8, are too few for 4 shards"):
        maps_on_disk(folder, trained_vim / "test.parquet", shard=(0, 4))
