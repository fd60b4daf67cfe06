"""Control: the earlier the token, the higher its score."""

from ..registry import Method, Readout

ENTRY = Method(
    id="position",
    label="Position",
    family="control",
    order=91,
    control=True,
    citation="control",
    readouts=(Readout(id="position", label="Position"),),
)


def compute(batch, readouts):
    """1 / (1 + index)."""
    import torch

    return {"position": batch.padded([1 / (1 + torch.arange(length)) for length in batch.lengths])}
