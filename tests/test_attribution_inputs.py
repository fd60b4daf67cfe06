"""Attributions do not depend on surroundings and formats; arguments out of range are refused."""

import contextlib
import threading

import numpy as np
import pytest
import torch

from plumbline.attribution import METHODS, READOUTS, attribute
from plumbline.errors import PlumblineError
from tests.small_models import TOKENIZER_IDS, small_batch, small_model

# One readout of every kind of computation, with few steps of integrated gradients.
KINDS_OF_READOUT = (
    "rollout",
    "alti",
    "grad_l2",
    "ig_mean",
    "ig_mean_published",
    "blankout",
    "input_gradient",
)


def scores_of(model, ids, mask, readout, **more):
    if readout.startswith("ig"):
        more["steps"] = 8
    return attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS, **more)


def refused(call, *arguments, match, **more):
    with pytest.raises(PlumblineError, match=match) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)


@contextlib.contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "float64": default_dtype,
}


@pytest.mark.slow
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_surroundings_change_nothing(surrounding):
    model = small_model("bert", layers=2)
    ids, mask, _ = small_batch("bert")
    for readout in (*KINDS_OF_READOUT, "random"):
        more = {"seed": 3} if readout == "random" else {}
        want = scores_of(model, ids, mask, readout, **more)
        with SURROUNDINGS[surrounding]():
            # Tensors that inference mode has made cannot take part in gradients elsewhere.
            found = scores_of(model, ids.clone(), mask.clone(), readout, **more)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, want, msg=f"{readout} in {surrounding}")


@pytest.mark.slow
def test_settings_of_the_model_change_nothing():
    ids, mask, _ = small_batch("bert")
    model = small_model("bert", layers=2)
    wanted = {readout: scores_of(model, ids, mask, readout) for readout in KINDS_OF_READOUT}
    model.config.return_dict = False
    model.set_attn_implementation("eager")
    model.config.output_attentions = model.config.output_hidden_states = True
    for readout, want in wanted.items():
        torch.testing.assert_close(scores_of(model, ids, mask, readout), want)
    assert (model.config.return_dict, model.config.output_attentions) == (False, True)


def test_models_made_in_inference_mode_are_refused():
    with torch.inference_mode():
        model = small_model("bert", layers=1)
    ids, mask, _ = small_batch("bert")
    refused(attribute, model, ids, mask, match="load it outside")


def test_every_integer_format_is_read():
    model = small_model("bert", layers=2)
    ids, mask, _ = small_batch("bert")
    want = scores_of(model, ids, mask, "grad_l2", target=[1, 0, 1, 0])
    formats = [
        (ids.numpy(), mask.numpy(), np.array([1, 0, 1, 0], dtype=np.uint8)),
        (ids.tolist(), mask.bool().tolist(), torch.tensor([1, 0, 1, 0], dtype=torch.int16)),
        (ids.int(), mask.double(), (1, 0, 1, 0)),
        (ids.numpy().astype(">u2"), mask.numpy()[:, ::1].astype(bool), [np.int64(1), 0, 1, 0]),
        (list(ids), list(mask), [torch.tensor(1), torch.tensor(0), torch.tensor(1), torch.tensor(0)]),
    ]
    for given, rows, target in formats:
        torch.testing.assert_close(scores_of(model, given, rows, "grad_l2", target=target), want)


@pytest.mark.slow
def test_threads_share_a_model():
    model = small_model("bert", layers=2).train()
    # Another head around the same encoder shares its modules too.
    twin = type(model)(model.config)
    twin.bert, twin.classifier = model.bert, model.classifier
    ids, mask, _ = small_batch("bert")
    readouts = ("grad_l2", "alti", "blankout", "rollout")
    wanted = {readout: scores_of(model, ids, mask, readout) for readout in readouts}
    wrong = []

    def ask(number):
        readout = readouts[number % len(readouts)]
        try:
            torch.testing.assert_close(
                scores_of((model, twin)[number % 3 == 0], ids, mask, readout), wanted[readout]
            )
        except Exception as fault:  # whatever a race may raise
            wrong.append((readout, fault))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())


