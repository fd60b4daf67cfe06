"""Attention weights as they are, and attention rollout (Abnar & Zuidema 2020)."""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="attention",
    label="Attention",
    family="attention",
    order=10,
    needs=("attention",),
    citation="Abnar & Zuidema 2020, arXiv 2005.00928",
    readouts=(
        Readout(
            id="raw_attention",
            label="Raw attention",
            reference="raw",
            look=Look("#029e73", "p"),
            shown=("ranks", "examples"),
        ),
        Readout(
            id="rollout",
            label="Rollout",
            layered=True,
            reference="rollout",
            look=Look("#029e73", "v", "dashed"),
        ),
    ),
)


def compute(batch, readouts):
    """raw_attention: the explained position's row of the last layer's attention, averaged over heads;
    rollout: that row of the product over layers of (head mean + I) / 2."""
    import torch

    from .decomposition import relevance

    rows = torch.arange(len(batch.input_ids), device=batch.device)
    means = [attention.mean(1) for attention in batch.attentions()]
    found = {}
    if "raw_attention" in readouts:
        found["raw_attention"] = means[-1][rows, batch.position]
    if "rollout" in readouts:
        # Padded keys get no attention, so a real row never meets a padded one.
        mixed = [with_residual(mean) for mean in means]
        found["rollout"] = torch.stack(
            [relevance([matrix[row] for matrix in mixed], batch.position[row]) for row in rows.tolist()]
        )
    return found


def with_residual(attention):
    """(A + I) / 2 of attention averaged over heads, (..., n, n)."""
    import torch

    return (attention + torch.eye(attention.shape[-1], device=attention.device)) / 2


def layer_matrices(readouts):
    """A function of a `decomposition.Example`: rollout's matrix (n, n) of its layer."""
    return lambda example: {readout: with_residual(example.attention.mean(0)) for readout in readouts}
