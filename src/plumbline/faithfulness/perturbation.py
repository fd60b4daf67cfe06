"""From a ranking to perturbed inputs, and from their probabilities back to a curve."""

import numpy as np
import torch

from . import PROTOCOLS, protocol_module

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)


def bin_counts(candidates):
    """0, then ceil(m b) for the five bins, as the reference computes it (in floating point)."""
    return [0, *(int(np.ceil(candidates * share)) for share in BINS)]


def envelope(values, kind):
    """Running minimum so far (comp, from 1) or running maximum so far (suff, from 0), as published."""
    if kind == "comp":
        return torch.cummin(values.clamp(max=1), 0).values
    return torch.cummax(values.clamp(min=0), 0).values


def ranking(scores, position, agreement):
    """Candidate positions, most important first; ties: the lower position first.

    Candidates are all tokens but the first and the last and, for agreement, the mask.
    """
    places = np.arange(1, len(scores) - 1)
    if agreement:
        places = places[places != position]
    return places[np.argsort(-scores[places], kind="stable")]


def probabilities(logits, target):
    """Probability of `target` for rows of logits (points, classes); one column: agreement's sigmoid. (points,)"""
    if logits.shape[1] == 1:
        return (logits[:, 0] if target == 1 else -logits[:, 0]).sigmoid()
    return logits.softmax(-1)[:, target]


class Request:
    """One curve: the perturbed inputs that it needs and the protocol that reads them.

    ids: int array without padding; scores: as many floats; removed: tokens removed at each point.
    """

    def __init__(self, ids, scores, protocol, kind, *, position, agreement, mask_id, cap=30, ranked=None):
        self.ids, self.kind, self.position, self.agreement = ids, kind, position, agreement
        self.entry, self.module, self.mask_id = PROTOCOLS[protocol], protocol_module(protocol), mask_id
        self.ranked = ranking(scores, position, agreement) if ranked is None else ranked
        self.counts = self.module.counts(len(self.ranked), agreement=agreement, cap=cap)
        self.numbers = None

    @property
    def removed(self):
        if self.kind == "comp":
            return self.counts
        return [len(self.ranked) - count for count in self.counts]

    def add_to(self, passes):
        """Register the inputs with a `Passes`; returns self, with their numbers."""
        self.numbers = [passes.add(*self.perturbed(count)) for count in self.counts]
        return self

    def perturbed(self, count):
        gone = self.ranked[:count] if self.kind == "comp" else self.ranked[count:]
        if self.entry.removal == "mask":
            ids = self.ids.copy()
            ids[gone] = self.mask_id
            return ids, self.position
        keep = np.ones(len(self.ids), dtype=bool)
        keep[gone] = False
        # Positions shift: what is read moves with the tokens deleted before it.
        return self.ids[keep], int(keep[: self.position].sum())

    def curve(self, values):
        """The recorded curve, 1-D float32, from the probabilities of the points."""
        return self.module.record(values, self.kind)
