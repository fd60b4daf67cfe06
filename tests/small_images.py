"""Small image models, and what their tests compare with: golden outputs of the thesis, slow ways to the same numbers."""

from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st

from plumbline.artefacts import write_rows
from plumbline.attribution import image_maps
from plumbline.datasets import load, schema_of
from plumbline.faithfulness import patches
from plumbline.models.image_models import train_job
from plumbline.models.vim import Direction, SelectiveScan, VisionMamba
from plumbline.models.vit import RELEASED, VisionTransformer

THESIS = Path(__file__).parent / "golden" / "thesis"


def thesis(name):
    with np.load(THESIS / f"{name}.npz") as found:
        return {key: torch.from_numpy(found[key]) for key in found.files}


def drawn(batch, channels, states, tokens, seed=0, dtype=torch.float64):
    """A Direction and an input (batch, channels, tokens)."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=dtype)

    direction = Direction(
        normal(batch, channels, tokens).exp() / 5,
        -normal(channels, states).exp(),
        normal(batch, states, tokens),
        normal(batch, states, tokens),
    )
    return direction, normal(batch, channels, tokens)


def scan(direction, x):
    return SelectiveScan.apply(x, direction.delta, direction.A, direction.B, direction.C)


SHAPES = st.tuples(*(st.integers(1, most) for most in (2, 3, 4, 23)), st.integers(0, 10**6))


def channel_matrices(direction):
    """M of every channel by its definition, (batch, channels, tokens, tokens)."""
    sums = direction.delta.double().cumsum(-1)
    steps = (sums[..., :, None] - sums[..., None, :]).tril()
    kept = (steps[..., None] * direction.A[:, None, None].double()).exp()
    found = torch.einsum(
        "bni,bdijn,bdj,bnj->bdij", direction.C.double(), kept, direction.delta.double(), direction.B.double()
    )
    return found.tril().to(direction.delta.dtype)


def small_vim(**sizes):
    torch.manual_seed(3)
    sizes = {
        "image_size": 12,
        "patch_size": 3,
        "depth": 3,
        "embed_dim": 8,
        "classes": 4,
        "channels": 1,
    } | sizes
    return VisionMamba(**sizes, d_state=3).double().requires_grad_(False).eval()


def enhanced(given, alpha, order=2):
    """A port of Network_Enhancement.m (Wang et al. 2018) to NumPy, step by step."""
    eps = np.finfo(np.float64).eps

    def averaged(weights):
        weights = weights * len(weights)
        return weights / (np.abs(weights).sum(1, keepdims=True) + eps)

    neighbours = min(20, int(np.ceil(len(given) / 10)))
    linked = np.flatnonzero(np.abs(given * (1 - np.eye(len(given)))).sum(0) > 0)
    within = given[np.ix_(linked, linked)]
    weights = averaged(within)
    weights = (weights + weights.T) / 2
    degrees = np.abs(within).sum(0)
    kept = np.zeros_like(weights)
    for row, values in enumerate(np.abs(weights)):
        for place in np.argsort(-values, kind="stable")[: min(neighbours, len(weights) - 1)]:
            kept[row, place] = values[place]
    kept = (kept + kept.T) / 2 * np.sign(weights)
    kept = kept + np.eye(len(kept)) + np.diag(np.abs(kept.T).sum(0))
    fields = averaged(kept * len(kept))
    fields = fields / np.sqrt(np.abs(fields).sum(0) + eps)
    values, vectors = np.linalg.eigh(fields @ fields.T)
    values = values + eps
    values = (1 - alpha) * values / (1 - alpha * values**order)
    result = (vectors * values) @ vectors.T
    result = result * (1 - np.eye(len(result))) / (1 - np.diag(result))[:, None]
    result = np.diag(degrees) @ result
    result[result < 0] = 0
    whole = np.zeros_like(given)
    whole[np.ix_(linked, linked)] = (result + result.T) / 2
    return whole


def small_vit(**sizes):
    torch.manual_seed(4)
    network = RELEASED["vit_mnist"]["network"] | {"depth": 2, "embed_dim": 16, "heads": 4} | sizes
    return VisionTransformer(**network).requires_grad_(False).eval()


VIM = {
    "architecture": "vim",
    "source": "scratch",
    "released": None,
    "repo": None,
    "image_size": 16,
    "patch_size": 4,
    "channels": 1,
    "classes": 10,
    "depth": 2,
    "embed_dim": 8,
    "d_state": 2,
    "training": {"epochs": 1, "batch_size": 64, "learning_rate": 1e-2, "weight_decay": 0.0, "warmup": 0.2},
}


def vim_on_disk(root, name="a", **changes):
    folder = root / name
    outputs = {
        key: folder / file
        for key, file in (
            ("weights", "model.safetensors"),
            ("architecture", "config.json"),
            ("metrics", "metrics.json"),
        )
    }
    train_job(
        dataset="digits",
        model="vim",
        seed=0,
        block=VIM | changes,
        labels=True,
        files={"train": root / "train.parquet", "test": root / "test.parquet"},
        outputs=outputs,
    )
    maps_on_disk(folder, root / "test.parquet")
    return folder


def maps_on_disk(folder, data, images=20, shard=None, maps=None):
    image_maps.write_maps(
        dataset="digits",
        model=folder,
        data=data,
        output=folder / "maps.parquet",
        spectra=folder / "spectra.parquet",
        images=images,
        gallery=3,
        start_layer=None,
        alpha=0.9,
        name="vim/seed0",
        shard=shard,
    )
    patches.write_patch_faithfulness(
        model=folder,
        maps=maps or folder / "maps.parquet",
        data=data,
        output=folder / "patches.parquet",
        images=images - 2,
        fills=["black", "mean"],
        ink=True,
        shard=shard,
    )


def bilinear(scores, size):
    """A map enlarged by hand: pixel centres among patch centres, beyond the last ones constant."""
    grid = int(len(scores) ** 0.5)
    places = np.clip((np.arange(size) + 0.5) * grid / size - 0.5, 0, grid - 1)
    low = np.minimum(places.astype(int), grid - 2)
    weight = places - low
    values = np.asarray(scores, dtype=np.float64).reshape(grid, grid)
    rows = values[low] * (1 - weight)[:, None] + values[low + 1] * weight[:, None]
    return rows[:, low] * (1 - weight) + rows[:, low + 1] * weight


def as_torchvision(path, size, resize, filter):
    """Resize(resize), CenterCrop(size) by torchvision's documented rule: int(resize * long / short), offset round(x / 2)."""
    from PIL import Image

    with Image.open(path) as picture:
        picture = picture.convert("RGB")
    short, long = sorted(picture.size)
    sides = (resize, int(resize * long / short))
    width, height = sides if picture.size[0] == short else sides[::-1]
    pixels = np.asarray(picture.resize((width, height), filter))
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return pixels[top : top + size, left : left + size]


def published_vim():
    """(golden outputs, model with the golden weights, its trace, gradients of the predicted logit)."""
    wanted = thesis("vim_small_forward")
    model = VisionMamba(224, 16, 4, 16, 10)
    model.load_state_dict({key[3:]: value for key, value in wanted.items() if key.startswith("sd/")})
    model.requires_grad_(False).eval()
    trace = []
    logits = model(wanted["image"], trace)
    gradients = torch.autograd.grad(logits.max(), [layer.residual for layer in trace])
    return wanted, model, logits, trace, torch.stack(gradients)


def trained_vim(root):
    """A folder with two splits of digits, a Vim trained on them for one epoch, its maps and their faithfulness."""
    for split in ("train", "test"):
        rows = load("digits", split, {"train": 320, "test": 60})
        write_rows(root / f"{split}.parquet", rows, kind=schema_of("digits"))
    vim_on_disk(root)
    return root
