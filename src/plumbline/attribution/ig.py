"""Integrated gradients from the baseline [CLS] [MASK] ... [SEP], with respect to word embeddings."""

from ..registry import Method, Readout

ENTRY = Method(
    id="ig",
    label="Integrated gradients",
    family="gradient",
    order=42,
    needs=("gradient",),
    parameters={"steps": 100},
    citation="Sundararajan et al. 2017, arXiv 1703.01365",
    readouts=(
        Readout(id="ig_l2", label="IG (L2)"),
        Readout(id="ig_mean", label="IG (mean)", signed=True),
        Readout(id="ig_mean_abs", label="IG (mean |·|)"),
        Readout(id="ig_abs", label="IG (|sum|)"),
        Readout(id="ig_clip", label="IG (clipped)"),
    ),
)


def compute(batch, readouts, *, steps=100):
    """ig_*: see `gradients.token_scores` with a the integrated gradients; completeness_gap (batch,) beside them."""
    from .gradients import correct, ig_readouts

    found = ig_readouts(correct(batch), steps)
    return {name: found[name] for name in [*readouts, "completeness_gap"]}