OUT_OF_RANGE = [
    ({"target": -1}, "target holds -1: legal: 0 to 1"),
    ({"target": 2}, "target holds 2"),
    ({"target": 0.7}, "target must hold whole numbers"),
    ({"target": [0, 1, 0]}, "one number or one an example"),
    ({"target": True}, "whole numbers"),
    ({"target": "positive"}, "must hold real numbers"),
    ({"position": -1}, "position holds -1"),
    ({"position": [0, 3]}, "position 3 is outside the 3 tokens of example 1"),
    ({"position": 4}, "outside"),
    ({"position": float("nan")}, "whole numbers"),
    ({"attention_mask": torch.ones(2, 3)}, r"shape \(2, 3\)"),
    ({"attention_mask": torch.tensor([[1, 1, 2, 1]] * 2)}, "1 for tokens"),
    ({"attention_mask": torch.tensor([[1, float("nan"), 1, 1]] * 2)}, "1 for tokens"),
    ({"attention_mask": torch.tensor([[1, 1, 0, 1]] * 2)}, "padding on the right"),
    (
        {"input_ids": torch.tensor([[2, 60, 7, 3]] * 2)},
        "input_ids holds 60: legal of the model's vocabulary: 0 to 59",
    ),
    ({"input_ids": torch.tensor([[2, -1, 7, 3]] * 2)}, "input_ids holds -1"),
    ({"input_ids": torch.rand(2, 4)}, "whole numbers"),
    ({"input_ids": torch.tensor([2, 7, 7, 3])}, r"\(batch, tokens\)"),
    ({"input_ids": [[2, 7, 3], [2, 3]]}, "must be an array"),
    ({"input_ids": "a good film"}, "must hold real numbers"),
    ({"input_ids": None}, "must hold real numbers"),
    (
        {"token_type_ids": torch.full((2, 4), 2)},
        "token_type_ids holds 2: legal of a 'bert' with 2 segments: 0 to 1",
    ),
    ({"token_type_ids": torch.zeros(2, 3, dtype=torch.int64)}, r"shape \(2, 3\)"),
    ({"tokenizer_ids": [0, 1]}, "must be a mapping"),
    ({"tokenizer_ids": {"pad": 0, "mask": 99}}, r"tokenizer_ids\['mask'\] must be a whole number, 0 to 59"),
    ({"tokenizer_ids": {"pad": "[PAD]"}}, "must be a whole number"),
]


@pytest.mark.parametrize("what", ["attribute", "curves"])
@pytest.mark.parametrize(("change", "text"), OUT_OF_RANGE)
def test_arguments_out_of_range(what, change, text):
    from plumbline.faithfulness import curves

    model = small_model("bert", layers=1)
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    arguments = {
        "input_ids": ids,
        "attention_mask": (ids > 0).long(),
        "tokenizer_ids": TOKENIZER_IDS,
        **change,
    }
    if what == "attribute":
        refused(attribute, model, method="grad_l2", match=text, **arguments)
        return
    refused(curves, model, scores=torch.rand(2, 4), protocol="standard", kind="comp", match=text, **arguments)


def test_agreement_has_two_targets():
    model = small_model("bert", "agreement")
    ids, mask, position = small_batch("bert")
    for target in (-1, 2):
        refused(
            attribute,
            model,
            ids,
            mask,
            "grad_l2",
            target=target,
            position=position,
            match=f"target holds {target}",
        )


@pytest.mark.parametrize(
    ("readout", "change", "text"),
    [
        ("selective_rollout", {"threshold": -1}, "threshold"),
        ("selective_rollout", {"threshold": float("nan")}, "threshold"),
        ("selective_rollout_scaled", {"scaled_threshold": "half"}, "scaled_threshold"),
        ("ig_mean", {"steps": 0}, "steps"),
        ("ig_mean", {"steps": "many"}, "steps"),
        ("alti", {"ddof": 0.5}, "ddof"),
        ("alti", {"ddof": 2}, "ddof"),
        ("oracle", {"rationale": torch.ones(1, 3)}, "rationale"),
        ("random", {"seed": -1}, "seed"),
        ("random", {"seed": 0.5}, "seed"),
    ],
)
def test_parameters_out_of_range(readout, change, text):
    model, (ids, mask, _) = small_model("bert", layers=1), small_batch("bert")
    refused(attribute, model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS, match=text, **change)


def test_a_methods_name_means_its_principal_readout():
    model, (ids, mask, _) = small_model("bert", layers=2), small_batch("bert")
    for method, readout in (("ig", "ig_mean"), ("gradient", "grad_l2"), ("selective", "selective_rollout")):
        torch.testing.assert_close(
            scores_of(model, ids, mask, method),
            attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS)
            if readout != "ig_mean"
            else attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS, steps=8),
        )
    refused(attribute, model, ids, mask, "norms", match="give one of norm_rollout, globenc")
    refused(attribute, model, ids, mask, "no such", match="unknown readout")
    refused(attribute, model, ids, mask, ["alti"], match="unknown readout")
    for method in METHODS.values():
        own = [readout.id for readout in method.readouts]
        assert method.principal is None or method.principal in own
        # A name that is both must mean the same.
        assert method.id not in READOUTS or method.id in own
