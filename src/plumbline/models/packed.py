"""Linear layers through oneDNN with their weights laid out for it beforehand.

torch's own linear layer goes through MKL, which on AMD processors runs at half of oneDNN's rate
(docs/performance.md). Same numbers up to the order of summation, still fp32.
"""

import contextlib
import platform

import torch

# Numbers in a weight below which to hand a product over costs more than oneDNN saves. Batches of 4,096 tokens gain some 5% by it
# at 64 x 64.
NARROW = 2**12


def available(weight):
    """Say whether a weight can be packed, and gains by it: fp32 on an x86 CPU, with torch's oneDNN operators, not narrow.

    Parameters
    ----------
    weight : torch.Tensor
        Of a linear layer.

    Returns
    -------
    bool
    """
    return (
        weight.device.type == "cpu"
        and weight.numel() >= NARROW
        and weight.dtype == torch.float32
        and platform.machine() in ("x86_64", "AMD64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


@contextlib.contextmanager
def packed_linears(model):
    """Make every linear layer of `model` with frozen weights multiply through oneDNN within the block.

    Gradients with respect to inputs work. There are none with respect to the weights.

    Parameters
    ----------
    model : torch.nn.Module
        The model.
    """
    chosen = [
        module
        for module in model.modules()
        if type(module) is torch.nn.Linear
        and not module.weight.requires_grad
        and "forward" not in module.__dict__  # packed by a block around this one
        and available(module.weight)
    ]
    try:
        for module in chosen:
            # An instance's attribute hides the class's forward; module calls and their hooks stay as they are.
            module.forward = _Packed(module)
        yield
    finally:
        for module in chosen:
            module.__dict__.pop("forward", None)


class _Packed:
    """The forward of one linear layer."""

    def __init__(self, module):
        self.weight, self.bias = module.weight.detach(), module.bias
        self.forward = torch.ops.mkldnn._reorder_linear_weight(self.weight)
        self.backward = None

    def __call__(self, inputs):
        if inputs.requires_grad and torch.is_grad_enabled():
            return _Multiply.apply(inputs, self)
        return torch.ops.mkldnn._linear_pointwise(inputs, self.forward, self.bias, "none", [], "")


class _Multiply(torch.autograd.Function):
    """x W^T + b with gradient g W; both products through oneDNN."""

    @staticmethod
    def forward(ctx, inputs, packed):
        ctx.packed = packed
        return torch.ops.mkldnn._linear_pointwise(inputs, packed.forward, packed.bias, "none", [], "")

    @staticmethod
    def backward(ctx, gradient):
        packed = ctx.packed
        if packed.backward is None:
            packed.backward = torch.ops.mkldnn._reorder_linear_weight(packed.weight.T.contiguous())
        return torch.ops.mkldnn._linear_pointwise(
            gradient.contiguous(), packed.backward, None, "none", [], ""
        ), None
