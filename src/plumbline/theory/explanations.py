"""The seven explanations of Lopardo et al. 2024, others beside them, and controls, for documents of the multi-head
classifier. What there is: plumbline.attribution.multihead.

Every score belongs to one token; higher speaks for the positive class or, where a score has no sign, for importance.
Where a word occurs again each occurrence has its own score (the reference keeps the last one).
"""

import numpy as np

from ..attribution.multihead import ABSOLUTE, EXPLANATIONS
from ..seeds import seed_of

SIGNED = [entry for entry in EXPLANATIONS.values() if entry.signed]
# The paper's seven, in the order of its Figure 1; the figures' LIME deletes words, as the package does by default.
SEVEN = ("alpha_avg", "alpha_max", "lime", "g_avg", "g_l1", "g_l2", "gxi")


def attention_scores(attention):
    """Compute alpha_avg and alpha_max, the mean and the largest attention over heads.

    Parameters
    ----------
    attention : numpy.ndarray, float, shape (heads, T)
        Of [cls].

    Returns
    -------
    dict
        Id -> numpy.ndarray, (T,).
    """
    return {"alpha_avg": attention.mean(0), "alpha_max": attention.max(0)}


def gradient_scores(gradient, embedded):
    """Compute g_avg, g_l1, g_l2 and gxi from a gradient.

    Parameters
    ----------
    gradient, embedded : numpy.ndarray, float, shape (T, d_in)
        The gradient, and e = embedding + position.

    Returns
    -------
    dict
        Id -> numpy.ndarray, (T,).
    """
    return {
        "g_avg": gradient.mean(-1),
        "g_l1": np.abs(gradient).sum(-1),
        "g_l2": np.sqrt((gradient**2).sum(-1)),
        "gxi": (gradient * embedded).sum(-1),
    }


def value_scores(attention, value):
    """Compute attention_value: attention times what each value adds to the positive logit, mean over heads.

    The logit is their sum over all positions, [cls] and padding included, so these are its exact additive parts.

    Parameters
    ----------
    attention, value : numpy.ndarray, float, shape (heads, T)
        The attention of [cls], and w . v_t.

    Returns
    -------
    dict
        Id -> numpy.ndarray, (T,), in logits.
    """
    return {"attention_value": (attention * value).mean(0)}


def control_scores(n, seed):
    """Compute the controls: random, position = 1 / (1 + index), uniform.

    Parameters
    ----------
    n : int
        The number of tokens.
    seed : int
        Of random.

    Returns
    -------
    dict
        Id -> numpy.ndarray, float64, (n,).
    """
    generator = np.random.default_rng(seed)
    return {"random": generator.random(n), "position": 1 / (1 + np.arange(n)), "uniform": np.ones(n)}


def explain(model, documents, *, samples, names):
    """Compute all explanations of documents.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    documents : list of experiments.Document
        The documents.
    samples : int
        Of LIME, which runs once deleting and once masking.
    names : tuple
        (dataset, model, training seed), part of every draw's seed.

    Returns
    -------
    list of tuple
        (Terms, logits (2,), id -> numpy.ndarray, float64, (n,)).
    """
    import torch

    from .documents import terms_of
    from .gradient import LABEL, autograd_gradient
    from .lime_sampling import lime, shares

    ids = torch.from_numpy(np.stack([document.ids for document in documents]))
    embedded = model.embedded(ids)
    gradient, logits = autograd_gradient(model, ids)
    attention = model.attention_of(embedded).detach().double().numpy()
    value = torch.einsum("btd,kd->bkt", embedded, model.readout(LABEL)).detach().double().numpy()
    gradient, embedded, logits = (part.detach().double().numpy() for part in (gradient, embedded, logits))
    found = []
    for number, document in enumerate(documents):
        terms = terms_of(model, ids[number], len(document.words), document.words)
        n = terms.length
        scores = attention_scores(attention[number]) | gradient_scores(gradient[number], embedded[number])
        scores |= value_scores(attention[number], value[number])
        scores = {name: values[1 : n + 1] for name, values in scores.items()}

        def seed(method, document=document):
            return seed_of(*names, document.id, method, 0)

        scores["lime"] = shares(lime(terms, "delete", samples, seed("lime")), terms.words)
        scores["lime_mask"] = lime(terms.by_position(), "mask", samples, seed("lime_mask"))
        scores |= {entry.id + ABSOLUTE: np.abs(scores[entry.id]) for entry in SIGNED}
        scores |= control_scores(n, seed("random"))
        found.append((terms, logits[number], {name: scores[name] for name in EXPLANATIONS}))
    return found
