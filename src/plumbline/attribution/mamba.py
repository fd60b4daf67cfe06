"""Maps of Vision Mamba: raw hidden attention, its rollout, Mamba-attribution (Ali, Zimerman & Wolf 2024, arXiv 2403.01590).

`mamba_maps` takes the class token's row alone and gives it to every token, as the reference does. `mamba_maps_full` takes true
matrices. Published maps are clamped at zero, which ties most of their patches. The others keep their sign, and are clamped
where they are drawn. The gradient of attribution is taken at the residual stream, as in the reference's code. The paper has it
at the gated output of the scan. `transform` replaces each layer's matrix before its rollout: network diffusion
(`diffusion.py`).
"""

import torch

from ..arrays import is_whole
from ..errors import PlumblineError

# Below this a signed row's sum is no scale any more: it would blow the row up.
GUARD = 1e-3


def mamba_maps(hidden, residual_gradients, *, start_layer, class_position, published=True, transform=None):
    """Compute raw, rollout and attribution from the class token's row.

    raw: min-max over channels and positions, mean over channels and layers. rollout: product of the layers' I + row, rows
    divided by their sums. attribution: the same of max_features(gradient^+), min-max, times the row's positive part, min-max.

    Parameters
    ----------
    hidden : torch.Tensor of float, shape (layers, batch, channels, tokens)
        The class token's row by channel, signed.
    residual_gradients : torch.Tensor of float, shape (layers, batch, tokens, features)
        Gradients of the explained logit at what enters each block's norm.
    start_layer : int
        The first layer that counts.
    class_position : int
        The class token's index.
    published : bool
        Whether as HiddenMambaAttn, maps clamped at zero. False keeps signs and guards row sums near zero, which signed rows can
        have.
    transform : callable, optional
        A function of a layer's matrix that replaces it before its rollout.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, tokens - 1)
        Map -> scores of the patches, the class token left out.

    Raises
    ------
    PlumblineError
        For shapes that do not fit.
    """
    _check(hidden, residual_gradients, start_layer, class_position)
    tokens = hidden.shape[3]

    scaled = min_max(hidden, (2, 3)).mean(2)
    signed = hidden.mean(2)
    positive = min_max(hidden.clamp(min=0), (2, 3)).mean(2) * gradient_shares(residual_gradients)
    settings = {"guarded": not published, "transform": transform, "clamped": published}
    rolled = [
        rolled_map(rows[:, :, None].expand(-1, -1, tokens, -1), start_layer, class_position, **settings)
        for rows in (signed, positive)
    ]
    return _maps(scaled[start_layer:].mean(0), *rolled, class_position, published)


def mamba_maps_full(
    matrices, residual_gradients, *, start_layer, class_position, published=False, transform=None
):
    """Compute the maps of `mamba_maps` from true matrices.

    raw is the class token's row, min-max by layer. In attribution each matrix's positive part, min-max, has its columns
    weighted by the gradient. Row sums are guarded, and signs kept, unless `published`.

    Parameters
    ----------
    matrices : torch.Tensor of float, shape (layers, batch, tokens, tokens)
        Signed. Rows attend to columns.
    residual_gradients, start_layer, class_position, published, transform
        See `mamba_maps`.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, tokens - 1)
        Map -> scores of the patches.

    Raises
    ------
    PlumblineError
        For shapes that do not fit.
    """
    _check(matrices, residual_gradients, start_layer, class_position)
    if matrices.shape[2] != matrices.shape[3]:
        raise PlumblineError(
            f"matrices must be (layers, batch, tokens, tokens), not of shape {tuple(matrices.shape)}"
        )
    rows = min_max(matrices[:, :, class_position], (2,))
    weighted = weighted_by_gradient(matrices, residual_gradients)
    settings = {"guarded": not published, "transform": transform, "clamped": published}
    rolled = [rolled_map(stack, start_layer, class_position, **settings) for stack in (matrices, weighted)]
    return _maps(rows[start_layer:].mean(0), *rolled, class_position, published)


def _maps(raw, rolled, attributed, class_position, clamped):
    return {"raw": row_map(raw, class_position, clamped), "rollout": rolled, "attribution": attributed}


