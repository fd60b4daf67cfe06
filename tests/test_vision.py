"""Vision Mamba, its hidden attention and maps, network diffusion, perturbation of patches: equations, golden outputs,
properties, stages and faults."""

import argparse
import io
import itertools
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.artefacts import check_file, read_json, read_rows, write_rows
from plumbline.attribution import diffusion, image_maps
from plumbline.attribution.hidden_attention import (
    class_row,
    hidden_matrices,
    hidden_rows,
    mean_matrix,
)
from plumbline.attribution.mamba import mamba_maps, mamba_maps_full, min_max, rollout
from plumbline.datasets import load, schema_of
from plumbline.datasets.images import arrays, frame_of, read_idx, read_picture, stream_images
from plumbline.errors import PlumblineError
from plumbline.faithfulness import patches
from plumbline.models.image_models import IMAGENET, prepared, published_weights, train_job
from plumbline.models.vim import Direction, SelectiveScan, VisionMamba
from plumbline.models.vit import RELEASED, VisionTransformer, released_weights

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")
GOLDEN = Path(__file__).parent / "golden" / "thesis"


def golden(name):
    with np.load(GOLDEN / f"{name}.npz") as found:
        return {key: torch.from_numpy(found[key]) for key in found.files}


def drawn(batch, channels, states, tokens, seed=0, dtype=torch.float64):
    """A Direction and an input (batch, channels, tokens)."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=dtype)

    direction = Direction(
        normal(batch, channels, tokens).exp() / 5,
        -normal(channels, states).exp(),
        normal(batch, states, tokens),
        normal(batch, states, tokens),
    )
    return direction, normal(batch, channels, tokens)


def scan(direction, x):
    return SelectiveScan.apply(x, direction.delta, direction.A, direction.B, direction.C)


SHAPES = st.tuples(*(st.integers(1, most) for most in (2, 3, 4, 23)), st.integers(0, 10**6))


# ------------------------------------------------------------------------------------------------- equations


@settings(max_examples=25, deadline=None)
@given(SHAPES)
def test_scan_is_the_recurrence(shape):
    direction, x = drawn(*shape)
    state, wanted = 0, []
    for t in range(x.shape[-1]):
        delta = direction.delta[..., t, None]
        state = (delta * direction.A).exp() * state + delta * direction.B[:, None, :, t] * x[..., t, None]
        wanted.append((state * direction.C[:, None, :, t]).sum(-1))
    torch.testing.assert_close(scan(direction, x), torch.stack(wanted, -1), rtol=1e-10, atol=1e-10)


def channel_matrices(direction):
    """M of every channel by its definition, (batch, channels, tokens, tokens)."""
    sums = direction.delta.double().cumsum(-1)
    steps = (sums[..., :, None] - sums[..., None, :]).tril()
    kept = (steps[..., None] * direction.A[:, None, None].double()).exp()
    found = torch.einsum(
        "bni,bdijn,bdj,bnj->bdij", direction.C.double(), kept, direction.delta.double(), direction.B.double()
    )
    return found.tril().to(direction.delta.dtype)


@settings(max_examples=25, deadline=None)
@given(SHAPES)
def test_matrix_times_input_is_the_scan(shape):
    direction, x = drawn(*shape)
    matrices = channel_matrices(direction)
    torch.testing.assert_close((matrices @ x[..., None])[..., 0], scan(direction, x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mean_matrix(direction), matrices.mean(1), rtol=1e-6, atol=1e-6)
    assert torch.equal(matrices, matrices.tril())
    at = x.shape[-1] // 2
    torch.testing.assert_close(class_row(direction, at), matrices[:, :, at], rtol=1e-6, atol=1e-6)


def test_long_steps_overflow_nowhere():
    """The decays of 200 long steps span exp(-1000): products of exp(+) and exp(-) would be NaN."""
    direction, x = drawn(1, 2, 4, 200, dtype=torch.float32)
    direction.delta *= 50
    assert mean_matrix(direction).isfinite().all() and scan(direction, x).isfinite().all()
    torch.testing.assert_close(mean_matrix(direction), channel_matrices(direction).mean(1))


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 2, 5, 17])
def test_gradient_of_the_scan(tokens):
    direction, x = drawn(2, 3, 4, tokens)
    inputs = [x, direction.delta, direction.A, direction.B, direction.C]
    assert torch.autograd.gradcheck(SelectiveScan.apply, [item.requires_grad_() for item in inputs])


def test_published_row_lacks_one_factor_and_the_diagonal():
    direction, _ = drawn(1, 3, 1, 9)
    exact, published = class_row(direction, 4), class_row(direction, 4, published=True)
    factor = (direction.delta[..., 4] * direction.A[:, 0]).exp()[..., None]
    torch.testing.assert_close(published[..., :4] * factor, exact[..., :4])
    assert not published[..., 4:].any() and exact[..., 4].all()


def small_vim(**sizes):
    torch.manual_seed(3)
    sizes = {
        "image_size": 12,
        "patch_size": 3,
        "depth": 3,
        "embed_dim": 8,
        "classes": 4,
        "channels": 1,
    } | sizes
    return VisionMamba(**sizes, d_state=3).double().requires_grad_(False).eval()


def test_class_row_is_a_row_of_the_whole_matrix():
    model, trace = small_vim(), []
    with torch.no_grad():
        model(torch.randn(2, 1, 12, 12, dtype=torch.float64), trace)
        rows, matrices = hidden_rows(trace, model.class_position), hidden_matrices(trace)
    torch.testing.assert_close(rows.mean(2), matrices[:, :, model.class_position], rtol=1e-9, atol=1e-12)


def test_images_of_a_batch_do_not_meet():
    model, images = small_vim(), torch.randn(3, 1, 12, 12, dtype=torch.float64)
    whole = model(images)
    torch.testing.assert_close(whole, torch.cat([model(image[None]) for image in images]))


def test_backward_branch_reads_the_flipped_sequence():
    """With the two directions' weights exchanged and the sequence turned round, a mixer's output is turned round."""
    mixer = small_vim().layers[0].mixer
    x = torch.randn(1, 7, 8, dtype=torch.float64)
    wanted, forward, _ = mixer(x)
    state = mixer.state_dict()

    def twin(name):
        for one, other in (
            ("A_log", "A_b_log"),
            ("conv1d.", "conv1d_b."),
            ("x_proj.", "x_proj_b."),
            ("dt_proj.", "dt_proj_b."),
        ):
            if name.startswith(one) or name == one:
                return name.replace(one, other)
            if name.startswith(other) or name == other:
                return name.replace(other, one)
        return {"D": "D_b", "D_b": "D"}.get(name, name)

    mixer.load_state_dict({name: state[twin(name)].clone() for name in state})
    turned, _, backward = mixer(x.flip(1))
    torch.testing.assert_close(turned.flip(1), wanted)
    torch.testing.assert_close(backward.delta, forward.delta)


# ---------------------------------------------------------------------------------------------------- golden


@pytest.fixture(scope="module")
def published():
    """(golden outputs, model with the golden weights, its trace, gradients of the predicted logit)."""
    wanted = golden("vim_small_forward")
    model = VisionMamba(224, 16, 4, 16, 10)
    model.load_state_dict({key[3:]: value for key, value in wanted.items() if key.startswith("sd/")})
    model.requires_grad_(False).eval()
    trace = []
    logits = model(wanted["image"], trace)
    gradients = torch.autograd.grad(logits.max(), [layer.residual for layer in trace])
    return wanted, model, logits, trace, torch.stack(gradients)


def test_golden_forward(published):
    wanted, model, logits, trace, gradients = published
    torch.testing.assert_close(logits.detach(), wanted["logits"], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.features(wanted["image"]), wanted["cls_feature"], rtol=0, atol=1e-5)
    torch.testing.assert_close(gradients, wanted["residual_grads"], rtol=0, atol=1e-5)
    rows = hidden_rows(trace, 98, published=True).detach()
    torch.testing.assert_close(rows, wanted["xai_b"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("own", [False, True])
def test_golden_maps(published, own):
    wanted, _, _, trace, gradients = published
    hidden = hidden_rows(trace, 98, published=True).detach() if own else wanted["xai_b"]
    gradients = gradients if own else wanted["residual_grads"]
    found = mamba_maps(hidden, gradients, start_layer=1, class_position=98)
    for name, key in (("raw", "raw"), ("rollout", "rollout"), ("attribution", "mamba_attr")):
        torch.testing.assert_close(found[name], wanted[key], rtol=0, atol=1e-5)
    guarded = mamba_maps(hidden, gradients, start_layer=1, class_position=98, published=False)["rollout"]
    # No sum is near zero. Signs are kept: the published map has the positive scores alone.
    torch.testing.assert_close(guarded.clamp(min=0), wanted["rollout"], rtol=0, atol=1e-5)
    assert (guarded < 0).any()


def test_golden_hidden_attention():
    wanted = golden("hidden_mamba")
    delta = torch.nn.functional.softplus(wanted["delta"] + wanted["delta_bias"][:, None])
    direction = Direction(delta, wanted["A"], wanted["B"][:, 0], wanted["C"][:, 0])
    close = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(
        class_row(direction, 98, published=True), wanted["middle_vector_reference"], **close
    )
    torch.testing.assert_close(class_row(direction, 98).double(), wanted["matrix_exact_row98"], **close)
    matrix = mean_matrix(direction)
    torch.testing.assert_close(matrix[:, :12, :12], wanted["matrix_ref_first12"].mean(1), **close)
    torch.testing.assert_close(scan(direction, wanted["u"]), wanted["y_scan_noD"], **close)


def test_reconstruction_of_the_diffusion():
    """Against the specification's own reconstruction: there is no reference output."""
    wanted = golden("network_diffusion_RECONSTRUCTION")
    attention = wanted["att"]
    for kind, key in (("network_enhancement", "svd_ne"), ("pagerank", "svd_ppr"), ("heat", "svd_heat")):
        torch.testing.assert_close(diffusion.diffused(attention, kind), wanted[key], rtol=0, atol=1e-10)
        after = diffusion.spectra(attention)[kind]
        torch.testing.assert_close(after, wanted[f"{key}_sigma_out"], rtol=0, atol=1e-10)
    whole = diffusion.diffused(attention, "full_network_enhancement")
    torch.testing.assert_close(whole, wanted["network_enhancement"], rtol=0, atol=1e-10)
    transforms = {
        "plain": None, "svd_ne": diffusion.diffusion(), "network_enhancement": diffusion.diffusion("full_network_enhancement"),
    }  # fmt: skip
    for name, transform in transforms.items():
        product = rollout(attention[:, None], 15, transform=transform)[0]
        torch.testing.assert_close(product, wanted[f"rollout15_{name}"], rtol=0, atol=1e-10)


