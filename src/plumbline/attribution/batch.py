"""The inputs of one call: checked, with what several methods need computed once and on demand."""

from functools import cached_property

import torch

from ..errors import PlumblineError
from ..models.encoders import (
    explained_probability,
    is_agreement,
    max_tokens,
    predicted_class,
    undisturbed,
)


class Batch:
    """See `plumbline.attribution.attribute` for the arguments.

    input_ids, attention_mask int64 (batch, n); lengths: list of int; position int64 (batch,); n of the
    longest example may be below the padded width that was given.
    """

    def __init__(
        self,
        model,
        input_ids,
        attention_mask=None,
        *,
        target=None,
        position=None,
        tokenizer_ids=None,
        seed=None,
    ):
        self.model = model
        self.device = next(model.parameters()).device
        if input_ids.dim() != 2:
            raise PlumblineError(f"input_ids must be (batch, tokens), not of shape {tuple(input_ids.shape)}")
        self.input_ids = input_ids.to(self.device)
        if attention_mask is None:
            attention_mask = torch.ones_like(self.input_ids)
        self.attention_mask = attention_mask.to(self.device).long()
        self.lengths = self.attention_mask.sum(-1).tolist()
        self._check_lengths()
        self.agreement = is_agreement(model)
        if position is None:
            if self.agreement:
                raise PlumblineError("an agreement model is read at its mask: give `position`")
            position = 0
        self.position = self._per_example("position", position)
        self._target = None if target is None else self._per_example("target", target)
        self._tokenizer_ids = tokenizer_ids
        self._seed = seed

    def _check_lengths(self):
        if min(self.lengths, default=0) == 0:
            raise PlumblineError(
                f"example {self.lengths.index(0) if self.lengths else 0} of the batch is empty"
            )
        # Right padding only: position embeddings and the class token's place depend on it.
        expected = torch.arange(self.attention_mask.shape[1], device=self.device)
        expected = expected < torch.tensor(self.lengths, device=self.device)[:, None]
        if not torch.equal(expected, self.attention_mask.bool()):
            raise PlumblineError("attention_mask must be 1 for tokens, then 0 for padding on the right")
        limit = max_tokens(self.model)
        if self.attention_mask.shape[1] > limit:
            raise PlumblineError(
                f"{self.attention_mask.shape[1]} tokens are more than the model's {limit}: shorten the text, skip it "
                "or use a model with more positions"
            )

    def _per_example(self, name, value):
        value = torch.as_tensor(value, dtype=torch.int64, device=self.device)
        if value.dim() == 0:
            value = value.expand(len(self.input_ids))
        if value.shape != (len(self.input_ids),):
            raise PlumblineError(
                f"{name} must be one number or one an example, not of shape {tuple(value.shape)}"
            )
        return value

    @cached_property
    def logits(self):
        """Logits of the ordinary forward pass, (batch, classes) or, for agreement, (batch, n, 1)."""
        with undisturbed(self.model, "sdpa"), torch.no_grad():
            logits = self.model(input_ids=self.input_ids, attention_mask=self.attention_mask).logits
        if not logits.isfinite().all():
            row = int((~logits.isfinite()).reshape(len(logits), -1).any(-1).nonzero()[0, 0])
            raise PlumblineError(f"the model gives logits that are not finite for example {row} of the batch")
        return logits

    @cached_property
    def target(self):
        """The explained class (batch,): the one given, or the predicted one."""
        return predicted_class(self.logits, self.position) if self._target is None else self._target

    @cached_property
    def probability(self):
        """Probability of the explained class (batch,)."""
        return explained_probability(self.logits, self.target, self.position)

    def special(self, name):
        """The id of a special token: cls, sep, mask or pad."""
        if self._tokenizer_ids is None or self._tokenizer_ids.get(name) is None:
            raise PlumblineError(f"this method needs the id of the '{name}' token: give tokenizer_ids")
        return self._tokenizer_ids[name]

    @property
    def seed(self):
        """int64 (batch,), one seed an example."""
        if self._seed is None:
            raise PlumblineError("a stochastic method needs one seed an example: give `seed`, int64 (batch,)")
        return self._per_example("seed", self._seed)

    def attentions(self):
        """Attention weights of every layer, (batch, heads, n, n) each."""
        with torch.no_grad():
            output = self.model(
                input_ids=self.input_ids, attention_mask=self.attention_mask, output_attentions=True
            )
        return output.attentions

    def padded(self, rows):
        """Stack 1-D tensors of the examples' lengths, zero at padding: (batch, n)."""
        stacked = torch.zeros(self.input_ids.shape, device=self.device)
        for row, values in enumerate(rows):
            stacked[row, : len(values)] = values
        return stacked

    def sequences(self):
        """Token ids of every example without padding, int64 NumPy arrays."""
        ids = self.input_ids.cpu().numpy()
        return [ids[row, :length] for row, length in enumerate(self.lengths)]
