"""Hidden attention of Vision Mamba: its matrices multiply the input as the scan does; golden rows."""

import torch
from hypothesis import given, settings

from plumbline.attribution.hidden_attention import (
    class_row,
    hidden_matrices,
    hidden_rows,
    mean_matrix,
)
from plumbline.models.vim import Direction
from tests.small_images import SHAPES, channel_matrices, drawn, scan, small_vim, thesis


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


def test_published_row_lacks_one_factor_and_the_diagonal():
    direction, _ = drawn(1, 3, 1, 9)
    exact, published = class_row(direction, 4), class_row(direction, 4, published=True)
    factor = (direction.delta[..., 4] * direction.A[:, 0]).exp()[..., None]
    torch.testing.assert_close(published[..., :4] * factor, exact[..., :4])
    assert not published[..., 4:].any() and exact[..., 4].all()


def test_class_row_is_a_row_of_the_whole_matrix():
    model, trace = small_vim(), []
    with torch.no_grad():
        model(torch.randn(2, 1, 12, 12, dtype=torch.float64), trace)
        rows, matrices = hidden_rows(trace, model.class_position), hidden_matrices(trace)
    torch.testing.assert_close(rows.mean(2), matrices[:, :, model.class_position], rtol=1e-9, atol=1e-12)


def test_golden_hidden_attention():
    wanted = thesis("hidden_mamba")
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
