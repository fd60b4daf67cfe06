"""Logits of very many token sequences: equal ones once, sorted by length, in batches that fit the cache.

Padding costs more than batching saves. A batch that does not fit the cache is slower too. On CPU, equal lengths and about
1,024 tokens a batch are fastest, more of a narrow model (docs/performance.md).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from ..errors import PlumblineError
from ..work import Work
from .encoders import at_position, forward, undisturbed
from .runtime import fitting, in_memory

if TYPE_CHECKING:
    import torch

TOKEN_BUDGET = {"cpu": 1024, "cuda": 65536}
WIDE = 256  # features a token


def usual_budget(device, width):
    """Choose how many tokens go through a model together.

    On CPU a model of fewer than `WIDE` features takes more, up to four times as many: its batches fit the cache all the same,
    and there are fewer of them.

    Parameters
    ----------
    device : torch.device
        The model's.
    width : int
        Features of a token.

    Returns
    -------
    int
    """
    tokens = TOKEN_BUDGET.get(device.type, 1024)
    return tokens * min(4, max(1, WIDE // width)) if device.type == "cpu" else tokens


class Passes:
    """A set of distinct inputs. `add` returns the number under which `run` returns an input's logits.

    Parameters
    ----------
    precision : {'float32', 'bfloat16'}
        Of the passes. 'bfloat16': torch's autocast.

    Attributes
    ----------
    work : work.Work
        What `add` and `run` have done so far.
    """

    def __init__(self, precision="float32"):
        self.precision = precision
        self._numbers = {}
        self.sequences = []
        self.positions = []
        self.types = []
        self.work = Work()

    def add(self, ids, position=0, types=None):
        """Add one input, once.

        Parameters
        ----------
        ids : numpy.ndarray of int, shape (n,)
            Token ids without padding.
        position : int
            Where an agreement model is read.
        types : numpy.ndarray of int, shape (n,), optional
            Token types. None: all are 0.

        Returns
        -------
        int
            The number of the input among the distinct ones.
        """
        self.work.requested += 1
        if types is not None and not types.any():
            types = None
        key = (ids.tobytes(), position, None if types is None else types.tobytes())
        number = self._numbers.setdefault(key, len(self.sequences))
        if number == len(self.sequences):
            self.sequences.append(ids)
            self.positions.append(position)
            self.types.append(types)
        return number

    def run(self, model, pad_id, token_budget=None) -> torch.Tensor:
        """Compute the logits of all inputs.

        Parameters
        ----------
        model : transformers.PreTrainedModel
            The encoder.
        pad_id : int
            Id of padding.
        token_budget : int, optional
            Tokens of one forward pass. None: `usual_budget`.

        Returns
        -------
        torch.Tensor, float32, shape (distinct inputs, classes)
            On the CPU. Agreement: (distinct inputs, 1), at the position.

        Raises
        ------
        PlumblineError
            Where a logit is not finite.
        """
        found, done = in_memory(lambda: self._run(model, pad_id, token_budget), "perturbation passes")
        self.work += done
        return found

    def _run(self, model, pad_id, token_budget):
        """Logits, and the `Work` of computing them."""
        import torch

        device = next(model.parameters()).device
        budget = fitting(token_budget or usual_budget(device, model.config.hidden_size))
        lengths = np.array([len(ids) for ids in self.sequences])
        positions = np.array(self.positions)
        results, done = None, Work()
        start = time.perf_counter()
        low = self.precision == "bfloat16"
        with (
            undisturbed(model, "sdpa", packed=not low),
            torch.autocast(device.type, torch.bfloat16, enabled=low),
            torch.inference_mode(),
        ):
            for chosen in batches(lengths, budget):
                width = int(lengths[chosen].max())
                ids = np.full((len(chosen), width), pad_id, dtype=np.int64)
                for row, number in enumerate(chosen):
                    ids[row, : lengths[number]] = self.sequences[number]
                mask = None
                if lengths[chosen].min() < width:
                    mask = torch.from_numpy(
                        (np.arange(width) < lengths[chosen][:, None]).astype(np.int64)
                    ).to(device)
                types = self._types(chosen, width)
                if types is not None:
                    types = torch.from_numpy(types).to(device)
                logits = forward(model, torch.from_numpy(ids).to(device), mask, types).logits
                logits = at_position(logits, torch.from_numpy(positions[chosen]).to(device)).float().cpu()
                if not logits.isfinite().all():
                    row = int((~logits.isfinite()).any(-1).nonzero()[0, 0])
                    raise PlumblineError(
                        f"the model gives logits that are not finite ({logits[row].tolist()}) for the token ids "
                        f"{self.sequences[chosen[row]].tolist()}: check the checkpoint and its training"
                    )
                if results is None:
                    results = torch.empty(len(lengths), logits.shape[1], dtype=torch.float32)
                results[torch.from_numpy(chosen)] = logits
                done.rows += len(chosen)
                done.tokens += int(lengths[chosen].sum())
                done.padding += int((width - lengths[chosen]).sum())
        done.seconds = time.perf_counter() - start
        return results, done

    def _types(self, chosen, width):
        """Token types (inputs, width) of some inputs, 0 at padding; None where all are 0."""
        if all(self.types[number] is None for number in chosen):
            return None
        found = np.zeros((len(chosen), width), dtype=np.int64)
        for row, number in enumerate(chosen):
            if self.types[number] is not None:
                found[row, : len(self.types[number])] = self.types[number]
        return found


def batches(lengths, budget):
    """Split sequences into batches of at most `budget` tokens (padding counted), nearly without padding.

    Sequences are sorted by length, longest first. A batch mixes lengths only while it is under half the budget. One sequence
    over the budget is a batch of its own.

    Parameters
    ----------
    lengths : numpy.ndarray of int, shape (sequences,)
        Tokens.
    budget : int
        Tokens of a batch.

    Yields
    ------
    numpy.ndarray of int
        Indices of sequences.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        width = lengths[order[start]]
        stop = min(len(order), start + max(1, budget // width))
        # Longest first, so equal lengths are one run that begins at `start`.
        equal = start + int(np.searchsorted(-lengths[order[start:stop]], -width, side="right"))
        if (equal - start) * width >= budget / 2:
            stop = equal
        yield order[start:stop]
        start = stop
