"""LIME through the package `lime` itself, calling the model's forward pass on every perturbed text."""

import numpy as np
import torch

from ..models.vocabulary import tokens_of
from .gradient import LABEL

BATCH = 250  # texts of one forward pass


def predictor(model, vocabulary, max_len):
    """Make the function that the package calls for the logits of texts.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    vocabulary : Vocabulary
        Of the model.
    max_len : int
        Positions of the model.

    Returns
    -------
    callable
        Takes texts, in which a masked token is 'UNK', and returns raw logits, float64 (texts, 2).
    """

    def ids_of(text):
        # In lower case 'unk' might be a word of the corpus (a defect of the reference); here it is the special token.
        parts = [["UNK"] if part == "UNK" else tokens_of(part) for part in text.split()]
        return vocabulary.ids([token for part in parts for token in part], max_len)

    @torch.no_grad()
    def predict(texts):
        ids = torch.from_numpy(np.stack([ids_of(text) for text in texts]))
        return torch.cat([model(part) for part in ids.split(BATCH)]).double().numpy()

    return predict


def package_coefficients(predict, document, *, mode, samples, seed):
    """Compute the package's coefficients of the positive logit.

    Parameters
    ----------
    predict : callable
        See `predictor`.
    document : experiments.Document
        Of a cleaned text.
    mode : {'delete', 'mask'}
        See `lime_sampling.lime_coefficients`.
    samples : int
        Documents, the intact one among them.
    seed : int
        Of the package's draws; its lowest 32 bits count.

    Returns
    -------
    numpy.ndarray, float64
        In logits, one a word (mode 'delete') or a token ('mask').
    """
    from lime.lime_text import LimeTextExplainer

    explainer = LimeTextExplainer(
        class_names=["negative", "positive"],
        bow=mode == "delete",
        mask_string="UNK",
        random_state=seed % 2**32,
    )
    count = len(document.tokens)
    explained = explainer.explain_instance(
        " ".join(document.tokens), predict, labels=(LABEL,), num_features=count, num_samples=samples
    )
    values = dict(explained.as_map()[LABEL])
    if mode == "mask":
        return np.array([values[place] for place in range(count)])
    # The package numbers words by their first occurrence, we in alphabetical order.
    firsts = list(dict.fromkeys(document.words))
    found = np.zeros(len(firsts))
    for number, word in enumerate(firsts):
        found[word] = values[number]
    return found
