"""What each source token adds to each target token's vector in a post-LayerNorm layer (ALTI; the equations stand in docs/studies/alti.md).

Per layer, with the heads summed inside the vector, the value bias inside v and Lin_g(z) = (z - mean z) * g:

    F_ij = sum_h A_hij W_O^h v_j^h + delta_ij x_i        T_ij = Lin_gamma1(F_ij) / sigma_i
    y_i  = Lin_gamma1(p_i) / sigma_i + beta1             p_i  = sum_j F_ij + b_O

b_O and beta1 belong to y_i alone. sigma_i is the standard deviation of p_i over its D coordinates (ddof = 0;
the reference used 1 until March 2023). After the second LayerNorm, the feed-forward block ignored (GlobEnc):
T2_ij = Lin_gamma2(T_ij) / sigma2_i, y2_i = the layer's output.

The n x n x D tensor of all T_ij is never stored: Lin and W_O are folded into one vector per source token
and head, the residual is one more head whose attention is the identity, everything is computed times
sigma_i, and what needs T_ij itself goes in chunks that stay in the cache.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..errors import PlumblineError
from ..models.encoders import forward, is_quantised, layers_of, modules_of

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


def trace(model, input_ids, attention_mask, token_type_ids=None):
    """The `Layer`s of one forward pass of an eager-attention model, first layer first.

    Where layers share weights, one module leaves a record a call; calls come in the order of depth.
    """
    if is_quantised(model):
        raise PlumblineError(
            "the layers of a quantised model cannot be taken apart into vectors: take a method that needs attention alone"
        )
    names, kept, handles = modules_of(model), [], []

    def keep(begins=None, **what):
        def hook(module, args, kwargs, result):
            # The value projection is the first of a layer's parts to run: it begins the layer's record.
            if begins is not None:
                kept.append(dict(begins))
            for field, source in what.items():
                if source == "in":
                    kept[-1][field] = args[0] if args else kwargs["hidden_states"]
                else:
                    kept[-1][field] = result[1] if source == "weights" else result

        return hook

    for layer in layers_of(model):
        parts = {part: layer.get_submodule(getattr(names, part)) for part in ("dense", "norm1", "norm2")}
        wanted = {
            names.value: keep(parts, inputs="in", values="out"),
            names.attention: keep(attention="weights"),
            names.norm1: keep(pre1="in"),
            names.norm2: keep(pre2="in", output="out"),
        }
        for name, hook in wanted.items():
            handles.append(layer.get_submodule(name).register_forward_hook(hook, with_kwargs=True))
    try:
        with torch.no_grad():
            forward(model, input_ids, attention_mask, token_type_ids)
    finally:
        for handle in handles:
            handle.remove()
    return [Layer(**record) for record in kept]


def centre_and_scale(vectors, weight):
    """Lin_g(z) = (z - mean_D(z)) * g, the linear part of a LayerNorm before division; (..., D)."""
    return (vectors - vectors.mean(-1, keepdim=True)) * weight


class Example:
    """One example's layer, times sigma_i: sigma_i T_ij for every source j and target i.

    Padding is cut off, so n is the example's own length. weights (source j, target i, heads + 1) and a
    stage's sources (source j, heads + 1, D) are such that weights[j] @ sources[j] = sigma_i T_ij over i; the
    last head is the residual, whose attention is the identity.
    """

    def __init__(self, layer, index, length, folded):
        heads = layer.attention.shape[1]
        self.layer, self.index, self.length = layer, index, length
        attention = self.attention = layer.attention[index, :, :length, :length]
        identity = torch.eye(length, dtype=attention.dtype, device=attention.device)
        self.weights = torch.cat([attention.permute(2, 1, 0), identity[:, :, None]], 2)
        values = layer.values[index, :length].view(length, heads, -1).transpose(0, 1)
        residual = centre_and_scale(layer.inputs[index, :length], layer.norm1.weight)
        # Lin_gamma1(W_O^h v_j^h) of every head.
        self.sources = torch.cat([torch.bmm(values, folded).transpose(0, 1), residual[:, None]], 1)
        self.pre1 = layer.pre1[index, :length]
        self.pre2 = layer.pre2[index, :length]

    def first(self, ddof):
        """The stage after the first LayerNorm."""

        def result():
            norm, sigma = self.layer.norm1, deviation(self.pre1, ddof)
            return centre_and_scale(self.pre1, norm.weight) + sigma * norm.bias, sigma

        return Stage(self.weights, self.sources, result)

    def second(self, ddof):
        """The stage after the second LayerNorm: T2 is linear in T, so the source vectors go through Lin_gamma2."""

        def result():
            sigma = deviation(self.pre1, ddof) * deviation(self.pre2, ddof)
            return sigma * self.layer.output[self.index, : self.length], sigma

        return Stage(self.weights, centre_and_scale(self.sources, self.layer.norm2.weight), result)


def deviation(vectors, ddof):
    """Standard deviation over the last dimension, kept: (..., 1). Faster than torch.std, which is not vectorised."""
    centred = vectors - vectors.mean(-1, keepdim=True)
    return (centred.square().sum(-1, keepdim=True) / (vectors.shape[-1] - ddof)).sqrt()


@dataclass
class Stage:
    """Vectors of one example after one of the LayerNorms, times sigma_i.

    weights (n, n, heads + 1) and sources (n, heads + 1, D): see `Example`; result(): (sigma_i y_i (n, D),
    sigma (n, 1)), which norms do without. The methods return (targets i, sources j), times sigma_i too:
    dividing rows by their sum undoes it.
    """

    weights: torch.Tensor
    sources: torch.Tensor
    result: Callable

    def l1_closeness(self):
        """sigma_i (||y_i||_1 - ||y_i - T_ij||_1), (n, n)."""
        resultant, sigma = self.result()
        length, width = resultant.shape
        # |T - y + eps|, as the reference's pairwise_distance has it.
        shifted = (resultant - PAIRWISE_EPS * sigma)[None]
        chunk = max(1, CHUNK_BYTES // (length * width * shifted.element_size()))
        distances = []
        for start in range(0, length, chunk):
            part = slice(start, start + chunk)
            left = torch.baddbmm(shifted, self.weights[part], self.sources[part], alpha=-1)
            distances.append(left.abs_().sum(-1))
        return resultant.abs().sum(-1, keepdim=True) - torch.cat(distances).T

    def l2_norms(self):
        """sigma_i ||T_ij||_2, (n, n): from T_ij themselves where there are few, else through the Gram matrix of
        a source's heads, heads^2 work a pair instead of heads x D."""
        length, heads = self.sources.shape[:2]
        if length <= 2 * heads:
            return torch.bmm(self.weights, self.sources).square_().sum(-1).sqrt_().T
        gram = torch.bmm(self.sources, self.sources.transpose(1, 2))
        squares = (torch.bmm(self.weights, gram) * self.weights).sum(-1)
        return squares.clamp_(min=0).sqrt_().T

    def l2_closeness(self):
        """sigma_i (||y_i||_2 - ||y_i - T_ij||_2) without that difference's cancellation, (n, n).

        = (2 y.T - ||T||^2) / (||y|| + ||y - T||), and ||y - T||^2 = ||y||^2 - 2 y.T + ||T||^2. The eps of
        pairwise_distance moves an Euclidean distance by less than 1e-6 sqrt(D) and is left out.
        """
        # y_i . T_ij = sum_h A_hij (y_i . u_jh): one product of (heads + 1) n x D with D x n.
        resultant, _ = self.result()
        products = (self.sources.flatten(0, 1) @ resultant.T).unflatten(0, self.sources.shape[:2])
        inner = (self.weights * products.transpose(1, 2)).sum(-1).T
        squares = self.l2_norms().square()
        size = resultant.norm(dim=-1, keepdim=True)
        apart = (size**2 - 2 * inner + squares).clamp_(min=0).sqrt_()
        return (2 * inner - squares) / (size + apart)


