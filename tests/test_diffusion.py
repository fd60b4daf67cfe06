"""Network diffusion of a map: spectra, Network Enhancement by its published program, edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.attribution import diffusion
from plumbline.attribution.mamba import rollout
from plumbline.errors import PlumblineError
from tests.small_images import enhanced, thesis


def test_reconstruction_of_the_diffusion():
    """Against the specification's own reconstruction: there is no reference output."""
    wanted = thesis("network_diffusion_RECONSTRUCTION")
    attention = wanted["att"]
    for kind, key in (("network_enhancement", "svd_ne"), ("pagerank", "svd_ppr"), ("heat", "svd_heat")):
        torch.testing.assert_close(diffusion.diffused(attention, kind), wanted[key], rtol=0, atol=1e-10)
        after = diffusion.spectra(attention)[kind]
        torch.testing.assert_close(after, wanted[f"{key}_sigma_out"], rtol=0, atol=1e-10)
    whole = diffusion.diffused(attention, "full_network_enhancement")
    torch.testing.assert_close(whole, wanted["network_enhancement"], rtol=0, atol=1e-10)
    transforms = {
        "plain": None,
        "svd_ne": diffusion.diffusion(),
        "network_enhancement": diffusion.diffusion("full_network_enhancement"),
    }
    for name, transform in transforms.items():
        product = rollout(attention[:, None], 15, transform=transform)[0]
        torch.testing.assert_close(product, wanted[f"rollout15_{name}"], rtol=0, atol=1e-10)


@given(st.integers(2, 9), st.integers(0, 1000), st.sampled_from(sorted(diffusion.SPECTRA)))
@settings(max_examples=30, deadline=None)
def test_diffusion_keeps_singular_vectors_and_shrinks_values(size, seed, kind):
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.rand(size, size, generator=draw, dtype=torch.float64)
    rows = matrix / matrix.sum(1, keepdim=True)
    found = diffusion.spectra(matrix)
    before, after = found["before"], found[kind]
    assert after[0] == pytest.approx(1) and (after <= before + 1e-12).all()
    found = diffusion.diffused(matrix, kind)
    # U f(s) V^T: M'^T M and M M'^T are symmetric.
    for product in (found.mT @ rows, rows @ found.mT):
        torch.testing.assert_close(product, product.mT, rtol=0, atol=1e-9)
    values = torch.linalg.svdvals(found)
    torch.testing.assert_close(values, after.sort(descending=True).values, rtol=0, atol=1e-9)


def test_normalising_alone_leaves_the_spectrum():
    """The control of the diffusion: rows divided by their sums, negatives set to zero, and nothing else."""
    draw = torch.Generator().manual_seed(6)
    matrix = torch.rand(2, 5, 5, generator=draw, dtype=torch.float64) - 0.2
    found = diffusion.diffusion("identity")(matrix)
    rows = matrix / matrix.sum(-1, keepdim=True)
    largest = torch.linalg.svdvals(rows)[:, :1, None]
    torch.testing.assert_close(found, (rows / largest).clamp(min=0))


def test_singular_values_are_the_fixed_point_of_the_bipartite_diffusion():
    """W <- a T W T + (1 - a) T on [[0, M], [M^T, 0]]."""
    draw = torch.Generator().manual_seed(5)
    matrix = torch.rand(5, 5, generator=draw, dtype=torch.float64)
    scaled = matrix / matrix.sum(1, keepdim=True)
    scaled = scaled / torch.linalg.svdvals(scaled)[0]
    graph = torch.zeros(10, 10, dtype=torch.float64)
    graph[:5, 5:], graph[5:, :5] = scaled, scaled.mT
    spread = graph.clone()
    for _ in range(2000):
        spread = 0.9 * graph @ spread @ graph + 0.1 * graph
    torch.testing.assert_close(spread[:5, 5:], diffusion.diffused(matrix), rtol=0, atol=1e-9)


def test_network_enhancement_by_the_published_program():
    """The port's numbers; alpha .9 as in the paper, now .8 there."""
    attention = thesis("network_diffusion_RECONSTRUCTION")
    reference = attention["network_enhancement"]
    for matrix, expected in zip(attention["att"], reference, strict=True):
        found = enhanced(matrix.double().numpy(), 0.9)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-12)
    draw = torch.Generator().manual_seed(2)
    for alpha in (0.8, 0.9):
        matrix = torch.rand(30, 30, generator=draw, dtype=torch.float64)
        found = diffusion.network_enhancement(matrix, alpha).numpy()
        np.testing.assert_allclose(found, enhanced(matrix.numpy(), alpha), rtol=0, atol=1e-12)


def test_unknown_diffusion():
    with pytest.raises(PlumblineError, match="unknown diffusion 'haet': did you mean 'heat'"):
        diffusion.diffused(torch.eye(3), "haet")


def test_network_enhancement_of_lonely_nodes():
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    assert not diffusion.network_enhancement(matrix).any()
    matrix[:2, :2] = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    found = diffusion.network_enhancement(matrix)
    assert found[:2, :2].any() and not found[2:].any() and torch.equal(found, found.mT)


@pytest.mark.parametrize("kind", diffusion.KINDS)
def test_diffusion_of_nothing_is_nothing(kind):
    assert not diffusion.diffused(torch.zeros(2, 4, 4), kind).any()
