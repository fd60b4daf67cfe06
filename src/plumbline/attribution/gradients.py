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

    Attributes
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    entry : torch.nn.Module
        The module whose output the embeddings replace.
    embed : callable
        Takes ids (batch, n), returns embeddings (batch, n, D).
    probability : callable
        Takes logits and the rows of the batch, returns probabilities (rows,).
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
        """Compute probabilities and their gradients.

        Parameters
        ----------
        embeddings : torch.Tensor of float, shape (rows, n, D)
            Where the gradient is taken.
        rows : index
            The examples of the batch. All of them by default.

        Returns
        -------
        probabilities : torch.Tensor of float, shape (rows,)
            Detached.
        gradients : torch.Tensor of float, shape (rows, n, D)
            With respect to the embeddings.

        Raises
        ------
        PlumblineError
            For a quantised model.
        """
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
    """Make the model's own function of its word embeddings. The model applies positions and LayerNorm, once.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.

    Returns
    -------
    Function
    """
    words = batch.model.get_input_embeddings()

    def probability(logits, rows):
        return _probability(batch, logits, rows)

    return Function(batch, words, words, probability)


def _probability(batch, logits, rows):
    return explained_probability(
        logits, batch.target[rows], batch.position[rows], multi_label=batch.multi_label
    )


def embedding_block(batch):
    """Find the whole embedding block of a model.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.

    Returns
    -------
    block : torch.nn.Module
        The block.
    embed : callable
        Takes token ids (batch, n) of the batch's examples, returns what the block gives for them, (batch, n, D).
    """
    block = batch.model.base_model.get_submodule(modules_of(batch.model).embeddings)
    types = batch.token_type_ids
    return block, block if types is None else lambda ids: block(input_ids=ids, token_type_ids=types)


def published(batch):
    """Make the function that the reference differentiates.

    Its variable is the output of the whole embedding block. BERT and RoBERTa take it for word embeddings, so positions, types
    and LayerNorm are applied a second time. DistilBERT under transformers 4.17 took it past the embedding block. Agreement: the
    softmax over positions of the mask's logit, not its sigmoid.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.

    Returns
    -------
    Function
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
    """Compute the readouts of gradient x input, a = g * e.

    l2: ||a||_2. mean: mean_D a. mean_abs: mean_D |a|. With s = sum_D a, abs: |s| / sum |s|, and clip: max(s, 0) / sum max(s,
    0). clip is zero throughout where no token has a positive sum (the reference divides by zero).

    Parameters
    ----------
    gradient : torch.Tensor of float, shape (batch, n, D)
        g.
    embeddings : torch.Tensor of float, shape (batch, n, D) or (batch, n, 1)
        e.
    mask : torch.Tensor of bool, shape (batch, n)
        False at padding.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, n)
        Suffix of a readout's id -> scores.
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
    """Divide scores by their sum. Rows that sum to zero stay zero.

    Parameters
    ----------
    scores : torch.Tensor of float, shape (batch, n)
        At least zero.

    Returns
    -------
    torch.Tensor of float, shape (batch, n)
    """
    total = scores.sum(-1, keepdim=True)
    return scores / torch.where(total > 0, total, torch.ones_like(total))


def gradient_readouts(function, suffix=""):
    """Compute all readouts of gradient and gradient x input.

    Parameters
    ----------
    function : Function
        What is differentiated.
    suffix : str
        Ends the ids of the readouts.

    Returns
    -------
    dict of str to torch.Tensor of float, shape (batch, n)
        Id of a readout -> scores.
    """
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
    """Select what a method's `compute` returns: the readouts asked for, and the facts of integrated gradients.

    Parameters
    ----------
    found : mapping of str to torch.Tensor
        All readouts and facts of a method.
    readouts : sequence of str
        The ids asked for.

    Returns
    -------
    dict of str to torch.Tensor
    """
    return {name: found[name] for name in [*readouts, *(fact for fact in FACTS if fact in found)]}
