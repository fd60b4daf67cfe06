"""A document of the multi-head classifier, taken apart into terms of its tokens and terms of their positions.

A score is q . k_t = A(token) + B(position), a value w . v_t = U(token) + V(position), since keys and values are linear in
e_t = embedding + position and the query of [cls] never changes. So exp(A) exp(B) weighs a token at any position, and the
logit of any perturbed document is a ratio of sums of such terms (docs/studies/attention_meets_xai.md).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from ..arrays import array
from ..errors import PlumblineError
from ..models.multihead import checked_ids
from ..models.vocabulary import UNK

# Where scores of a head lie further apart (in nats), single precision would lose what weighs little.
SPREAD = 60


@dataclass
class Terms:
    """Terms of one document with n tokens and a model of K heads, C labels and T positions; NumPy arrays.

    Attributes
    ----------
    token, unk : numpy.ndarray, shape (n, K) and (K,)
        exp of the score's token term, each head scaled by one factor for all.
    place : numpy.ndarray, shape (T, K)
        exp of the score's position term, scaled likewise.
    token_value, unk_value, place_value : numpy.ndarray, shape (n, K, C), (K, C) and (T, K, C)
        The terms of the values.
    fixed, fixed_value : numpy.ndarray, shape (K,) and (K, C)
        [cls] at position 0: weight, and weight times value.
    words : numpy.ndarray, int, shape (n,)
        The word that each token is, numbered from 0.
    """

    token: np.ndarray
    unk: np.ndarray
    place: np.ndarray
    token_value: np.ndarray
    unk_value: np.ndarray
    place_value: np.ndarray
    fixed: np.ndarray
    fixed_value: np.ndarray
    words: np.ndarray

    @property
    def length(self):
        """Return the number of tokens, n."""
        return len(self.words)

    @property
    def distinct(self):
        """Return the number of words."""
        return int(self.words.max()) + 1

    def by_position(self):
        """Return the same document with every token a word of its own."""
        return replace(self, words=np.arange(self.length))


@torch.no_grad()
def terms_of(model, ids, length=None, words=None):
    """Compute the terms of a document.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (T,)
        Token ids, padded with UNK.
    length : int, optional
        The number of tokens. None: up to the last that is not UNK (an unknown word at the end cannot be told from padding by
        ids alone).
    words : numpy.ndarray, int, shape (length,), optional
        The words that the tokens are. None: tokens of one id are one word.

    Returns
    -------
    Terms
    """
    length = tokens_in(ids) if length is None else length
    if words is None:
        words = np.unique(ids[1 : length + 1].numpy(), return_inverse=True)[1]
    # The query is that of [cls] alone. Scores in double precision: their errors are relative errors of the weights.
    direction, read = model.keys_of_query(model.embedded(ids[None, :1]).double())[0], model.readout()
    vectors = model.embedding(torch.cat([ids[: length + 1], torch.tensor([UNK])]))
    score = (vectors.double() @ direction.T).numpy()
    value = torch.einsum("td,kcd->tkc", vectors, read)
    place = (model.positions[: len(ids)].double() @ direction.T).numpy()
    place_value = torch.einsum("td,kcd->tkc", model.positions[: len(ids)], read)
    # One factor a head for all weights cancels in the ratio and keeps exp in range.
    score, place = score - score.max(0), place - place.max(0)
    kind = np.float64 if (-score.min(0) - place.min(0)).max() > SPREAD else np.float32
    weight, place = np.exp(score).astype(kind), np.exp(place).astype(kind)
    value, place_value = value.numpy().astype(kind), place_value.numpy().astype(kind)
    fixed = weight[0] * place[0]
    return Terms(
        token=weight[1:-1],
        unk=weight[-1],
        place=place,
        token_value=value[1:-1],
        unk_value=value[-1],
        place_value=place_value,
        fixed=fixed,
        fixed_value=fixed[:, None] * (value[0] + place_value[0]),
        words=np.asarray(words),
    )


def per_document(model, ids, lengths, words, values_of):
    """Compute a number a position of every document.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids : torch.Tensor, int64, shape (batch, T)
        Token ids, padded with UNK.
    lengths, words : list, optional
        One a document, see `terms_of`.
    values_of : callable
        Takes Terms and returns (n,) numbers.

    Returns
    -------
    torch.Tensor, float64, shape (batch, T)
        Zero at [cls] and padding.

    Raises
    ------
    PlumblineError
        For ids that `checked_ids` refuses, lengths or words of another number, kind or range, and a value that is not finite.
    """
    ids = checked_ids(model, ids)
    for name, given in (("lengths", lengths), ("words", words)):
        listed = isinstance(given, list | tuple) or getattr(given, "shape", ()) != ()
        if given is not None and not listed:
            raise PlumblineError(f"{name} must be a list, one a document, not a {type(given).__name__}")
        if given is not None and len(given) != len(ids):
            raise PlumblineError(
                f"{name} are of {len(given)} documents, ids of {len(ids)}: give one a document"
            )
    found = torch.zeros(ids.shape, dtype=torch.float64)
    for number, document in enumerate(ids):
        length = _checked_length(number, document, None if lengths is None else lengths[number])
        own = None if words is None else _checked_words(number, words[number], length)
        terms = terms_of(model, document, length, own)
        if terms.length:
            values = np.asarray(values_of(terms), np.float64)
            if not np.isfinite(values).all():
                raise PlumblineError(
                    f"document {number}: coefficients are not finite; widen kernel_width, or check the weights"
                )
            found[number, 1 : terms.length + 1] = torch.from_numpy(values)
    return found


def _checked_length(number, document, length):
    """A document's number of tokens, an int; PlumblineError unless they fit behind [cls]."""
    if length is None:
        return tokens_in(document)
    whole = np.ndim(length) == 0 and np.issubdtype(np.asarray(length).dtype, np.integer)
    if not whole or not 0 <= int(length) < len(document):
        raise PlumblineError(
            f"document {number}: length {length!r}; give a whole number from 0 to {len(document) - 1}"
        )
    return int(length)