def examples(layer, lengths):
    """One `Example` per row of the batch."""
    heads = layer.attention.shape[1]
    weight = layer.dense.weight  # (D, H d), torch's (out, in)
    # Lin_gamma1 acts on W_O's output, so it is folded into W_O once a layer: (H, d, D).
    folded = centre_and_scale(weight.T, layer.norm1.weight).view(heads, -1, weight.shape[0])
    for index, length in enumerate(lengths):
        yield Example(layer, index, length, folded)


def normalise_rows(matrix):
    """Rows divided by their sum, (n, n).

    A row of zeros (no source brings the result closer, which happens in small models and is 0 / 0 in the
    reference) becomes the identity's: the target's relevance stays its own. NaN stays NaN.
    """
    total = matrix.sum(-1, keepdim=True)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.where(total == 0, identity, matrix / total)


def relevance(matrices, row):
    """Row `row` of C^{L-1} ... C^0 (later layers on the left), a vector-matrix product a layer. (n,)"""
    vector = matrices[-1][row]
    for matrix in reversed(matrices[:-1]):
        vector = vector @ matrix
    return vector


def products(matrices):
    """R^l = C^l ... C^0 of every layer, whose row of the explained position is `relevance`. (n, n) each."""
    return list(itertools.accumulate(matrices, lambda before, matrix: matrix @ before))


def layer_matrices(batch, matrices):
    """The per-layer matrices of every example of a batch.

    matrices: a function of an `Example` that returns readout -> C (n, n) of its layer.
    Returns a list, one an example, of readout -> [C^0, C^1, ...].
    """
    found = [{} for _ in batch.lengths]
    for layer in trace(batch.model, **batch.inputs()):
        for kept, example in zip(found, examples(layer, batch.lengths), strict=True):
            for readout, matrix in matrices(example).items():
                kept.setdefault(readout, []).append(matrix)
    return found


def token_relevance(batch, matrices):
    """Aggregate per-layer matrices (`layer_matrices`) to one score a token.

    Returns readout -> float32 (batch, tokens), zero at padding.
    """
    rows = [
        {readout: relevance(layers, row) for readout, layers in kept.items()}
        for kept, row in zip(layer_matrices(batch, matrices), batch.position.tolist(), strict=True)
    ]
    return {readout: batch.padded([row[readout] for row in rows]) for readout in rows[0]}
