"""Integrated gradients from the baseline [CLS] [MASK] ... [SEP], with respect to word embeddings."""

import functools
from dataclasses import dataclass

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

PIECE = 32  # steps of `auto` on a piece of the path


def compute(batch, readouts, *, steps="auto", gap=0.01, max_steps=3200):
    """Score tokens by integrated gradients.

    ig_*: see `gradients.token_scores`, with a the integrated gradients.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    readouts : sequence of str
        Ids of readouts of the method.
    steps : int or 'auto'
        Steps on the path. 'auto': more, example by example, where the probability changes, until the completeness gap is below
        `gap`, or more steps would be over `max_steps` (`integrated_gradients`).
    gap : float
        A probability.
    max_steps : int
        The most steps on an example's path.

    Returns
    -------
    dict of str to torch.Tensor
        Readout -> scores, float64, shape (batch, n). Beside them completeness_gap and steps, shape (batch,).
    """
    from .gradients import asked, correct

    return asked(ig_readouts(correct(batch), steps=steps, gap=gap, max_steps=max_steps), readouts)


def integrated_gradients(function, steps, gap=None, max_steps=None):
    """Gradients averaged along the straight path from the baseline [CLS] [MASK] ... [SEP] (Sundararajan et al. 2017, eq. 1).

    Parameters
    ----------
    function : Function
        What is differentiated.
    steps : int or 'auto'
        Gauss-Legendre steps on the path. 'auto': `PIECE` on it; then, for each example, as many on each half of the piece with
        the largest gap in place of those on the whole piece, until the gaps of all pieces add up to less than `gap`. A piece's
        gap is |sum of its share of the attributions - rise of the probability over it|. So steps lie where the probability changes.
    gap : float
        A probability.
    max_steps : int
        The most steps on an example's path.

    Returns
    -------
    attributions : torch.Tensor
        (batch, n, D) float64.
    gaps : torch.Tensor
        (batch,) float64, completeness gap: |sum of attributions - (f(input) - f(baseline))|, a probability.
    taken : torch.Tensor
        (batch,) int64, steps on the path; those on a piece that was halved are not among them.
    """
    import torch

    path, halving = _Path(function), steps == "auto"
    count = min(PIECE, max_steps) if halving else steps
    new = [_Piece(row, 0.0, 1.0, *ends) for row, ends in enumerate(path.values_at_ends())]
    found = [[] for _ in new]
    while new:
        path.integrate(new, count)
        for piece in new:
            found[piece.row].append(piece)
        open_ones = [pieces for pieces in found if halving and sum(piece.gap for piece in pieces) >= gap]
        widest = [
            max(pieces, key=lambda piece: piece.gap)
            for pieces in open_ones
            if (len(pieces) + 1) * count <= max_steps
        ]
        for piece in widest:
            found[piece.row].remove(piece)
        new = path.halves(widest)
    attributions = torch.stack([sum(piece.attributions for piece in pieces) for pieces in found])
    gaps = [abs(sum(piece.error for piece in pieces)) for pieces in found]
    taken = [len(pieces) * count for pieces in found]
    device = attributions.device
    return (
        attributions,
        torch.tensor(gaps, dtype=torch.float64, device=device),
        torch.tensor(taken, device=device),
    )


@dataclass(eq=False)
class _Piece:
    """A piece of the path of the batch's example `row`: start and length, shares of the path; the function at both ends.

    attributions  (n, D) float64, the piece's share of them; error: their sum less the function's rise.
    """

    row: int
    start: float
    length: float
    before: float
    after: float
    attributions: object = None
    error: float = None

    @property
    def gap(self):
        return abs(self.error)


