"""What comes with a model: every kind of it gives the right number, or one line that says what is wrong."""

import contextlib
import threading

import numpy as np
import pytest
import torch

from plumbline.attribution import METHODS, READOUTS, attention_flow, attribute, mamba_maps, selective_rollout
from plumbline.attribution.batch import Batch
from plumbline.errors import PlumblineError
from plumbline.models.encoders import classes_of
from plumbline.words import words
from tests.small_models import TOKENIZER_IDS, small_batch, small_model, special_ids_of

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


# ------------------------------------------------------------------------------------------ one logit, several labels


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


# ------------------------------------------------------------------------------------------------------ other models


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


# ------------------------------------------------------------------------------------------ surroundings and formats


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


# ------------------------------------------------------------------------------------------------------------ ranges

SMALL = {"lengths": (4, 3)}
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
            scores_of(model, ids, mask, method), attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS)
            if readout != "ig_mean" else attribute(model, ids, mask, readout, tokenizer_ids=TOKENIZER_IDS, steps=8)
        )  # fmt: skip
    refused(attribute, model, ids, mask, "norms", match="give one of norm_rollout, globenc")
    refused(attribute, model, ids, mask, "no such", match="unknown readout")
    refused(attribute, model, ids, mask, ["alti"], match="unknown readout")
    for method in METHODS.values():
        own = [readout.id for readout in method.readouts]
        assert method.principal is None or method.principal in own
        # A name that is both must mean the same.
        assert method.id not in READOUTS or method.id in own


# ---------------------------------------------------------------------------------------------------- array functions


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


# -------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("tokens", "position", "want"),
    [
        # ALBERT: sentence pieces between [CLS] and [SEP].
        ("[CLS] ▁a ▁charm ing ly ▁dull ▁film [SEP]", 0, ["[CLS]", "a", "charmingly", "dull", "film", "[SEP]"]),
        ("[CLS] ▁the ▁dog s ▁near ▁it [MASK] ▁here . [SEP]", 6,
         ["[CLS]", "the", "dogs", "near", "it", "[MASK]", "here.", "[SEP]"]),
        ("[CLS] ▁ 1 0 ▁films [SEP]", 0, ["[CLS]", "10", "films", "[SEP]"]),
        # Byte-level pieces between [CLS] and [SEP], as DeBERTa has them.
        ("[CLS] Good Ġfil ms . [SEP]", 0, ["[CLS]", "Good", "films.", "[SEP]"]),
        # WordPiece between <s> and </s>, as MPNet has it.
        ("<s> charm ##ing film </s>", 0, ["<s>", "charming", "film", "</s>"]),
        # Pairs: the separator in the middle is a word, and what follows it begins one.
        ("[CLS] ▁a ▁charm ing [SEP] ▁dull [SEP]", 0, ["[CLS]", "a", "charming", "[SEP]", "dull", "[SEP]"]),
        ("[CLS] charm ##ing [SEP] dull ##ish [SEP]", 0, ["[CLS]", "charming", "[SEP]", "dullish", "[SEP]"]),
        ("<s> Good Ġfilm </s> </s> Dull ish Ġtext </s>", 0,
         ["<s>", "Good", "film", "</s>", "</s>", "Dullish", "text", "</s>"]),
        # Marks that are text: Ġ in a cased vocabulary, ## among byte-level pieces.
        ("[CLS] Ġ ##gan ##tija is old [SEP]", 0, ["[CLS]", "Ġgantija", "is", "old", "[SEP]"]),
        ("<s> ## Ġa Ġtitle </s>", 0, ["<s>", "##", "a", "title", "</s>"]),
    ],
)  # fmt: skip
def test_words_of_every_kind_of_pieces(tokens, position, want):
    tokens = tokens.split(" ")
    found = words(tokens, position)
    assert [word for word, _ in found] == want
    assert [index for _, indices in found for index in indices] == list(range(len(tokens)))


def test_scores_of_sentence_pieces_add_up_in_their_word():
    from plumbline.tables.saliency import summed

    tokens = ["[CLS]", "▁a", "▁charm", "ing", "ly", "▁dull", "▁film", "[SEP]"]
    scores = np.array([0.05, 0.05, 0.2, 0.2, 0.2, 0.15, 0.1, 0.05])
    np.testing.assert_allclose(summed(scores, words(tokens, 0)), [0.05, 0.05, 0.6, 0.15, 0.1, 0.05])


# -------------------------------------------------------------------------------------------------------------- pairs


