"""Integrated gradients from the baseline [CLS] [MASK] ... [SEP], with respect to word embeddings."""

from ..registry import Legal, Look, Method, Readout, whole

ENTRY = Method(
    id="ig",
    label="Integrated gradients",
    family="gradient",
    order=42,
    principal="ig_mean",
    needs=("gradient",),
    integral=True,
    parameters={"steps": "auto", "gap": 0.01, "max_steps": 3200},
    legal={
        "steps": Legal(
            "'auto' or a whole number, at least 1, at most 100,000",
            lambda value: (isinstance(value, str) and value == "auto") or whole(value),
        ),
        "gap": Legal("a number above 0", lambda value: type(value) in (int, float) and value > 0),
        "max_steps": Legal("a whole number, at least 1", whole),
    },
    citation="Sundararajan et al. 2017, arXiv 1703.01365",
    readouts=(
        Readout(id="ig_l2", label="IG (L2)", look=Look("#de8f05", "*")),
        Readout(
            id="ig_mean",
            label="IG (mean)",
            signed=True,
            look=Look("#de8f05", "s", "dashed"),
            shown=("examples",),
        ),
        Readout(
            id="ig_mean_abs",
            label="IG (mean |·|)",
            look=Look("#de8f05", ">", "dotted"),
            shown=("curves", "ranks", "examples"),
        ),
        Readout(
            id="ig_abs",
            label="IG (|sum|)",
            absolute_of=("ig_mean", "ig_clip"),
            look=Look("#de8f05", "^", "dashdotted"),
            shown=(),
        ),
        Readout(
            id="ig_clip", label="IG (clipped)", signed=True, look=Look("#de8f05", "D", "broken"), shown=()
        ),
    ),
)


def compute(batch, readouts, *, steps="auto", gap=0.01, max_steps=3200):
    """ig_*: see `gradients.token_scores` with a the integrated gradients; beside them completeness_gap and steps (batch,).

    steps: 'auto': doubled, example by example, until the completeness gap is below `gap`, a probability, or `max_steps` are
    taken; or their number.
    """
    from .gradients import asked, correct, ig_readouts

    return asked(ig_readouts(correct(batch), steps=steps, gap=gap, max_steps=max_steps), readouts)
