"""Attention weights as they are, and attention rollout (Abnar & Zuidema 2020)."""

from ..registry import Method, Readout

ENTRY = Method(
    id="attention",
    label="Attention",
    family="attention",
    order=10,
    needs=("attention",),
    citation="Abnar & Zuidema 2020, arXiv 2005.00928",
    readouts=(
        Readout(id="raw_attention", label="Raw attention", reference="raw"),
        Readout(id="rollout", label="Rollout", reference="rollout"),
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
        identity = torch.eye(means[0].shape[-1], device=batch.device)
        # Padded keys get no attention, so a real row never meets a padded one.
        mixed = [(mean + identity) / 2 for mean in means]
        found["rollout"] = torch.stack(
            [relevance([matrix[row] for matrix in mixed], batch.position[row]) for row in rows.tolist()]
        )
    return found