# ---------------------------------------------------------------------------------------- maps and diffusion


def test_published_rollout_in_closed_form():
    """(I + 1 a^T) / (1 + sum a), layer by layer."""
    hidden = torch.randn(3, 1, 4, 7, dtype=torch.float64) / 9
    rows = hidden.mean(2)[:, 0]
    product = torch.eye(7, dtype=torch.float64)
    for row in rows:
        product = (torch.eye(7) + torch.ones(7, 1) * row) / (1 + row.sum()) @ product
    gradients = torch.randn(3, 1, 7, 2, dtype=torch.float64)
    found = mamba_maps(hidden, gradients, start_layer=0, class_position=3)["rollout"]
    wanted = torch.cat([product[3, :3], product[3, 4:]]).clamp(min=0)
    torch.testing.assert_close(found[0], wanted)


def test_row_sums_near_zero_are_guarded():
    hidden = torch.full((1, 1, 2, 5), -0.2)  # 1 + sum of the row is 0
    gradients = torch.rand(1, 1, 5, 3)
    keys = {"start_layer": 0, "class_position": 2}
    assert mamba_maps(hidden, gradients, **keys)["rollout"].abs().max() > 1e6
    assert mamba_maps(hidden, gradients, published=False, **keys)["rollout"].abs().max() < 1e3


def test_maps_of_a_true_matrix_that_is_a_broadcast_row():
    """Where every row is the class token's, the two functions agree on the rollout."""
    hidden = torch.rand(3, 2, 4, 9, dtype=torch.float64)
    gradients = torch.randn(3, 2, 9, 5, dtype=torch.float64)
    keys = {"start_layer": 1, "class_position": 4}
    matrices = hidden.mean(2)[:, :, None].expand(-1, -1, 9, -1)
    found, wanted = mamba_maps_full(matrices, gradients, **keys), mamba_maps(hidden, gradients, **keys)
    torch.testing.assert_close(found["rollout"], wanted["rollout"])
    for values in (*found.values(), *wanted.values()):
        assert values.shape == (2, 8) and (values >= 0).all()


def test_corrected_maps_keep_their_sign():
    """One layer: the class token's row of (I + M) / sums, by hand, has negative scores; clamped, they would all be equal."""
    draw = torch.Generator().manual_seed(8)
    matrix = torch.randn(1, 1, 9, 9, generator=draw, dtype=torch.float64)
    gradients = torch.rand(1, 1, 9, 5, generator=draw, dtype=torch.float64)
    keys = {"start_layer": 0, "class_position": 4}
    row = matrix[0, 0, 4] + torch.eye(9, dtype=torch.float64)[4]
    wanted = torch.cat([row[:4], row[5:]]) / row.sum()
    found = mamba_maps_full(matrix, gradients, **keys)["rollout"][0]
    torch.testing.assert_close(found, wanted)
    assert 1 < (found < 0).sum() < 8
    published = mamba_maps_full(matrix, gradients, published=True, **keys)["rollout"][0]
    torch.testing.assert_close(published, wanted.clamp(min=0))


def test_wrong_shapes_of_maps():
    hidden, gradients = torch.rand(3, 2, 4, 9), torch.rand(3, 2, 8, 5)
    with pytest.raises(PlumblineError, match=r"gradients are \(3, 2, 8, 5\), expected .* \(3, 2, 9\) first"):
        mamba_maps(hidden, gradients, start_layer=0, class_position=4)
    with pytest.raises(
        PlumblineError, match="start_layer 3 or class_position 4 is beyond 3 layers, 9 tokens"
    ):
        mamba_maps(hidden, torch.rand(3, 2, 9, 5), start_layer=3, class_position=4)


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


def enhanced(given, alpha, order=2):
    """A port of Network_Enhancement.m (Wang et al. 2018) to NumPy, step by step."""
    eps = np.finfo(np.float64).eps

    def averaged(weights):
        weights = weights * len(weights)
        return weights / (np.abs(weights).sum(1, keepdims=True) + eps)

    neighbours = min(20, int(np.ceil(len(given) / 10)))
    linked = np.flatnonzero(np.abs(given * (1 - np.eye(len(given)))).sum(0) > 0)
    within = given[np.ix_(linked, linked)]
    weights = averaged(within)
    weights = (weights + weights.T) / 2
    degrees = np.abs(within).sum(0)
    kept = np.zeros_like(weights)
    for row, values in enumerate(np.abs(weights)):
        for place in np.argsort(-values, kind="stable")[: min(neighbours, len(weights) - 1)]:
            kept[row, place] = values[place]
    kept = (kept + kept.T) / 2 * np.sign(weights)
    kept = kept + np.eye(len(kept)) + np.diag(np.abs(kept.T).sum(0))
    fields = averaged(kept * len(kept))
    fields = fields / np.sqrt(np.abs(fields).sum(0) + eps)
    values, vectors = np.linalg.eigh(fields @ fields.T)
    values = values + eps
    values = (1 - alpha) * values / (1 - alpha * values**order)
    result = (vectors * values) @ vectors.T
    result = result * (1 - np.eye(len(result))) / (1 - np.diag(result))[:, None]
    result = np.diag(degrees) @ result
    result[result < 0] = 0
    whole = np.zeros_like(given)
    whole[np.ix_(linked, linked)] = (result + result.T) / 2
    return whole


def test_network_enhancement_by_the_published_program():
    """The port's numbers; alpha .9 as in the paper, now .8 there."""
    attention = golden("network_diffusion_RECONSTRUCTION")
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


def test_min_max_of_constants():
    assert not min_max(torch.full((2, 3), 7.0), (1,)).any()


# ------------------------------------------------------------------------------------------- transformer maps


def small_vit(**sizes):
    torch.manual_seed(4)
    network = RELEASED["vit_mnist"]["network"] | {"depth": 2, "embed_dim": 16, "heads": 4} | sizes
    return VisionTransformer(**network).requires_grad_(False).eval()


