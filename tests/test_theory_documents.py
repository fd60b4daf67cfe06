"""Perturbed documents and the classifier's own equations (`theory/documents.py`)."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.models.multihead import sinusoids
from plumbline.models.vocabulary import UNK
from plumbline.theory.documents import deleted_logits, masked_logits, terms_of
from tests.small_theory import padded, small


def test_forward_is_the_references_equations():
    """Keys, values and T x T attention formed as the paper writes them, in a few einsums."""
    model, ids = small(scale=10), torch.stack([padded([5, 6, 7, 5]), padded([8, 9])])
    e = model.embedding(ids) + sinusoids(24, 16)
    logits = []
    for head in model.heads:
        q, k, v = (
            torch.einsum("btd,ad->bta", e, getattr(head, name).weight) for name in ("query", "key", "value")
        )
        a = (torch.einsum("bsa,bta->bst", q, k) / 8**0.5).softmax(-1)
        logits.append(torch.einsum("bt,bta,ca->bc", a[:, 0], v, head.classifier.weight))
    torch.testing.assert_close(model(ids), torch.stack(logits).mean(0), atol=1e-5, rtol=1e-5)


documents_of = st.lists(st.integers(2, 39), min_size=1, max_size=23)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(documents_of, st.sampled_from([1.0, 10.0, 40.0]), st.integers(0, 100))
def test_perturbed_documents_without_a_forward_pass(tokens, scale, seed):
    """Masking and deletion, term by term, against the model on the perturbed ids.

    The model in double precision: where heads are sharp the single-precision forward pass is itself off by 9e-6.
    """
    model, ids = small(scale=scale, seed=seed % 5), padded(tokens)
    terms, exact = terms_of(model, ids, len(tokens)), copy.deepcopy(model).double()
    kept = np.random.default_rng(seed).integers(0, 2, (20, terms.distinct)).astype(np.float32)
    kept[0], kept[1] = 0, 1
    mask, delete = [], []
    for row in kept[:, terms.words] > 0:
        mask.append(padded([token if keep else UNK for token, keep in zip(tokens, row, strict=True)]))
        delete.append(padded([token for token, keep in zip(tokens, row, strict=True) if keep]))
    with torch.no_grad():
        for rows, ours in ((mask, masked_logits), (delete, deleted_logits)):
            wanted = exact(torch.stack(rows)).numpy()
            np.testing.assert_allclose(ours(terms, kept), wanted, atol=1e-5 * max(1, np.abs(wanted).max()))
