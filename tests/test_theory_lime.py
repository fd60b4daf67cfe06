"""LIME: the law of its samples, its kernel and ridge, and the package's own coefficients."""

import numpy as np
import pytest
import torch
from scipy import stats

from plumbline.models.vocabulary import Vocabulary
from plumbline.theory import lime_coefficients
from plumbline.theory.documents import grouped
from plumbline.theory.experiments import document
from plumbline.theory.lime_package import package_coefficients, predictor
from plumbline.theory.lime_sampling import draw, kernel, ridge
from tests.small_theory import padded, small


def test_law_of_samples():
    """The number removed is uniform on 1 to d; every word is removed alike; the first row is the document."""
    kept = draw(np.random.Generator(np.random.SFC64(1)), 40001, 8)
    assert kept[0].all()
    counts = np.bincount((8 - kept[1:].sum(1)).astype(int), minlength=9)
    assert counts[0] == 0
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    assert stats.chisquare((1 - kept[1:]).sum(0)).pvalue > 1e-3
    # Given that two of eight are removed, all 28 pairs are alike.
    pairs = kept[1:][kept[1:].sum(1) == 6]
    numbers = np.unique(pairs, axis=0, return_counts=True)[1]
    assert len(numbers) == 28 and stats.chisquare(numbers).pvalue > 1e-3


def test_kernel_and_ridge_are_the_packages():
    from lime.lime_text import LimeTextExplainer
    from sklearn.linear_model import Ridge
    from sklearn.metrics import pairwise_distances

    kept = draw(np.random.Generator(np.random.SFC64(2)), 500, 12)
    kept[1] = 0
    distances = pairwise_distances(kept, kept[:1], metric="cosine").ravel() * 100
    np.testing.assert_allclose(kernel(kept), LimeTextExplainer().base.kernel_fn(distances), rtol=1e-4)
    values = np.random.default_rng(0).normal(size=500)
    wanted = Ridge(alpha=1, fit_intercept=True).fit(kept, values, sample_weight=kernel(kept)).coef_
    np.testing.assert_allclose(ridge(kept, values, kernel(kept)), wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mask", "delete"])
def test_lime_is_the_packages_in_distribution(mode):
    """A text with a repeated and an unknown word: means within three standard errors over repeats."""
    vocabulary = Vocabulary(["[cls]", "UNK", *[f"w{number}" for number in range(38)]])
    model = small(scale=10)
    item = document({"id": 0, "text": "w3 w4 w3 w5 zzz w6 w7", "label": 0}, vocabulary, 24, clean=True)
    predict = predictor(model, vocabulary, 24)
    package = np.stack(
        [package_coefficients(predict, item, mode=mode, samples=1000, seed=seed) for seed in range(12)]
    )
    ids = torch.from_numpy(item.ids)[None]
    options = {"lengths": [7], "words": [item.words], "mode": mode, "samples": 1000}
    ours = np.stack(
        [lime_coefficients(model, ids, seed=seed, **options)[0, 1:8].numpy() for seed in range(12)]
    )
    if mode == "delete":
        ours = np.stack([grouped(run, item.words) for run in ours])
    error = np.sqrt((package.var(0, ddof=1) + ours.var(0, ddof=1)) / 12)
    assert (np.abs(package.mean(0) - ours.mean(0)) < 3 * error).all()


def test_seeds_of_the_package_are_taken_modulo_32_bits():
    vocabulary, model = Vocabulary(["[cls]", "UNK", *[f"w{number}" for number in range(38)]]), small(scale=10)
    item = document({"id": 0, "text": "w3 w4 w5 w6 w7 w8", "label": 0}, vocabulary, 24, clean=True)
    first, same, other = (
        package_coefficients(predictor(model, vocabulary, 24), item, mode="delete", samples=20, seed=seed)
        for seed in (7, 2**32 + 7, 2**31 + 7)
    )
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_lime_does_not_depend_on_the_batch():
    model, ids = small(), torch.stack([padded([5, 6, 7]), padded([8, 9])])
    together = lime_coefficients(model, ids, mode="mask", samples=200, seed=1)
    np.testing.assert_array_equal(
        together[1:], lime_coefficients(model, ids[1:], mode="mask", samples=200, seed=1)
    )
