"""Experiments `lime_mask` and `lime_delete`: LIME beside its limits, a row a review."""

import numpy as np
import torch

from ..seeds import seed_of
from .comparison import compared
from .documents import grouped, terms_of
from .gradient import LABEL
from .lime_sampling import lime
from .limits import FORMULAS, limit, rho


def rows(model, documents, experiment, *, samples, repeats, names):
    """LIME's mean over repeats beside each formula, word by word."""
    mode = experiment.removeprefix("lime_")

    def mean(terms, item, way):
        runs = [
            lime(terms, way, samples, seed_of(*names, item.id, f"lime_{way}", repeat))
            for repeat in range(repeats)
        ]
        return np.mean(runs, 0), np.sqrt(np.var(runs, 0, ddof=1).sum() / repeats)

    found = []
    for item in documents:
        ids = torch.from_numpy(item.ids)
        terms = terms_of(model, ids, len(item.words), item.words)
        embedded = model.embedded(ids[None])
        attention = model.attention_of(embedded)[0].double()
        ratio = np.log(rho(terms))
        runs, noise = mean(terms, item, mode)
        row = {
            "tokens": terms.length,
            "words": terms.distinct,
            "logit": float(model.head_logits(embedded).mean(1)[0, LABEL]),
            "log_rho": float(ratio.mean()),
            "log_rho_lowest": float(ratio.min()),
            "log_rho_highest": float(ratio.max()),
            "concentration": float((attention**2).sum(-1).mean()),
            "lime_norm": float(np.linalg.norm(runs)),
            "lime_noise": float(noise),
        }
        for formula in FORMULAS:
            row |= compared(formula, grouped(limit(terms, formula), terms.words), runs)
        if mode == "delete":
            row |= compared("masking", mean(terms, item, "mask")[0], runs)
        found.append(row)
    return found
