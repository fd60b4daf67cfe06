"""What each source token adds to each target token's vector in a post-LayerNorm layer (ALTI; equations: docs/studies/alti.md).

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
    """What one forward pass of one layer leaves for the decomposition.

    Attributes
    ----------
    inputs : torch.Tensor, shape (batch, n, D)
        X, what enters the layer.
    values : torch.Tensor, shape (batch, n, D)
        V, the heads' value vectors, one head after the other.
    attention : torch.Tensor, shape (batch, heads, n, n)
        Attention weights.
    pre1, pre2 : torch.Tensor, shape (batch, n, D)
        What enters the two LayerNorms.
    output : torch.Tensor, shape (batch, n, D)
        What leaves the second LayerNorm.
    dense : torch.nn.Linear
        W_O and b_O.
    norm1, norm2 : torch.nn.LayerNorm
        The two LayerNorms.
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
    """Record the `Layer`s of one forward pass of an eager-attention model.

    Where layers share weights, one module leaves a record a call. Calls come in the order of depth.

    Parameters
    ----------
    model : torch.nn.Module
        A post-LayerNorm encoder of a known architecture.
    input_ids, attention_mask, token_type_ids : torch.Tensor, int64, shape (batch, n)
        The model's inputs. token_type_ids None: one segment.

    Returns
    -------
    list of Layer
        First layer first.

    Raises
    ------
    PlumblineError
        For a quantised model, and for an unknown architecture.
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
    """Apply Lin_g(z) = (z - mean_D(z)) * g, the linear part of a LayerNorm before division.

    Parameters
    ----------
    vectors : torch.Tensor of float, shape (..., D)
        z.
    weight : torch.Tensor of float, shape (D,)
        g, the LayerNorm's weight.

    Returns
    -------
    torch.Tensor of float, shape (..., D)
    """
    return (vectors - vectors.mean(-1, keepdim=True)) * weight


class Example:
    """One example's layer, times sigma_i: sigma_i T_ij for every source j and target i.

    Padding is cut off, so n is the example's own length.

    Parameters
    ----------
    layer : Layer
        Of the batch.
    index : int
        The example's row of the batch.
    length : int
        n, the example's tokens.
    folded : torch.Tensor, shape (heads, d, D)
        Lin_gamma1 of W_O, by head.

    Attributes
    ----------
    weights : torch.Tensor, shape (source j, target i, heads + 1)
        Attention. The last head is the residual, whose attention is the identity.
    sources : torch.Tensor, shape (source j, heads + 1, D)
        Of a stage. weights[j] @ sources[j] = sigma_i T_ij over i.
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
        """Make the stage after the first LayerNorm.

        Parameters
        ----------
        ddof : int
            Of the standard deviation sigma_i.

        Returns
        -------
        Stage
        """

        def result():
            norm, sigma = self.layer.norm1, deviation(self.pre1, ddof)
            return centre_and_scale(self.pre1, norm.weight) + sigma * norm.bias, sigma

        return Stage(self.weights, self.sources, result)

    def second(self, ddof):
        """Make the stage after the second LayerNorm.

        T2 is linear in T, so the source vectors go through Lin_gamma2.

        Parameters
        ----------
        ddof : int
            Of the standard deviations sigma_i and sigma2_i.

        Returns
        -------
        Stage
        """

        def result():
            sigma = deviation(self.pre1, ddof) * deviation(self.pre2, ddof)
            return sigma * self.layer.output[self.index, : self.length], sigma

        return Stage(self.weights, centre_and_scale(self.sources, self.layer.norm2.weight), result)


def deviation(vectors, ddof):
    """Compute the standard deviation over the last dimension, which is kept.

    This is faster than torch.std, which is not vectorised.

    Parameters
    ----------
    vectors : torch.Tensor of float, shape (..., D)
        The values.
    ddof : int
        The sum of squares is divided by D - ddof.

    Returns
    -------
    torch.Tensor of float, shape (..., 1)
    """
    centred = vectors - vectors.mean(-1, keepdim=True)
    return (centred.square().sum(-1, keepdim=True) / (vectors.shape[-1] - ddof)).sqrt()


