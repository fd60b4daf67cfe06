"""Control: the same score for every token, so that ties decide (lower position first)."""

from ..registry import Method, Readout

ENTRY = Method(
    id="uniform",
    label="Uniform",
    family="control",
    order=92,
    control=True,
    citation="control",
    readouts=(Readout(id="uniform", label="Uniform"),),
)


def compute(batch, readouts):
    """1 / n."""
    import torch

    return {"uniform": batch.padded([torch.full((length,), 1 / length) for length in batch.lengths])}
