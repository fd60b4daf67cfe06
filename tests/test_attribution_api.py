"""`plumbline.attribution.attribute`: the same for every readout, architecture and task."""

import pytest
import torch

from plumbline.attribution import METHODS, READOUTS, attribute
from plumbline.errors import PlumblineError
from tests.small_models import ARCHITECTURES, of_method, small_batch, small_model, special_ids_of

pytestmark = pytest.mark.slow


def settings(method, mask, special):
    """The arguments that a method needs for a batch of this mask."""
    found = {"tokenizer_ids": special}
    if "steps" in METHODS[method].parameters:
        found["steps"] = 5
    if any(readout.stochastic for readout in METHODS[method].readouts):
        found["seed"] = torch.arange(len(mask)) + 5
    if any(readout.known_truth for readout in METHODS[method].readouts):
        found["rationale"] = (torch.arange(mask.shape[1]) % 3 == 1).float().expand(mask.shape)
    return found


def alone(given, row, length):
    """The same arguments for one example of the batch."""
    cut = {
        "seed": lambda value: value[row : row + 1],
        "rationale": lambda value: value[row : row + 1, :length],
    }
    return {name: cut[name](value) if name in cut else value for name, value in given.items()}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_padded_batch_equals_single_sentences(architecture, task):
    model, special = small_model(architecture, task), special_ids_of(architecture)
    ids, mask, positions = small_batch(architecture)
    position = positions if task == "agreement" else None
    for name, method in METHODS.items():
        given = settings(name, mask, special)
        together = of_method(model, ids, mask, name, position=position, **given)
        for readout in together.values():
            assert readout.shape == ids.shape
            assert readout.dtype == torch.float32
            assert not readout.requires_grad
            assert not readout[mask == 0].any()
        for row, length in enumerate(mask.sum(-1).tolist()):
            place = positions[row : row + 1] if task == "agreement" else None
            one = of_method(
                model, ids[row : row + 1, :length], None, name, position=place, **alone(given, row, length)
            )
            for entry in method.readouts:
                # What is rounding noise by definition is alike under no two paddings.
                if entry.noise:
                    continue
                scores, whole = one[entry.id][0], together[entry.id][row, :length]
                scale = scores.abs().max().clamp(min=1e-12)
                tolerance = 5e-4 if method.family == "vector" else 1e-4
                # Of differences of probabilities (blank-out) the last bit of float32 may be more than that.
                assert (whole - scores).abs().max() < tolerance * scale + 5e-7, entry.id


