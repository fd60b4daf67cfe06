"""Integrated gradients from the baseline [CLS] [MASK] ... [SEP], with respect to word embeddings."""

import functools

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

# Tokens that one backward pass holds at a time; integrated gradients run as many steps together as fit.
STEP_TOKENS = {"cpu": 512, "cuda": 65536}
FIRST_STEPS = 50  # of `auto`; they are doubled from here on


def compute(batch, readouts, *, steps="auto", gap=0.01, max_steps=3200):
    """ig_*: see `gradients.token_scores` with a the integrated gradients; beside them completeness_gap and steps (batch,).

    steps: 'auto': doubled, example by example, until the completeness gap is below `gap`, a probability, or `max_steps` are
    taken; or their number.
    """
    from .gradients import asked, correct

    return asked(ig_readouts(correct(batch), steps=steps, gap=gap, max_steps=max_steps), readouts)


def integrated_gradients(function, steps, gap=None, max_steps=None):
    """Gradients averaged along the straight path from the baseline [CLS] [MASK] ... [SEP] (Sundararajan et al. 2017, eq. 1).

    Gauss-Legendre nodes and weights on [0, 1]. steps: their number, or 'auto': `FIRST_STEPS`, doubled for each example until
    its completeness gap is below `gap`, or `max_steps` are taken.

    Returns (attributions (batch, n, D) float64; completeness gap (batch,) float64: |sum of attributions - (f(input) -
    f(baseline))|, a probability; steps taken (batch,) int64).
    """
    import torch

    batch = function.batch
    with torch.no_grad():
        ends = function.embed(batch.input_ids)
        starts = function.embed(baseline_ids(batch))
        rise = function(ends).double() - function(starts).double()
    attributions = torch.zeros(ends.shape, dtype=torch.float64, device=batch.device)
    gaps = torch.full_like(rise, float("inf"))
    taken = torch.zeros(len(ends), dtype=torch.int64, device=batch.device)
    rows = torch.arange(len(ends), device=batch.device)
    count = min(FIRST_STEPS, max_steps) if steps == "auto" else steps
    while True:
        change = (ends - starts)[rows] * batch.attention_mask[rows, :, None]
        attributions[rows] = _mean_gradient(function, starts, ends, rows, count) * change
        gaps[rows] = (attributions[rows].sum((1, 2)) - rise[rows]).abs()
        taken[rows] = count
        if steps != "auto" or count == max_steps:
            break
        rows = rows[gaps[rows] >= gap]  # whoever is done takes no more steps
        if not len(rows):
            break
        count = min(2 * count, max_steps)
    return attributions, gaps, taken


def _mean_gradient(function, starts, ends, rows, steps):
    """The gradient's integral over the path from starts to ends (batch, n, D), of some rows: float64 (rows, n, D)."""
    import torch

    from ..models.runtime import fitting

    nodes, weights = (torch.from_numpy(values).to(ends.device) for values in _quadrature(steps))
    starts, ends = starts[rows], ends[rows]
    together = max(1, fitting(STEP_TOKENS.get(ends.device.type, 512)) // (len(rows) * ends.shape[1]))
    total = torch.zeros(ends.shape, dtype=torch.float64, device=ends.device)
    for chosen, shares in zip(nodes.split(together), weights.split(together), strict=True):
        points = starts + chosen.to(ends.dtype)[:, None, None, None] * (ends - starts)
        _, gradient = function.gradient(points.flatten(0, 1), rows.repeat(len(chosen)))
        total += (gradient.view(points.shape) * shares[:, None, None, None]).sum(0)
    return total


@functools.lru_cache
def _quadrature(steps):
    """Gauss-Legendre nodes and weights on [0, 1]: two float64 arrays (steps,)."""
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(steps)
    return (nodes + 1) / 2, weights / 2


def baseline_ids(batch):
    """[CLS] [MASK] ... [SEP] of each example's length, a pair's [SEP] in the middle and padding untouched."""
    ids = batch.input_ids.clone()
    for row, length in enumerate(batch.lengths):
        own = ids[row, :length]  # a view
        own[own != batch.special("sep")] = batch.special("mask")
        own[-1] = batch.special("sep")
        own[0] = batch.special("cls")
    return ids


def ig_readouts(function, suffix="", **settings):
    """All readouts of integrated gradients, its completeness gap and the steps taken: name -> tensor. settings: its own."""
    import torch

    from .gradients import token_scores

    attributions, gap, taken = integrated_gradients(function, **settings)
    mask = function.batch.attention_mask.bool()
    scores = token_scores(attributions, torch.ones_like(attributions[:, :, :1]), mask)
    found = {f"ig_{name}{suffix}": values for name, values in scores.items()}
    return found | {"completeness_gap": gap, "steps": taken}
