"""Gradients of the explained probability with respect to embeddings, and how they become one score a token.

Shared by gradient, ig, input_gradient and their published variants.
"""

from dataclasses import dataclass

import torch

from ..errors import PlumblineError
from ..models.encoders import explained_probability, forward, is_quantised, modules_of, replaced_output


@dataclass
class Function:
    """A differentiable path from embeddings (batch, n, D) to one probability an example.

    entry        the module whose output the embeddings take the place of.
    embed        ids (batch, n) -> embeddings (batch, n, D).
    probability  logits -> (batch,).
    """

    batch: object
    entry: torch.nn.Module
    embed: object
    probability: object

    def __call__(self, embeddings, rows=slice(None)):
        """Probabilities (rows,) for the embeddings of the given examples."""
        batch = self.batch
        with replaced_output(self.entry, embeddings):
            logits = forward(batch.model, **batch.inputs(rows)).logits
        return self.probability(logits, rows)

    def gradient(self, embeddings, rows=slice(None)):
        """(probabilities (rows,), gradients (rows, n, D))."""
        if is_quantised(self.batch.model):
            # torch would give what comes through the residual connections alone, unsaid.
            raise PlumblineError(
                "no gradient passes through a quantised model: take a method that needs none"
            )
        leaf = embeddings.detach().requires_grad_(True)
        with torch.enable_grad():
            probabilities = self(leaf, rows)
            (gradient,) = torch.autograd.grad(probabilities.sum(), leaf)
        return probabilities.detach(), gradient


def correct(batch):
    """The model's own function of its word embeddings: positions and LayerNorm are applied by the model, once."""
    words = batch.model.get_input_embeddings()

    def probability(logits, rows):
        return _probability(batch, logits, rows)

    return Function(batch, words, words, probability)


def _probability(batch, logits, rows):
    return explained_probability(
        logits, batch.target[rows], batch.position[rows], multi_label=batch.multi_label
    )


def embedding_block(batch):
    """(the whole embedding block, a function from token ids of the batch's examples to what it gives for them)."""
    block = batch.model.base_model.get_submodule(modules_of(batch.model).embeddings)
    types = batch.token_type_ids
    return block, block if types is None else lambda ids: block(input_ids=ids, token_type_ids=types)


def published(batch):
    """The function that the reference differentiates.

    Its variable is the output of the whole embedding block. BERT and RoBERTa take it for word embeddings, so
    positions, types and LayerNorm are applied a second time; DistilBERT under transformers 4.17 took it past
    the embedding block. Agreement: the softmax over positions of the mask's logit, not its sigmoid.
    """
    names = modules_of(batch.model)
    block, embed = embedding_block(batch)
    entry = block if names.bypass else batch.model.get_input_embeddings()

    def probability(logits, rows):
        if batch.agreement:
            scores = logits[..., 0].masked_fill(~batch.attention_mask[rows].bool(), float("-inf"))
            return scores.softmax(-1).gather(1, batch.position[rows, None])[:, 0]
        return _probability(batch, logits, rows)

    return Function(batch, entry, embed, probability)


def token_scores(gradient, embeddings, mask):
    """The readouts of gradient x input a = g * e: suffix -> (batch, n).

    l2: ||a||_2; mean: mean_D a; mean_abs: mean_D |a|; abs: |s| / sum |s| and clip: max(s, 0) / sum max(s, 0)
    with s = sum_D a. clip is zero throughout where no token has a positive sum (the reference divides by zero).
    mask: bool (batch, n), False at padding.
    """
    product = (gradient * embeddings) * mask[..., None]
    total = product.sum(-1)
    return {
        "l2": product.norm(dim=-1),
        "mean": product.mean(-1),
        "mean_abs": product.abs().mean(-1),
        "abs": share(total.abs()),
        "clip": share(total.clamp(min=0)),
    }


def share(scores):
    """Scores (batch, n) divided by their sum; rows that sum to zero stay zero."""
    total = scores.sum(-1, keepdim=True)
    return scores / torch.where(total > 0, total, torch.ones_like(total))


def gradient_readouts(function, suffix=""):
    """All readouts of gradient and gradient x input: readout id -> (batch, n)."""
    batch = function.batch
    mask = batch.attention_mask.bool()
    with torch.no_grad():
        embeddings = function.embed(batch.input_ids)
    _, gradient = function.gradient(embeddings)
    found = {
        f"gxi_{name}{suffix}": scores for name, scores in token_scores(gradient, embeddings, mask).items()
    }
    found[f"grad_l2{suffix}"] = share(gradient.norm(dim=-1) * mask)
    return found


FACTS = ("completeness_gap", "steps")  # of integrated gradients, one number an example


def asked(found, readouts):
    """What a method's `compute` returns of all its readouts: those asked for, and the facts of integrated gradients."""
    return {name: found[name] for name in [*readouts, *(fact for fact in FACTS if fact in found)]}
