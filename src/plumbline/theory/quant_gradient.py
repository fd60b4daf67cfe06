"""Experiment `gradient`: the closed form beside autograd, a row a review."""

import numpy as np
import torch

from .experiments import BATCH
from .gradient import LABEL, autograd_gradient, closed_form_gradient


def rows(model, documents, experiment, **options):
    """Compare the closed form with autograd, both in double precision.

    What is left is then the formula's and not rounding's. Norms are Euclidean, over coordinates and, for published_*, over
    positions.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier. It is turned to double precision in place.
    documents : list of experiments.Document
        The documents.
    experiment : str
        Its id.
    **options
        What other experiments take.

    Returns
    -------
    list of dict
        A row a document.
    """
    model, found = model.double(), []
    for start in range(0, len(documents), BATCH):
        part = documents[start : start + BATCH]
        ids = torch.from_numpy(np.stack([item.ids for item in part]))
        auto, logits = autograd_gradient(model, ids)
        apart = closed_form_gradient(model, ids, corrected=False) - auto
        corrected = closed_form_gradient(model, ids, corrected=True) - auto
        largest = auto.norm(dim=-1).max(-1).values
        rest = apart[:, 1:].flatten(1)
        numbers = {
            "logit": logits[:, LABEL],
            "gradient_norm": largest,
            "published_max": rest.abs().max(-1).values,
            "published_relative": rest.norm(dim=-1) / auto[:, 1:].flatten(1).norm(dim=-1),
            "published_first_max": apart[:, 0].abs().max(-1).values,
            "published_first_relative": apart[:, 0].norm(dim=-1) / auto[:, 0].norm(dim=-1),
            "corrected_worst": corrected.norm(dim=-1).max(-1).values / largest,
        }
        for number, item in enumerate(part):
            found.append(
                {"tokens": len(item.tokens)}
                | {name: float(values[number]) for name, values in numbers.items()}
            )
    return found
