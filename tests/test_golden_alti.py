"""Every number that the ALTI reference wrote for two small models (tests/golden/alti/README.md)."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from plumbline.attribution import READOUTS, attribute, method_of
from plumbline.attribution.decomposition import examples, normalise_rows, trace
from plumbline.faithfulness import aopc, curves
from plumbline.models.encoders import undisturbed
from tests.conftest import GOLDEN
from tests.small_models import of_method

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("golden_alti")]  # what is computed once is kept

LENGTHS = (7, 12, 30)
# Our readout -> the reference's key, for the plain ids that are the published definition already.
AS_PUBLISHED = {readout.id: readout.reference for readout in READOUTS.values() if readout.reference}
DDOF1 = {
    "alti": "ours",
    "alti_l2": "ours_l2",
    "alti_ln2": "ours2",
    "norm_rollout": "norm",
    "globenc_published": "norm2",
}


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def case(request):
    name = request.param
    model = AutoModelForSequenceClassification.from_pretrained(GOLDEN / "alti" / f"tiny-{name}")
    inputs = np.load(GOLDEN / "alti" / "inputs.npz")
    ids = torch.zeros(12, 30, dtype=torch.int64)
    rows = [row for length in LENGTHS for row in inputs[f"bert_len{length}"]]
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.from_numpy(row)
    # No sentence holds the padding id 0.
    special = json.loads((GOLDEN / "alti" / "special_ids.json").read_text())[name]
    return {
        "name": name,
        "model": model,
        "ids": ids,
        "mask": (ids != 0).long(),
        "special": special,
        "rows": rows,
        "computed": {},
    }


def reference(name, key, ddof1=False):
    """The 12 golden vectors of a key, in the order of the batch."""
    found = np.load(GOLDEN / "alti" / f"relevances{'_ddof1' if ddof1 else ''}_{name}.npz")
    return [row for length in LENGTHS for row in found[f"{key}__len{length}"]]


def computed(case, method, **parameters):
    """(all readouts of a method for the padded batch, the same for each sentence alone); computed once a case."""
    key = (method, *parameters.items())
    if key not in case["computed"]:
        given = {"tokenizer_ids": case["special"], **parameters}
        together = of_method(case["model"], case["ids"], case["mask"], method, **given)
        alone = [
            of_method(case["model"], torch.from_numpy(ids)[None], None, method, **given)
            for ids in case["rows"]
        ]
        case["computed"][key] = together, alone
    return case["computed"][key]


def check(case, readout, golden, tolerance, **parameters):
    together, singles = computed(case, method_of(readout).id, **parameters)
    for row, ids, single, want in zip(together[readout], case["rows"], singles, golden, strict=True):
        alone = single[readout][0]
        scale = np.abs(want).max()
        assert np.abs(alone.numpy() - want).max() / scale < tolerance
        assert np.abs(row[: len(ids)].numpy() - want).max() / scale < tolerance
        assert not row[len(ids) :].any()


@pytest.mark.parametrize("readout", AS_PUBLISHED)
def test_relevances(case, readout):
    tolerance = 5e-4 if READOUTS[readout].id.startswith(("alti", "norm", "globenc")) else 1e-4
    ddof1 = readout.startswith("alti") and READOUTS[readout].published
    check(case, readout, reference(case["name"], AS_PUBLISHED[readout], ddof1), tolerance)


@pytest.mark.parametrize("readout", DDOF1)
def test_relevances_ddof1(case, readout):
    check(case, readout, reference(case["name"], DDOF1[readout], ddof1=True), 5e-4, ddof=1)


def test_distilbert_gradients_are_right_as_published():
    """transformers 4.17's DistilBERT took inputs_embeds past its embedding block; only the variable differs."""
    model = AutoModelForSequenceClassification.from_pretrained(GOLDEN / "alti" / "tiny-distilbert")
    ids = torch.from_numpy(np.load(GOLDEN / "alti" / "inputs.npz")["bert_len7"])
    blocks = model.distilbert.embeddings
    embeddings = blocks(ids).detach().requires_grad_(True)
    mask = torch.ones_like(ids)[:, None, None, :].bool()
    hidden = model.distilbert.transformer(embeddings, mask).last_hidden_state[:, 0]
    logits = model.classifier(torch.relu(model.pre_classifier(hidden)))
    probability = logits.softmax(-1).amax(-1)
    (gradient,) = torch.autograd.grad(probability.sum(), embeddings)
    norms = gradient.norm(dim=-1)
    ours = attribute(model, ids, None, "grad_l2_published")
    torch.testing.assert_close(ours, norms / norms.sum(-1, keepdim=True), rtol=1e-5, atol=1e-7)


