"""Integrated gradients as the ALTI reference computes them: embeddings applied twice."""

from ..registry import Legal, Method, Readout, whole

ENTRY = Method(
    id="ig_published",
    label="Integrated gradients, as published",
    family="gradient",
    order=43,
    principal="ig_mean_published",
    needs=("gradient",),
    integral=True,
    parameters={"steps": 100},
    legal={"steps": Legal("a whole number, at least 1", whole)},
    citation="Ferrando et al. 2022, reference code",
    readouts=(
        Readout(id="ig_l2_published", label="IG (L2), as published", published=True, reference="ig_l2"),
        Readout(
            id="ig_mean_published",
            label="IG (mean), as published",
            signed=True,
            published=True,
            reference="ig_mean",
        ),
        Readout(
            id="ig_mean_abs_published",
            label="IG (mean |·|), as published",
            published=True,
            reference="ig_abs_mean",
        ),
        Readout(
            id="ig_abs_published",
            label="IG (|sum|), as published",
            published=True,
            reference="ig_abs",
            absolute_of=("ig_mean_published", "ig_clip_published"),
        ),
        Readout(
            id="ig_clip_published",
            signed=True,
            label="IG (clipped), as published",
            published=True,
            reference="ig_clip",
        ),
    ),
)


def compute(batch, readouts, *, steps=100):
    """Score tokens by integrated gradients, as the reference computes them.

    ig_*: see `gradients.token_scores`, with a the integrated gradients.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.
    steps : int
        Steps on the path.

    Returns
    -------
    dict of str to torch.Tensor
        Readout -> scores, float64, shape (batch, n). Beside them completeness_gap and steps, shape (batch,).
    """
    from .gradients import asked, published
    from .ig import ig_readouts

    return asked(ig_readouts(published(batch), "_published", steps=steps), readouts)
