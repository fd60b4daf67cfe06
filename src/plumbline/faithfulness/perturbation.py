"""From a ranking to perturbed inputs, and from their probabilities back to a curve."""

import numpy as np
import torch

from ..models.encoders import explained_probability
from .protocols import PROTOCOLS, protocol_module
from .ranking import DRAWS, candidates, ranked, real, tied_share

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)


def bin_counts(candidates):
    """0, then ceil(m b) for the five bins, as the reference computes it (in floating point)."""
    return [0, *(int(np.ceil(candidates * share)) for share in BINS)]


def envelope(values, kind):
    """Running minimum so far (comp, from 1) or running maximum so far (suff, from 0), as published."""
    if kind == "comp":
        return torch.cummin(values.clamp(max=1), 0).values
    return torch.cummax(values.clamp(min=0), 0).values


def orders(scores, *, position, agreement, seed, fixed=None):
    """Candidate positions, most important first: int64 (draws, candidates), and the share of them that are tied.

    Candidates are all tokens but the first and the last, those that are `fixed` (bool (n,), see `ranking.special`) and, for
    agreement, the mask. One draw where no two scores are equal, else `DRAWS`. Errors: see `ranking.ranked`.
    """
    places = candidates(len(scores), position if agreement else None, fixed)
    found = real(scores)[places]
    tied = tied_share(found)
    return places[ranked(found, seed=seed, draws=DRAWS if tied else 1)], tied


def probabilities(logits, target, *, multi_label=False):
    """`explained_probability` of one target for rows of logits (points, classes): (points,)."""
    return explained_probability(logits, torch.full((len(logits),), target), multi_label=multi_label)


class Request:
    """One curve: the perturbed inputs that it needs and the protocol that reads them.

    ids: int array without padding; types: token types like ids, None where all are 0; orders: int64 (draws, candidates), see `orders`; removed: tokens removed at each point.
    """

    def __init__(self, ids, orders, protocol, kind, *, position, agreement, mask_id, types=None, cap=30):
        self.ids, self.types, self.kind, self.position, self.orders = ids, types, kind, position, orders
        self.entry, self.module, self.mask_id = PROTOCOLS[protocol], protocol_module(protocol), mask_id
        self.counts = self.module.counts(orders.shape[1], agreement=agreement, cap=cap)
        self.numbers = None

    @property
    def removed(self):
        if self.kind == "comp":
            return self.counts
        return [self.orders.shape[1] - count for count in self.counts]

    def add_to(self, passes):
        """Register the inputs with a `Passes`; returns self, with their numbers, a draw's points after the other's."""
        self.numbers = [passes.add(*given) for order in self.orders for given in self.perturbed(order)]
        return self

    def perturbed(self, order):
        """What each point of the curve gives the model: a list of (token ids, what is read there, token types).

        The first `counts` of the order are gone (suff: they alone are left).
        """
        # Tokens that are no candidates have the last place for comp and the first one for suff: they always stay.
        places = np.full(len(self.ids), len(self.ids) if self.kind == "comp" else -1)
        places[order] = np.arange(len(order))
        counts = np.array(self.counts)[:, None]
        keep = places >= counts if self.kind == "comp" else places < counts
        if self.entry.removal == "mask":
            return [(ids, self.position, self.types) for ids in np.where(keep, self.ids, self.mask_id)]
        # Positions shift: what is read moves with the tokens deleted before it.
        positions = keep[:, : self.position].sum(1).tolist()
        return [
            (self.ids[kept], position, None if self.types is None else self.types[kept])
            for kept, position in zip(keep, positions, strict=True)
        ]

    def curve(self, values):
        """The recorded curve, 1-D float32, mean over the draws, from the probabilities of the inputs, as numbered."""
        if len(self.orders) == 1:
            return self.module.record(values, self.kind)
        draws = values.reshape(len(self.orders), len(self.counts))
        return torch.stack([self.module.record(draw, self.kind) for draw in draws]).mean(0)