@dataclass
class Stage:
    """Vectors of one example after one of the LayerNorms, times sigma_i.

    The methods return (targets i, sources j), times sigma_i too: dividing rows by their sum undoes it.

    Attributes
    ----------
    weights : torch.Tensor, shape (n, n, heads + 1)
        See `Example`.
    sources : torch.Tensor, shape (n, heads + 1, D)
        See `Example`.
    result : callable
        Takes nothing, returns (sigma_i y_i, shape (n, D); sigma, shape (n, 1)). Norms do without it.
    """

    weights: torch.Tensor
    sources: torch.Tensor
    result: Callable

    def l1_closeness(self):
        """Compute sigma_i (||y_i||_1 - ||y_i - T_ij||_1).

        Returns
        -------
        torch.Tensor of float, shape (n, n)
        """
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
        """Compute sigma_i ||T_ij||_2.

        They come from T_ij themselves where there are few, else from the Gram matrix of a source's heads: heads^2 work a pair
        instead of heads x D.

        Returns
        -------
        torch.Tensor of float, shape (n, n)
        """
        length, heads = self.sources.shape[:2]
        if length <= 2 * heads:
            return torch.bmm(self.weights, self.sources).square_().sum(-1).sqrt_().T
        gram = torch.bmm(self.sources, self.sources.transpose(1, 2))
        squares = (torch.bmm(self.weights, gram) * self.weights).sum(-1)
        return squares.clamp_(min=0).sqrt_().T

    def l2_closeness(self):
        """Compute sigma_i (||y_i||_2 - ||y_i - T_ij||_2) without that difference's cancellation.

        = (2 y.T - ||T||^2) / (||y|| + ||y - T||), and ||y - T||^2 = ||y||^2 - 2 y.T + ||T||^2. The eps of pairwise_distance
        moves an Euclidean distance by less than 1e-6 sqrt(D) and is left out.

        Returns
        -------
        torch.Tensor of float, shape (n, n)
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
    """Take a batch's layer apart into examples.

    Parameters
    ----------
    layer : Layer
        Of the batch.
    lengths : sequence of int
        Tokens of each example.

    Yields
    ------
    Example
        One a row of the batch.
    """
    heads = layer.attention.shape[1]
    weight = layer.dense.weight  # (D, H d), torch's (out, in)
    # Lin_gamma1 acts on W_O's output, so it is folded into W_O once a layer: (H, d, D).
    folded = centre_and_scale(weight.T, layer.norm1.weight).view(heads, -1, weight.shape[0])
    for index, length in enumerate(lengths):
        yield Example(layer, index, length, folded)


def normalise_rows(matrix):
    """Divide rows by their sum.

    A row of zeros becomes the identity's: the target's relevance stays its own. Such a row means that no source brings the
    result closer. This happens in small models and is 0 / 0 in the reference. NaN stays NaN.

    Parameters
    ----------
    matrix : torch.Tensor of float, shape (n, n)
        No entry below zero.

    Returns
    -------
    torch.Tensor of float, shape (n, n)
    """
    total = matrix.sum(-1, keepdim=True)
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    return torch.where(total == 0, identity, matrix / total)


def relevance(matrices, row):
    """Compute one row of C^{L-1} ... C^0 (later layers on the left), by a vector-matrix product a layer.

    Parameters
    ----------
    matrices : sequence of torch.Tensor of float, shape (n, n)
        C^0, C^1, ...
    row : int
        The row of the product.

    Returns
    -------
    torch.Tensor of float, shape (n,)
    """
    vector = matrices[-1][row]
    for matrix in reversed(matrices[:-1]):
        vector = vector @ matrix
    return vector


def products(matrices):
    """Compute R^l = C^l ... C^0 of every layer, whose row of the explained position is `relevance`.

    Parameters
    ----------
    matrices : sequence of torch.Tensor of float, shape (n, n)
        C^0, C^1, ...

    Returns
    -------
    list of torch.Tensor of float, shape (n, n)
    """
    return list(itertools.accumulate(matrices, lambda before, matrix: matrix @ before))


def layer_matrices(batch, matrices):
    """Compute the per-layer matrices of every example of a batch.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    matrices : callable
        Takes an `Example`, returns a dict: readout -> C, shape (n, n), of its layer.

    Returns
    -------
    list of dict of str to list of torch.Tensor
        One an example: readout -> [C^0, C^1, ...].
    """
    found = [{} for _ in batch.lengths]
    for layer in trace(batch.model, **batch.inputs()):
        for kept, example in zip(found, examples(layer, batch.lengths), strict=True):
            for readout, matrix in matrices(example).items():
                kept.setdefault(readout, []).append(matrix)
    return found


def token_relevance(batch, matrices):
    """Aggregate per-layer matrices (`layer_matrices`) to one score a token.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    matrices : callable
        See `layer_matrices`.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    rows = [
        {readout: relevance(layers, row) for readout, layers in kept.items()}
        for kept, row in zip(layer_matrices(batch, matrices), batch.position.tolist(), strict=True)
    ]
    return {readout: batch.padded([row[readout] for row in rows]) for readout in rows[0]}
