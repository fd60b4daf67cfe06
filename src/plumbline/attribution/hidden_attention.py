"""Hidden attention of Mamba (Ali, Zimerman & Wolf 2024, arXiv 2403.01590): the scan y = M x written as a matrix.

For each channel, with steps delta_t and A, B, C of its states n:

    M_ij = sum_n C_in exp(A_n sum_{k=j+1..i} delta_k) delta_j B_jn,    j <= i

signed, lower triangular, without softmax. D, gates, convolution and projections are not in it. The backward direction reads
the flipped sequence: its matrix flipped both ways is upper triangular, and the two are added.
Every exponent that is formed is at most zero, so that nothing overflows.
"""

import torch


def class_row(direction, at, *, published=False):
    """Compute row `at` of M in O(tokens N).

    Parameters
    ----------
    direction : plumbline.models.vim.Direction
        One direction of one layer.
    at : int
        The row.
    published : bool
        Whether as HiddenMambaAttn computes it, without the factor exp(delta_at A) and without the diagonal.

    Returns
    -------
    torch.Tensor of float, shape (batch, channels, tokens)
        Zero beyond `at`.
    """
    last = at if published else at + 1
    delta = direction.delta[..., :last]
    # sum over k = j+1 .. last-1, from the end, so that nothing cancels.
    over = delta.flip(-1).cumsum(-1).flip(-1) - delta
    kept = torch.exp(over[:, :, None] * direction.A[:, :, None])  # (batch, channels, N, positions)
    weights = direction.B[..., :last] * direction.C[..., at, None]
    row = torch.einsum("bdnj,bnj->bdj", kept, weights) * delta
    return torch.nn.functional.pad(row, (0, direction.delta.shape[-1] - last))


def hidden_rows(trace, at, *, published=False):
    """Compute the class token's row in every layer, both directions.

    Parameters
    ----------
    trace : list of plumbline.models.vim.Layer
        One a layer.
    at : int
        The class token's position.
    published : bool
        See `class_row`.

    Returns
    -------
    torch.Tensor of float, shape (layers, batch, channels, tokens)
    """
    rows = []
    for layer in trace:
        last = layer.backward.delta.shape[-1] - 1
        forward = class_row(layer.forward, at, published=published)
        rows.append(forward + class_row(layer.backward, last - at, published=published).flip(-1))
    return torch.stack(rows)


def mean_matrix(direction):
    """Compute M averaged over channels.

    The lower left quarter is one matrix product over channels and states, with decays counted from the middle. The other two
    quarters are halved in turn. So O(tokens log(tokens)) exponentials a channel and state replace O(tokens^2).

    Parameters
    ----------
    direction : plumbline.models.vim.Direction
        One direction of one layer.

    Returns
    -------
    torch.Tensor of float, shape (batch, tokens, tokens)
    """
    delta, A = direction.delta, direction.A
    batch, channels, tokens = delta.shape
    found = delta.new_zeros(batch, tokens, tokens)
    steps = delta.mT[..., None] * A  # (batch, tokens, channels, N), the exponent of one step
    readout = direction.C.mT[:, :, None]
    drive = delta.mT[..., None] * direction.B.mT[:, :, None]
    diagonal = torch.einsum("bidn,bin->bi", drive, direction.C.mT)
    found.diagonal(dim1=1, dim2=2).copy_(diagonal)

    def fill(start, stop):
        if stop - start < 2:
            return
        middle = (start + stop) // 2
        below = steps[:, middle:stop].cumsum(1).exp() * readout[:, middle:stop]
        columns = steps[:, start + 1 : middle].flip(1).cumsum(1).flip(1)
        columns = torch.nn.functional.pad(columns, (0, 0, 0, 0, 0, 1)).exp() * drive[:, start:middle]
        found[:, middle:stop, start:middle] = below.flatten(2) @ columns.flatten(2).mT
        fill(start, middle)
        fill(middle, stop)

    fill(0, tokens)
    return found / channels


def hidden_matrices(trace):
    """Compute every layer's matrix averaged over channels, both directions.

    Parameters
    ----------
    trace : list of plumbline.models.vim.Layer
        One a layer.

    Returns
    -------
    torch.Tensor of float, shape (layers, batch, tokens, tokens)
    """
    return torch.stack(
        [mean_matrix(layer.forward) + mean_matrix(layer.backward).flip(1, 2) for layer in trace]
    )
