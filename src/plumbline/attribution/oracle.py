"""Control: the known rationale of generated data, the upper end of what a ranking can do."""

from ..registry import Method, Readout

ENTRY = Method(
    id="oracle",
    label="Oracle",
    family="control",
    order=93,
    control=True,
    known_truth=True,
    parameters={"rationale": None},
    citation="control",
    readouts=(Readout(id="oracle", label="Oracle"),),
)


def compute(batch, readouts, *, rationale=None):
    """1 for tokens of words that decide the label, else 0. rationale: (batch, n), from the data."""
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
    return {
        "oracle": batch.padded([row[:length] for row, length in zip(rationale, batch.lengths, strict=True)])
    }
