"""Experiment `faithfulness`: how faithful the explanations are to the classifier, a row a review."""

import numpy as np

from ..faithfulness.perturbation import bin_counts
from .documents import deleted_logits, masked_logits
from .experiments import BATCH
from .explanations import EXPLANATIONS, explain


def rows(model, documents, experiment, *, samples, names, **options):
    """Comprehensiveness and sufficiency of every explanation, tokens deleted and tokens masked.

    DeYoung et al. 2020: mean over the top 1, 5, 10, 20 and 50% of the tokens of the fall in the predicted class's
    probability (softmax of the raw logits) when they go (comp) or alone stay (suff). Explanations are of the positive
    logit; those with a sign are turned round where the model says negative.
    """
    found = []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        for item, (terms, logits, scores) in zip(
            part, explain(model, part, samples=samples, names=names), strict=True
        ):
            target = int(logits.argmax())
            counts = bin_counts(terms.length)[1:]
            perturbed = []
            for name, values in scores.items():
                sign = -1 if EXPLANATIONS[name].signed and target == 0 else 1
                ranked = np.argsort(-sign * values, kind="stable")
                for count in counts:
                    top = np.zeros(terms.length, np.float32)
                    top[ranked[:count]] = 1
                    perturbed += [1 - top, top]  # comp, suff
            kept, single = np.stack(perturbed), terms.by_position()
            whole = _probability(logits[None], target)[0]
            row = {"tokens": terms.length, "probability": whole, "right": int(target == item.label)}
            for mode, logits_of in (("delete", deleted_logits), ("mask", masked_logits)):
                falls = whole - _probability(logits_of(single, kept).astype(np.float64), target)
                falls = falls.reshape(len(scores), len(counts), 2).mean(1)
                for name, (comp, suff) in zip(scores, falls, strict=True):
                    row |= {f"{name}_{mode}_comp": comp, f"{name}_{mode}_suff": suff}
            found.append(row)
    return found


def _probability(logits, target):
    """Softmax probability of the target, (N, 2) to (N,)."""
    return 1 / (1 + np.exp(logits[:, 1 - target] - logits[:, target]))
