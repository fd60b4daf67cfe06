"""Arrays as users hand them over: NumPy, tensors, lists; checked, as tensors. torch is imported by the functions alone."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import PlumblineError

if TYPE_CHECKING:
    import numpy as np
    import torch

    # What a function gives back in the kind that it was given, and what one takes.
    Array = np.ndarray | torch.Tensor
    Numbers = Array | Sequence[Any]


def array(values, name):
    """Return real numbers as a NumPy array, NaN and infinite ones as they are.

    torch is not imported for it.

    Parameters
    ----------
    values : array_like
        An array, a list or tuple of numbers, or a tensor of any real dtype.
    name : str
        What messages call it.

    Returns
    -------
    numpy.ndarray
        Of the dtype of `values`; float64 for a floating-point tensor, since NumPy has no bfloat16.

    Raises
    ------
    PlumblineError
        For anything else.
    """
    import numpy as np

    if hasattr(values, "detach"):  # a tensor; NumPy has no bfloat16, and double holds every float of torch's
        if str(values.layout) != "torch.strided":
            raise PlumblineError(f"{name} must be a dense array, not {values.layout}")
        values = values.detach().cpu().resolve_conj()
        values = values.double() if values.is_floating_point() else values
    elif isinstance(values, list | tuple):
        values = [
            array(part, name) if isinstance(part, list | tuple) or hasattr(part, "detach") else part
            for part in values
        ]
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as fault:
        raise PlumblineError(f"{name} must be an array of real numbers: {fault}") from None
    if found.dtype.kind not in "biuf":
        raise PlumblineError(
            f"{name} must hold real numbers, not of dtype {found.dtype} ({type(values).__name__})"
        )
    return found


def tensor(values, name):
    """Return numbers as a detached tensor.

    Parameters
    ----------
    values : array_like
        A tensor, an array, a number, or lists of these.
    name : str
        What messages call it.

    Returns
    -------
    torch.Tensor
        Dense and real. What inference mode made is copied, since gradients cannot pass through it.

    Raises
    ------
    PlumblineError
        Where `values` make no array, or hold anything but numbers.
    """
    import numpy as np
    import torch

    with torch.inference_mode(False):
        if isinstance(values, list | tuple) and any(isinstance(item, torch.Tensor) for item in values):
            parts = [tensor(item, name) for item in values]
            if any(part.shape != parts[0].shape or part.dtype != parts[0].dtype for part in parts):
                shapes = ", ".join(str(tuple(part.shape)) for part in parts)
                raise PlumblineError(f"{name} must be of one shape and dtype throughout, not {shapes}")
            return torch.stack(parts)
        if not isinstance(values, torch.Tensor):
            values = _from_array(values, name, np, torch)
        if values.is_complex() or values.layout is not torch.strided or values.is_quantized:
            raise PlumblineError(f"{name} must be a dense array of real numbers, not {values.dtype}")
        values = values.detach()
        return values.clone() if values.is_inference() else values


def _from_array(values, name, np, torch):
    found = array(values, name)
    if found.dtype.kind == "u" and found.dtype.itemsize > 1:  # torch does little with these
        found = found.astype(np.int64 if not found.size or found.max() < 2**63 else np.float64)
    if found.dtype.itemsize > 8:
        found = found.astype(np.float64)
    # Contiguous and in this machine's byte order, as torch wants it; a copy, since arrays may be read-only.
    return torch.from_numpy(np.array(found, dtype=found.dtype.newbyteorder("="), order="C"))


def integers(values, name, *, low=0, high=None, what=""):
    """Return whole numbers as an int64 tensor.

    Parameters
    ----------
    values : array_like of int
        Whole numbers of any shape.
    name : str
        What messages call it.
    low : int
        The smallest legal number.
    high : int, optional
        The largest legal number. None: no upper end.
    what : str
        Said of the legal range in messages.

    Returns
    -------
    torch.Tensor, int64
        Of the shape of `values`.

    Raises
    ------
    PlumblineError
        For fractions, truth values and numbers out of range.
    """
    import torch

    found = tensor(values, name)
    if found.is_floating_point() or found.dtype is torch.bool:
        raise PlumblineError(f"{name} must hold whole numbers, not {found.dtype}")
    found = found.long()
    outside = (found < low) | ((found > high) if high is not None else False)
    if outside.any():
        legal = f"{low} to {high}" if high is not None else f"at least {low}"
        raise PlumblineError(f"{name} holds {found[outside][0].item()}: legal{what and f' {what}'}: {legal}")
    return found


def finite(values, name):
    """Return real numbers as a tensor, none of them NaN or infinite.

    Parameters
    ----------
    values : array_like
        See `tensor`.
    name : str
        What messages call it.

    Returns
    -------
    torch.Tensor
        Whole numbers and truth values keep their dtype.

    Raises
    ------
    PlumblineError
        For a number that is NaN or infinite, and as `tensor`.
    """
    found = tensor(values, name)
    if not found.isfinite().all():
        place = tuple((~found.isfinite()).nonzero()[0].tolist())
        raise PlumblineError(f"{name} is not finite: {found[place].item()} at {list(place)}")
    return found


def floating(values, name):
    """Return floating-point numbers as a tensor, none of them NaN or infinite.

    Parameters
    ----------
    values : array_like of float
        See `tensor`.
    name : str
        What messages call it.

    Returns
    -------
    torch.Tensor
        Of the floating-point dtype of `values`.

    Raises
    ------
    PlumblineError
        For whole numbers and truth values, and as `finite`.
    """
    found = finite(values, name)
    if not found.is_floating_point():
        raise PlumblineError(f"{name} must hold floating-point numbers, not {found.dtype}")
    return found


def restore_like(values):
    """Return a function that gives a tensor back in the kind of `values`.

    Parameters
    ----------
    values : array_like
        What a user handed over, or a list of such.

    Returns
    -------
    callable
        Takes a tensor. It returns the tensor where `values` are tensors, else a NumPy array.
    """
    import torch

    held = values
    while isinstance(held, list | tuple) and len(held):
        held = held[0]
    return (lambda found: found) if isinstance(held, torch.Tensor) else (lambda found: found.numpy())


# Rows of attention in half precision add up to one within this; rows of padding or of raw scores do not.
ROW_SUM = 0.02


def attention(values):
    """Check the attention weights of one example.

    Parameters
    ----------
    values : array_like of float, shape (layers, heads, n, n)
        Or what a transformers model returns as `attentions` for one text: a tuple, one (1, heads, n, n) a layer.

    Returns
    -------
    attention : torch.Tensor, shape (layers, heads, n, n)
        The weights.
    back : callable
        Gives a tensor back in the kind, dtype and device of `values`.

    Raises
    ------
    PlumblineError
        For another shape, for numbers that are not finite or negative, and for rows that do not sum to one.
    """
    import torch

    found = floating(values, "attention")
    if found.dim() == 5 and found.shape[1] == 1:
        found = found[:, 0]
    shape = tuple(found.shape)
    if len(shape) == 5:
        raise PlumblineError(
            f"attention is of shape {shape}, of {shape[1]} examples: give one, [layer[row] for layer in attentions]"
        )
    if len(shape) != 4 or shape[-1] != shape[-2] or not all(shape):
        raise PlumblineError(f"attention must be (layers, heads, n, n) of one example, not of shape {shape}")
    if (found < 0).any() or ((found.sum(-1, dtype=torch.float64) - 1).abs() > ROW_SUM).any():
        raise PlumblineError(
            "attention must be weights, at least 0, with rows that sum to one: cut padding off, and give what the softmax leaves"
        )
    back = restore_like(values)
    return found, lambda result: back(result.to(dtype=found.dtype, device=found.device))


def whole(value, name, *, low=0, high=None):
    """Return a whole number as a Python int.

    Parameters
    ----------
    value : int
        Of Python, NumPy or torch.
    name : str
        What messages call it.
    low : int
        The smallest legal number.
    high : int, optional
        The largest legal number. None: no upper end.

    Returns
    -------
    int

    Raises
    ------
    PlumblineError
        For a number out of range, and for anything that is not one whole number.
    """
    legal = f"{low} to {high}" if high is not None else f"at least {low}"
    if not is_whole(value) or value < low or (high is not None and value > high):
        raise PlumblineError(f"{name} must be a whole number, {legal}, not {value!r}")
    return int(value)


def is_whole(value):
    """Whether a value is one whole number, of Python, NumPy or torch; truth values are none."""
    if getattr(value, "shape", ()) != ():
        return False
    value = value.item() if hasattr(value, "item") else value
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value):
    """Whether a value is one finite real number, of Python, NumPy or torch; truth values are none."""
    if getattr(value, "shape", ()) != ():
        return False
    value = value.item() if hasattr(value, "item") else value
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
