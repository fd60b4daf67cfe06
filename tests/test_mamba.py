"""Maps of Vision Mamba from its hidden attention: closed forms, golden maps, signs and shapes."""

import pytest
import torch

from plumbline.attribution.hidden_attention import (
    hidden_rows,
)
from plumbline.attribution.mamba import mamba_maps, mamba_maps_full, min_max
from plumbline.errors import PlumblineError


@pytest.mark.parametrize("own", [False, True])
def test_golden_maps(published_vim, own):
    wanted, _, _, trace, gradients = published_vim
    hidden = hidden_rows(trace, 98, published=True).detach() if own else wanted["xai_b"]
    gradients = gradients if own else wanted["residual_grads"]
    found = mamba_maps(hidden, gradients, start_layer=1, class_position=98)
    for name, key in (("raw", "raw"), ("rollout", "rollout"), ("attribution", "mamba_attr")):
        torch.testing.assert_close(found[name], wanted[key], rtol=0, atol=1e-5)
    guarded = mamba_maps(hidden, gradients, start_layer=1, class_position=98, published=False)["rollout"]
    # No sum is near zero. Signs are kept: the published map has the positive scores alone.
    torch.testing.assert_close(guarded.clamp(min=0), wanted["rollout"], rtol=0, atol=1e-5)
    assert (guarded < 0).any()


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


def test_min_max_of_constants():
    assert not min_max(torch.full((2, 3), 7.0), (1,)).any()
