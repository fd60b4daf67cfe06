"""Input-gradient saliency of a logit: what rollouts are compared with, as published and in two other ways.

g_t is the gradient with respect to x_t, both (D,). Three readouts of it:

    input_gradient      |sum_d g_td|, as published: |g . 1|, the derivative along one direction, (1, ..., 1). No axis of an
                        embedding distinguishes it from any other direction of signs
    input_gradient_l2   ||g_t||_2, which no rotation of the embedding changes
    input_gradient_dot  |g_t . x_t|, the first-order effect of scaling the token's own vector

The variable is the output x of the whole embedding block. `input_gradient` feeds it past that block, so the network is
the normal one; `input_gradient_published` feeds it as word embeddings, to which the block adds positions and types and
applies its LayerNorm a second time, and takes the logit of class 1 for every text.

LayerNorm does not change when all D coordinates of its input rise alike, so the gradient of anything with respect to a
LayerNorm's input sums to zero over d. As published, x enters the block's LayerNorm: the sum is zero, and what is ranked
is rounding noise (docs/studies/selective_rollout.md). The corrected variable enters no LayerNorm but in the first layer's
residual sum, whose part of the gradient sums to zero too. What is left has passed the first layer's attention.
"""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="input_gradient",
    label="Input gradient",
    family="gradient",
    order=45,
    needs=("gradient",),
    citation="Abnar & Zuidema 2020, arXiv 2005.00928, code",
    readouts=(
        Readout(id="input_gradient", label="Input gradient (|sum|)", look=Look("#a5512a", "P"), shown=()),
        Readout(
            id="input_gradient_l2", label="Input gradient (L2)", look=Look("#a5512a", "X", "dashed"), shown=()
        ),
        Readout(
            id="input_gradient_dot",
            label="Input gradient · input (|g·x|)",
            look=Look("#a5512a", "<", "dotted"),
            shown=(),
        ),
        Readout(
            id="input_gradient_published",
            label="Input gradient (|sum|), as published",
            published=True,
            noise=True,
        ),
    ),
)

# What the study of selective rollout correlates with rollouts: column of stage `rollouts` -> (metric of
# plumbline.agreement, readout).
CORRELATIONS = {
    "spearman": ("spearman", "input_gradient"),
    "spearman_dense": ("spearman_dense", "input_gradient"),
    "spearman_l2": ("spearman", "input_gradient_l2"),
    "spearman_dot": ("spearman", "input_gradient_dot"),
}


def compute(batch, readouts):
    """Score tokens by the gradient of one logit an example, by one backward pass a definition.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, n)
        Readout -> scores.
    """
    import torch

    found = {}
    for suffix in ("", "_published"):
        wanted = [readout for readout in readouts if readout.endswith("_published") == bool(suffix)]
        if wanted:
            function = logit_function(batch, published=bool(suffix))
            with torch.no_grad():
                embeddings = function.embed(batch.input_ids)
            values = references(function.gradient(embeddings)[1], embeddings)
            found |= {readout: values[readout.removesuffix(suffix)] for readout in wanted}
    return found


def logit_function(batch, *, published):
    """Make the logit a `gradients.Function` of the embedding block's output.

    It is the predicted class's logit, or as published that of class 1. Agreement, of either sign: the logit at the mask.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    published : bool
        Whether as published.

    Returns
    -------
    attribution.gradients.Function
    """
    import torch

    from ..models.encoders import explained_logit
    from .gradients import Function, embedding_block

    block, embed = embedding_block(batch)
    entry = batch.model.get_input_embeddings() if published else block

    def logit(logits, rows):
        target = torch.ones_like(batch.target[rows]) if published else batch.target[rows]
        return explained_logit(logits, target, batch.position[rows])

    return Function(batch, entry, embed, logit)


def references(gradient, embeddings):
    """Compute the readouts of gradients. Padding is not masked.

    Parameters
    ----------
    gradient : torch.Tensor of float, shape (batch, n, D)
        With respect to the embeddings.
    embeddings : torch.Tensor of float, shape (batch, n, D)
        Where the gradient was taken.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, n)
        Id of a readout -> scores.
    """
    return {
        "input_gradient": gradient.sum(-1).abs(),
        "input_gradient_l2": gradient.norm(dim=-1),
        "input_gradient_dot": (gradient * embeddings).sum(-1).abs(),
    }


def left_of_sum(gradient, mask):
    """Compute how much of the gradient its sum over d leaves: sum_t |sum_d g_td| / sum_td |g_td|.

    Where the sum is zero but for rounding, it is about 1e-7 in single and 1e-16 in double precision.

    Parameters
    ----------
    gradient : torch.Tensor of float, shape (batch, n, D)
        g.
    mask : torch.Tensor, shape (batch, n)
        0 at padding.

    Returns
    -------
    torch.Tensor, float64, shape (batch,)
        In [0, 1].
    """
    gradient = gradient.double() * mask[..., None]
    return gradient.sum(-1).abs().sum(-1) / gradient.abs().sum((1, 2))
