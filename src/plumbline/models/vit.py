"""A plain Vision Transformer (Dosovitskiy et al. 2021, arXiv 2010.11929), pre-LayerNorm, small: the attention-model
counterpart of Vision Mamba. Two released ones are known, with their own names of the same weights (`RELEASED`).
"""

import re

import torch
from torch.nn import functional

from ..errors import PlumblineError, unknown

# Released checkpoints of the mirror's small_models/: sizes, and old name -> ours, the first pattern that fits. `accuracy`: on the
# 10,000 test images, of vit_mnist as the mirror's PROVENANCE.md measured it, of vit_cifar10 as its author reports it.
_MNIST = [
    (r"pos_embedding", "pos_embed"),
    (r"patch_to_embedding\.(.*)", r"patch_embed.\1"),
    (r"transformer\.layers\.(\d+)\.0\.fn\.norm\.(.*)", r"layers.\1.norm1.\2"),
    (r"transformer\.layers\.(\d+)\.0\.fn\.fn\.to_qkv\.(.*)", r"layers.\1.qkv.\2"),
    (r"transformer\.layers\.(\d+)\.0\.fn\.fn\.to_out\.(.*)", r"layers.\1.out.\2"),
    (r"transformer\.layers\.(\d+)\.1\.fn\.norm\.(.*)", r"layers.\1.norm2.\2"),
    (r"transformer\.layers\.(\d+)\.1\.fn\.fn\.net\.([02])\.(.*)", r"layers.\1.mlp.\2.\3"),
    (r"mlp_head\.(.*)", r"head.\1"),
]
_CIFAR = [
    (r"patch_embedding\.embed\.(.*)", r"patch_embed.\1"),
    (r"transformer_layers\.(\d+)\.(norm[12]|mlp\.[02])\.(.*)", r"layers.\1.\2.\3"),
    (r"transformer_layers\.(\d+)\.attention\.in_proj_(.*)", r"layers.\1.qkv.\2"),
    (r"transformer_layers\.(\d+)\.attention\.out_proj\.(.*)", r"layers.\1.out.\2"),
    (r"out_head\.(.*)", r"head.\1"),
]
RELEASED = {
    "vit_mnist": {
        "file": "small_models/vit_mnist.npz",
        "names": _MNIST,
        "network": {
            "image_size": 28,
            "patch_size": 7,
            "channels": 1,
            "classes": 10,
            "depth": 6,
            "embed_dim": 64,
            "heads": 8,
            "feed_forward": 128,
            "qkv_bias": False,
            "scale": 64**-0.5,
            "head": "mlp",
        },
        "mean": [0.1307],
        "std": [0.3081],
        "accuracy": 0.9794,
    },
    "vit_cifar10": {
        "file": "small_models/vit_cifar10.npz",
        "names": _CIFAR,
        "network": {
            "image_size": 32,
            "patch_size": 4,
            "channels": 3,
            "classes": 10,
            "depth": 4,
            "embed_dim": 64,
            "heads": 4,
            "feed_forward": 256,
            "qkv_bias": True,
            "scale": 16**-0.5,
            "head": "norm",
        },
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "accuracy": 0.5697,
    },
}


class Block(torch.nn.Module):
    """One pre-LayerNorm layer: attention, then feed-forward, each beside its residual connection.

    Parameters
    ----------
    width : int
        d, features of a token.
    heads : int
        Of the attention.
    feed_forward : int
        Features inside the feed-forward part.
    qkv_bias : bool
        Whether queries, keys and values have a bias.
    scale : float
        What query times key is multiplied by.
    """

    def __init__(self, width, heads, feed_forward, qkv_bias, scale):
        super().__init__()
        self.heads, self.scale = heads, scale
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv = torch.nn.Linear(width, 3 * width, bias=qkv_bias)
        self.out = torch.nn.Linear(width, width)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, feed_forward), torch.nn.GELU(), torch.nn.Linear(feed_forward, width)
        )

    def forward(self, x):
        """Compute the layer.

        Parameters
        ----------
        x : torch.Tensor of float, shape (batch, tokens, d)
            What enters.

        Returns
        -------
        output : torch.Tensor of float, shape (batch, tokens, d)
            What leaves.
        attention : torch.Tensor of float, shape (batch, heads, tokens, tokens)
            Attention weights.
        """
        read = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = read
        attention = (query @ key.mT * self.scale).softmax(-1)
        x = x + self.out((attention @ value).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x)), attention