def _check(hidden, gradients, start_layer, class_position):
    if hidden.dim() != 4 or gradients.dim() != 4:
        raise PlumblineError(
            f"hidden attention and gradients have four dimensions, not {hidden.dim()} and {gradients.dim()}"
        )
    tokens = hidden.shape[3]
    expected = (*hidden.shape[:2], tokens)
    if tuple(gradients.shape[:3]) != expected:
        raise PlumblineError(
            f"gradients are {tuple(gradients.shape)}, expected (layers, batch, tokens, features) with {expected} first"
        )
    if 0 in (*hidden.shape, *gradients.shape):
        raise PlumblineError(
            f"hidden attention {tuple(hidden.shape)} and gradients {tuple(gradients.shape)} must not be empty"
        )
    known = is_whole(start_layer) and is_whole(class_position)
    if not known or not 0 <= start_layer < len(hidden) or not 0 <= class_position < tokens:
        raise PlumblineError(
            f"start_layer {start_layer} or class_position {class_position} is beyond {len(hidden)} layers, {tokens} tokens"
        )


def row_map(row, class_position, clamped=False):
    """Make a map of the class token's row: leave its own place out.

    Parameters
    ----------
    row : torch.Tensor of float, shape (..., tokens)
        The class token's row.
    class_position : int
        The class token's index.
    clamped : bool
        Whether negative scores are set to zero.

    Returns
    -------
    torch.Tensor of float, shape (..., tokens - 1)
    """
    found = torch.cat([row[..., :class_position], row[..., class_position + 1 :]], dim=-1)
    return found.clamp(min=0) if clamped else found


def rolled_map(matrices, start_layer, class_position, *, clamped=False, **settings):
    """Make a map of the class token's row of `rollout`.

    Parameters
    ----------
    matrices, start_layer
        See `rollout`.
    class_position, clamped
        See `row_map`.
    **settings
        guarded, transform and divided of `rollout`.

    Returns
    -------
    torch.Tensor of float, shape (batch, tokens - 1)
    """
    return row_map(rollout(matrices, start_layer, **settings)[:, class_position], class_position, clamped)


def min_max(values, dims):
    """Move and scale values to [0, 1].

    Parameters
    ----------
    values : torch.Tensor of float
        Of any shape.
    dims : tuple of int
        The dimensions that minimum and maximum are taken over.

    Returns
    -------
    torch.Tensor of float
        Of the same shape. Zero where the values are all the same.
    """
    low, high = values.amin(dims, keepdim=True), values.amax(dims, keepdim=True)
    span = high - low
    return (values - low) / torch.where(span > 0, span, torch.ones_like(span))


def gradient_shares(residual_gradients):
    """Compute the maximum over features of the gradient's positive part, min-max over tokens.

    Parameters
    ----------
    residual_gradients : torch.Tensor of float, shape (layers, batch, tokens, features)
        See `mamba_maps`.

    Returns
    -------
    torch.Tensor of float, shape (layers, batch, tokens)
        In [0, 1].
    """
    return min_max(residual_gradients.clamp(min=0).amax(-1), (2,))


def weighted_by_gradient(matrices, residual_gradients):
    """Compute attribution's matrices: the positive part, min-max, with columns weighted by `gradient_shares`.

    Parameters
    ----------
    matrices : torch.Tensor of float, shape (layers, batch, tokens, tokens)
        Signed.
    residual_gradients : torch.Tensor of float, shape (layers, batch, tokens, features)
        See `mamba_maps`.

    Returns
    -------
    torch.Tensor of float, shape (layers, batch, tokens, tokens)
    """
    return min_max(matrices.clamp(min=0), (2, 3)) * gradient_shares(residual_gradients)[:, :, None]


def rollout(matrices, start_layer, *, guarded=True, transform=None, divided=True):
    """Multiply I + matrix over layers, the later on the left, with rows divided by their sums.

    Parameters
    ----------
    matrices : sequence of torch.Tensor of float, shape (batch, tokens, tokens)
        One a layer.
    start_layer : int
        Layers before it do not count.
    guarded : bool
        Whether a sum nearer to zero than `GUARD` counts as `GUARD` with its sign.
    transform : callable, optional
        A function of a layer's matrix that replaces it first.
    divided : bool
        False leaves the rows as they are.

    Returns
    -------
    torch.Tensor of float, shape (batch, tokens, tokens)
    """
    product = None
    for matrix in matrices[start_layer:]:
        if transform is not None:
            matrix = transform(matrix)
        mixed = matrix + torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
        if divided:
            sums = mixed.sum(-1, keepdim=True)
            if guarded:
                sums = torch.where(sums.abs() < GUARD, torch.where(sums < 0, -GUARD, GUARD).to(sums), sums)
            mixed = mixed / sums
        product = mixed if product is None else mixed @ product
    return product
