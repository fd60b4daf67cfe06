"""Gradient and gradient x input of the explained probability with respect to word embeddings."""

from ..registry import Look, Method, Readout

ENTRY = Method(
    id="gradient",
    label="Gradients",
    family="gradient",
    order=40,
    principal="grad_l2",
    needs=("gradient",),
    citation="Simonyan et al. 2014, arXiv 1312.6034; Denil et al. 2015, arXiv 1412.6815",
    readouts=(
        Readout(id="grad_l2", label="Gradient (L2)", look=Look("#d55e00", "P")),
        Readout(id="gxi_l2", label="G×I (L2)", look=Look("#d55e00", "X", "dashed")),
        Readout(
            id="gxi_mean",
            label="G×I (mean)",
            signed=True,
            look=Look("#d55e00", "h", "dotted"),
            shown=("examples",),
        ),
        Readout(
            id="gxi_mean_abs",
            label="G×I (mean |·|)",
            look=Look("#d55e00", "<", "dashdotted"),
            shown=("curves", "ranks", "examples"),
        ),
        Readout(
            id="gxi_abs",
            label="G×I (|sum|)",
            absolute_of=("gxi_mean", "gxi_clip"),
            look=Look("#d55e00", "d", "broken"),
            shown=(),
        ),
        Readout(
            id="gxi_clip", label="G×I (clipped)", signed=True, look=Look("#d55e00", "o", "sparse"), shown=()
        ),
    ),
)


def compute(batch, readouts):
    """Score tokens by gradient and gradient x input.

    grad_l2: ||g||_2 / sum ||g||_2. gxi_*: see `gradients.token_scores`, with e the word embeddings.

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
    from .gradients import asked, correct, gradient_readouts

    return asked(gradient_readouts(correct(batch)), readouts)
