"""What each source token adds to each target token's vector in a post-LayerNorm layer (ALTI, eqs. 6-10).

Per layer, with the heads summed inside the vector, the value bias inside v and Lin_g(z) = (z - mean z) * g:

    F_ij = sum_h A_hij W_O^h v_j^h + delta_ij x_i        T_ij = Lin_gamma1(F_ij) / sigma_i
    y_i  = Lin_gamma1(p_i) / sigma_i + beta1             p_i  = sum_j F_ij + b_O

b_O and beta1 belong to y_i alone. sigma_i is the standard deviation of p_i over its D coordinates (ddof = 0;
the reference used 1 until March 2023). After the second LayerNorm, the feed-forward block ignored (GlobEnc):
T2_ij = Lin_gamma2(T_ij) / sigma2_i, y2_i = the layer's output.

The n x n x D tensor of all T_ij is never stored: Lin and W_O are folded into one vector per source token
and head, the residual is one more head whose attention is the identity, and everything is computed times
sigma_i (which row scaling undoes) in chunks that stay in the cache.
"""

from dataclasses import dataclass

import torch

from ..models.encoders import layers_of, modules_of

# Bytes of the chunk of source tokens x target tokens x D that is alive at a time; about an L2 cache.
CHUNK_BYTES = 2 * 2**20
# torch.nn.functional.pairwise_distance, which the reference calls, adds this to every coordinate's difference.
PAIRWISE_EPS = 1e-6


@dataclass
class Layer:
    """What one forward pass of one layer leaves for the decomposition; tensors are (batch, n, D).

    inputs (X), values (V), attention (batch, heads, n, n), pre1 and pre2: what enters the two LayerNorms,
    output: what leaves the second.
    """

    inputs: torch.Tensor
    values: torch.Tensor
    attention: torch.Tensor
    pre1: torch.Tensor
    pre2: torch.Tensor
    output: torch.Tensor
    dense: torch.nn.Linear
    norm1: torch.nn.LayerNorm
    norm2: torch.nn.LayerNorm


def trace(model, input_ids, attention_mask):
    """The `Layer`s of one forward pass of an eager-attention model, first layer first."""
    names, kept, handles = modules_of(model), [], []

    def keep(record, **what):
        def hook(module, args, kwargs, result):
            given = args[0] if args else kwargs["hidden_states"]
            for field, source in what.items():
                record[field] = {"in": given, "out": result, "weights": result[1] if len(result) > 1 else None}[source]

        return hook

    for layer in layers_of(model):
        record = {part: layer.get_submodule(getattr(names, part)) for part in ("dense", "norm1", "norm2")}
        kept.append(record)
        wanted = {
            names.value: {"inputs": "in", "values": "out"},
            names.attention: {"attention": "weights"},
            names.norm1: {"pre1": "in"},
            names.norm2: {"pre2": "in", "output": "out"},
        }
        for name, what in wanted.items():
            handles.append(layer.get_submodule(name).register_forward_hook(keep(record, **what), with_kwargs=True))
    try:
        with torch.no_grad():
            model(input_ids=input_ids, attention_mask=attention_mask)
    finally:
        for handle in handles:
            handle.remove()
    return [Layer(**record) for record in kept]


def centre_and_scale(vectors, weight):
    """Lin_g(z) = (z - mean_D(z)) * g, the linear part of a LayerNorm before division; (..., D)."""
    return (vectors - vectors.mean(-1, keepdim=True)) * weight


class Example:
    """One example's layer, times sigma_i: contributions sigma_i T_ij of every source to every target.

    Padding is cut off, so n is the example's own length.
    """

    def __init__(self, layer, index, length, folded):
        heads = layer.attention.shape[1]
        self.layer, self.index, self.length = layer, index, length
        attention = layer.attention[index, :, :length, :length]
        identity = torch.eye(length, dtype=attention.dtype, device=attention.device)
        # (source j, target i, head): one small matrix product a source token.
        self.weights = torch.cat([attention, identity[None]]).permute(2, 1, 0).contiguous()
        values = layer.values[index, :length].view(length, heads, -1).transpose(0, 1)
        residual = centre_and_scale(layer.inputs[index, :length], layer.norm1.weight)
        # (source j, head, D): Lin_gamma1(W_O^h v_j^h), the residual last.
        self.sources = torch.cat([torch.bmm(values, folded), residual[None]]).transpose(0, 1).contiguous()
        self.pre1 = layer.pre1[index, :length]
        self.pre2 = layer.pre2[index, :length]

    def sigma(self, ddof):
        """Standard deviation (n,) of what enters the first LayerNorm."""
        return self.pre1.std(-1, correction=ddof)

    def first(self, ddof):
        """(sources, sigma_i y_i, sigma_i) after the first LayerNorm."""
        norm, sigma = self.layer.norm1, self.sigma(ddof)
        resultant = centre_and_scale(self.pre1, norm.weight) + sigma[:, None] * norm.bias
        return self.sources, resultant, sigma

    def second(self, ddof):
        """The same after the second LayerNorm: T2 is linear in T, so the source vectors go through Lin_gamma2."""
        sigma = self.sigma(ddof) * self.pre2.std(-1, correction=ddof)
        resultant = sigma[:, None] * self.layer.output[self.index, : self.length]
        return centre_and_scale(self.sources, self.layer.norm2.weight), resultant, sigma


