"""Attributions of models that are no softmax classifiers: sigmoids, one logit, regression, quantised weights."""

import numpy as np
import pytest
import torch

from plumbline.attribution import attribute
from plumbline.attribution.batch import Batch
from plumbline.errors import PlumblineError
from plumbline.models.encoders import classes_of
from tests.small_models import TOKENIZER_IDS, small_batch, small_model


def scores_of(model, ids, mask, readout, **more):
    if readout.startswith("ig"):
        more["steps"] = 8
    return attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS, **more)


def refused(call, *arguments, match, **more):
    with pytest.raises(PlumblineError, match=match) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)


def sigmoid_model(kind):
    """(model, function from its logits (batch, labels) and a target to the probability, by hand)."""
    labels, more = (1, {}) if kind == "one_logit" else (3, {"problem_type": "multi_label_classification"})
    model = small_model("bert", layers=2, num_labels=labels, **more)

    def probability(logits, target):
        if kind == "one_logit":
            risen = 1 / (1 + torch.exp(-logits[:, 0]))
            return risen if target == 1 else 1 - risen
        return 1 / (1 + torch.exp(-logits[:, target]))

    return model, probability


CASES = [("one_logit", 0), ("one_logit", 1), ("multi_label", 0), ("multi_label", 2)]


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_sigmoid_models_have_gradients(kind, target):
    """The chain rule by hand: dp/de = p (1 - p) dz/de, up to its sign."""
    model, probability = sigmoid_model(kind)
    ids, _, _ = small_batch("bert", lengths=(8,))
    embedded = model.get_input_embeddings()(ids).detach().requires_grad_(True)
    logits = model(inputs_embeds=embedded).logits
    column = 0 if kind == "one_logit" else target
    (slope,) = torch.autograd.grad(logits[0, column], embedded)
    sizes = slope.norm(dim=-1)
    assert sizes.min() > 0
    torch.testing.assert_close(scores_of(model, ids, None, "grad_l2", target=target), sizes / sizes.sum())
    risen = torch.sigmoid(logits[0, column])
    sign = -1 if (kind, target) == ("one_logit", 0) else 1
    products = (sign * risen * (1 - risen) * slope * embedded).sum(-1).detach()
    found = scores_of(model, ids, None, "gxi_mean", target=target)
    torch.testing.assert_close(found, products / embedded.shape[-1], rtol=1e-4, atol=1e-7)
    # Integrated gradients: what the probability rises from the baseline to the text, in full.
    baseline = torch.full_like(ids, TOKENIZER_IDS["mask"])
    baseline[0, 0], baseline[0, -1] = TOKENIZER_IDS["cls"], TOKENIZER_IDS["sep"]
    with torch.no_grad():
        ends = [probability(model(input_ids=text).logits, target) for text in (ids, baseline)]
    found = attribute(model, ids, None, "ig_mean", target=target, tokenizer_ids=TOKENIZER_IDS, steps=200)
    assert (found.sum() * embedded.shape[-1]).item() == pytest.approx((ends[0] - ends[1]).item(), abs=2e-3)


@pytest.mark.parametrize(("kind", "target"), CASES)
def test_sigmoid_models_have_blank_outs_and_curves(kind, target):
    from plumbline.faithfulness import curves

    model, probability = sigmoid_model(kind)
    ids, _, _ = small_batch("bert", lengths=(8,))

    def chance(text):
        with torch.no_grad():
            return probability(model(input_ids=text).logits, target).item()

    want = []
    for place in range(8):
        masked = ids.clone()
        masked[0, place] = TOKENIZER_IDS["mask"]
        want.append(abs(chance(ids) - chance(masked)))
    for readout in ("blankout", "blankout_published"):
        found = scores_of(model, ids, None, readout, target=target)
        np.testing.assert_allclose(found[0], want, atol=1e-6)
    assert max(want) > 1e-3
    scores = torch.tensor([[0, 6, 5, 4, 3, 2, 1, 0]])
    (curve,) = curves(
        model,
        ids,
        None,
        scores,
        protocol="published_steps",
        kind="comp",
        tokenizer_ids=TOKENIZER_IDS,
        target=target,
    )
    deleted = [chance(torch.cat([ids[:, :1], ids[:, 1 + count :]], 1)) for count in range(7)]
    np.testing.assert_allclose(curve, np.minimum.accumulate(deleted), atol=1e-6)


