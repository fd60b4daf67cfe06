"""Arguments that the theory's functions refuse, in one line."""

from functools import partial

import numpy as np
import pytest
import torch

from plumbline.errors import PlumblineError
from plumbline.models.vocabulary import Vocabulary
from plumbline.theory import closed_form_gradient, lime_coefficients, lime_limit
from plumbline.theory.experiments import document
from tests.small_theory import padded, small

LIME = {"mode": "mask", "samples": 10, "seed": 0}
DOCUMENT = padded([5, 6])[None]
SPOILT = {"nan": float("nan"), "inf": float("inf")}


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (DOCUMENT.float(), "ids are of torch.float32"),
        (DOCUMENT.bool(), "ids are of torch.bool"),
        (DOCUMENT[0], "ids have the shape"),
        (DOCUMENT[:, :0], "ids have the shape"),
        (DOCUMENT[None], "ids have the shape"),
        (DOCUMENT - 1, "ids reach from -1 to 5"),
        (DOCUMENT + 39, "ids reach from 39 to 45: the vocabulary has 0 to 39"),
        (np.array([["a", "b"]]), "ids are ndarray"),
        ([[0, 1], [0]], "ids are list"),
        (None, "ids are NoneType"),
    ],
)
def test_ids_that_the_closed_forms_refuse(ids, message):
    model = small()
    calls = [
        partial(closed_form_gradient, model, corrected=True),
        partial(lime_limit, model),
        partial(lime_coefficients, model, **LIME),
    ]
    for call in calls:
        with pytest.raises(PlumblineError, match=message) as fault:
            call(ids)
        assert "\n" not in str(fault.value)


def test_ids_of_any_whole_dtype():
    model = small()
    for ids in (DOCUMENT.int(), DOCUMENT.to(torch.uint8), DOCUMENT.numpy(), DOCUMENT.tolist()):
        torch.testing.assert_close(lime_limit(model, ids), lime_limit(model, DOCUMENT))
        torch.testing.assert_close(
            closed_form_gradient(model, ids, corrected=True),
            closed_form_gradient(model, DOCUMENT, corrected=True),
        )


@pytest.mark.parametrize("name", ["embedding.weight", "heads.1.key.weight"])
@pytest.mark.parametrize("value", SPOILT.values(), ids=SPOILT)
def test_weights_that_are_not_finite(name, value):
    model = small()
    with torch.no_grad():
        dict(model.named_parameters())[name][0, 0] = value
    for call in (
        partial(closed_form_gradient, corrected=False),
        lime_limit,
        partial(lime_coefficients, **LIME),
    ):
        with pytest.raises(PlumblineError, match=f"weights {name} are not finite"):
            call(model, DOCUMENT)
    with pytest.raises(PlumblineError, match="are the MultiHeadClassifier's: got Linear"):
        lime_limit(torch.nn.Linear(2, 2), DOCUMENT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"samples": 1}, "samples is 1"),
        ({"samples": -5}, "samples is -5"),
        ({"samples": 10**8 + 1}, "samples is 100000001: .* at most 100000000$"),
        ({"samples": 2.5}, "samples is 2.5"),
        ({"samples": True}, "samples is True"),
        ({"samples": "10"}, "samples is '10'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"kernel_width": 0}, "kernel_width is 0"),
        ({"kernel_width": -25.0}, "kernel_width is -25"),
        ({"kernel_width": float("nan")}, "kernel_width is nan"),
        ({"kernel_width": float("inf")}, "kernel_width is inf"),
        ({"kernel_width": "25"}, "kernel_width is '25'"),
        ({"kernel_width": True}, "kernel_width is True"),
        ({"lengths": [24]}, "length 24"),
        ({"lengths": [-1]}, "length -1"),
        ({"lengths": [1.5]}, "length 1.5"),
        ({"lengths": [1, 2]}, "lengths are of 2 documents, ids of 1"),
        ({"words": []}, "words are of 0 documents"),
        ({"words": [[0]]}, "words must be 2 whole numbers"),
        ({"words": [[0, 2]]}, "without a gap"),
        ({"words": [[-1, 0]]}, "without a gap"),
        ({"words": [[0.0, 1.0]]}, "words must be 2 whole numbers"),
        ({"words": [["a", "b"]]}, "words must hold real numbers"),
    ],
)
def test_arguments_out_of_range(changes, message):
    model = small()
    with pytest.raises(PlumblineError, match=message) as fault:
        lime_coefficients(model, DOCUMENT, **LIME | changes)
    assert "\n" not in str(fault.value)
    if not {"samples", "seed"} & set(changes):
        with pytest.raises(PlumblineError, match=message):
            lime_limit(model, DOCUMENT, **changes)


def test_a_kernel_too_narrow_is_no_answer():
    """Of two words, none kept weighs nothing: the number of words kept does not vary, and no regression is left."""
    for width in (0.1, 10.0):
        with pytest.raises(
            PlumblineError, match="document 0: coefficients are not finite; widen kernel_width"
        ):
            lime_limit(small(), DOCUMENT, formula="mean_field", kernel_width=width)


def test_unknown_names_and_long_texts():
    model, ids = small(), padded([5])[None]
    with pytest.raises(PlumblineError, match="unknown mode 'masked': did you mean 'mask'"):
        lime_coefficients(model, ids, mode="masked", samples=10, seed=0)
    with pytest.raises(PlumblineError, match="unknown formula 'mean'"):
        lime_limit(model, ids, formula="mean")
    with pytest.raises(PlumblineError, match="30 tokens are more than the model's 24"):
        model(torch.zeros(1, 30, dtype=torch.long))
    for call in (
        partial(lime_limit, model),
        partial(lime_coefficients, model, **LIME),
        partial(closed_form_gradient, model, corrected=True),
    ):
        with pytest.raises(PlumblineError, match="30 tokens are more than the model's 24"):
            call(torch.zeros(1, 30, dtype=torch.long))
    with pytest.raises(PlumblineError, match="no letter or digit"):
        document({"id": 3, "text": "?!", "label": 0}, Vocabulary(["[cls]", "UNK"]), 24, clean=True)