def test_layer_matrices(case):
    """C of every layer, not only the product's row: a wrong layer cannot hide behind the aggregation."""
    golden = np.load(GOLDEN / "alti" / f"layers_{case['name']}.npz")
    for start, length in zip((0, 4, 8), LENGTHS, strict=True):
        ids = case["ids"][start : start + 4, :length]
        with undisturbed(case["model"]):
            layers = trace(case["model"], ids, torch.ones_like(ids))
        for number, layer in enumerate(layers):
            np.testing.assert_allclose(
                layer.attention.mean(1), golden[f"attn_mean__len{length}"][:, number], atol=1e-6
            )
            for row, example in enumerate(examples(layer, [length] * 4)):
                first, second = example.first(0), example.second(0)
                (result1, sigma1), (result2, sigma2) = first.result(), second.result()
                found = {
                    "C_alti": normalise_rows(first.l1_closeness().clamp(min=0)),
                    "C_alti_l2": normalise_rows(first.l2_closeness().clamp(min=0)),
                    "C_alti_ln2": normalise_rows(second.l1_closeness().clamp(min=0)),
                    "C_norm": normalise_rows(first.l2_norms()),
                    "tv_norm": first.l2_norms() / sigma1,
                    "tv_norm_ln2": second.l2_norms() / sigma2,
                    "resultant_l1": (result1 / sigma1).abs().sum(-1),
                    "resultant_ln2_l1": (result2 / sigma2).abs().sum(-1),
                }
                for key, ours in found.items():
                    want = golden[f"{key}__len{length}"][row, number]
                    assert np.abs(ours.detach().numpy() - want).max() / np.abs(want).max() < 1e-4, key


@pytest.mark.parametrize("kind", ["comp", "suff"])
def test_curves(case, kind):
    stored = json.loads((GOLDEN / "alti" / f"aupc_{case['name']}.json").read_text())
    full = [values[0] for values in stored["probs"]["comp_bins"]["ours"]]
    for key, want_bins in stored["probs"][f"{kind}_bins"].items():
        scores = torch.zeros(case["ids"].shape)
        for number, row in enumerate(reference(case["name"], key)):
            scores[number, : len(row)] = torch.from_numpy(row)
        inputs = (case["model"], case["ids"], case["mask"], scores)
        settings = {"kind": kind, "tokenizer_ids": case["special"]}
        bins = curves(*inputs, protocol="published_bins", **settings)
        steps = curves(*inputs, protocol="published_steps", **settings)
        for ours, want in zip(bins + steps, want_bins + stored["probs"][kind][key], strict=True):
            assert len(ours) == len(want)
            np.testing.assert_allclose(ours, want, atol=1e-5)
        scores = aopc(bins, torch.tensor(full), "published_bins")
        np.testing.assert_allclose(scores, stored["metrics"][kind][key], atol=1e-5)


def test_probabilities_of_the_reference_are_on_the_full_text(case):
    golden = np.load(GOLDEN / "alti" / f"relevances_{case['name']}.npz")
    want = np.concatenate([golden[f"pred_class__len{length}"] for length in LENGTHS])
    with torch.no_grad():
        logits = case["model"](input_ids=case["ids"], attention_mask=case["mask"]).logits
    assert (logits.argmax(-1).numpy() == want).all()
