"""Controls: how faithful a ranking is that does not depend on the model. They run beside the methods of every run.

Random numbers, the place in the text, and one number for all tokens; of generated data also the known rationale, the upper
end of what a ranking can do.
"""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="controls",
    label="Controls",
    family="control",
    order=90,
    parameters={"rationale": None},
    citation="random scores: DeYoung et al. 2020, arXiv 1911.03429",
    readouts=(
        Readout(
            id="random",
            label="Random",
            control=True,
            stochastic=True,
            look=Look("#949494", "x"),
            shown=("curves", "ranks"),
        ),
        Readout(
            id="position",
            label="Position",
            control=True,
            look=Look("#949494", "+", "dashed"),
            shown=("curves", "ranks"),
        ),
        Readout(
            id="uniform",
            label="Uniform",
            control=True,
            look=Look("#949494", "1", "dotted"),
            shown=("curves", "ranks"),
        ),
        Readout(
            id="oracle",
            label="Oracle",
            control=True,
            known_truth=True,
            look=Look("#949494", "2", "dashdotted"),
            shown=("curves", "ranks", "examples"),
        ),
    ),
)


def compute(batch, readouts, *, rationale=None):
    """Compute the controls asked for.

    Parameters
    ----------
    batch : Batch
        Random scores need its seeds, one an example.
    readouts : list of str
        Ids of ENTRY's readouts.
    rationale : array_like (batch, n), optional
        From the data: above 0 at tokens of words that decide the label. The oracle needs it.

    Returns
    -------
    dict
        Readout -> float32 (batch, n).
    """
    scores = {
        "random": lambda: [_draw(*pair) for pair in zip(batch.seed.tolist(), batch.lengths, strict=True)],
        "position": lambda: [_falling(length) for length in batch.lengths],
        "uniform": lambda: [_equal(length) for length in batch.lengths],
        "oracle": lambda: _rationales(batch, rationale),
    }
    return {readout: batch.padded(scores[readout]()) for readout in readouts}


def _draw(seed, length):
    """Uniform on [0, 1), from each example's own seed: padding and order of the batch change nothing."""
    import torch

    return torch.rand(length, dtype=torch.float32, generator=torch.Generator().manual_seed(seed))


def _falling(length):
    """1 / (1 + index): the earlier the token, the higher its score."""
    import torch

    return 1 / (1 + torch.arange(length))


def _equal(length):
    """1 / n, so that only the order of tied tokens decides."""
    import torch

    return torch.full((length,), 1 / length)


def _rationales(batch, rationale):
    """The rows of `rationale` without their padding."""
    import torch

    from ..arrays import finite
    from ..errors import PlumblineError

    if rationale is None:
        raise PlumblineError("the oracle needs `rationale`, (batch, n): it exists on known-truth data alone")
    rationale = finite(rationale, "rationale").to(torch.float32)
    if rationale.shape != batch.input_ids.shape:
        raise PlumblineError(
            f"rationale is of shape {tuple(rationale.shape)}, input_ids {tuple(batch.input_ids.shape)}: give one number a token"
        )
    return [row[:length] for row, length in zip(rationale, batch.lengths, strict=True)]
