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
    """Score tokens by raw attention and by rollout.

    raw_attention: the explained position's row of the last layer's attention, averaged over heads. rollout: that row of the
    product over layers of (head mean + I) / 2.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores.
    """
    import torch

    from .decomposition import relevance

    rows = torch.arange(len(batch.input_ids), device=batch.device)
    means = [attention.mean(1) for attention in batch.attentions()]
    found = {}
    if "raw_attention" in readouts:
        found["raw_attention"] = means[-1][rows, batch.position]
    if "rollout" in readouts:
        # Padded keys get no attention, so padding adds nothing to a real row.
        mixed = [with_residual(mean) for mean in means]
        found["rollout"] = torch.stack(
            [relevance([matrix[row] for matrix in mixed], batch.position[row]) for row in rows.tolist()]
        )
    return found


def with_residual(attention):
    """Add the residual connection to attention: (A + I) / 2.

    Parameters
    ----------
    attention : torch.Tensor of float, shape (..., n, n)
        Averaged over heads.

    Returns
    -------
    torch.Tensor of float, shape (..., n, n)
    """
    import torch

    return (attention + torch.eye(attention.shape[-1], device=attention.device)) / 2


def layer_matrices(readouts):
    """Make the function that computes rollout's matrix of a layer.

    Parameters
    ----------
    readouts : sequence of str
        Ids of layered readouts of the method.

    Returns
    -------
    callable
        Takes a `decomposition.Example`, returns a dict: readout -> matrix, shape (n, n), of its layer.
    """
    return lambda example: {readout: with_residual(example.attention.mean(0)) for readout in readouts}
