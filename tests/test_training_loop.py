"""The one training loop: first steps of AdamW and Muon by hand, parts of a batch, the loss curve, a loss that is not finite."""

import pytest
import torch

from plumbline.errors import PlumblineError
from plumbline.models.muon import Muon, orthogonalised
from plumbline.models.training_loop import curve, optimisers_of, steps

TRAINING = {"learning_rate": 0.01, "weight_decay": 0.1}


def trained(batches, losses, **options):
    """A line of three weights after the steps, and the losses."""
    network = torch.nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[1.0, -2.0, 0.5]]))
    found = list(steps(network, batches, lambda batch: losses(network, batch), TRAINING, **options))
    return network, found


def test_the_first_step_is_adamw_s_by_hand():
    """Loshchilov & Hutter 2019, algorithm 2: the first step goes by the gradient's sign, and weights decay apart from it."""
    point = torch.tensor([[3.0, -1.0, 2.0]])
    network, found = trained([point], lambda model, batch: iter([model(batch).sum()]))
    start = torch.tensor([[1.0, -2.0, 0.5]])
    by_hand = start * (1 - 0.01 * 0.1) - 0.01 * point.sign()
    torch.testing.assert_close(network.weight.detach(), by_hand, atol=1e-6, rtol=0)
    assert found == [3.0 + 2.0 + 1.0]
    assert not network.training


def test_parts_of_a_batch_add_up_to_it():
    """Whether a batch is computed at once or in parts changes nothing."""
    draw = torch.Generator().manual_seed(0)
    batches = [torch.randn(8, 3, generator=draw) for _ in range(4)]

    def whole(model, batch):
        yield model(batch).square().mean()

    def in_parts(model, batch):
        for part in batch.split([3, 5]):
            yield model(part).square().mean() * (len(part) / len(batch))

    (one, losses), (other, same) = trained(batches, whole), trained(batches, in_parts)
    torch.testing.assert_close(one.weight, other.weight, atol=1e-6, rtol=0)
    assert losses == pytest.approx(same, rel=1e-6)


def test_a_schedule_and_a_clip_are_kept():
    """A learning rate of zero leaves the weights as they are; a clip scales the gradient, of norm sqrt(14), down."""
    point = torch.tensor([[3.0, -1.0, 2.0]])

    def nothing(optimiser):
        return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.0)

    def losses(model, batch):
        yield model(batch).sum()

    network, _ = trained([point], losses, schedule=nothing)
    assert network.weight.tolist() == [[1.0, -2.0, 0.5]]
    network, _ = trained([point], losses, clip=0.5)
    torch.testing.assert_close(network.weight.grad, point * 0.5 / 14**0.5, atol=1e-5, rtol=0)


def test_a_loss_that_is_not_finite_ends_with_its_step():
    def losses(model, batch):
        yield model(batch).sum()

    points = [torch.ones(1, 3), torch.full((1, 3), float("nan"))]
    with pytest.raises(PlumblineError, match="not finite at step 2: lower the learning rate"):
        trained(points, losses)


def test_points_of_the_curve_are_means_since_the_last():
    assert curve([4.0, 2.0]) == [{"step": 1, "loss": 4.0}, {"step": 2, "loss": 2.0}]
    # 45 losses: a point each second step, and one at the end for the one that is left.
    points = curve([float(step) for step in range(1, 46)])
    assert [point["step"] for point in points] == [*range(2, 45, 2), 45]
    assert [point["loss"] for point in points] == [*(step - 0.5 for step in range(2, 45, 2)), 45.0]


def orthogonalised_by_hand(matrix):
    """The iteration on the singular values alone, which it moves by a x + b x^3 + c x^5 (Jordan et al. 2024)."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return torch.einsum("ik,k,kj->ij", left, values, right)


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4)])
def test_orthogonalised_keeps_singular_vectors_and_evens_out_values(shape):
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalised(matrices)
    for matrix, one in zip(matrices, found, strict=True):
        torch.testing.assert_close(one.double(), orthogonalised_by_hand(matrix), atol=1e-4, rtol=1e-4)
    # A gradient's scale changes nothing, a transpose is one of the result, and matrices know nothing of each other.
    torch.testing.assert_close(orthogonalised(1000 * matrices), found, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(orthogonalised(matrices.mT), found.mT, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(orthogonalised(matrices[1:2]), found[1:2], atol=1e-5, rtol=1e-5)


def test_two_steps_of_muon_by_hand():
    """Nesterov's momentum, its orthogonal factor, the factor of size, weights that decay apart."""
    draw = torch.Generator().manual_seed(2)
    starts, first, second = (torch.randn(2, 6, 3, generator=draw) for _ in range(3))
    weights = [torch.nn.Parameter(start.clone()) for start in starts]
    optimiser = Muon(weights, lr=0.1, weight_decay=0.2)
    for gradients in (first, second):
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient.clone()
        optimiser.step()
    for start, one, two, weight in zip(starts, first, second, weights, strict=True):
        by_hand, momentum = start.double(), 0
        for gradient in (one, two):
            momentum = 0.95 * momentum + 0.05 * gradient
            step = orthogonalised_by_hand(0.95 * momentum + 0.05 * gradient)
            by_hand = by_hand * (1 - 0.1 * 0.2) - 0.1 * 0.2 * 6**0.5 * step
        torch.testing.assert_close(weight.detach().double(), by_hand, atol=1e-4, rtol=1e-4)


def test_a_matrix_without_a_gradient_stays():
    used, idle = (torch.nn.Parameter(torch.ones(3, 3)) for _ in range(2))
    used.grad = torch.eye(3)
    Muon([idle, used], lr=0.1, weight_decay=0.5).step()
    assert idle.eq(1).all()
    assert not used.eq(1).any()


def test_muon_takes_linear_layers_without_the_last():
    """Embeddings, vectors and the layer that makes the logits are AdamW's, and no weight is left out."""
    network = torch.nn.Sequential(
        torch.nn.Embedding(9, 4), torch.nn.Linear(4, 6), torch.nn.LayerNorm(6), torch.nn.Linear(6, 2)
    )
    muon, adamw = optimisers_of(network, {**TRAINING, "optimiser": "muon"})
    assert isinstance(muon, Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    assert [tuple(weight.shape) for weight in muon.param_groups[0]["params"]] == [(6, 4)]
    both = [weight for optimiser in (muon, adamw) for weight in optimiser.param_groups[0]["params"]]
    assert sorted(map(id, both)) == sorted(map(id, network.parameters()))
    (alone,) = optimisers_of(network, TRAINING)
    assert len(alone.param_groups[0]["params"]) == len(list(network.parameters()))