class _Path:
    """The straight path from the baseline to the input, embeddings (batch, n, D), of every example of a function's batch."""

    def __init__(self, function):
        import torch

        from ..models.inference import usual_budget
        from ..models.runtime import fitting

        batch = function.batch
        self.function = function
        with torch.no_grad():
            self.ends = function.embed(batch.input_ids)
            self.starts = function.embed(baseline_ids(batch))
        _, length, width = self.ends.shape
        tokens = fitting(usual_budget(self.ends.device, width))
        self.together = max(1, tokens // length)  # points of one backward pass

    def values_at_ends(self):
        """(function at the baseline, at the input) of every example, as one batch."""
        import torch

        with torch.no_grad():
            both = [self.function(end).double().tolist() for end in (self.starts, self.ends)]
        return zip(*both, strict=True)

    def integrate(self, pieces, count):
        """Set what `count` steps on each piece give."""
        import torch

        nodes, weights = (torch.from_numpy(values) for values in _quadrature(count))
        spans = torch.tensor([(piece.start, piece.length) for piece in pieces], dtype=torch.float64)
        starts, lengths = spans[:, :1], spans[:, 1:]
        places = (starts + nodes * lengths).flatten()
        shares = (weights * lengths).flatten().to(self.ends.device)
        total = torch.zeros(len(pieces), *self.ends.shape[1:], dtype=torch.float64, device=self.ends.device)
        numbers = torch.arange(len(pieces)).repeat_interleave(count)
        rows = torch.tensor([piece.row for piece in pieces])
        for chosen in torch.arange(len(numbers)).split(self.together):
            points, some = self._points(rows[numbers[chosen]], places[chosen])
            _, gradient = self.function.gradient(points, some)
            total.index_add_(0, numbers[chosen].to(total.device), gradient * shares[chosen, None, None])
        for piece, integral in zip(pieces, total, strict=True):
            mask = self.function.batch.attention_mask[piece.row, :, None]
            piece.attributions = integral * (self.ends[piece.row] - self.starts[piece.row]) * mask
            piece.error = piece.attributions.sum().item() - (piece.after - piece.before)

    def halves(self, pieces):
        """Both halves of every piece."""
        import torch

        middles = []
        for first in range(0, len(pieces), self.together):
            some = pieces[first : first + self.together]
            rows, places = [piece.row for piece in some], [piece.start + piece.length / 2 for piece in some]
            points, rows = self._points(torch.tensor(rows), torch.tensor(places, dtype=torch.float64))
            with torch.no_grad():
                middles += self.function(points, rows).double().tolist()
        found = []
        for piece, middle in zip(pieces, middles, strict=True):
            half = piece.length / 2
            found.append(_Piece(piece.row, piece.start, half, piece.before, middle))
            found.append(_Piece(piece.row, piece.start + half, half, middle, piece.after))
        return found

    def _points(self, rows, places):
        """Embeddings (points, n, D) at places, shares of the path, float64 (points,), of examples, and their rows on the device."""
        rows = rows.to(self.ends.device)
        places = places.to(self.ends.device, self.ends.dtype)[:, None, None]
        return self.starts[rows] + places * (self.ends[rows] - self.starts[rows]), rows


@functools.lru_cache
def _quadrature(steps):
    """Gauss-Legendre nodes and weights on [0, 1]: two float64 arrays (steps,)."""
    from scipy.special import roots_legendre

    nodes, weights = roots_legendre(steps)
    return (nodes + 1) / 2, weights / 2


def baseline_ids(batch):
    """Make the baseline [CLS] [MASK] ... [SEP] of each example's length. A pair's [SEP] in the middle and padding stay.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs. It needs the ids of cls, sep and mask.

    Returns
    -------
    torch.Tensor, int64, shape (batch, n)
    """
    ids = batch.input_ids.clone()
    for row, length in enumerate(batch.lengths):
        own = ids[row, :length]  # a view
        own[own != batch.special("sep")] = batch.special("mask")
        own[-1] = batch.special("sep")
        own[0] = batch.special("cls")
    return ids


def ig_readouts(function, suffix="", **settings):
    """Compute all readouts of integrated gradients, its completeness gap and the steps taken.

    Parameters
    ----------
    function : Function
        What is differentiated.
    suffix : str
        Ends the ids of the readouts.
    **settings
        steps, gap and max_steps of `integrated_gradients`.

    Returns
    -------
    dict of str to torch.Tensor
        Id of a readout -> scores, float64, shape (batch, n). completeness_gap and steps, shape (batch,).
    """
    import torch

    from .gradients import token_scores

    attributions, gap, taken = integrated_gradients(function, **settings)
    mask = function.batch.attention_mask.bool()
    scores = token_scores(attributions, torch.ones_like(attributions[:, :, :1]), mask)
    found = {f"ig_{name}{suffix}": values for name, values in scores.items()}
    return found | {"completeness_gap": gap, "steps": taken}