@pytest.mark.parametrize("method", METHODS)
def test_a_readout_alone_is_what_its_method_gives_of_all(method):
    """The public function computes one readout, the pipeline all of a method at once."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(5, 3))
    given = settings(method, mask, special)
    for readout, scores in of_method(model, ids, mask, method, **given).items():
        assert torch.equal(attribute(model, ids, mask, readout, **given), scores), readout


@pytest.mark.parametrize("readout", ["alti", "rollout", "grad_l2", "ig_l2", "blankout"])
def test_batch_size_order_and_threads_change_nothing(readout):
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(5, 9, 3, 12, 7, 7))
    given = {"tokenizer_ids": special}
    whole = attribute(model, ids, mask, readout, **given)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = attribute(model, ids[order], mask[order], readout, **given)
    halves = torch.cat(
        [attribute(model, ids[part], mask[part], readout, **given) for part in (slice(3), slice(3, 6))]
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    threaded = attribute(model, ids, mask, readout, **given)
    torch.set_num_threads(before)
    for other in (shuffled[order.argsort()], halves, threaded):
        torch.testing.assert_close(whole, other, rtol=5e-4, atol=2e-5)


def test_model_is_left_as_it_was():
    model = small_model("bert")
    model.train()
    model.bert.embeddings.eval()
    frozen = model.classifier.bias
    frozen.requires_grad_(False)
    model.set_attn_implementation("sdpa")
    ids, mask, _ = small_batch("bert")
    model(input_ids=ids, attention_mask=mask).logits.sum().backward()
    gradients = {
        name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None
    }
    training = {name: module.training for name, module in model.named_modules()}
    for method in METHODS.values():
        readout = method.readouts[0].id
        attribute(model, ids, mask, readout, **settings(method.id, mask, special_ids_of("bert")))
    with pytest.raises(PlumblineError):
        attribute(model, ids, mask, "ig_l2")
    assert {name: module.training for name, module in model.named_modules()} == training
    assert not training["bert.embeddings"]
    assert training["bert"]
    assert model.config._attn_implementation == "sdpa"
    assert not frozen.requires_grad
    assert all(weight.requires_grad for weight in model.parameters() if weight is not frozen)
    for name, weight in model.named_parameters():
        if name in gradients:
            assert torch.equal(weight.grad, gradients[name])


@pytest.mark.parametrize("readout", ["grad_l2", "ig_mean", "alti", "blankout"])
def test_inside_no_grad(readout):
    model, special = small_model("distilbert"), special_ids_of("distilbert")
    ids, mask, _ = small_batch("distilbert")
    outside = attribute(model, ids, mask, readout, tokenizer_ids=special)
    with torch.no_grad():
        inside = attribute(model, ids, mask, readout, tokenizer_ids=special)
        assert not torch.is_grad_enabled()
    assert torch.equal(outside, inside)


def test_target_and_position():
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert")
    both = [
        attribute(model, ids, mask, "gxi_mean", target=target, tokenizer_ids=special) for target in (0, 1)
    ]
    # Two classes: the probabilities sum to one, so the gradients to zero.
    torch.testing.assert_close(both[0], -both[1], rtol=1e-3, atol=1e-7)
    default = attribute(model, ids, mask, "gxi_mean", tokenizer_ids=special)
    with torch.no_grad():
        predicted = model(input_ids=ids, attention_mask=mask).logits.argmax(-1)
    explicit = attribute(model, ids, mask, "gxi_mean", target=predicted, tokenizer_ids=special)
    assert torch.equal(default, explicit)
    rows = [attribute(model, ids, mask, "alti", position=position) for position in (0, 2)]
    assert not torch.allclose(rows[0], rows[1])


def test_registry():
    assert set(READOUTS) == {readout.id for method in METHODS.values() for readout in method.readouts}
    assert sum(len(method.readouts) for method in METHODS.values()) == len(READOUTS)
    assert [readout.id for readout in METHODS["controls"].readouts] == [
        "random",
        "position",
        "uniform",
        "oracle",
    ]
    assert [name for name, method in METHODS.items() if method.control] == ["controls"]
    assert len({readout.label for readout in READOUTS.values()}) == len(READOUTS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "altii"}, "unknown readout 'altii': did you mean 'alti'?"),
        ({"method": "alti", "ddoff": 1}, "did you mean 'ddof'"),
        ({"method": "ig_l2"}, "needs the id of the 'mask' token"),
        ({"method": "random"}, "one seed an example"),
        ({"method": "oracle"}, "needs `rationale`"),
        ({"target": torch.tensor([1, 0])}, "target must be one number or one an example"),
        ({"attention_mask": torch.tensor([[0, 1, 1]] * 4)}, "padding on the right"),
        ({"attention_mask": torch.tensor([[1, 1, 1]] * 3 + [[0, 0, 0]])}, "example 3 of the batch is empty"),
        (
            {"input_ids": torch.ones(1, 50, dtype=torch.int64), "attention_mask": None},
            "more than the model's 40",
        ),
    ],
)
def test_errors_say_what_is_wrong(change, text):
    model = small_model("bert")
    ids, mask, _ = small_batch("bert", lengths=(3, 3, 3, 3))
    arguments = {"input_ids": ids, "attention_mask": mask} | change
    if "target" in change:
        arguments["method"] = "grad_l2"
    with pytest.raises(PlumblineError, match=text.replace("?", r"\?").replace("(", r"\(")) as caught:
        attribute(model, **arguments)
    assert "\n" not in str(caught.value)


def test_agreement_needs_a_position():
    model = small_model("bert", "agreement")
    ids, mask, _ = small_batch("bert")
    with pytest.raises(PlumblineError, match="give `position`"):
        attribute(model, ids, mask, "alti")


def test_unknown_architecture_lists_the_table():
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=60, n_positions=40, pad_token_id=0)
    model = GPT2ForSequenceClassification(config)
    ids, mask, _ = small_batch("bert")
    with pytest.raises(PlumblineError, match="bert, camembert, distilbert.*To add it"):
        attribute(model, ids, mask, "alti")


def test_nan_weights_are_an_error():
    model = small_model("bert")
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
        model.bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    ids, mask, _ = small_batch("bert")
    for readout in ("alti", "grad_l2", "blankout"):
        with pytest.raises(PlumblineError, match="not finite"):
            attribute(model, ids, mask, readout, tokenizer_ids=special_ids_of("bert"))
