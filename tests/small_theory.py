"""A small multi-head classifier, and documents whose attention is spread."""

import itertools
from dataclasses import replace
from math import comb

import numpy as np
import pytest
import torch

from plumbline.models.vocabulary import UNK
from plumbline.theory import MultiHeadClassifier
from plumbline.theory.documents import Terms, masked_logits


def small(heads=3, scale=1.0, seed=0, max_len=24, vocabulary=40):
    torch.manual_seed(seed)
    model = MultiHeadClassifier(vocabulary, 16, 8, 8, heads, max_len)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight *= (
                scale if "query" in name or "key" in name else 10 if "value" in name or "class" in name else 1
            )
    return model


def padded(tokens, max_len=24):
    ids = torch.full((max_len,), UNK)
    ids[0] = 0
    ids[1 : 1 + len(tokens)] = torch.tensor(tokens)
    return ids


def weight(share, width):
    """The package's kernel of a share kept, from its own formula."""
    return 1.0 if width is None else np.sqrt(np.exp(-((100 * (1 - share**0.5)) ** 2) / width**2))


def choices(d, width=None):
    """Every choice of words but all, 0/1 (N, d), and its chance under LIME's law times its kernel, summing to 1."""
    kept = np.array(list(itertools.product([0.0, 1.0], repeat=d))[:-1], np.float32)
    chance = np.array([1 / (d * comb(d, int(number))) for number in kept.sum(1)])
    assert chance.sum() == pytest.approx(1)
    chance *= [weight(share, width) for share in kept.mean(1)]
    return kept, chance / chance.sum()


def enumerated(terms, width=None):
    """LIME's limit without ridge, by least squares over every choice of words, weighted by its chance."""
    kept, chance = choices(terms.distinct, width)
    values = masked_logits(terms, kept)[:, 1]
    design = np.column_stack([np.ones(len(kept)), kept]) * np.sqrt(chance)[:, None]
    return np.linalg.lstsq(design, values * np.sqrt(chance), rcond=None)[0][1:]


def diffuse(rho, seed, words=60, heads=3, shift=0.0, values=1.0):
    """Terms of a document of `words` words, each with about the same weight: each head's document weighs about rho (a
    number a head) times as much as all UNK, no padding; every value has `shift` added."""
    rng = np.random.default_rng(seed)
    weigh = rng.lognormal(sigma=0.3, size=(words, heads))
    weigh /= weigh.sum(0)
    terms = Terms(
        token=weigh,
        unk=1 / (words * np.broadcast_to(rho, heads)),
        place=np.ones((words + 1, heads)),
        token_value=values * rng.normal(size=(words, heads, 2)),
        unk_value=values * rng.normal(size=(heads, 2)),
        place_value=np.zeros((words + 1, heads, 2)),
        fixed=np.full(heads, 1e-4),
        fixed_value=np.zeros((heads, 2)),
        words=np.arange(words),
    )
    return shifted(terms, shift)


def shifted(terms, shift):
    """The terms with a constant added to all values, those of UNK and [cls] too: every logit rises by it."""
    return replace(
        terms,
        token_value=terms.token_value + shift,
        unk_value=terms.unk_value + shift,
        fixed_value=terms.fixed_value + shift * terms.fixed[:, None],
    )
