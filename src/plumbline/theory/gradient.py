"""The gradient of the positive logit with respect to e_t = embedding + position, by formula and by autograd."""

import math

import torch

from ..errors import PlumblineError
from ..models.multihead import checked_ids

LABEL = 1  # the positive class, whose raw logit is explained


@torch.no_grad()
def closed_form_gradient(model, ids, *, corrected):
    """The closed form of the gradient of the positive logit (Lopardo et al. 2024, Section 4), averaged over heads.

    Per head, with attention a, keys k, the [cls] query q and u_t = w . v_t, f = sum_t a_t u_t:

        a_t [(u_t - f) W_k^T q / sqrt(d_attn) + W_v^T w]

    The published form holds q fixed, although q = W_q e_0. `corrected` adds what e_0 gains through it, at t = 0:

        W_q^T [sum_s a_s (u_s - f) k_s] / sqrt(d_attn)

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (batch, T)
        Token ids, padded with UNK.
    corrected : bool
        Whether the query's own derivative is added.

    Returns
    -------
    torch.Tensor, shape (batch, T, d_in)
        Of the model's floating-point type, in logits per unit of the embedding.

    Raises
    ------
    PlumblineError
        For ids that `checked_ids` refuses, and weights that are not finite.
    """
    if not isinstance(corrected, bool):
        raise PlumblineError(f"corrected is {corrected!r}: give True, or False for the formula as published")
    ids = checked_ids(model, ids)
    embedded = model.embedded(ids)
    direction, read = model.keys_of_query(embedded), model.readout(LABEL)
    attention = torch.einsum("btd,bkd->bkt", embedded, direction).softmax(-1)
    value = torch.einsum("btd,kd->bkt", embedded, read)
    moved = attention * (value - (attention * value).sum(-1, keepdim=True))
    heads = len(model.heads)
    found = (
        torch.einsum("bkt,bkd->btd", moved, direction) + torch.einsum("bkt,kd->btd", attention, read)
    ) / heads
    if corrected:
        key = torch.einsum("kad,bkd->bka", model.stacked("key"), moved @ embedded)
        query = torch.einsum("kad,bka->bd", model.stacked("query"), key)
        found[:, 0] += query / (math.sqrt(key.shape[-1]) * heads)
    return found


def autograd_gradient(model, ids):
    """Compute the gradient of the positive logit as autograd does.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (batch, T)
        Token ids, padded with UNK.

    Returns
    -------
    gradient : torch.Tensor, shape (batch, T, d_in)
        In logits per unit of the embedding.
    logits : torch.Tensor, shape (batch, 2)
        Of the documents.
    """
    embedded = model.embedded(ids).detach().requires_grad_()
    logits = model.head_logits(embedded).mean(1)
    (found,) = torch.autograd.grad(logits[:, LABEL].sum(), embedded)
    return found, logits.detach()