@pytest.mark.parametrize("kind", ["one_logit", "multi_label"])
def test_sigmoid_models_predict_what_is_likelier(kind):
    model, probability = sigmoid_model(kind)
    ids, mask, _ = small_batch("bert", lengths=(5, 9, 3, 12, 7, 8))
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    classes = 2 if kind == "one_logit" else 3
    chances = torch.stack([probability(logits, target) for target in range(classes)], 1)
    batch = Batch(model, ids, mask)
    assert classes_of(model) == classes
    assert batch.target.tolist() == chances.argmax(1).tolist()
    torch.testing.assert_close(batch.probability, chances.max(1).values)
    # None explains the predicted class.
    torch.testing.assert_close(
        scores_of(model, ids, mask, "gxi_mean"), scores_of(model, ids, mask, "gxi_mean", target=batch.target)
    )


def test_sigmoid_models_are_trained_by_their_own_rule():
    from plumbline.models.tokenisation import Tokenised
    from plumbline.models.training import accuracy, batch_loss

    class Pad:
        pad_token_id = 0

    draw = np.random.default_rng(0)
    for kind, classes in (("one_logit", 2), ("multi_label", 3)):
        model, probability = sigmoid_model(kind)
        rows = [
            Tokenised(index, draw.integers(5, 60, size=6), 0, index % classes, None) for index in range(6)
        ]
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(np.stack([row.ids for row in rows]))).logits
            found = batch_loss(model, rows, 0, torch.device("cpu")).item()
        chances = torch.stack([probability(logits, target) for target in range(classes)], 1).double()
        right = torch.tensor([row.label for row in rows])
        if kind == "one_logit":
            want = -chances[torch.arange(6), right].log().mean().item()
        else:
            hit = torch.nn.functional.one_hot(right, classes).bool()
            want = -torch.where(hit, chances, 1 - chances).log().mean().item()
        assert found == pytest.approx(want, rel=1e-5)
        assert accuracy(model, rows, Pad)[0] == int((chances.argmax(1) == right).sum())


def other_models():
    import transformers

    config = small_model("bert").config
    names = ("TokenClassification", "MaskedLM", "QuestionAnswering", "MultipleChoice", "PreTraining")
    for name in names:
        yield name, getattr(transformers, f"BertFor{name}")(config)
    one = transformers.BertConfig(
        **(config.to_dict() | {"num_labels": 1, "id2label": None, "label2id": None})
    )
    yield "TokenClassification of one label", transformers.BertForTokenClassification(one)
    yield "Model", transformers.BertModel(config)
    yield "Electra", transformers.ElectraForPreTraining(small_model("electra").config)
    yield "torch", torch.nn.Linear(2, 2)
    yield "none", None


@pytest.mark.parametrize("readout", ["position", "rollout", "grad_l2"])
def test_models_that_are_no_classifiers_are_refused(readout):
    ids, mask, _ = small_batch("bert")
    for name, model in other_models():
        with pytest.raises(PlumblineError, match="classif|agreement") as caught:
            attribute(model, ids, mask, readout, target=0)
        assert "\n" not in str(caught.value), name


def test_regression_is_refused_and_exchanged_heads_are_seen():
    ids, mask, _ = small_batch("bert")
    refused(
        attribute, small_model("bert", num_labels=1, problem_type="regression"), ids, mask, match="regression"
    )
    model = small_model("bert", layers=1)
    refused(attribute, model, ids, mask, "grad_l2", target=4, match="target holds 4: legal: 0 to 1")
    model.classifier = torch.nn.Linear(16, 5)
    attribute(model, ids, mask, "grad_l2", target=4)


def test_quantised_models_give_what_they_can():
    model = small_model("bert", layers=2)
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    ids, mask, _ = small_batch("bert", lengths=(6, 4))
    refused(scores_of, quantised, ids, mask, "alti", match="quantised")
    refused(scores_of, quantised, ids, mask, "grad_l2", match="quantised")
    quantised.set_attn_implementation("eager")
    with torch.no_grad():
        output = quantised(input_ids=ids[:1], output_attentions=True)
    torch.testing.assert_close(
        Batch(quantised, ids[:1]).probability, output.logits.softmax(-1).max(-1).values
    )
    torch.testing.assert_close(
        scores_of(quantised, ids[:1], None, "raw_attention"), output.attentions[-1].mean(1)[:, 0]
    )
    assert scores_of(quantised, ids, mask, "blankout").isfinite().all()