class VisionTransformer(torch.nn.Module):
    """Images (batch, channels, image_size, image_size), normalised, to logits (batch, classes).

    The class token is the first. Patches are numbered row by row.

    Parameters
    ----------
    image_size, patch_size : int
        Sides in pixels.
    depth : int
        Layers.
    embed_dim : int
        d, features of a token.
    classes : int
        Logits.
    channels : int
        Of an image.
    heads, feed_forward, qkv_bias, scale
        See `Block`.
    head : {'mlp', 'norm'}
        'mlp': two layers. 'norm': LayerNorm, then one layer.

    Raises
    ------
    PlumblineError
        Where the patches do not tile the image.
    """

    class_position = 0

    def __init__(
        self,
        image_size,
        patch_size,
        depth,
        embed_dim,
        classes,
        channels,
        heads,
        feed_forward,
        qkv_bias,
        scale,
        head,
    ):
        super().__init__()
        if image_size % patch_size:
            raise PlumblineError(f"patches of {patch_size} do not tile an image of {image_size}")
        self.patch_size, self.grid = patch_size, image_size // patch_size
        self.patch_embed = torch.nn.Linear(channels * patch_size**2, embed_dim)
        self.cls_token = torch.nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, self.grid**2 + 1, embed_dim))
        self.layers = torch.nn.ModuleList(
            Block(embed_dim, heads, feed_forward, qkv_bias, scale) for _ in range(depth)
        )
        first = torch.nn.Linear(embed_dim, 2 * embed_dim) if head == "mlp" else torch.nn.LayerNorm(embed_dim)
        last = torch.nn.Linear(2 * embed_dim if head == "mlp" else embed_dim, classes)
        self.head = torch.nn.Sequential(first, *[torch.nn.GELU()] * (head == "mlp"), last)

    def forward(self, images, trace=None):
        """Compute the logits.

        Parameters
        ----------
        images : torch.Tensor of float, shape (batch, channels, image_size, image_size)
            Normalised.
        trace : list, optional
            (what enters the block (batch, tokens, d), attention) is appended to it, one a block.

        Returns
        -------
        torch.Tensor of float, shape (batch, classes)
        """
        patches = functional.unfold(images, self.patch_size, stride=self.patch_size).mT
        token = self.cls_token.expand(len(images), -1, -1)
        x = torch.cat([token, self.patch_embed(patches)], dim=1) + self.pos_embed
        if trace is not None and torch.is_grad_enabled() and not x.requires_grad:
            x.requires_grad_()
        for layer in self.layers:
            entered = x
            x, attention = layer(x)
            if trace is not None:
                trace.append((entered, attention))
        return self.head(x[:, self.class_position])


def released_weights(name, path):
    """Read the state dict of a released checkpoint, as `VisionTransformer(**RELEASED[name]["network"])` takes it.

    Parameters
    ----------
    name : str
        A key of `RELEASED`.
    path : path
        Its .npz, read without pickle.

    Returns
    -------
    dict of str to torch.Tensor

    Raises
    ------
    PlumblineError
        For an unknown name, a file that is no archive of plain arrays, or one that has no embedding of patches.
    """
    import zipfile

    import numpy as np

    if name not in RELEASED:
        raise unknown("released Vision Transformer", name, RELEASED)
    found = {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for old in arrays.files:
                found[_renamed(old, RELEASED[name]["names"])] = torch.from_numpy(arrays[old])
    except (
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        AttributeError,
    ) as fault:  # the last: one array, no archive
        raise PlumblineError(f"{path} is no file of plain arrays: {fault}") from None
    if "patch_embed.weight" not in found:
        raise PlumblineError(f"{path} is no Vision Transformer: it has no embedding of patches")
    weight = found["patch_embed.weight"]
    found["patch_embed.weight"] = weight.flatten(1)  # of a convolution: (d, channels, patch, patch)
    return found


def _renamed(old, names):
    for pattern, new in names:
        if re.fullmatch(pattern, old):
            return re.sub(pattern, new, old)
    return old
