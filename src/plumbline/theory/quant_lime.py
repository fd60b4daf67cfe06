"""Experiments `lime_mask` and `lime_delete`: LIME beside its limits, a row a review.

Each formula is held against LIME three ways (`SETTINGS`), so that what the kernel does can be told from what the formula
lacks. LIME with and without kernel are of the same samples.
"""

import numpy as np
import torch

from ..seeds import seed_of
from .comparison import SETTINGS, WIDTH, compared
from .documents import grouped, terms_of
from .gradient import LABEL
from .lime_sampling import kernel, ridge, sampled
from .limits import FORMULAS, limit, rho


def rows(model, documents, experiment, *, samples, repeats, names):
    """Compare LIME's mean over repeats with each formula, word by word.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    documents : list of experiments.Document
        The documents.
    experiment : {'lime_mask', 'lime_delete'}
        Its id, which says how words are removed.
    samples, repeats : int
        Of LIME.
    names : tuple
        (dataset, model, training seed), part of every draw's seed.

    Returns
    -------
    list of dict
        A row a document.
    """
    mode = experiment.removeprefix("lime_")

    def runs_of(terms, item, way):
        """LIME's coefficients with and without kernel: width -> (repeats, words)."""
        found = {WIDTH: [], None: []}
        for repeat in range(repeats):
            kept, logits = sampled(terms, way, samples, seed_of(*names, item.id, f"lime_{way}", repeat))
            for width, runs in found.items():
                runs.append(ridge(kept, logits, kernel(kept, width)))
        return {width: np.array(runs) for width, runs in found.items()}

    found = []
    for item in documents:
        ids = torch.from_numpy(item.ids)
        terms = terms_of(model, ids, len(item.words), item.words)
        embedded = model.embedded(ids[None])
        attention = model.attention_of(embedded)[0].double()
        ratio = np.log(rho(terms))
        runs = runs_of(terms, item, mode)
        means = {width: own.mean(0) for width, own in runs.items()}
        row = {
            "tokens": terms.length,
            "words": terms.distinct,
            "logit": float(model.head_logits(embedded).mean(1)[0, LABEL]),
            "log_rho": float(ratio.mean()),
            "log_rho_lowest": float(ratio.min()),
            "log_rho_highest": float(ratio.max()),
            "concentration": float((attention**2).sum(-1).mean()),
        }
        for prefix, width in (("lime", WIDTH), ("lime_plain", None)):
            row |= {
                f"{prefix}_norm": float(np.linalg.norm(means[width])),
                f"{prefix}_noise": float(np.sqrt(runs[width].var(0, ddof=1).sum() / repeats)),
            }
        for formula in FORMULAS:
            limits = {width: grouped(limit(terms, formula, width), terms.words) for width in (WIDTH, None)}
            for prefix, (own, width) in SETTINGS.items():
                if formula != "published" or prefix != "plain_":
                    row |= compared(prefix + formula, limits[own], means[width])
        row |= compared("no_kernel", means[None], means[WIDTH])
        if mode == "delete":
            row |= compared("masking", runs_of(terms, item, "mask")[WIDTH].mean(0), means[WIDTH])
        found.append(row)
    return found
