"""What Figures 1, 3, 4 and 5 of Lopardo et al. 2024 show: one sentence and one document, all numbers in one JSON."""

import numpy as np

from ..artefacts import read_records, write_json
from ..seeds import seed_of
from .experiments import document

PADDING = 2  # unlabelled positions after the sentence in the gradients' matrices


def write_shown(*, files, data, sentence, document_text, dataset, seed, samples, repeats, output, threads=1):
    """Write the JSON: {sentence: {...}, document: {...}}, numbers rounded to 7 digits.

    LIME is the package's.

    Parameters
    ----------
    files : dict
        See `experiments.run_shard`.
    data : path
        Parquet file of the reviews.
    sentence, document_text : str or None
        Texts. None takes the first review and the longest one.
    dataset : str
        The data set's id.
    seed : int
        Of training.
    samples, repeats : int
        Of LIME.
    output : path
        The JSON file to write.
    threads : int
        Of the CPU.
    """
    from ..models.multihead_training import load
    from ..models.runtime import prepare

    prepare("cpu", threads)
    model, vocabulary, max_len = load(**files)
    rows = read_records(data, ["id", "text", "label"])
    if sentence is None:
        sentence = rows[0]["text"]
    if document_text is None:
        document_text = max(rows, key=lambda row: len(row["text"].split()))["text"]
    names = (dataset, "multihead", seed)

    def shown(text, name):
        return document({"id": name, "text": text, "label": -1}, vocabulary, max_len, clean=True)

    from .lime_package import predictor

    options = {
        "samples": samples,
        "repeats": repeats,
        "names": names,
        "predict": predictor(model, vocabulary, max_len),
    }
    facts = {
        "sentence": sentence_facts(model, shown(sentence, "sentence"), **options),
        "document": document_facts(model, shown(document_text, "document"), **options),
        "dataset": dataset,
        "seed": seed,
        "samples": samples,
        "repeats": repeats,
    }
    write_json(output, facts)


def numbers(values):
    """Return an array as nested lists of floats with 7 significant digits."""
    if np.ndim(values):
        return [numbers(value) for value in values]
    return float(f"{float(values):.7g}")


def runs_of(predict, item, mode, *, samples, repeats, names):
    """Compute the package's coefficients in several runs.

    Parameters
    ----------
    predict, mode, samples
        See `lime_package.package_coefficients`.
    item : experiments.Document
        The document.
    repeats : int
        The number of runs.
    names : tuple
        (dataset, model, training seed), part of every draw's seed.

    Returns
    -------
    numpy.ndarray, float64, shape (repeats, words) or (repeats, tokens)
        In logits.
    """
    from .lime_package import package_coefficients

    return np.stack(
        [
            package_coefficients(
                predict,
                item,
                mode=mode,
                samples=samples,
                seed=seed_of(*names, item.id, "lime package", repeat),
            )
            for repeat in range(repeats)
        ]
    )


def sentence_facts(model, item, *, predict, samples, repeats, names):
    """Compute what the figures show of the sentence.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    item : experiments.Document
        The sentence.
    predict, samples, repeats, names
        See `runs_of`.

    Returns
    -------
    dict
        Tokens, logits of the model and of each head, weights of the explanations, attention, gradients.
    """
    import torch

    from .explanations import attention_scores, gradient_scores
    from .gradient import autograd_gradient, closed_form_gradient

    ids = torch.from_numpy(item.ids)[None]
    n, embedded = len(item.tokens), model.embedded(ids)
    gradient, logits = autograd_gradient(model, ids)
    scores = attention_scores(model.attention_of(embedded)[0].numpy())
    scores |= gradient_scores(gradient[0].numpy(), embedded[0].numpy())
    weights = {name: numbers(values[1 : n + 1]) for name, values in scores.items()}
    # The first run, as in the paper's figure; a word that occurs twice has its coefficient at both places.
    runs = runs_of(predict, item, "delete", samples=samples, repeats=1, names=names)
    weights["lime"] = numbers(runs[0][item.words])
    rows = slice(0, min(n + 1 + PADDING, ids.shape[1]))
    closed = {
        name: closed_form_gradient(model, ids, corrected=name == "corrected")
        for name in ("published", "corrected")
    }
    return {
        "tokens": item.tokens,
        "unknown": [int(number) for number in (item.ids[1 : n + 1] == 1)],
        "logits": numbers(logits[0]),
        "head_logits": numbers(model.head_logits(embedded)[0]),
        "weights": weights,
        "attention": numbers(model.full_attention(ids)[0, :, : n + 1, : n + 1]),
        "gradients": {
            name: numbers(values[0, rows]) for name, values in (closed | {"autograd": gradient}).items()
        },
    }


def document_facts(model, item, *, predict, samples, repeats, names):
    """Compute what the figures show of the document, a word each.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    item : experiments.Document
        The document.
    predict, samples, repeats, names
        See `runs_of`.

    Returns
    -------
    dict
        Words, logits, LIME's runs in the package's two modes, LIME's means without kernel, and the limits.
    """
    import torch

    from .documents import grouped, terms_of
    from .lime_sampling import lime
    from .limits import FORMULAS, limit, rho

    ids = torch.from_numpy(item.ids)
    terms = terms_of(model, ids, len(item.tokens), item.words)
    embedded = model.embedded(ids[None])
    options = {"samples": samples, "repeats": repeats, "names": names}
    by_place = runs_of(predict, item, "mask", **options)
    no_kernel = {
        f"lime_{mode}_no_kernel": numbers(
            np.mean(
                [
                    lime(terms, mode, samples, seed_of(*names, item.id, f"lime_{mode}", repeat), None)
                    for repeat in range(repeats)
                ],
                0,
            )
        )
        for mode in ("delete", "mask")
    }
    return {
        "tokens": item.tokens,
        "words": [str(word) for word in np.unique(item.tokens)],
        "logits": numbers(model.head_logits(embedded).mean(1)[0]),
        "head_logits": numbers(model.head_logits(embedded)[0]),
        "rho": numbers(rho(terms)),
        "lime_delete": numbers(runs_of(predict, item, "delete", **options)),
        "lime_mask": numbers(np.stack([grouped(run, terms.words) for run in by_place])),
        **no_kernel,
        "limits": {name: numbers(grouped(limit(terms, name), terms.words)) for name in FORMULAS},
    }