def _checked_words(number, words, length):
    """A document's words, int array (length,); PlumblineError unless they are numbered from 0 without a gap."""
    found = array(words, f"document {number}: words")
    if found.shape != (length,) or (length and not np.issubdtype(found.dtype, np.integer)):
        raise PlumblineError(f"document {number}: words must be {length} whole numbers, one a token")
    if not np.array_equal(np.unique(found), np.arange(len(np.unique(found)))):
        raise PlumblineError(
            f"document {number}: words must be numbered from 0 without a gap, as np.unique does"
        )
    return found


def tokens_in(ids):
    """Count the tokens of a document after [cls], up to the last that is not UNK.

    Parameters
    ----------
    ids : torch.Tensor, int64, shape (T,)
        Token ids, padded with UNK.

    Returns
    -------
    int
    """
    known = (ids[1:] != UNK).nonzero()
    return int(known[-1]) + 1 if len(known) else 0


def grouped(values, words):
    """Sum over each word's occurrences.

    Parameters
    ----------
    values : numpy.ndarray, shape (n, ...)
        One a token.
    words : numpy.ndarray, int, shape (n,)
        See `Terms`.

    Returns
    -------
    numpy.ndarray, shape (words, ...)
        Of the dtype of `values`.
    """
    found = np.zeros((words.max() + 1, *values.shape[1:]), values.dtype)
    np.add.at(found, words, values)
    return found


def in_place(terms):
    """Compute weights and weighted values of every token at its place, as it is and as UNK, and of what stays as it is.

    The first column of the last axis is the weight, the others weight times value.

    Parameters
    ----------
    terms : Terms
        Of the document.

    Returns
    -------
    kept, masked : numpy.ndarray, shape (n, K, 1 + C)
        Tokens as they are, and as UNK.
    fixed : numpy.ndarray, shape (K, 1 + C)
        [cls] and padding.
    """
    n, T = terms.length, len(terms.place)
    here, here_value = terms.place[1 : n + 1], terms.place_value[1 : n + 1]
    kept = _with_values(terms.token * here, terms.token_value + here_value)
    masked = _with_values(terms.unk * here, terms.unk_value + here_value)
    padding = _with_values(terms.unk * terms.place[n + 1 : T], terms.unk_value + terms.place_value[n + 1 : T])
    fixed = np.concatenate([terms.fixed[:, None], terms.fixed_value], axis=-1) + padding.sum(0)
    return kept, masked, fixed


def _with_values(weight, value):
    return np.concatenate([weight[..., None], weight[..., None] * value], axis=-1)


def masked_logits(terms, kept):
    """Compute logits of the document with tokens replaced by UNK in place.

    Parameters
    ----------
    terms : Terms
        Of the document.
    kept : numpy.ndarray, 0 or 1, shape (N, words)
        Which words stay, a row a perturbed document.

    Returns
    -------
    numpy.ndarray, shape (N, C)
        The mean over heads.
    """
    present, absent, fixed = in_place(terms)
    present, absent = grouped(present, terms.words), grouped(absent, terms.words)
    base = fixed + absent.sum(0)
    change = (present - absent).reshape(kept.shape[1], -1)
    sums = (kept.astype(change.dtype, copy=False) @ change).reshape(len(kept), *base.shape) + base
    return (sums[..., 1:] / sums[..., :1]).mean(1)


def deleted_logits(terms, kept):
    """Compute logits of the document with words deleted: what follows moves up, and UNK fills the end.

    Parameters
    ----------
    terms, kept
        See `masked_logits`.

    Returns
    -------
    numpy.ndarray, shape (N, C)
        The mean over heads.
    """
    n, K, C = terms.token_value.shape
    tokens = kept[:, terms.words] > 0
    places = np.cumsum(tokens, axis=1, dtype=np.int32)
    count = places[:, -1]
    # Row 0 is a removed token's place: it weighs nothing.
    places = (places * tokens).ravel()
    weight = terms.place[: n + 1].copy()
    weight[0] = 0
    weighted = weight[..., None] * terms.place_value[: n + 1]
    padding = _with_values(terms.unk * terms.place, terms.unk_value + terms.place_value)
    # after[m]: padding when m tokens are left, at positions m + 1 to T - 1.
    after = np.concatenate([np.cumsum(padding[::-1], axis=0)[::-1][1:], np.zeros_like(padding[:1])])
    found = np.zeros((len(kept), C), terms.place.dtype)
    for head in range(K):
        here = np.take(weight[:, head], places).reshape(len(kept), n)
        left = (
            np.concatenate([np.ones((n, 1), here.dtype), terms.token_value[:, head]], 1)
            * terms.token[:, head, None]
        )
        sums = here @ left + after[count, head]
        sums[:, 0] += terms.fixed[head]
        sums[:, 1:] += terms.fixed_value[head]
        for label in range(C):
            sums[:, 1 + label] += (
                np.take(weighted[:, head, label], places).reshape(len(kept), n) @ terms.token[:, head]
            )
        found += sums[:, 1:] / sums[:, :1]
    return found / K
