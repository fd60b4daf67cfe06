"""Attributions and curves of texts in pairs: segments and separators."""

import numpy as np
import pytest
import torch

from plumbline.attribution import attribute
from plumbline.attribution.batch import Batch
from plumbline.errors import PlumblineError
from tests.small_models import TOKENIZER_IDS, small_model, special_ids_of


def refused(call, *arguments, match, **more):
    with pytest.raises(PlumblineError, match=match) as caught:
        call(*arguments, **more)
    assert "\n" not in str(caught.value)


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
    from plumbline.attribution.ig import baseline_ids

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
        model,
        **pairs,
        scores=scores,
        protocol="standard",
        kind=kind,
        target=[1, 0],
        tokenizer_ids=special_ids_of(architecture) if known else None,
    )
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
