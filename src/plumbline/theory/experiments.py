"""The experiments of Lopardo et al. 2024 over many reviews: one row a review, in shards that are whole blocks.

gradient      the closed form beside autograd
lime_mask     LIME with words replaced by UNK in place beside its limits
lime_delete   LIME with words deleted (the package's default) beside the same limits, and beside masking
faithfulness  comprehensiveness and sufficiency of all explanations

Reviews are taken in one order, drawn once for a data set, so that the first shards of each experiment are a random
sample, and the same reviews in all of them.
"""

import importlib
from dataclasses import dataclass

import numpy as np

from ..artefacts import read_records, write_rows
from ..errors import PlumblineError
from ..models.vocabulary import cleaned, tokens_of
from ..seeds import seed_of

BATCH = 32  # documents of one forward and backward pass; changes no result beyond rounding
# Experiment -> its module. What one experiment alone depends on stands there, so that an edit reruns that one alone.
EXPERIMENTS = {
    "gradient": "quant_gradient",
    "lime_mask": "quant_lime",
    "lime_delete": "quant_lime",
    "faithfulness": "quant_faithfulness",
}


@dataclass
class Document:
    """A review as the model reads it.

    Attributes
    ----------
    id : int
        Of the review.
    label : int
        Its class.
    tokens : list of str
        The tokens kept.
    ids : numpy.ndarray, int64, shape (T,)
        Token ids, padded with UNK.
    words : numpy.ndarray, int, shape (n,)
        See documents.Terms.
    """

    id: int
    label: int
    tokens: list
    ids: np.ndarray
    words: np.ndarray


def document(row, vocabulary, max_len, *, clean):
    """Make the Document of a review.

    Parameters
    ----------
    row : dict
        id, text and label.
    vocabulary : Vocabulary
        Of the model.
    max_len : int
        Positions of the model, T.
    clean : bool
        Whether letters and digits alone are kept, as LIME is given it.

    Returns
    -------
    Document

    Raises
    ------
    PlumblineError
        For a text of which nothing is left.
    """
    tokens = tokens_of(cleaned(row["text"]) if clean else row["text"])[: max_len - 1]
    if not tokens:
        raise PlumblineError(f"review {row['id']} has no letter or digit: '{row['text'][:40]}'")
    words = np.unique(tokens, return_inverse=True)[1]
    return Document(row["id"], row["label"], tokens, vocabulary.ids(tokens, max_len), words)


def order(dataset, count):
    """Return the order in which an experiment takes the reviews 0 to count - 1.

    Parameters
    ----------
    dataset : str
        The data set's id, the seed of the order.
    count : int
        The number of reviews.

    Returns
    -------
    numpy.ndarray, int64, shape (count,)
    """
    return np.random.default_rng(seed_of(dataset, "order of reviews")).permutation(count)


def run_shard(
    experiment,
    *,
    files,
    data,
    shard,
    size,
    reviews,
    dataset,
    seed,
    samples,
    repeats,
    output,
    start=0,
    threads=1,
):
    """Write one shard of an experiment: of the first `reviews` in order, `size` from `start + shard * size` on.

    Parameters
    ----------
    experiment : str
        An id of EXPERIMENTS.
    files : dict
        weights, vocabulary, metrics -> path.
    data : path
        Parquet file of the reviews.
    shard, size, start : int
        Which reviews the shard holds.
    reviews : int
        Of the whole experiment.
    dataset : str
        The data set's id.
    seed : int
        Of training.
    samples, repeats : int
        Of LIME.
    output : path
        The Parquet file to write.
    threads : int
        Of the CPU.

    Raises
    ------
    PlumblineError
        Where there are fewer reviews than asked for.
    """
    from ..models.multihead_training import load
    from ..models.runtime import prepare

    prepare("cpu", threads)
    model, vocabulary, max_len = load(**files)
    rows = read_records(data, ["id", "text", "label"])
    if len(rows) < reviews:
        raise PlumblineError(
            f"{data} has {len(rows)} texts, fewer than attention_meets_xai.reviews.{experiment} ({reviews}): lower it"
        )
    chosen = order(dataset, len(rows))[:reviews][start + shard * size :][:size]
    clean = experiment != "gradient"
    documents = [document(rows[number], vocabulary, max_len, clean=clean) for number in chosen]
    module = importlib.import_module(f"{__package__}.{EXPERIMENTS[experiment]}")
    found = module.rows(
        model, documents, experiment, samples=samples, repeats=repeats, names=(dataset, "multihead", seed)
    )
    columns = {name: [row[name] for row in found] for name in found[0]}
    columns = {
        name: values if isinstance(values[0], int) else rounded(values) for name, values in columns.items()
    }
    about = {"id": [item.id for item in documents], "label": [item.label for item in documents]}
    write_rows(output, about | columns, kind="theory")


def rounded(values):
    """Round numbers to 11 binary digits after the leading one (a relative 2^-12).

    That is what such an error is worth, and it makes small files.

    Parameters
    ----------
    values : array_like of float
        The numbers.

    Returns
    -------
    numpy.ndarray, float32
        Of the shape of `values`.
    """
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x800)) & np.uint32(0xFFFFF000)).view(np.float32)
