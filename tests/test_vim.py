"""Vision Mamba: the selective scan by its recurrence, its gradient, both branches, the published forward pass."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings

from plumbline.attribution.hidden_attention import hidden_rows
from plumbline.models import vim
from plumbline.models.vim import SelectiveScan
from tests.small_images import SHAPES, drawn, scan, small_vim


@pytest.fixture(params=[1, 2**60], ids=["a step a token", "chunks"])
def at_once(request):
    """From which size of a step's state on the scan goes token by token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vim, "AT_ONCE", request.param)
        yield


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SHAPES)
@pytest.mark.usefixtures("at_once")
def test_scan_is_the_recurrence(shape):
    direction, x = drawn(*shape)
    state, wanted = 0, []
    for t in range(x.shape[-1]):
        delta = direction.delta[..., t, None]
        state = (delta * direction.A).exp() * state + delta * direction.B[:, None, :, t] * x[..., t, None]
        wanted.append((state * direction.C[:, None, :, t]).sum(-1))
    torch.testing.assert_close(scan(direction, x), torch.stack(wanted, -1), rtol=1e-10, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [1, 2, 5, 17])
@pytest.mark.usefixtures("at_once")
def test_gradient_of_the_scan(tokens):
    direction, x = drawn(2, 3, 4, tokens)
    inputs = [x, direction.delta, direction.A, direction.B, direction.C]
    assert torch.autograd.gradcheck(SelectiveScan.apply, [item.requires_grad_() for item in inputs])


def test_images_of_a_batch_do_not_meet():
    model, images = small_vim(), torch.randn(3, 1, 12, 12, dtype=torch.float64)
    whole = model(images)
    torch.testing.assert_close(whole, torch.cat([model(image[None]) for image in images]))


@pytest.mark.parametrize("token", [0, 3, 6])
def test_one_token_alone_is_that_of_the_whole(token):
    mixer, x = small_vim().layers[0].mixer, torch.randn(2, 7, 8, dtype=torch.float64)
    torch.testing.assert_close(mixer.at(x, token), mixer(x)[0][:, token])


def test_a_trace_changes_neither_logits_nor_gradients():
    """Without one, the last layer mixes the class token alone."""
    model, images = small_vim().requires_grad_(True), torch.randn(3, 1, 12, 12, dtype=torch.float64)
    trace, gradients = [], []
    whole, alone = model(images, trace), model(images)
    torch.testing.assert_close(whole, alone)
    assert len(trace) == len(model.layers)
    for logits in (whole, alone):
        model.zero_grad()
        logits.square().sum().backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    assert len(gradients[0]) == len(gradients[1]) > 20
    torch.testing.assert_close(*gradients)


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


def test_golden_forward(published_vim):
    wanted, model, logits, trace, gradients = published_vim
    torch.testing.assert_close(logits.detach(), wanted["logits"], rtol=0, atol=1e-5)
    torch.testing.assert_close(model.features(wanted["image"]), wanted["cls_feature"], rtol=0, atol=1e-5)
    torch.testing.assert_close(gradients, wanted["residual_grads"], rtol=0, atol=1e-5)
    rows = hidden_rows(trace, 98, published=True).detach()
    torch.testing.assert_close(rows, wanted["xai_b"], rtol=0, atol=1e-5)
