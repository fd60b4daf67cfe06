"""From a ranking to perturbed inputs, and from their probabilities back to a curve."""

import numpy as np
import torch

from ..models.encoders import explained_probability
from .protocols import PROTOCOLS, protocol_module
from .ranking import DRAWS, candidates, ranked, real, tied_share

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)


def bin_counts(candidates):
    """Say how many tokens go at each point of the bins: 0, then ceil(m b) for the five shares b of `BINS`.

    The product is taken in floating point, as the reference computes it.

    Parameters
    ----------
    candidates : int
        m, the number of tokens that may go.

    Returns
    -------
    list of int, length 6
    """
    return [0, *(int(np.ceil(candidates * share)) for share in BINS)]


def envelope(values, kind):
    """Take the running minimum so far (comp, from 1) or the running maximum so far (suff, from 0), as published.

    Parameters
    ----------
    values : torch.Tensor, float32, shape (points,)
        Probabilities.
    kind : {'comp', 'suff'}
        Of the curve.

    Returns
    -------
    torch.Tensor, float32, shape (points,)
    """
    if kind == "comp":
        return torch.cummin(values.clamp(max=1), 0).values
    return torch.cummax(values.clamp(min=0), 0).values


def orders(scores, *, position, agreement, seed, fixed=None):
    """Put the candidates in order, most important first.

    Candidates are all tokens but the first and the last, those that are `fixed` and, for agreement, the mask. There is one draw
    where no two scores are equal, else there are `DRAWS`.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Higher is more important.
    position : int
        The position that is read out, of an agreement model the mask's.
    agreement : bool
        Whether the task is agreement.
    seed : int
        Of the order of tied tokens.
    fixed : numpy.ndarray of bool, shape (n,), optional
        See `ranking.special`.

    Returns
    -------
    orders : numpy.ndarray, int64, shape (draws, candidates)
        Positions of tokens.
    tied : float
        The share of the candidates that are tied.

    Raises
    ------
    PlumblineError
        As `ranking.ranked` does.
    """
    places = candidates(len(scores), position if agreement else None, fixed)
    found = real(scores)[places]
    tied = tied_share(found)
    return places[ranked(found, seed=seed, draws=DRAWS if tied else 1)], tied


def probabilities(logits, target, *, multi_label=False):
    """Compute `explained_probability` of one target for rows of logits.

    Parameters
    ----------
    logits : torch.Tensor of float, shape (points, classes)
        One row a point.
    target : int
        The explained class.
    multi_label : bool
        Whether each logit is a yes or no of its own.

    Returns
    -------
    torch.Tensor of float, shape (points,)
    """
    return explained_probability(logits, torch.full((len(logits),), target), multi_label=multi_label)


class Request:
    """One curve: the perturbed inputs that it needs and the protocol that reads them.

    Parameters
    ----------
    ids : numpy.ndarray, int64, shape (n,)
        Token ids without padding.
    orders : numpy.ndarray, int64, shape (draws, candidates)
        See `orders`.
    protocol : str
        An id of `PROTOCOLS`.
    kind : {'comp', 'suff'}
        Of the curve.
    position : int
        The position that is read out.
    agreement : bool
        Whether the task is agreement.
    mask_id : int or None
        Id of the mask token, for a protocol that masks.
    types : numpy.ndarray, int64, shape (n,), optional
        Token types. None: all are 0.
    cap : int
        The most points, of published_steps.
    """

    def __init__(self, ids, orders, protocol, kind, *, position, agreement, mask_id, types=None, cap=30):
        self.ids, self.types, self.kind, self.position, self.orders = ids, types, kind, position, orders
        self.entry, self.module, self.mask_id = PROTOCOLS[protocol], protocol_module(protocol), mask_id
        self.counts = self.module.counts(orders.shape[1], agreement=agreement, cap=cap)
        self.numbers = None

    @property
    def removed(self):
        """Tokens removed at each point, a list of int."""
        if self.kind == "comp":
            return self.counts
        return [self.orders.shape[1] - count for count in self.counts]

    def add_to(self, passes):
        """Register the inputs with a `Passes`.

        Parameters
        ----------
        passes : plumbline.models.inference.Passes
            The inputs' numbers there are kept in `numbers`, one draw's points after the other's.

        Returns
        -------
        Request
            This one.
        """
        self.numbers = [passes.add(*given) for given in self.perturbed()]
        return self

    def perturbed(self):
        """Make the input of each point of the curve, one draw's points after the other's.

        At a point, the first `counts` of the order are gone (suff: they alone are left).

        Returns
        -------
        list of tuple
            (token ids, position that is read out, token types or None), one a draw and point.
        """
        # Tokens that are no candidates have the last place for comp and the first one for suff: they always stay.
        draws, candidates = self.orders.shape
        places = np.full((draws, 1, len(self.ids)), len(self.ids) if self.kind == "comp" else -1)
        np.put_along_axis(places[:, 0], self.orders, np.arange(candidates), axis=1)
        counts = np.array(self.counts)[:, None]
        keep = places >= counts if self.kind == "comp" else places < counts
        keep = keep.reshape(-1, len(self.ids))
        if self.entry.removal == "mask":
            return [(ids, self.position, self.types) for ids in np.where(keep, self.ids, self.mask_id)]
        # Positions shift: what is read moves with the tokens deleted before it.
        positions = keep[:, : self.position].sum(1).tolist()
        return [
            (self.ids[kept], position, None if self.types is None else self.types[kept])
            for kept, position in zip(keep, positions, strict=True)
        ]

    def curve(self, values):
        """Make the recorded curve from the probabilities of the inputs, as the mean over the draws.

        Parameters
        ----------
        values : torch.Tensor, float32, shape (draws * points,)
            Probabilities, in the order of `numbers`.

        Returns
        -------
        torch.Tensor, float32, shape (points,)
        """
        if len(self.orders) == 1:
            return self.module.record(values, self.kind)
        draws = values.reshape(len(self.orders), len(self.counts))
        return torch.stack([self.module.record(draw, self.kind) for draw in draws]).mean(0)
