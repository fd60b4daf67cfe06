"""Control: independent uniform numbers, one seed an example."""

from ..registry import Method, Readout

ENTRY = Method(
    id="random",
    label="Random",
    family="control",
    order=90,
    control=True,
    stochastic=True,
    citation="control: DeYoung et al. 2020, arXiv 1911.03429",
    readouts=(Readout(id="random", label="Random"),),
)


def compute(batch, readouts):
    """Uniform on [0, 1), from each example's own seed: padding and order of the batch change nothing."""
    import torch

    def draw(seed, length):
        return torch.rand(length, dtype=torch.float32, generator=torch.Generator().manual_seed(seed))

    rows = [draw(seed, length) for seed, length in zip(batch.seed.tolist(), batch.lengths, strict=True)]
    return {"random": batch.padded(rows)}
