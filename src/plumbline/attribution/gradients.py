"""Gradients of the explained probability with respect to embeddings, and how they become one score a token.

Shared by gradient, ig and their published variants.
"""

import functools
from dataclasses import dataclass

import torch

from ..errors import PlumblineError
from ..models.encoders import explained_probability, forward, is_quantised, modules_of, replaced_output
from ..models.runtime import fitting


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


# Tokens that one backward pass holds at a time; integrated gradients run as many steps together as fit.
STEP_TOKENS = {"cpu": 512, "cuda": 65536}


FIRST_STEPS = 50  # of `auto`; they are doubled from here on


def integrated_gradients(function, steps, gap=None, max_steps=None):
    """Gradients averaged along the straight path from the baseline [CLS] [MASK] ... [SEP] (Sundararajan et al. 2017, eq. 1).

    Gauss-Legendre nodes and weights on [0, 1]. steps: their number, or 'auto': `FIRST_STEPS`, doubled for each example until
    its completeness gap is below `gap`, or `max_steps` are taken.

    Returns (attributions (batch, n, D) float64; completeness gap (batch,) float64: |sum of attributions - (f(input) -
    f(baseline))|, a probability; steps taken (batch,) int64).
    """
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
    attributions, gap, taken = integrated_gradients(function, **settings)
    mask = function.batch.attention_mask.bool()
    scores = token_scores(attributions, torch.ones_like(attributions[:, :, :1]), mask)
    found = {f"ig_{name}{suffix}": values for name, values in scores.items()}
    return found | {"completeness_gap": gap, "steps": taken}


FACTS = ("completeness_gap", "steps")  # of integrated gradients, one number an example


def asked(found, readouts):
    """What a method's `compute` returns of all its readouts: those asked for, and the facts of integrated gradients."""
    return {name: found[name] for name in [*readouts, *(fact for fact in FACTS if fact in found)]}
