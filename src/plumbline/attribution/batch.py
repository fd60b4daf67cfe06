"""The inputs of one call: checked, with what several methods need computed once and on demand."""

from collections.abc import Mapping
from functools import cached_property

import torch

from ..arrays import integers, tensor, whole
from ..errors import PlumblineError
from ..models.encoders import (
    classes_of,
    explained_probability,
    forward,
    is_agreement,
    is_multi_label,
    max_tokens,
    predicted_class,
    segments,
    undisturbed,
)


class Batch:
    """The inputs of one call. It is the one place that checks what comes with a model.

    Parameters
    ----------
    model, input_ids, attention_mask, token_type_ids, target, position, tokenizer_ids, seed
        See `plumbline.attribution.attribute`.

    Attributes
    ----------
    input_ids, attention_mask : torch.Tensor, int64, shape (batch, n)
        n is the longest example's length. It may be below the padded width that was given.
    token_type_ids : torch.Tensor, int64, shape (batch, n), or None
        None where all tokens are of one segment.
    lengths : list of int
        Tokens of each example.
    position : torch.Tensor, int64, shape (batch,)
        The positions that are read out.
    """

    def __init__(
        self,
        model,
        input_ids,
        attention_mask=None,
        *,
        token_type_ids=None,
        target=None,
        position=None,
        tokenizer_ids=None,
        seed=None,
    ):
        self.model = model
        self.classes = classes_of(model)
        self.agreement, self.multi_label = is_agreement(model), is_multi_label(model)
        self.device = next(model.parameters()).device
        self.input_ids = self._ids(input_ids)
        self.attention_mask = self._mask(attention_mask)
        self.lengths = self.attention_mask.sum(-1).tolist()
        self._check_lengths()
        self.token_type_ids = self._types(token_type_ids)
        if position is None:
            if self.agreement:
                raise PlumblineError("an agreement model is read at its mask: give `position`")
            position = 0
        self.position = self._per_example("position", position)
        lengths = torch.tensor(self.lengths, device=self.device)
        if (self.position >= lengths).any():
            row = int((self.position >= lengths).nonzero()[0])
            raise PlumblineError(
                f"position {int(self.position[row])} is outside the {self.lengths[row]} tokens of example {row} of the batch"
            )
        self._target = None
        if target is not None:
            self._target = self._per_example("target", target, self.classes - 1)
        self._tokenizer_ids = self._special_ids(tokenizer_ids)
        self._seed = None if seed is None else self._per_example("seed", seed)

    @property
    def vocabulary(self):
        """The number of token ids that the model knows, int."""
        return self.model.get_input_embeddings().num_embeddings

    def _ids(self, input_ids):
        ids = integers(input_ids, "input_ids", high=self.vocabulary - 1, what="of the model's vocabulary")
        if ids.dim() != 2:
            raise PlumblineError(f"input_ids must be (batch, tokens), not of shape {tuple(ids.shape)}")
        return ids.to(self.device)

    def _mask(self, attention_mask):
        if attention_mask is None:
            return torch.ones_like(self.input_ids)
        mask = tensor(attention_mask, "attention_mask").to(self.device)
        if mask.shape != self.input_ids.shape:
            raise PlumblineError(
                f"attention_mask is of shape {tuple(mask.shape)}, input_ids {tuple(self.input_ids.shape)}: give one number a token"
            )
        if not ((mask == 0) | (mask == 1)).all():
            raise PlumblineError("attention_mask must be 1 for tokens, then 0 for padding on the right")
        return mask.long()

    def _types(self, token_type_ids):
        """None where all tokens are of segment 0, so that a pair's first segment alone and a text are one input."""
        if token_type_ids is None:
            return None
        known = segments(self.model)
        which = f"of a '{self.model.config.model_type}' with {known} segment{'s' * (known > 1)}"
        types = integers(token_type_ids, "token_type_ids", high=known - 1, what=which).to(self.device)
        if types.shape != self.input_ids.shape:
            raise PlumblineError(
                f"token_type_ids are of shape {tuple(types.shape)}, input_ids {tuple(self.input_ids.shape)}: give one a token"
            )
        types = types * self.attention_mask  # what stands at padding is nobody's
        return types if types.any() else None

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

    def _per_example(self, name, value, high=None):
        value = integers(value, name, high=high).to(self.device)
        if value.dim() == 0:
            value = value.expand(len(self.input_ids))
        if value.shape != (len(self.input_ids),):
            raise PlumblineError(
                f"{name} must be one number or one an example, not of shape {tuple(value.shape)}"
            )
        return value

    def _special_ids(self, given):
        """A checked copy of `tokenizer_ids`; a name without an id is left out."""
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            raise PlumblineError(
                f"tokenizer_ids must be a mapping with cls, sep, mask and pad, not a {type(given).__name__}"
            )
        return {
            name: whole(value, f"tokenizer_ids['{name}']", high=self.vocabulary - 1)
            for name, value in given.items()
            if value is not None
        }

    @cached_property
    def logits(self):
        """Logits of the ordinary forward pass, (batch, classes) or, for agreement, (batch, n, 1).

        Raises
        ------
        PlumblineError
            For logits that are not finite.
        """
        with undisturbed(self.model, "sdpa"), torch.no_grad():
            logits = forward(self.model, **self.inputs()).logits
        if not logits.isfinite().all():
            row = int((~logits.isfinite()).reshape(len(logits), -1).any(-1).nonzero()[0, 0])
            raise PlumblineError(f"the model gives logits that are not finite for example {row} of the batch")
        return logits

    def inputs(self, rows=slice(None)):
        """Select what the model reads of the given examples.

        Parameters
        ----------
        rows : index
            Of the examples. All of them by default.

        Returns
        -------
        dict of str to torch.Tensor or None
            The arguments of `encoders.forward`.
        """
        types = None if self.token_type_ids is None else self.token_type_ids[rows]
        return {
            "input_ids": self.input_ids[rows],
            "attention_mask": self.attention_mask[rows],
            "token_type_ids": types,
        }

    @cached_property
    def target(self):
        """The explained class, int64 (batch,): the one given, or the predicted one."""
        return predicted_class(self.logits, self.position) if self._target is None else self._target

    @cached_property
    def probability(self):
        """Probability of the explained class, shape (batch,)."""
        return explained_probability(self.logits, self.target, self.position, multi_label=self.multi_label)

    def special(self, name):
        """Look up the id of a special token.

        Parameters
        ----------
        name : {'cls', 'sep', 'mask', 'pad'}
            Which token.

        Returns
        -------
        int

        Raises
        ------
        PlumblineError
            Where it was not given.
        """
        if name not in self._tokenizer_ids:
            raise PlumblineError(f"this method needs the id of the '{name}' token: give tokenizer_ids")
        return self._tokenizer_ids[name]

    @property
    def pad(self):
        """The id of padding, int: the one given, else the model's own."""
        own = getattr(self.model.config, "pad_token_id", None)
        return self._tokenizer_ids.get("pad", 0 if own is None else own)

    @property
    def class_and_separator(self):
        """The ids of the class token and of the separator, as far as they are given, a set of int."""
        return {self._tokenizer_ids[name] for name in ("cls", "sep") if name in self._tokenizer_ids}

    @property
    def seed(self):
        """One seed an example, int64 (batch,).

        Raises
        ------
        PlumblineError
            Where none was given.
        """
        if self._seed is None:
            raise PlumblineError("a stochastic method needs one seed an example: give `seed`, int64 (batch,)")
        return self._seed

    def attentions(self):
        """Compute the attention weights of every layer.

        Returns
        -------
        tuple of torch.Tensor, shape (batch, heads, n, n)
            One a layer.
        """
        with torch.no_grad():
            return forward(self.model, **self.inputs(), output_attentions=True).attentions

    def padded(self, rows):
        """Stack vectors of the examples' lengths.

        Parameters
        ----------
        rows : iterable of torch.Tensor of float, shape (tokens,)
            One an example.

        Returns
        -------
        torch.Tensor, float32, shape (batch, n)
            Zero at padding.
        """
        stacked = torch.zeros(self.input_ids.shape, dtype=torch.float32, device=self.device)
        for row, values in enumerate(rows):
            stacked[row, : len(values)] = values
        return stacked

    def sequences(self):
        """List the token ids of every example without padding.

        Returns
        -------
        list of numpy.ndarray, int64, shape (tokens,)
        """
        return self._unpadded(self.input_ids)

    def segments(self):
        """List the token types of every example without padding.

        Returns
        -------
        list of numpy.ndarray, int64, shape (tokens,), or None
            None for an example of one segment.
        """
        if self.token_type_ids is None:
            return [None] * len(self.lengths)
        return [types if types.any() else None for types in self._unpadded(self.token_type_ids)]

    def _unpadded(self, values):
        values = values.cpu().numpy()
        return [values[row, :length] for row, length in enumerate(self.lengths)]