def test_transformer_maps_rederived():
    """Chefer et al. 2021, equations 13 and 14 without relevance: C = A1 ... AB with A = I + mean over heads of (gradient x
    attention)^+, rows as they are; their evaluation leaves the first layer out. In NumPy, double precision."""
    model, trace = small_vit(depth=4).double(), []
    logits = model(torch.randn(2, 1, 28, 28, dtype=torch.float64), trace)
    attentions = [attention for _, attention in trace]
    gradients = torch.autograd.grad(logits.max(1).values.sum(), attentions)
    stacked, slopes = torch.stack(attentions).detach(), torch.stack(gradients)
    found = image_maps.transformer_maps(
        stacked.mean(2), (slopes * stacked).clamp(min=0).mean(2), start_layer=0, class_position=0
    )
    layers = [
        np.maximum(attention.detach().numpy() * gradient.numpy(), 0).mean(1) + np.eye(17)
        for attention, gradient in zip(attentions, gradients, strict=True)
    ]
    for name, chosen in (("attribution", layers), ("attribution_published", layers[1:])):
        for image in range(2):
            row = np.eye(17)[0]
            for layer in reversed(chosen):
                row = row @ layer[image]
            np.testing.assert_allclose(found[name][image].numpy(), row[1:], rtol=1e-10)
    product = np.eye(17)
    for attention in attentions:
        mean = attention[0].detach().numpy().mean(0) + np.eye(17)
        product = mean / mean.sum(-1, keepdims=True) @ product
    np.testing.assert_allclose(found["rollout"][0].numpy(), product[0, 1:], rtol=1e-10)
    torch.testing.assert_close(found["raw"], torch.stack(attentions).mean((0, 2))[:, 0, 1:].detach())


def hidden_by_hand(direction, at=None):
    """M (batch, channels, tokens, tokens) of one direction from the definition; at: the row there as published, without the
    step's own factor and without the diagonal."""
    delta, A, B, C = (getattr(direction, name).detach().numpy() for name in ("delta", "A", "B", "C"))
    tokens = delta.shape[-1]
    found = np.zeros((*delta.shape, tokens))
    for i, j in itertools.product(range(tokens), repeat=2):
        if j > i or (at is not None and j == i):
            continue
        between = delta[..., j + 1 : i + (at is None)].sum(-1)[..., None]
        decay = np.exp(between * A) * delta[..., j, None]
        found[:, :, i, j] = (decay * (C[:, :, i] * B[:, :, j])[:, None]).sum(-1)
    return found if at is None else found[:, :, at]


def unit(values, axes):
    low, high = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    return (values - low) / (high - low)


def singular(matrix, change):
    """Rows over their sums where these are no zeros, singular values over the largest one changed, negative entries 0."""
    sums = matrix.sum(-1, keepdims=True)
    u, s, v = np.linalg.svd(matrix / np.where(np.abs(sums) < 1e-3, 1, sums))
    return np.maximum(u @ np.diag(change(s / s[0])) @ v, 0)


def rolled_by_hand(matrices, place, transform=None, divided=True):
    """The class token's row of the product of I + matrix of one image's layers, its own place left out."""
    product = np.eye(len(matrices[0]))
    for matrix in matrices:
        mixed = (matrix if transform is None else transform(matrix)) + np.eye(len(matrix))
        product = (mixed / mixed.sum(-1, keepdims=True) if divided else mixed) @ product
    return np.delete(product[place], place)


def diffused_by_hand(matrices, weighted, place, alpha):
    changes = {
        "normalised": lambda s: s,
        "diffused": lambda s: (1 - alpha) * s / (1 - alpha * s**2),
        "pagerank": lambda s: alpha * s / (1 - (1 - alpha) * s),
        "heat": lambda s: s * np.exp(-alpha * (1 - s)),
    }
    found = {
        f"rollout_{name}": rolled_by_hand(matrices, place, lambda m, f=change: singular(m, f))
        for name, change in changes.items()
    } | {
        f"attribution_{name}": rolled_by_hand(weighted, place, lambda m, f=changes[name]: singular(m, f))
        for name in ("normalised", "diffused")
    }
    return found | {"rollout_enhanced": rolled_by_hand(matrices, place, lambda m: enhanced(m, alpha))}


def vim_by_hand(trace, slopes, image, place, alpha):
    """Maps of one image by Vision Mamba, from layer 1 on."""
    tokens, rows, matrices = trace[0].residual.shape[1], [], []
    for layer in trace[1:]:
        row = (
            hidden_by_hand(layer.forward, place)
            + hidden_by_hand(layer.backward, tokens - 1 - place)[..., ::-1]
        )
        both = hidden_by_hand(layer.forward) + hidden_by_hand(layer.backward)[..., ::-1, ::-1]
        rows.append(row[image])
        matrices.append(both[image].mean(0))
    weight = [unit(np.maximum(slope[image], 0).max(-1), 0) for slope in slopes[1:]]
    weighted = [unit(np.maximum(m, 0), (0, 1)) * w for m, w in zip(matrices, weight, strict=True)]
    positive = [unit(np.maximum(row, 0), (0, 1)).mean(0) * w for row, w in zip(rows, weight, strict=True)]

    def broadcast(row):
        return np.tile(row, (tokens, 1))

    shown = [broadcast(row.mean(0)) for row in rows]
    found = {
        "raw": np.delete(np.mean([unit(m[place], 0) for m in matrices], 0), place),
        "raw_published": np.delete(np.mean([unit(row, (0, 1)).mean(0) for row in rows], 0), place),
        "rollout": rolled_by_hand(matrices, place), "attribution": rolled_by_hand(weighted, place),
        "rollout_published": np.maximum(rolled_by_hand(shown, place), 0),
        "attribution_published": rolled_by_hand([broadcast(row) for row in positive], place),
    }  # fmt: skip
    added = [matrix + np.eye(tokens) for matrix in shown]
    published = diffused_by_hand(added, added, place, alpha)
    found |= {
        f"rollout_{name}_published": published[f"rollout_{name}"] for name in ("normalised", "diffused")
    }
    return found | diffused_by_hand(matrices, weighted, place, alpha)


def vit_by_hand(trace, slopes, image, place, alpha):
    """Maps of one image by a Vision Transformer, from layer 1 on; the published attribution has that layer whatever is set."""
    means = [attention[image].detach().numpy().mean(0) for _, attention in trace]
    weighted = [
        np.maximum(attention[image].detach().numpy() * slope[image], 0).mean(0)
        for (_, attention), slope in zip(trace, slopes, strict=True)
    ]
    attributed = rolled_by_hand(weighted[1:], place, divided=False)
    return {
        "raw": np.delete(np.mean([mean[place] for mean in means[1:]], 0), place),
        "rollout": rolled_by_hand(means[1:], place), "attribution": attributed, "attribution_published": attributed,
    } | diffused_by_hand(means[1:], weighted[1:], place, alpha)  # fmt: skip