def examples(layer, lengths):
    """One `Example` per row of the batch."""
    heads = layer.attention.shape[1]
    weight = layer.dense.weight  # (D, H d), torch's (out, in)
    # Lin_gamma1 acts on W_O's output, so it is folded into W_O once a layer: (H, d, D).
    folded = centre_and_scale(weight.T, layer.norm1.weight).view(heads, -1, weight.shape[0])
    for index, length in enumerate(lengths):
        yield Example(layer, index, length, folded)


def l1_distances(weights, sources, resultant, sigma):
    """||y_i - T_ij||_1 from quantities times sigma_i. Returns (n targets, n sources)."""
    length, width = resultant.shape
    # |T - y + eps|, as the reference's pairwise_distance has it.
    shifted = (resultant - PAIRWISE_EPS * sigma[:, None])[None]
    chunk = max(1, CHUNK_BYTES // (length * width * resultant.element_size()))
    parts = []
    for start in range(0, length, chunk):
        part = slice(start, start + chunk)
        left = torch.baddbmm(shifted, weights[part], sources[part], alpha=-1)
        parts.append(left.abs_().sum(-1))
    return torch.cat(parts).T / sigma[:, None]


def l2_norms(weights, sources, sigma):
    """||T_ij||_2 through the Gram matrix of a source's heads: n x heads^2 work instead of n x D. (n, n)"""
    gram = torch.bmm(sources, sources.transpose(1, 2))
    squares = (torch.bmm(weights, gram) * weights).sum(-1)
    return squares.clamp_(min=0).sqrt_().T / sigma[:, None]


def l2_closeness(weights, sources, resultant, sigma):
    """||y_i||_2 - ||y_i - T_ij||_2 without the cancellation of that difference. (n, n)

    = (2 y.T - ||T||^2) / (||y|| + ||y - T||), and ||y - T||^2 = ||y||^2 - 2 y.T + ||T||^2.
    """
    inner = torch.einsum("jih,jhd,id->ij", weights, sources, resultant) / sigma[:, None] ** 2
    squares = l2_norms(weights, sources, sigma) ** 2
    # The eps of pairwise_distance, once more: |T - y + eps|^2 = |y - T|^2 - 2 eps sum(y - T) + D eps^2; its
    # effect on a distance is below 1e-6 and is left out here.
    size = (resultant / sigma[:, None]).norm(dim=-1, keepdim=True)
    apart = (size**2 - 2 * inner + squares).clamp_(min=0).sqrt_()
    return (2 * inner - squares) / (size + apart)


def normalise_rows(matrix):
    """Rows divided by their sum."""
    return matrix / matrix.sum(-1, keepdim=True)


def relevance(matrices, row):
    """Row `row` of C^{L-1} ... C^0 (later layers on the left), a vector-matrix product a layer. (n,)"""
    vector = matrices[-1][row]
    for matrix in reversed(matrices[:-1]):
        vector = vector @ matrix
    return vector


def token_relevance(batch, layer_matrices):
    """Aggregate per-layer matrices to one score a token.

    layer_matrices: a function of an `Example` that returns readout -> C (n, n) of its layer.
    Returns readout -> float32 (batch, tokens), zero at padding.
    """
    matrices = [{} for _ in batch.lengths]
    for layer in trace(batch.model, batch.input_ids, batch.attention_mask):
        for kept, example in zip(matrices, examples(layer, batch.lengths), strict=True):
            for readout, matrix in layer_matrices(example).items():
                kept.setdefault(readout, []).append(matrix)
    rows = [
        {readout: relevance(layers, row) for readout, layers in kept.items()}
        for kept, row in zip(matrices, batch.position.tolist(), strict=True)
    ]
    return {readout: batch.padded([row[readout] for row in rows]) for readout in rows[0]}
