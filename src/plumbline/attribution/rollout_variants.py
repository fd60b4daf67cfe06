"""What selective rollout is compared with beside rollout itself: maxima over rows, and rollout without residual.

The reference's relevance is the maximum over rows, not the class token's row. These readouts are apart from `attention`, whose
files stay as they are. They are one module, since one forward pass gives all of them.
"""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="rollout_variants",
    label="Variants of rollout",
    family="attention",
    order=13,
    needs=("attention",),
    citation="Abnar & Zuidema 2020, arXiv 2005.00928, code",
    readouts=(
        Readout(id="raw_attention_max", label="Raw attention (max)", look=Look("#7a8f2e", "v"), shown=()),
        Readout(id="rollout_max", label="Rollout (max)", look=Look("#7a8f2e", "P", "dashed"), shown=()),
        Readout(
            id="rollout_no_residual",
            label="Rollout without residual",
            look=Look("#7a8f2e", "X", "dotted"),
            shown=(),
        ),
        Readout(
            id="rollout_no_residual_max",
            label="Rollout without residual (max)",
            look=Look("#7a8f2e", "<", "dashdotted"),
            shown=(),
        ),
    ),
)


def compute(batch, readouts):
    """Score tokens by the variants of rollout.

    `_max`: maximum over rows, as published. rollout_no_residual: the explained position's row of the product of A_l.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    from .selective import layer_means, read_out

    layers = batch.attentions()
    found = {readout: [] for readout in readouts}
    for row, length in enumerate(batch.lengths):
        attention = [layer[row, :, :length, :length] for layer in layers]
        plain = layer_means(attention, residual=False)
        products = {
            "raw_attention": plain[-1],
            "rollout": joint(layer_means(attention))[-1],
            "rollout_no_residual": joint(plain)[-1],
        }
        for readout in readouts:
            place = None if readout.endswith("_max") else batch.position[row]
            found[readout].append(read_out(products[readout.removesuffix("_max")], place))
    return {readout: batch.padded(rows) for readout, rows in found.items()}


def joint(matrices):
    """Multiply the matrices of all layers up to each: J_l = A_l J_{l-1}.

    Parameters
    ----------
    matrices : torch.Tensor of float, shape (layers, n, n)
        A_l.

    Returns
    -------
    torch.Tensor of float, shape (layers, n, n)
    """
    import torch

    products = [matrices[0]]
    for matrix in matrices[1:]:
        products.append(matrix @ products[-1])
    return torch.stack(products)