def small_pairs(architecture="bert"):
    """input_ids, attention_mask and token_type_ids of two pairs, the shorter one padded."""
    ids = special_ids_of(architecture)
    cls, sep = ids["cls"], ids["sep"]
    rows = [[cls, 10, 11, 12, sep, 20, 21, sep], [cls, 30, sep, 31, 32, sep]]
    types = [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1]]
    width = max(map(len, rows))
    return {
        "input_ids": torch.tensor([row + [ids["pad"]] * (width - len(row)) for row in rows]),
        "attention_mask": torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]),
        "token_type_ids": torch.tensor([row + [0] * (width - len(row)) for row in types]),
    }


@pytest.mark.parametrize("architecture", ["bert", "electra", "albert"])
def test_pairs_are_read_in_two_segments(architecture):
    model, pairs = small_model(architecture, layers=2), small_pairs(architecture)
    with torch.no_grad():
        chances = model(**pairs).logits.softmax(-1)
        single = model(input_ids=pairs["input_ids"], attention_mask=pairs["attention_mask"]).logits.softmax(
            -1
        )
    assert (chances - single).abs().max() > 1e-3
    batch = Batch(model, **pairs)
    torch.testing.assert_close(batch.probability, chances.max(1).values, rtol=1e-4, atol=1e-6)
    target = batch.target
    # Gradient by hand.
    embedded = model.get_input_embeddings()(pairs["input_ids"]).detach().requires_grad_(True)
    read = model(inputs_embeds=embedded, **{key: pairs[key] for key in ("attention_mask", "token_type_ids")})
    chance = read.logits.softmax(-1).gather(1, target[:, None]).sum()
    (slope,) = torch.autograd.grad(chance, embedded)
    sizes = slope.norm(dim=-1) * pairs["attention_mask"]
    ours = attribute(model, **pairs, method="grad_l2")
    torch.testing.assert_close(ours, sizes / sizes.sum(-1, keepdim=True), rtol=1e-3, atol=1e-5)
    # Blank-out by hand, at one place.
    masked = pairs["input_ids"].clone()
    masked[:, 3] = TOKENIZER_IDS["mask"]
    with torch.no_grad():
        fallen = model(**(pairs | {"input_ids": masked})).logits.softmax(-1).gather(1, target[:, None])[:, 0]
    ours = attribute(model, **pairs, method="blankout", tokenizer_ids=TOKENIZER_IDS)
    torch.testing.assert_close(ours[:, 3], (batch.probability - fallen).abs(), rtol=1e-3, atol=1e-6)
    # Attention by hand.
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(**pairs, output_attentions=True).attentions
    ours = attribute(model, **pairs, method="raw_attention")
    torch.testing.assert_close(ours, attentions[-1].mean(1)[:, 0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("readout", ["alti", "globenc", "ig_l2", "ig_l2_published", "input_gradient", "flow"])
def test_every_method_sees_the_segments(readout):
    model, pairs = small_model("bert", layers=2), small_pairs()
    more = {"tokenizer_ids": TOKENIZER_IDS, "method": readout} | (
        {"steps": 8} if readout.startswith("ig") else {}
    )
    both = attribute(model, **pairs, **more)
    one = attribute(model, pairs["input_ids"], pairs["attention_mask"], **more)
    assert (both - one).abs().max() > 1e-4
    # A model whose segments look alike cannot tell them apart.
    with torch.no_grad():
        table = model.bert.embeddings.token_type_embeddings.weight
        table[1] = table[0]
    torch.testing.assert_close(
        attribute(model, **pairs, **more),
        attribute(model, pairs["input_ids"], pairs["attention_mask"], **more),
    )


def test_the_baseline_of_a_pair_keeps_its_separators():
    from plumbline.attribution.gradients import baseline_ids

    pairs = small_pairs()
    batch = Batch(small_model("bert", layers=1), **pairs, tokenizer_ids=TOKENIZER_IDS)
    assert baseline_ids(batch).tolist() == [[2, 4, 4, 4, 3, 4, 4, 3], [2, 4, 3, 4, 4, 3, 0, 0]]


@pytest.mark.parametrize("architecture", ["distilbert", "roberta"])
def test_models_of_one_segment(architecture):
    more = {"type_vocab_size": 1} if architecture == "roberta" else {}
    model, pairs = small_model(architecture, layers=1, **more), small_pairs(architecture)
    refused(attribute, model, **pairs, match="with 1 segment: 0 to 0")
    none = pairs | {"token_type_ids": torch.zeros_like(pairs["token_type_ids"])}
    torch.testing.assert_close(
        attribute(model, **none), attribute(model, pairs["input_ids"], pairs["attention_mask"])
    )


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@pytest.mark.parametrize("kind", ["comp", "suff"])
@pytest.mark.parametrize("known", [True, False])
def test_curves_of_pairs(architecture, kind, known):
    """By hand: separators stay, token types go with their tokens."""
    from plumbline.faithfulness import curves

    more = {"type_vocab_size": 1} if architecture == "roberta" else {}
    model, pairs = small_model(architecture, layers=2, **more), small_pairs(architecture)
    if architecture == "roberta":
        pairs["token_type_ids"] = torch.zeros_like(pairs["token_type_ids"])
    scores = torch.tensor([[9, 1, 5, 3, 9, 4, 2, 9], [9, 2, 9, 3, 1, 9, 0, 0]], dtype=torch.bfloat16)
    found = curves(
        model, **pairs, scores=scores, protocol="standard", kind=kind, target=[1, 0],
        tokenizer_ids=special_ids_of(architecture) if known else None,
    )  # fmt: skip
    for row, (places, target) in enumerate((([2, 5, 3, 6, 1], 1), ([3, 1, 4], 0))):
        length = int(pairs["attention_mask"][row].sum())
        want = []
        for share in (0, 0.01, 0.05, 0.1, 0.2, 0.5):
            count = int(np.ceil(share * len(places)))
            gone = places[:count] if kind == "comp" else places[count:]
            kept = [place for place in range(length) if place not in gone]
            text = {name: pairs[name][row : row + 1, kept] for name in ("input_ids", "token_type_ids")}
            with torch.no_grad():
                want.append(model(**text).logits.softmax(-1)[0, target].item())
        np.testing.assert_allclose(found[row], want, atol=1e-5)


def test_masking_curves_of_pairs_keep_their_segments():
    from plumbline.faithfulness import curves

    model, pairs = small_model("bert", layers=2), small_pairs()
    (curve, _) = curves(
        model,
        **pairs,
        scores=torch.rand(2, 8),
        protocol="mask",
        kind="suff",
        target=1,
        tokenizer_ids=TOKENIZER_IDS,
    )
    text = {name: pairs[name][:1].clone() for name in pairs}
    text["input_ids"][0, [1, 2, 3, 5, 6]] = TOKENIZER_IDS["mask"]
    with torch.no_grad():
        assert curve[0].item() == pytest.approx(model(**text).logits.softmax(-1)[0, 1].item(), abs=1e-6)


def test_comp_and_suff_have_their_own_full_probability():
    from plumbline.faithfulness import comp_suff, curves

    model, (ids, mask, _) = small_model("bert", layers=2), small_batch("bert", lengths=(9, 12, 5))
    scores = torch.from_numpy(np.random.default_rng(0).random(ids.shape))
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    full = logits.softmax(-1).max(-1).values
    for protocol, points in (("standard", 5), ("mask", 9)):
        comp, suff = comp_suff(model, ids, mask, scores, protocol=protocol, tokenizer_ids=TOKENIZER_IDS)
        for kind, values in (("comp", comp), ("suff", suff)):
            found = curves(
                model, ids, mask, scores, protocol=protocol, kind=kind, tokenizer_ids=TOKENIZER_IDS
            )
            want = [(p - curve[1:]).sum() / points for p, curve in zip(full, found, strict=True)]
            torch.testing.assert_close(values, torch.stack(want), rtol=1e-4, atol=1e-6)
    assert comp_suff(model, ids, mask, scores).suff.shape == (3,)
    refused(comp_suff, model, ids, mask, scores, protocol="published_steps", match="curve only")
    refused(comp_suff, model, ids, mask, scores, protocol="mask", match="'mask' token: give tokenizer_ids")
    refused(comp_suff, model, ids, mask, scores, protocol="standrad", match="did you mean 'standard'")


@pytest.mark.parametrize(
    ("curves", "full", "text"),
    [
        ([[0.9, 0.5]], [0.9, 0.8], "one to one"),
        ([], [], "row of probabilities|one to one"),
        ([[0.9, float("nan")]], [0.9], "curve 0 is not finite"),
        ([[0.9, 1.5]], [0.9], "from 0 to 1"),
        ([[0.9, 0.5]], [7], "from 0 to 1"),
        ([[0.9]], [0.9], "not finite"),
        ([0.9], [0.9], "row of probabilities"),
        ("curves", [0.9], "list of them"),
        (None, [0.9], "list of them"),
        ([[0.9, 0.5]], None, "full_probability must hold real numbers"),
    ],
)
def test_areas_of_what_is_no_curve(curves, full, text):
    from plumbline.faithfulness import aopc

    refused(aopc, curves, full, "standard", match=text)
