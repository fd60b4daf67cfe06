"""Experiment `faithfulness`: how faithful the explanations are to the classifier, a row a review."""

import numpy as np

from ..attribution.multihead import EXPLANATIONS
from ..faithfulness.perturbation import bin_counts
from ..faithfulness.ranking import DRAWS, ranked, tied_share
from ..seeds import seed_of
from .documents import deleted_logits, masked_logits
from .experiments import BATCH
from .explanations import explain


def rows(model, documents, experiment, *, samples, names, **options):
    """Compute comprehensiveness and sufficiency of every explanation, tokens deleted and tokens masked.

    DeYoung et al. 2020: mean over the top 1, 5, 10, 20 and 50% of the tokens of the fall in the predicted class's
    probability (softmax of the raw logits) when they go (comp) or alone stay (suff). Explanations are of the positive
    logit; those with a sign are turned round where the model says negative. Tied tokens go in a random order, the mean
    over DRAWS of them.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    documents : list of experiments.Document
        The documents.
    experiment : str
        Its id.
    samples : int
        Of LIME.
    names : tuple
        (dataset, model, training seed), part of every draw's seed.
    **options
        What other experiments take.

    Returns
    -------
    list of dict
        A row a document.
    """
    found = []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        for item, (terms, logits, scores) in zip(
            part, explain(model, part, samples=samples, names=names), strict=True
        ):
            target = int(logits.argmax())
            seed = seed_of(*names, item.id, "ties")
            orders = {}
            for name, values in scores.items():
                sign = -1 if EXPLANATIONS[name].signed and target == 0 else 1
                draws = DRAWS if tied_share(values) else 1
                orders[name] = ranked(sign * values, seed=seed, draws=draws)
            kept = _perturbed(np.concatenate(list(orders.values())))
            single, whole = terms.by_position(), _probability(logits[None], target)[0]
            row = {"tokens": terms.length, "probability": whole, "right": int(target == item.label)}
            row |= {f"{name}_tied": tied_share(values) for name, values in scores.items()}
            ends = np.cumsum([len(order) for order in orders.values()])[:-1]
            for mode, logits_of in (("delete", deleted_logits), ("mask", masked_logits)):
                probabilities = _probability(
                    logits_of(single, kept.reshape(-1, terms.length)).astype(np.float64), target
                )
                falls = (whole - probabilities.reshape(kept.shape[:-1])).mean(1)
                for name, own in zip(orders, np.split(falls, ends), strict=True):
                    comp, suff = own.mean(0)
                    row |= {f"{name}_{mode}_comp": comp, f"{name}_{mode}_suff": suff}
            found.append(row)
    return found


def _perturbed(orders):
    """What is kept of the tokens, for orders (M, n), most important first: float32 0/1 (M, shares, 2, n), the last but one
    axis without the top tokens (comp) and with them alone (suff)."""
    places = np.empty_like(orders)
    np.put_along_axis(places, orders, np.arange(orders.shape[1])[None], axis=1)
    counts = np.array(bin_counts(orders.shape[1])[1:])
    top = places[:, None] < counts[:, None]
    return np.stack([~top, top], axis=2).astype(np.float32)


def _probability(logits, target):
    """Softmax probability of the target, (N, 2) to (N,)."""
    return 1 / (1 + np.exp(logits[:, 1 - target] - logits[:, target]))
