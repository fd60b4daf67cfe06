"""Attribution functions of arrays: attention, thresholds, positions and layers that are none."""

import numpy as np
import pytest
import torch

from plumbline.attribution import attention_flow, mamba_maps, selective_rollout
from plumbline.errors import PlumblineError
from tests.small_models import small_batch, small_model


def refused(call, *arguments, match, **more):
    with pytest.raises(PlumblineError, match=match) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)


def an_attention(layers=3, heads=2, tokens=5):
    raw = np.random.default_rng(0).random((layers, heads, tokens, tokens))
    return raw / raw.sum(-1, keepdims=True)


def spoilt(value):
    found = an_attention()
    found[1, 0, 2, 2] = value
    return found


@pytest.mark.parametrize("function", [lambda a: selective_rollout(a, 1.0), lambda a: attention_flow(a, 1)])
@pytest.mark.parametrize(
    ("attention", "text"),
    [
        (spoilt(np.nan), "attention is not finite: nan at"),
        (spoilt(np.inf), "attention is not finite"),
        (spoilt(-0.5), "rows that sum to one"),
        (an_attention() * 3, "rows that sum to one"),
        (an_attention()[0], "must be"),
        (an_attention()[..., :4], "must be"),
        (np.ones((2, 2, 3, 3), dtype=np.int64), "floating-point"),
        (np.zeros((0, 2, 3, 3)), "not of shape"),
        (None, "must hold real numbers"),
        ("attention", "must hold real numbers"),
        ([[1.0], [1.0, 2.0]], "must be an array"),
        (tuple(torch.rand(2, 2, n, n) for n in (3, 4)), "one shape"),
        (tuple(torch.softmax(torch.rand(2, 2, 3, 3), -1) for _ in range(2)), "of 2 examples"),
        (np.full((1, 1, 2, 2), 0.5 + 0.5j), "numbers"),
    ],
)
def test_attention_that_is_none(function, attention, text):
    refused(function, attention, match=text)


def test_attention_as_transformers_returns_it():
    model = small_model("bert", layers=3)
    model.set_attn_implementation("eager")
    ids, _, _ = small_batch("bert", lengths=(6,))
    attentions = model(input_ids=ids, output_attentions=True).attentions
    assert attentions[0].requires_grad
    plain = torch.stack(attentions)[:, 0].detach()
    for given in (attentions, [layer[0] for layer in attentions], plain):
        found, used = selective_rollout(given, 0.5)
        want, layers = selective_rollout(plain.numpy(), 0.5)
        assert used == layers
        np.testing.assert_array_equal(found.numpy(), want)
        np.testing.assert_allclose(attention_flow(given, 2).numpy(), attention_flow(plain.numpy(), 2))


@pytest.mark.parametrize("threshold", [-1, float("nan"), "one", None, True, [1.0]])
def test_thresholds_that_are_none(threshold):
    refused(selective_rollout, an_attention(), threshold, match="threshold is")


@pytest.mark.parametrize("position", [-1, 5, 0.5, True, "first"])
def test_positions_that_are_none(position):
    refused(selective_rollout, an_attention(), 1.0, position=position, match="position")
    refused(attention_flow, an_attention(), 1, position, match="position")


@pytest.mark.parametrize("layer", [-1, 3, 0.5, None, True])
def test_layers_that_are_none(layer):
    refused(attention_flow, an_attention(), layer, match="not among the layers 0 to 2")


@pytest.mark.parametrize("spoil", ["hidden", "gradients"])
def test_mamba_maps_refuse_what_is_not_finite(spoil):
    hidden, gradients = np.ones((2, 1, 3, 4)), np.ones((2, 1, 4, 3))
    {"hidden": hidden, "gradients": gradients}[spoil][0, 0, 0, 0] = np.nan
    refused(mamba_maps, hidden, gradients, start_layer=0, class_position=1, match="not finite")
    refused(mamba_maps, [], gradients, start_layer=0, class_position=1, match="four dimensions|finite")
    refused(mamba_maps, hidden[:0], gradients[:0], start_layer=0, class_position=1, match="finite|empty")
    refused(
        mamba_maps,
        np.ones((2, 1, 3, 4)),
        np.ones((2, 1, 4, 3)),
        start_layer=0.5,
        class_position=1,
        match="beyond",
    )
