"""Selective attention rollout: a layer enters the product only where its attention differs from the last one used.

"Improving Explainability of Transformer Models", part 1, with its controls: thresholds that grow with the text, and the first
layer alone, which is what remains where no later layer is selected. They are one module, so that one forward pass gives all of
them.
"""

from ..arrays import attention as weights
from ..arrays import is_number, is_whole
from ..errors import PlumblineError
from ..registry import Legal, Look, Method, Readout, between

ENTRY = Method(
    id="selective",
    label="Selective rollout",
    family="attention",
    order=12,
    principal="selective_rollout",
    needs=("attention",),
    # threshold: of the published experiment; scaled_threshold: a share of the largest distance possible.
    parameters={"threshold": 1.0, "scaled_threshold": 0.2},
    legal={
        "threshold": Legal("a number, at least 0", between(0, float("inf"))),
        "scaled_threshold": Legal("a number from 0 to 1", between(0, 1)),
    },
    citation="Improving Explainability of Transformer Models, 4_01_experiments.py",
    readouts=(
        Readout(id="selective_rollout", label="Selective rollout", look=Look("#5cc9a7", "h"), shown=()),
        Readout(
            id="selective_rollout_max",
            label="Selective rollout (max)",
            look=Look("#5cc9a7", "d", "dashed"),
            shown=(),
        ),
        Readout(
            id="selective_rollout_scaled",
            label="Selective rollout (scaled)",
            look=Look("#5cc9a7", "o", "dotted"),
            shown=(),
        ),
        Readout(
            id="selective_rollout_scaled_max",
            label="Selective rollout (scaled, max)",
            look=Look("#5cc9a7", "s", "dashdotted"),
            shown=(),
        ),
        Readout(id="first_layer", label="First layer alone", look=Look("#5cc9a7", "^", "broken"), shown=()),
        Readout(
            id="first_layer_max",
            label="First layer alone (max)",
            look=Look("#5cc9a7", "D", "sparse"),
            shown=(),
        ),
    ),
)


def compute(batch, readouts, *, threshold, scaled_threshold):
    """Score tokens by the explained position's row of the last layer's product.

    `_max`: the maximum over rows, as published. selective_rollout: threshold as it is. `_scaled`: scaled_threshold *
    `largest_distance(n)`. first_layer: the first layer's matrix, without any product.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.
    threshold : float
        A Frobenius distance.
    scaled_threshold : float
        A share of the largest distance.

    Returns
    -------
    dict of str to torch.Tensor, float32, shape (batch, n)
        Readout -> scores, zero at padding.
    """
    layers = batch.attentions()
    found = {readout: [] for readout in readouts}
    for row, length in enumerate(batch.lengths):
        matrices = layer_means([layer[row, :, :length, :length] for layer in layers])
        products = {
            "selective_rollout": select(matrices, threshold)[0][-1],
            "selective_rollout_scaled": select(matrices, scaled_threshold * largest_distance(length))[0][-1],
            "first_layer": matrices[0],
        }
        for readout in readouts:
            product = products[readout.removesuffix("_max")]
            place = None if readout.endswith("_max") else batch.position[row]
            found[readout].append(read_out(product, place))
    return {readout: batch.padded(rows) for readout, rows in found.items()}


def layer_means(attention, residual=True):
    """Average attention over heads, and add the residual connection.

    Parameters
    ----------
    attention : iterable of torch.Tensor of float, shape (heads, n, n)
        One a layer.
    residual : bool
        True: A'_l = A_l + I with rows divided by their sum (Abnar & Zuidema 2020). False: A_l itself.

    Returns
    -------
    torch.Tensor of float, shape (layers, n, n)
    """
    import torch

    means = torch.stack([layer.mean(0) for layer in attention])
    if residual:
        means = means + torch.eye(means.shape[-1], dtype=means.dtype, device=means.device)
        means = means / means.sum(-1, keepdim=True)
    return means


def select(matrices, threshold):
    """Select layers, and multiply their matrices.

    S_0 = A'_0. S_l = A'_l S_{l-1} where ||A'_l - A'_r||_F > threshold, r the last layer used, else S_{l-1}.

    Parameters
    ----------
    matrices : torch.Tensor of float, shape (layers, n, n)
        A'_l.
    threshold : float
        A Frobenius distance.

    Returns
    -------
    products : torch.Tensor of float, shape (layers, n, n)
        S.
    used : list of int
        Indices of the layers used.
    """
    import torch

    products, used = [matrices[0]], [0]
    for layer in range(1, len(matrices)):
        product = products[-1]
        if torch.linalg.matrix_norm(matrices[layer] - matrices[used[-1]]) > threshold:
            product = matrices[layer] @ product
            used.append(layer)
        products.append(product)
    return torch.stack(products), used


def largest_distance(length):
    """Compute sqrt(n / 2), the largest Frobenius distance of two A' of n tokens.

    Two rows of ½(A + I) are at most so far apart.

    Parameters
    ----------
    length : int
        n.

    Returns
    -------
    float
    """
    return (length / 2) ** 0.5


def read_out(product, position=None):
    """Read one score a token out of products.

    Parameters
    ----------
    product : torch.Tensor of float, shape (..., n, n)
        Rows are targets.
    position : int, optional
        The row. None: the maximum over rows.

    Returns
    -------
    torch.Tensor of float, shape (..., n)
    """
    return product.amax(-2) if position is None else product[..., position, :]


def rollout_relevance(attention, threshold, residual=True, position=None):
    """Compute `plumbline.attribution.selective_rollout`.

    Parameters
    ----------
    attention, threshold, residual, position
        See there.

    Returns
    -------
    relevance : numpy.ndarray or torch.Tensor, shape (layers, n)
        Of the kind and dtype of `attention`.
    used : list of int
        The layers used.

    Raises
    ------
    PlumblineError
        See there.
    """
    values, restore = weights(attention)
    check_threshold(threshold)
    if not isinstance(residual, bool):
        raise PlumblineError(f"residual must be True or False, not {residual!r}")
    check_position(position, values.shape[-1])
    products, used = select(layer_means(values, residual), float(threshold))
    return restore(read_out(products, position)), used


def check_threshold(value):
    """Check that a value is a distance.

    Parameters
    ----------
    value : object
        The threshold.

    Raises
    ------
    PlumblineError
        For what is no distance.
    """
    if not is_number(value) or value < 0:
        raise PlumblineError(
            f"threshold is {value!r}: a distance is a number, never negative, 0 uses every layer"
        )


def check_position(position, length):
    """Check that a position is one of the tokens'.

    Parameters
    ----------
    position : object
        None is the maximum over rows.
    length : int
        The number of tokens.

    Raises
    ------
    PlumblineError
        For a position outside 0..length - 1.
    """
    if position is not None and not (is_whole(position) and 0 <= position < length):
        raise PlumblineError(f"position {position!r} is outside the {length} tokens")
