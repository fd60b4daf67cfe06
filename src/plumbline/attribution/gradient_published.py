"""Gradient and gradient x input as the ALTI reference computes them: embeddings applied twice."""

from ..registry import Method, Readout

ENTRY = Method(
    id="gradient_published",
    label="Gradients, as published",
    family="gradient",
    order=41,
    principal="grad_l2_published",
    needs=("gradient",),
    citation="Ferrando et al. 2022, reference code",
    readouts=(
        Readout(
            id="grad_l2_published", label="Gradient (L2), as published", published=True, reference="grad"
        ),
        Readout(
            id="gxi_l2_published", label="G×I (L2), as published", published=True, reference="grad_input_l2"
        ),
        Readout(
            id="gxi_mean_published",
            label="G×I (mean), as published",
            signed=True,
            published=True,
            reference="grad_input_mean",
        ),
        Readout(
            id="gxi_mean_abs_published",
            label="G×I (mean |·|), as published",
            published=True,
            reference="grad_input_mean_abs_mean",
        ),
        Readout(
            id="gxi_abs_published",
            label="G×I (|sum|), as published",
            published=True,
            reference="grad_input_abs",
            absolute_of=("gxi_mean_published", "gxi_clip_published"),
        ),
        Readout(
            id="gxi_clip_published",
            signed=True,
            label="G×I (clipped), as published",
            published=True,
            reference="grad_input_clip",
        ),
    ),
)


def compute(batch, readouts):
    """Score tokens as `gradient`, for the function and the variable of `gradients.published`.

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
    from .gradients import asked, gradient_readouts, published

    return asked(gradient_readouts(published(batch), "_published"), readouts)