@pytest.mark.parametrize("architecture", ["vim", "vit"])
def test_every_map_is_what_its_name_says(architecture):
    """All maps of the registry, corrected and as published, from a trace alone: in NumPy, by the definitions."""
    vim = architecture == "vim"
    model = small_vim() if vim else small_vit(depth=3).double()
    if not vim:
        for layer in model.layers:
            layer.qkv.weight *= 8  # sharper attention, so that maps differ by more than rounding
    size = 12 if vim else 28
    draw = torch.Generator().manual_seed(5)
    images = torch.randn(2, 1, size, size, generator=draw, dtype=torch.float64)
    about, found, _ = image_maps.compute(model, images, start_layer=1, alpha=0.7, seeds=[11, 12])
    assert set(found) == set(image_maps.maps_of(architecture))
    trace, place, grid = [], model.class_position, model.grid
    inputs = images.clone().requires_grad_()
    logits = model(inputs, trace)
    assert about["target"].tolist() == logits.argmax(1).tolist()
    torch.testing.assert_close(about["probability"], logits.softmax(1).amax(1).detach())
    wanted = [layer.residual if vim else layer[1] for layer in trace]
    to_images, *slopes = torch.autograd.grad(logits.amax(1).sum(), [inputs, *wanted])
    product = (to_images * images)[:, 0].numpy()
    for image in range(2):
        by_hand = vim_by_hand if vim else vit_by_hand
        maps = by_hand(trace, [slope.numpy() for slope in slopes], image, place, 0.7)
        signed = product[image].reshape(grid, size // grid, grid, size // grid).sum((1, 3)).ravel()
        maps |= {"gradient_x_input_signed": signed, "gradient_x_input": np.abs(signed)}
        maps["random"] = np.random.default_rng(11 + image).random(grid**2, dtype=np.float32)
        centre = np.indices((grid, grid)) - (grid - 1) / 2
        maps["centre"] = -np.hypot(*centre).ravel()
        assert set(maps) == set(found)
        for name, values in maps.items():
            np.testing.assert_allclose(found[name][image].numpy(), values, rtol=1e-6, atol=1e-9, err_msg=name)
    # No two of them are alike, so that none can stand in another one's place.
    kept = {
        name: values[0].numpy() for name, values in found.items() if vim or name != "attribution_published"
    }
    for one, other in itertools.combinations(kept, 2):
        assert not np.allclose(kept[one], kept[other], rtol=1e-4), (one, other)


@pytest.mark.slow
@needs_mirror
def test_released_transformers():
    entry = RELEASED["vit_mnist"]
    model = VisionTransformer(**entry["network"]).eval()
    model.load_state_dict(released_weights("vit_mnist", Path(MIRROR) / entry["file"]))
    pictures, labels = arrays(load("mnist", "test", {"source": "mirror", "test": 1000}, mirror=MIRROR))
    facts = {"network": entry["network"], "mean": entry["mean"], "std": entry["std"]}
    from plumbline.models.image_models import correct_of

    assert correct_of(model, pictures, labels, facts) / 1000 >= 0.95
    with pytest.raises(PlumblineError, match="unknown released Vision Transformer 'vit'"):
        released_weights("vit", Path(MIRROR) / entry["file"])


def numpy_vit(arrays, image, heads):
    """vit_cifar10's forward pass in NumPy from its own names, by the mirror's vit_cifar10.config.json: attention and logits."""
    from scipy.special import erf, softmax

    def normed(x, name):
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    def linear(x, name):
        return x @ arrays[f"{name}.weight"].T + arrays[f"{name}.bias"]

    kernel, patches = arrays["patch_embedding.embed.weight"], []
    for top in range(0, 32, 4):
        for left in range(0, 32, 4):
            window = image[:, top : top + 4, left : left + 4]
            patches.append((kernel * window).sum((1, 2, 3)) + arrays["patch_embedding.embed.bias"])
    x = np.concatenate([arrays["cls_token"][0], patches]) + arrays["pos_embed"][0]
    for layer in range(4):
        name, attended = f"transformer_layers.{layer}", []
        read = normed(x, f"{name}.norm1") @ arrays[f"{name}.attention.in_proj_weight"].T
        read = read + arrays[f"{name}.attention.in_proj_bias"]
        query, key, value = np.split(read, 3, axis=-1)
        for head in range(heads):
            part = slice(16 * head, 16 * head + 16)
            attention = softmax(query[:, part] @ key[:, part].T / 4, axis=-1)
            attended.append(attention @ value[:, part])
        x = x + linear(np.concatenate(attended, -1), f"{name}.attention.out_proj")
        hidden = linear(normed(x, f"{name}.norm2"), f"{name}.mlp.0")
        x = x + linear(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, f"{name}.mlp.2")
    return attention, linear(normed(x[0], "out_head.0"), "out_head.1")


@needs_mirror
def test_vit_cifar10_is_run(tmp_path):
    """On photographs: logits and the last layer's attention are those of a forward pass written apart, and its maps exist."""
    from PIL import Image

    entry, path = RELEASED["vit_cifar10"], Path(MIRROR) / RELEASED["vit_cifar10"]["file"]
    model = VisionTransformer(**entry["network"]).eval().requires_grad_(False)
    model.load_state_dict(released_weights("vit_cifar10", path))
    facts = {name: entry[name] for name in ("network", "mean", "std")} | {
        "resize": 32,
        "interpolation": "bilinear",
    }
    rows = load("imagenet_samples", "test", {"test": 3}, mirror=MIRROR)
    ready = prepared(arrays(rows)[0], facts)
    # What the checkpoint's own description says: x / 255, nothing subtracted; of a picture that is not flat.
    about = read_json(Path(MIRROR) / "small_models" / "vit_cifar10.config.json")
    assert about["input_normalisation"] == "x/255"
    assert about["author_reported_test_accuracy"] == entry["accuracy"]
    folder = Path(MIRROR) / "imagenet_samples"
    names = [line.split("\t")[0] for line in (folder / "labels.tsv").read_text().splitlines()[1:4]]
    pictures = [as_torchvision(folder / "images" / name, 32, 32, Image.Resampling.BILINEAR) for name in names]
    shown = np.stack(pictures).transpose(0, 3, 1, 2) / 255
    assert (shown.std((1, 2, 3)) > 0.1).all()
    np.testing.assert_allclose(ready.numpy(), shown, atol=1e-6)
    trace = []
    found = model(ready, trace)
    with np.load(path) as arrays_of:
        weights = {name: arrays_of[name].astype(np.float64) for name in arrays_of.files}
    for image in range(3):
        attention, wanted = numpy_vit(weights, shown[image], heads=4)
        np.testing.assert_allclose(found[image].detach().numpy(), wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(trace[-1][1][image, -1].detach().numpy(), attention, atol=1e-5)
    about, maps, _ = image_maps.compute(model, ready, start_layer=0, alpha=0.9, seeds=[0, 1, 2])
    assert about["target"].tolist() == found.argmax(1).tolist()
    assert set(maps) == set(image_maps.maps_of("vit")) and all(
        values.isfinite().all() for values in maps.values()
    )


# ------------------------------------------------------------------------------------------------ checkpoints


def test_published_checkpoint_is_read_without_running_code(tmp_path):
    model = small_vim().float()
    options = argparse.Namespace(lr=0.1)
    torch.save({"model": model.state_dict(), "args": options, "epoch": 3}, tmp_path / "good.pth")
    weights = published_weights(tmp_path / "good.pth")
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    with open(tmp_path / "evil.pth", "wb") as file:
        pickle.dump({"model": Evil()}, file)
    torch.save({"model": {}, "bad": Evil()}, tmp_path / "worse.pth")
    for name in ("evil.pth", "worse.pth"):
        with pytest.raises(PlumblineError, match=f"{name} is not read: it holds more than tensors"):
            published_weights(tmp_path / name)
    assert not (tmp_path / "ran").exists()
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(PlumblineError, match="has no 'model'"):
        published_weights(tmp_path / "list.pth")


BLOCK = {
    "architecture": "vim", "source": "scratch", "released": None, "repo": None, "image_size": 16, "patch_size": 4,
    "channels": 1, "classes": 10, "depth": 2, "embed_dim": 8, "d_state": 2,
    "training": {"epochs": 1, "batch_size": 64, "learning_rate": 1e-2, "weight_decay": 0.0, "warmup": 0.2},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with two splits of digits, a Vim trained on them for one epoch, its maps and their faithfulness."""
    root = tmp_path_factory.mktemp("vision")
    for split in ("train", "test"):
        rows = load("digits", split, {"train": 320, "test": 60})
        write_rows(root / f"{split}.parquet", rows, kind=schema_of("digits"))
    make(root)
    return root


def make(root, name="a", **changes):
    folder = root / name
    outputs = {key: folder / file for key, file in
               (("weights", "model.safetensors"), ("architecture", "config.json"), ("metrics", "metrics.json"))}  # fmt: skip
    train_job(
        dataset="digits", model="vim", seed=0, block=BLOCK | changes, labels=True,
        files={"train": root / "train.parquet", "test": root / "test.parquet"}, outputs=outputs,
    )  # fmt: skip
    explain(folder, root / "test.parquet")
    return folder


def explain(folder, data, images=20, shard=None, maps=None):
    image_maps.write_maps(
        dataset="digits", model=folder, data=data, output=folder / "maps.parquet", spectra=folder / "spectra.parquet",
        images=images, gallery=3, start_layer=None, alpha=0.9, name="vim/seed0", shard=shard,
    )  # fmt: skip
    patches.write_patch_faithfulness(
        model=folder, maps=maps or folder / "maps.parquet", data=data, output=folder / "patches.parquet", images=images - 2,
        fills=["black", "mean"], ink=True, shard=shard,
    )  # fmt: skip


@pytest.mark.slow
def test_stages_write_sound_files(trained):
    for name in ("maps", "spectra", "patches"):
        assert check_file(trained / "a" / f"{name}.parquet") == []
    maps = read_rows(trained / "a" / "maps.parquet")
    assert list(maps["id"]) == list(range(20)) and set(maps["height"]) == {4}
    assert {name.removeprefix("scores_") for name in maps if name.startswith("scores_")} == set(
        image_maps.maps_of("vim")
    )
    assert len(read_rows(trained / "a" / "spectra.parquet")) == 3 * 2
    metrics = read_json(trained / "a" / "metrics.json")
    assert metrics["examples"] == 60 and len(metrics["loss_curve"]) >= 5
    assert metrics["loss_curve"][-1]["loss"] < metrics["loss_curve"][0]["loss"]


@pytest.mark.slow
def test_pixels_are_scaled_by_the_training_images_a_channel_each(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, [100, 180, 256], (8, 16, 16, 3)).astype(np.uint8)
    rows = frame_of(images, np.arange(8)).assign(id=np.arange(8))
    write_rows(tmp_path / "train.parquet", rows, kind="images")
    outputs = {key: tmp_path / key for key in ("weights", "architecture", "metrics")}
    block = BLOCK | {"channels": 3, "training": BLOCK["training"] | {"batch_size": 8}}
    files = {"train": tmp_path / "train.parquet"}
    train_job(dataset="digits", model="m", seed=0, block=block, labels=False, files=files, outputs=outputs)
    facts, pixels = read_json(outputs["architecture"]), images.reshape(-1, 3) / 255
    assert facts["mean"] == pytest.approx(pixels.mean(0), abs=5.1e-5)
    assert facts["std"] == pytest.approx(pixels.std(0), abs=5.1e-5)


@pytest.mark.slow
def test_same_bytes_again(trained):
    again = make(trained, "b")
    for file in sorted(again.iterdir()):
        assert file.read_bytes() == (trained / "a" / file.name).read_bytes(), file.name


@pytest.mark.slow
def test_maps_do_not_depend_on_how_many_are_explained(trained, tmp_path):
    for file in (trained / "a").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    explain(tmp_path, trained / "test.parquet", images=7)
    few, many = (read_rows(folder / "maps.parquet") for folder in (tmp_path, trained / "a"))
    for name in few.columns:
        for one, other in zip(few[name], many[name].head(7), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_perturbation_is_what_a_plain_loop_gives(trained):
    """One image and map: patches set to black in pixel space, one forward pass a share."""
    from plumbline.models.image_models import load as load_model

    model, facts = load_model(trained / "a")
    maps = read_rows(trained / "a" / "maps.parquet").iloc[2]
    found = read_rows(trained / "a" / "patches.parquet")
    row = found[(found["id"] == 2) & (found["map"] == "rollout") & (found["fill"] == "black")]
    row = row[row["protocol"] == "patches"].iloc[0]
    assert row["tied"] == 0 and min(maps["scores_rollout"]) < 0  # signed scores are in one order alone
    pictures, labels = arrays(read_rows(trained / "test.parquet"))
    ready = prepared(pictures[2:3], facts) * facts["std"][0] + facts["mean"][0]
    order = sorted(range(16), key=lambda patch: -maps["scores_rollout"][patch])
    for point, share in enumerate(np.arange(10) / 10):
        pixels = ready.clone()
        for patch in order[: round(share * 16)]:
            top, left = 4 * (patch // 4), 4 * (patch % 4)
            pixels[0, 0, top : top + 4, left : left + 4] = 0
        with torch.no_grad():
            answer = model((pixels - facts["mean"][0]) / facts["std"][0]).softmax(-1)[0]
        assert row["positive_correct"][point] == (int(answer.argmax()) == labels[2])
        assert row["positive_probability"][point] == pytest.approx(answer[maps["target"]].item(), abs=1e-5)
    assert row["positive_auc"] == pytest.approx(np.trapezoid(row["positive_correct"], dx=1 / 9))


def bilinear(scores, size):
    """A map enlarged by hand: pixel centres among patch centres, beyond the last ones constant."""
    grid = int(len(scores) ** 0.5)
    places = np.clip((np.arange(size) + 0.5) * grid / size - 0.5, 0, grid - 1)
    low = np.minimum(places.astype(int), grid - 2)
    weight = places - low
    values = np.asarray(scores, dtype=np.float64).reshape(grid, grid)
    rows = values[low] * (1 - weight)[:, None] + values[low + 1] * weight[:, None]
    return rows[:, low] * (1 - weight) + rows[:, low + 1] * weight


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rollout", "gradient_x_input", "random"])
def test_chefers_protocol_is_what_a_plain_loop_gives(trained, name):
    """Pixels of the enlarged map are 0 before normalisation, at shares .1 to .9; wherever no tie is cut."""
    from plumbline.models.image_models import load as load_model

    model, facts = load_model(trained / "a")
    maps = read_rows(trained / "a" / "maps.parquet").iloc[2]
    found = read_rows(trained / "a" / "patches.parquet")
    row = found[(found["id"] == 2) & (found["map"] == name) & (found["protocol"] == "chefer")].iloc[0]
    assert row["fill"] == "black" and len(row["positive_correct"]) == 9
    pictures, labels = arrays(read_rows(trained / "test.parquet"))
    pixels = prepared(pictures[2:3], facts) * facts["std"][0] + facts["mean"][0]
    enlarged = bilinear(maps[f"scores_{name}"], 16).ravel()
    np.testing.assert_allclose(patches.enlarged(maps[f"scores_{name}"], 16), enlarged, rtol=1e-5, atol=1e-7)
    compared = 0
    for kind, sign in (("positive", -1), ("negative", 1)):
        order = np.argsort(sign * enlarged, kind="stable")
        for point in range(9):
            count = int(256 * (point + 1) / 10)
            if np.isclose(enlarged[order[count - 1]], enlarged[order[count]], rtol=1e-4):
                continue
            black = pixels.clone()
            black.view(-1)[torch.from_numpy(order[:count].copy())] = 0
            with torch.no_grad():
                answer = model((black - facts["mean"][0]) / facts["std"][0]).softmax(-1)[0]
            assert row[f"{kind}_correct"][point] == (int(answer.argmax()) == labels[2])
            assert row[f"{kind}_probability"][point] == pytest.approx(answer[maps["target"]].item(), abs=1e-5)
            compared += 1
        # Over its range: .1 to .9.
        area = np.trapezoid(row[f"{kind}_correct"], dx=0.1)
        assert row[f"{kind}_auc"] == pytest.approx(area / 0.8)
    assert compared >= 9


@pytest.mark.slow
def test_tied_patches_go_in_random_orders(trained):
    """A published map is clamped; the mean over orders drawn apart is what stands in the file, and the share of ties."""
    maps = read_rows(trained / "a" / "maps.parquet")
    found = read_rows(trained / "a" / "patches.parquet").set_index(["id", "map", "protocol", "fill"])
    names = [name for name in image_maps.maps_of("vim") if f"scores_{name}" in maps]
    for row in maps.head(5).itertuples():
        for name in names:
            scores = list(getattr(row, f"scores_{name}"))
            tied = np.mean([scores.count(score) > 1 for score in scores])
            assert found.loc[(row.Index, name, "patches", "mean"), "tied"] == pytest.approx(tied)
    clamped = [name for name in names if (np.stack(maps[f"scores_{name}"]) == 0).sum(1).max() > 1]
    assert "rollout_published" in clamped and "rollout" not in clamped


def test_ties_have_no_silent_order():
    """Of equal scores every patch goes first equally often, whatever the direction; before, patch 0 went first in both."""
    found = {kind: [] for kind in patches.KINDS}
    for seed in range(400):
        for kind, order in patches.orders(np.zeros(8), seed=seed).items():
            found[kind].append(order[0, 0])
    for firsts in found.values():
        assert np.bincount(firsts, minlength=8).min() > 25  # 50 on average
    again = patches.orders(np.zeros(8), seed=3, draws=3)
    assert again["positive"].shape == (3, 8) and len({tuple(order) for order in again["positive"]}) == 3
    np.testing.assert_array_equal(again["positive"], patches.orders(np.zeros(8), seed=3, draws=3)["positive"])


def test_auc_and_masks():
    assert patches.auc([1, 1, 1]) == 1 and patches.auc([1, 0]) == 0.5
    order = patches.orders(np.array([0.1, 0.8, 0.7, 0.2]), seed=0)
    assert order["positive"].tolist() == [[1, 2, 3, 0]] and order["negative"].tolist() == [[0, 3, 2, 1]]
    gone = patches.masks(order["positive"][0])
    assert gone.shape == (10, 4) and not gone[0].any() and list(gone[5]) == [False, True, True, False]
    gone = patches.masks(np.arange(784), "chefer")
    assert gone.sum(1).tolist() == [78, 156, 235, 313, 392, 470, 548, 627, 705]
    assert patches.shares("chefer") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_fills_by_hand():
    """Mean: 0 after normalisation; black: 0 before it, channel by channel; what is gone takes the fill, the rest stays."""
    facts = {"mean": [0.1, 0.5, 0.9], "std": [0.2, 0.25, 0.3]}
    black = patches.fill_value("black", facts)
    assert patches.fill_value("mean", facts).tolist() == [0, 0, 0]
    assert (black * torch.tensor(facts["std"]) + torch.tensor(facts["mean"])).abs().max() < 1e-6
    images, gone = torch.rand(2, 3, 8, 8) + 1, np.zeros((2, 16), dtype=bool)
    gone[0, 6] = gone[1, [0, 15]] = True
    found = patches.filled(images, gone, black)
    wanted = images.clone()
    wanted[0, :, 2:4, 4:6] = wanted[1, :, :2, :2] = wanted[1, :, 6:, 6:] = black[:, None, None]
    assert torch.equal(found, wanted)


def test_orders_of_ties_by_hand():
    """Several where patches are tied, one of a control; drawn by the image and the protocol, the least relevant last to first."""
    assert patches.auc([1, 0, 0]) == 0.25
    draws = patches._draws
    assert [draws("rollout_published", 0.5), draws("rollout_published", 0.0), draws("random", 0.5)] == [
        3,
        1,
        1,
    ]
    scores = np.array([0.5] * 8 + [0.1] * 8)
    gone = [patches._gone(scores, "patches", 16, image, 3) for image in (0, 1)]
    assert gone[0].shape == (2, 3, 10, 16)
    for kind, draw in itertools.product((0, 1), range(3)):
        first, half = gone[0][kind, draw, 1], gone[0][kind, draw, 5]
        assert half.tolist() == [kind == 0] * 8 + [kind == 1] * 8 and first.sum() == 2
        # From the other end, the order is the same one.
        assert (gone[0][0, draw, 5] ^ gone[0][1, draw, 5]).all()
    orders = {tuple(gone[image][0, draw, 1]) for image in (0, 1) for draw in range(3)}
    assert len(orders) > 3
    assert not np.array_equal(gone[0][0], gone[1][0])


@pytest.mark.slow
def test_shards_change_no_byte_and_a_block_is_in_memory(trained, tmp_path, monkeypatch):
    from plumbline.artefacts import gather_rows
    from plumbline.models import image_models

    seen = []
    monkeypatch.setattr(
        image_models, "prepared", lambda images, facts: seen.append(len(images)) or prepared(images, facts)
    )
    for number in (0, 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("config.json", "model.safetensors"):
            (folder / name).write_bytes((trained / "a" / name).read_bytes())
        explain(folder, trained / "test.parquet", shard=(number, 2), maps=trained / "a" / "maps.parquet")
    assert 0 < max(seen) <= image_maps.BLOCK
    for name, kind in (("maps", "maps"), ("spectra", "spectra"), ("patches", "patch_faithfulness")):
        gather_rows(tmp_path / "whole", [tmp_path / number / f"{name}.parquet" for number in "01"], kind=kind)
        assert (tmp_path / "whole").read_bytes() == (trained / "a" / f"{name}.parquet").read_bytes(), name
    with pytest.raises(PlumblineError, match="20 examples, in blocks of 8, are too few for 4 shards"):
        explain(folder, trained / "test.parquet", shard=(0, 4))


def test_ink_metrics():
    ink = np.array([True, True, False, False])
    perfect = patches.ink_metrics(np.array([0.9, 0.8, 0.0, 0.0]), ink)
    assert perfect == {"ink_precision": 1.0, "ink_mass": 1.0, "ink_pointing": 1.0}
    wrong = patches.ink_metrics(np.array([0.0, 0.0, 1.0, 1.0]), ink)
    assert wrong["ink_mass"] == wrong["ink_pointing"] == 0 and wrong["ink_precision"] == pytest.approx(0.5)
    assert patches.ink_metrics(np.zeros(4), ink)["ink_mass"] == 0.5
    assert patches.ink_metrics(np.ones(4), np.ones(4, dtype=bool))["ink_precision"] is None
    signed = patches.ink_metrics(np.array([-1.0, 1.0, -1.0, -1.0]), ink)
    assert signed["ink_mass"] == 1.0


@pytest.mark.slow
def test_ink_of_the_file_is_of_the_bright_patches(trained):
    """A patch is ink where its pixels are above a fifth of white on average, in the pixels of the file itself."""
    from plumbline.models.image_models import load as load_model

    _, facts = load_model(trained / "a")
    maps = read_rows(trained / "a" / "maps.parquet")
    found = read_rows(trained / "a" / "patches.parquet")
    pictures, _ = arrays(read_rows(trained / "test.parquet"))
    pixels = (prepared(pictures[:18], facts) * facts["std"][0] + facts["mean"][0])[:, 0].numpy()
    compared = set()
    for row in found.drop_duplicates(["id", "map"]).itertuples():
        means = (
            pixels[row.id].reshape(4, 4, 4, 4).mean((1, 3)).ravel()
        )  # patch row, pixel row, patch column, pixel column
        if np.abs(means - 0.2).min() < 1e-4:
            continue  # a fifth up to rounding
        light = means > 0.2
        assert 0 < light.sum() < 16
        compared.add(row.id)
        scores = np.asarray(maps[f"scores_{row.map}"][row.id])
        assert row.ink_share == pytest.approx(light.mean())
        assert row.ink_pointing == pytest.approx(light[scores == scores.max()].mean())
    assert len(compared) >= 9


# ------------------------------------------------------------------------------------------------------- data


def test_digits_are_divided_once():
    found = {split: load("digits", split, {}) for split in ("train", "validation", "test")}
    assert [len(frame) for frame in found.values()] == [1295, 143, 359]
    keys = [{bytes(row) for row in frame["pixels"]} for frame in found.values()]
    assert not (keys[0] & keys[1]) and not (keys[0] & keys[2]) and not (keys[1] & keys[2])
    images, labels = arrays(found["test"])
    assert images.shape == (359, 8, 8, 1) and images.max() == 255 and set(labels) == set(range(10))


def test_a_rows_pixels_are_its_image(tmp_path):
    """A gradient down, across and over the channels comes back upright, alone and beside another."""
    down, across, channel = np.meshgrid(np.arange(5), np.arange(3), np.arange(2), indexing="ij")
    image = (40 * down + 10 * across + channel).astype(np.uint8)
    rows = frame_of([image, image[::-1]], [4, 7]).assign(id=[0, 1])
    write_rows(tmp_path / "test.parquet", rows, kind="images")
    images, labels = arrays(read_rows(tmp_path / "test.parquet"))
    assert images.shape == (2, 5, 3, 2) and labels.tolist() == [4, 7]
    assert images[0, 4, 1].tolist() == [170, 171] and images[0, 1, 2].tolist() == [60, 61]
    np.testing.assert_array_equal(images[1], image[::-1])


@needs_mirror
def test_mnist_and_samples_from_the_mirror():
    images, labels = arrays(load("mnist", "test", {"source": "mirror"}, mirror=MIRROR))
    assert images.shape == (10000, 28, 28, 1) and np.bincount(labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # fmt: skip
    samples = load("imagenet_samples", "test", {"size": 64, "test": 5}, mirror=MIRROR)
    assert arrays(samples)[0].shape == (5, 64, 64, 3) and samples["name"][0] == "tench"


def test_broken_pictures(tmp_path):
    import gzip

    path = tmp_path / "images.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(PlumblineError, match="is no gzip file"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + (9).to_bytes(4, "big") + b"abc"))
    with pytest.raises(PlumblineError, match=r"holds 3 values, its header says \(9,\)"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x0d\x01"))
    with pytest.raises(PlumblineError, match="is no IDX file"):
        read_idx(path)
    with pytest.raises(PlumblineError, match="is no picture"):
        read_picture(io.BytesIO(b"nothing"), 8)


def test_imagenet_from_a_parquet_file(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((30, 40, 3), 100, dtype=np.uint8)).save(buffer, format="PNG")
    (tmp_path / "imagenet").mkdir()
    items = [{"bytes": buffer.getvalue(), "path": "x.png"}, {"bytes": None, "path": "y.png"}]
    table = pa.table({"image": items, "label": [7, 8]})
    pq.write_table(table, tmp_path / "imagenet" / "validation.parquet")
    frame = load("imagenet", "test", {"test": 1, "size": 16}, downloads=tmp_path)
    images, labels = arrays(frame)
    assert images.shape == (1, 16, 16, 3) and (images == 100).all() and labels.tolist() == [7]
    with pytest.raises(PlumblineError, match="row 1 of .* holds no picture"):
        load("imagenet", "test", {"size": 16}, downloads=tmp_path)


# ------------------------------------------------------------------------------------- pictures and preparation


def as_torchvision(path, size, resize, filter):
    """Resize(resize), CenterCrop(size) by torchvision's documented rule: int(resize * long / short), offset round(x / 2)."""
    from PIL import Image

    with Image.open(path) as picture:
        picture = picture.convert("RGB")
    short, long = sorted(picture.size)
    sides = (resize, int(resize * long / short))
    width, height = sides if picture.size[0] == short else sides[::-1]
    pixels = np.asarray(picture.resize((width, height), filter))
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return pixels[top : top + size, left : left + size]


@pytest.mark.slow
@needs_mirror
@pytest.mark.parametrize(("resize", "interpolation"), [(224, "bilinear"), (256, "bicubic"), (235, "bicubic")])
def test_all_photographs_are_prepared_as_torchvision_does(resize, interpolation, tmp_path):
    """All 53, as the data stage keeps them and the model reads them; at other sizes the crop's rounding shows."""
    from PIL import Image

    filter = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    folder = Path(MIRROR) / "imagenet_samples"
    names = [line.split("\t")[0] for line in (folder / "labels.tsv").read_text().splitlines()[1:]]
    wanted = [as_torchvision(folder / "images" / name, 224, resize, filter) for name in names]
    assert len(wanted) == 53
    for name, pixels in zip(names, wanted, strict=True):
        found = read_picture(folder / "images" / name, 224, resize=resize, interpolation=interpolation)
        np.testing.assert_array_equal(found, pixels, err_msg=name)
    rows = load("imagenet_samples", "test", {}, mirror=MIRROR)
    write_rows(tmp_path / "test.parquet", rows, kind="images")
    facts = {"network": {"image_size": 224}, "resize": resize, "interpolation": interpolation, **IMAGENET}
    blocks = list(stream_images(tmp_path / "test.parquet", 20))
    assert [len(images) for images, _ in blocks] == [20, 20, 13]
    ready = torch.cat([prepared(images, facts) for images, _ in blocks])
    scaled = torch.from_numpy(np.stack(wanted)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(IMAGENET[key])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(ready, (scaled - mean) / std)


def encoded(array, mode=None, kind="PNG", **options):
    from PIL import Image

    buffer = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_sixteen_bits_of_grey_keep_their_scale():
    """0..65535 is 0..255: divided by 257, then reduced; a plain conversion to RGB cuts everything above 255."""
    ramp = np.broadcast_to(np.linspace(0, 65535, 64).astype(np.uint16), (64, 64))
    found = read_picture(encoded(np.ascontiguousarray(ramp)), 8)
    assert found[0, :, 0].tolist() == [17, 46, 78, 111, 143, 176, 208, 237]
    assert (found == found[:1, :, :1]).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_pictures_of_every_mode_show_their_colours(mode):
    """A picture of black and white, in whatever mode: black and white."""
    wanted = np.zeros((4, 4, 3), dtype=np.uint8)
    wanted[:, 2:] = 255
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    np.testing.assert_array_equal(read_picture(encoded(wanted, mode, kind)), wanted)


def test_pictures_without_one_meaning_are_refused():
    from PIL import Image

    clear = np.full((4, 4, 4), 200, dtype=np.uint8)
    clear[0, 0, 3] = 90
    palette = Image.fromarray(clear[..., :3]).convert("P")
    grey = Image.fromarray(clear[..., 0])
    for content, match in (
        (encoded(clear), "has transparent pixels"),
        (encoded(grey, "LA"), None),
        (encoded(clear, "LA"), "has transparent pixels"),
        (encoded(palette, transparency=palette.getpixel((0, 0))), "has transparent pixels"),
        (encoded(grey, transparency=200), "has transparent pixels"),
        (encoded(np.ones((4, 4), dtype=np.int32), kind="TIFF"), "has 32 bits a pixel"),
        (encoded(np.ones((4, 4), dtype=np.float32), kind="TIFF"), "has 32 bits a pixel"),
        (encoded(clear[..., :3])[:-40], "is no picture"),
    ):
        if match is None:
            assert read_picture(content).shape == (4, 4, 3)
            continue
        with pytest.raises(PlumblineError, match=f"a file {match}"):
            read_picture(content, where="a file")


def test_pictures_above_the_limit_of_pillow(monkeypatch):
    from PIL import Image

    content = encoded(np.zeros((20, 30, 3), dtype=np.uint8))
    for limit in (500, 200):  # Pillow warns of the first, and refuses the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(PlumblineError, match=f"a file is above Pillow's limit of {limit} pixels"):
            read_picture(content, 8, where="a file")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(PlumblineError, match="3 x 300 pixels is too long to be resized"):
        read_picture(encoded(np.zeros((300, 3), dtype=np.uint8)), 64)
    with pytest.raises(PlumblineError, match="resized to 8 pixels holds no crop of 9"):
        read_picture(content, 9, resize=8)


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("dataset", ["imagenet", "cifar10"])
def test_a_bad_picture_or_label_in_a_parquet_file_names_its_row(tmp_path, dataset, size):
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, column = {"imagenet": ("validation", "image"), "cifar10": ("test", "img")}[dataset]
    block = {"size": size} if dataset == "imagenet" else {}
    (tmp_path / dataset).mkdir()
    good = encoded(np.full((32, 32, 3), 7, dtype=np.uint8))
    bad = encoded(np.full((32, 32, 4), 7, dtype=np.uint8))
    for second, labels, match in (
        ({"bytes": good[:50]}, [1, 2], "row 1 of .* is no picture"),
        ({"bytes": bad}, [1, 2], "row 1 of .* has transparent pixels"),
        ({"bytes": None}, [1, 2], "row 1 of .* holds no picture"),
        ({"bytes": good}, ["1", "cat"], "column 'label' of .* not whole numbers"),
        ({"bytes": good}, [1, None], "row 1 of .* has no label"),
        ({"bytes": good}, [1, 1000], "row 1 of .* has the label 1000"),
    ):
        table = pa.table({column: [{"bytes": good}, second], "label": labels})
        pq.write_table(table, tmp_path / dataset / f"{name}.parquet")
        with pytest.raises(PlumblineError, match=match):
            load(dataset, "test", {"source": "hub", **block}, downloads=tmp_path)


def test_mnist_of_unlike_files(tmp_path):
    import gzip

    from plumbline.datasets.mnist import NAMES

    def idx(*shape):
        head = b"\0\0\x08" + bytes([len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)
        return gzip.compress(head + bytes(int(np.prod(shape))))

    (tmp_path / "mnist").mkdir()
    for images, labels, match in (
        ((3, 28, 28), (2,), "has 3 images, .* 2 labels"),
        ((2,), (2, 28, 28), "is it the other file"),
    ):
        (tmp_path / "mnist" / NAMES["test_images"]).write_bytes(idx(*images))
        (tmp_path / "mnist" / NAMES["test_labels"]).write_bytes(idx(*labels))
        with pytest.raises(PlumblineError, match=match):
            load("mnist", "test", {"source": "url"}, downloads=tmp_path)
    for content in (b"\0\0\x08", b"\0\0\x08\x03\0\0"):
        (tmp_path / "x.gz").write_bytes(gzip.compress(content))
        with pytest.raises(PlumblineError, match="is no IDX file"):
            read_idx(tmp_path / "x.gz")


@needs_mirror
def test_class_names_are_those_of_the_mirror():
    from plumbline.datasets import DATASETS

    lines = (Path(MIRROR) / "imagenet_samples/imagenet1k_classes.tsv").read_text().splitlines()[1:]
    names = tuple(line.split("\t")[2] for line in lines)
    assert len(names) == 1000
    assert DATASETS["imagenet"].label_names == DATASETS["imagenet_samples"].label_names == names


@pytest.mark.parametrize(("old", "new"), [(8, 8), (5, 8), (9, 4)])
def test_square_pictures_are_scaled_and_standardised_by_hand(old, new):
    """Each side by the triangle filter, as wide as a pixel of the coarser grid; then a channel's own mean and deviation."""
    images = np.random.default_rng(old).integers(0, 256, (2, old, old, 3), dtype=np.uint8)
    centres = (np.arange(new) + 0.5) * old / new
    away = np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(1, old / new)
    filter = np.maximum(1 - away, 0)
    filter /= filter.sum(1, keepdims=True)
    facts = {"network": {"image_size": new}, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    scaled = np.einsum("ia,jb,nabc->nijc", filter, filter, images / 255)
    want = ((scaled - facts["mean"]) / facts["std"]).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(prepared(images, facts).numpy(), want, atol=1e-5)


def test_photographs_need_to_be_cut():
    facts = {"network": {"image_size": 8}, **IMAGENET}
    with pytest.raises(PlumblineError, match="an image of 12 x 9 pixels has to be cut .* `resize`"):
        prepared(np.zeros((2, 9, 12, 3), dtype=np.uint8), facts)
    with pytest.raises(PlumblineError, match="has to be cut to a square"):
        prepared([np.zeros((9, 9, 3), dtype=np.uint8), np.zeros((8, 8, 3), dtype=np.uint8)], facts)


@pytest.mark.slow
def test_a_checkpoint_must_reach_its_published_accuracy(trained, monkeypatch, tmp_path):
    """The upper end of Wilson's interval at 99.8%, by its own formula, must reach what is published."""
    from plumbline.models import image_models, published

    correct, total = 660, 1000
    z, share = 3.0902323, correct / total
    upper = (share + z * z / 2 / total + z * np.sqrt(share * (1 - share) / total + z * z / 4 / total**2)) / (
        1 + z * z / total
    )
    assert 0.04 < upper - share < 0.05
    published.reach_published(correct, total, upper - 1e-6, "x")
    published.reach_published(correct, total, None, "x")
    with pytest.raises(PlumblineError, match="x: accuracy 0.660 on 1000 examples .* but 0.710 is published"):
        published.reach_published(correct, total, 0.71, "x")
    torch.save(
        {"model": small_vim(image_size=16, patch_size=4, classes=10).float().state_dict()},
        tmp_path / "vim.pth",
    )
    block = BLOCK | {"source": "hub", "depth": 3, "d_state": 3, "published_accuracy": 0.761}
    monkeypatch.setattr(image_models, "IMAGENET", {"mean": [0.5], "std": [0.5]})
    files = {"weights": tmp_path / "w", "architecture": tmp_path / "a", "metrics": tmp_path / "m"}
    about = {
        "dataset": "digits",
        "model": "vim",
        "seed": 0,
        "labels": True,
        "checkpoint": tmp_path / "vim.pth",
    }
    with pytest.raises(
        PlumblineError, match="vim on digits: accuracy .* but 0.761 is published: check revision"
    ):
        train_job(**about, block=block, files={"test": trained / "test.parquet"}, outputs=files)
    assert not files["metrics"].exists()
    train_job(
        **about,
        block=block | {"published_accuracy": None},
        files={"test": trained / "test.parquet"},
        outputs=files,
    )
    assert read_json(files["metrics"])["published_accuracy"] is None


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_checkpoint_reads_pictures_as_its_block_says(interpolation, monkeypatch, tmp_path):
    """Resized and cut as in the configuration: a picture of 24 x 31 becomes 20 x int(25.8), then 16 x 16 from (2, 4) on."""
    from PIL import Image

    from plumbline.models import image_models

    weights = small_vim(image_size=16, patch_size=4, classes=10).float().state_dict()
    torch.save({"model": weights}, tmp_path / "vim.pth")
    monkeypatch.setattr(image_models, "IMAGENET", {"mean": [0.5], "std": [0.25]})
    block = BLOCK | {"source": "hub", "depth": 3, "d_state": 3, "resize": 20, "interpolation": interpolation}
    files = {key: tmp_path / key for key in ("weights", "architecture", "metrics")}
    train_job(
        dataset="digits", model="vim", seed=0, block=block, labels=False, checkpoint=tmp_path / "vim.pth", files={},
        outputs=files,
    )  # fmt: skip
    picture = np.random.default_rng(0).integers(0, 256, (31, 24), dtype=np.uint8)
    filter = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[interpolation]
    cut = np.asarray(Image.fromarray(picture).resize((20, 25), filter))[4:20, 2:18]
    ready = prepared(picture[None, ..., None], read_json(files["architecture"]))
    np.testing.assert_allclose(ready[0, 0].numpy(), (cut / 255 - 0.5) / 0.25, atol=1e-6)


def test_channels_must_fit():
    facts = {"network": {"image_size": 8}, "mean": [0.5], "std": [0.5]}
    frame = frame_of(np.zeros((1, 8, 8, 3), dtype=np.uint8), [0])
    with pytest.raises(PlumblineError, match="the images have 3 channels, the model reads 1"):
        prepared(arrays(frame)[0], facts)


# ------------------------------------------------------------------------------------- verdicts, by made-up numbers


def made_table(folder, means, repo, seeds=(0,), images=200):
    """The table of images whose accuracies are drawn around known means: map -> (relevant first, irrelevant first)."""
    from plumbline.artefacts import write_json
    from plumbline.tables import network_diffusion

    inputs = {"image_models": [], "patch_faithfulness": []}
    for seed in seeds:
        draw = np.random.default_rng(seed)
        about = {"dataset": "imagenet", "model": "vim", "seed": seed, "method": None}
        facts = {
            "architecture": "vim",
            "source": "hub",
            "repo": repo,
            "epochs": 0,
            "dataset": "imagenet",
            "model": "vim",
        }
        (folder / str(seed)).mkdir()
        write_json(folder / str(seed) / "metrics.json", facts | {"seed": seed})
        shared, rows = draw.normal(0, 0.2, images), []
        for name, (positive, negative) in means.items():
            for image in range(images):
                noise = shared[image] + draw.normal(0, 0.02, 2)
                cells = {"id": image, "map": name, "protocol": "chefer", "fill": "black", "tied": 0.25}
                for kind, value in (("positive", positive + noise[0]), ("negative", negative + noise[1])):
                    curves = {f"{kind}_correct": [1.0] * 9, f"{kind}_probability": [1.0] * 9}
                    cells |= curves | {f"{kind}_auc": value, f"{kind}_probability_auc": value}
                rows.append(cells)
        columns = {key: [row[key] for row in rows] for key in rows[0]}
        write_rows(folder / str(seed) / "maps.parquet", columns, kind="patch_faithfulness")
        inputs["image_models"].append(about | {"path": folder / str(seed) / "metrics.json"})
        inputs["patch_faithfulness"].append(about | {"path": folder / str(seed) / "maps.parquet"})
    options = {"scale": "paper", "command": "x", "bootstrap": {"resamples": 200, "level": 0.95}}
    frame = network_diffusion.rows(inputs, options)
    return (
        frame.set_index(["map", "metric"]),
        network_diffusion.summary(frame),
        network_diffusion.latex(frame, options),
    )


MEANS = {
    "raw": (0.66, 0.50), "raw_published": (0.40, 0.60), "rollout": (0.50, 0.60), "rollout_normalised": (0.40, 0.70),
    "rollout_diffused": (0.45, 0.75), "attribution": (0.40, 0.70), "random": (0.50, 0.60),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_verdicts_have_the_right_direction_and_three_answers(tmp_path, seeds):
    """Relevant first, lower is better; irrelevant first, higher is better: known means, images in common."""
    cells, said, _ = made_table(tmp_path, MEANS, "hustvl/Vim-tiny-midclstok", seeds)
    for name, wanted in {
        "raw": ("worse", "worse"), "rollout": ("not told apart", "not told apart"),
        "rollout_diffused": ("worse", "better"), "attribution": ("better", "better"),
    }.items():  # fmt: skip
        found = tuple(cells.loc[(name, metric), "verdict"] for metric in ("positive_auc", "negative_auc"))
        assert found == wanted, name
    assert cells.loc[("rollout_diffused", "positive_auc"), "against"] == "rollout_normalised"
    gap = cells.loc[("rollout_diffused", "positive_auc"), "difference"]
    assert gap == pytest.approx(0.05, abs=0.01)
    # Bold: all that are not told apart from the best, without the published twin that is as good.
    best = cells.xs("positive_auc", level="metric")["best"]
    assert set(best.index[best]) == {"rollout_normalised", "attribution"}
    assert cells.loc[("raw", "positive_auc"), "area"] == pytest.approx(
        0.8 * cells.loc[("raw", "positive_auc"), "mean"]
    )
    assert "diffusion of the rollout is worse (+0.0" in said and "first and better (+0.0" in said
    assert "Worse than random with the relevant ones first: Raw attention." in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("repo", "checkpoint"), [("hustvl/Vim-tiny-midclstok", "same"), ("hustvl/Vim-small-midclstok", "other")]
)
def test_published_numbers_say_of_which_checkpoint_they_are(tmp_path, repo, checkpoint):
    """Vim-tiny's numbers beside Vim-small are another checkpoint's; beside both they are of unknown settings."""
    cells, _, latex = made_table(tmp_path, MEANS, repo)
    row = cells.loc[("raw_published", "positive_auc")]
    assert row["published_value"] == pytest.approx(0.1727) and row["published_checkpoint"] == checkpoint
    assert row["published_verdict"] == "not comparable" and "settings are not known" in row["published_why"]
    assert ("another checkpoint" in row["published_why"]) == (checkpoint == "other")
    assert ("another checkpoint than this model" in latex) == (checkpoint == "other")
    assert cells["published_value"].isna().sum() == len(cells) - 2


@pytest.mark.slow
def test_an_interval_that_misses_zero_is_no_verdict_before_holm(tmp_path):
    """Maps that are all alike: of many comparisons some interval misses zero by chance, and nothing is said of it."""
    chance = 0
    for number in range(3):
        folder = tmp_path / f"run{number}"
        folder.mkdir()
        cells, _, _ = made_table(
            folder, dict.fromkeys(MEANS, (0.5, 0.6)), "hustvl/Vim-tiny-midclstok", (number,)
        )
        compared = cells.dropna(subset="difference")
        told = compared["verdict"] != "not told apart"
        assert (told == (compared["adjusted_p"] <= 0.05)).all()
        outside = (compared["difference_lower"] > 0) | (compared["difference_upper"] < 0)
        chance += int((outside & ~told).sum())
    assert chance > 0
