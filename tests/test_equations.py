"""Each method's equation once more, in a few lines of einsum or a plain loop, against the module that computes it."""

import numpy as np
import pytest
import torch

from plumbline.attribution import METHODS, READOUTS, attribute, explain, method_of
from plumbline.attribution.batch import Batch
from plumbline.attribution.decomposition import examples, normalise_rows, trace
from plumbline.attribution.ig import baseline_ids
from plumbline.errors import PlumblineError
from plumbline.models.encoders import explained_probability, layers_of, modules_of, undisturbed
from tests.small_models import ARCHITECTURES, small_batch, small_model, special_ids_of


def transformed_vectors(layer, row, length, ddof=0):
    """(T (i, j, D), y (i, D)) of ALTI eqs. 6-10, written down as they stand there."""
    heads = layer.attention.shape[1]
    weight = layer.dense.weight.view(layer.dense.out_features, heads, -1)
    values = layer.values[row, :length].view(length, heads, -1)
    attention = layer.attention[row, :, :length, :length]
    summed = torch.einsum("hij,Dhd,jhd->ijD", attention, weight, values)
    summed += torch.einsum("ij,iD->ijD", torch.eye(length), layer.inputs[row, :length])
    sigma = layer.pre1[row, :length].std(-1, correction=ddof)[:, None]

    def lin(vectors):
        return (vectors - vectors.mean(-1, keepdim=True)) * layer.norm1.weight

    result = (lin(summed.sum(1)) + lin(layer.dense.bias)) / sigma + layer.norm1.bias
    return lin(summed) / sigma[:, None], result


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_decomposition(architecture):
    """Sources add up to what leaves the first LayerNorm, and norms and distances are those of T."""
    model = small_model(architecture)
    ids, mask, _ = small_batch(architecture)
    with undisturbed(model):
        layers = trace(model, ids, mask)
    assert len(layers) == model.config.num_hidden_layers
    for layer in layers:
        for row, example in enumerate(examples(layer, mask.sum(-1).tolist())):
            vectors, result = transformed_vectors(layer, row, example.length)
            # The reference's eps inside the square root of LayerNorm is the only difference.
            left = torch.nn.functional.layer_norm(
                layer.pre1[row, : example.length],
                result.shape[-1:],
                layer.norm1.weight,
                layer.norm1.bias,
                0.0,
            )
            torch.testing.assert_close(result, left, rtol=1e-4, atol=1e-4)
            stage = example.first(0)
            scaled, sigma = stage.result()
            torch.testing.assert_close(scaled / sigma, result, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(stage.l2_norms() / sigma, vectors.norm(dim=-1), rtol=1e-4, atol=1e-4)
            for order, closeness in ((1, stage.l1_closeness()), (2, stage.l2_closeness())):
                want = result.norm(p=order, dim=-1)[:, None] - (result[:, None] - vectors).norm(
                    p=order, dim=-1
                )
                torch.testing.assert_close(closeness / sigma, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layers_are_traced_in_the_order_of_depth(architecture):
    """What leaves a layer enters the next; in between, modules are the ones of the table."""
    model = small_model(architecture)
    ids, mask, _ = small_batch(architecture)
    with undisturbed(model):
        layers = trace(model, ids, mask)
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    for depth, layer in enumerate(layers):
        torch.testing.assert_close(layer.inputs, states[depth])
        torch.testing.assert_close(layer.output, states[depth + 1])


@pytest.mark.parametrize(("groups", "inner"), [(1, 1), (2, 1), (2, 2)])
def test_shared_layers_leave_a_record_a_call(groups, inner):
    """ALBERT: each of `groups` modules serves several depths, each depth is `inner` layers."""
    model = small_model("albert", layers=4, num_hidden_groups=groups, inner_group_num=inner)
    ids, mask, _ = small_batch("albert")
    assert len(layers_of(model)) == groups * inner
    with undisturbed(model):
        layers = trace(model, ids, mask)
    assert len(layers) == 4 * inner
    norms = [id(layer.norm1) for layer in layers]
    assert norms == [
        id(layers_of(model)[depth // (4 // groups) * inner + part].attention.LayerNorm)
        for depth in range(4)
        for part in range(inner)
    ]
    for before, after in zip(layers[:-1], layers[1:], strict=True):
        assert torch.equal(before.output, after.inputs)
    scores = attribute(model, ids, mask, "alti")
    torch.testing.assert_close(scores.sum(-1), torch.ones(len(ids)), rtol=1e-4, atol=1e-5)


def test_a_row_without_contributions_keeps_its_relevance():
    matrix = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    assert torch.equal(normalise_rows(matrix), torch.tensor([[1.0, 0.0], [0.25, 0.75]]))
    assert normalise_rows(torch.tensor([[float("nan"), 1.0], [1.0, 1.0]])).isnan().any()


VECTORS = [
    name for name, readout in READOUTS.items() if readout.layered and method_of(name).family == "vector"
]


@pytest.mark.parametrize("readout", VECTORS)
def test_vector_readouts_by_hand(readout):
    """C = max(0, ||y|| - ||y - T||) or ||T||, after either LayerNorm, rows divided; ALTI as published with the deviation of
    D - 1, GlobEnc as published undivided."""
    model = small_model("bert")
    ids, mask, _ = small_batch("bert", lengths=(9, 12))
    found = attribute(model, ids, mask, readout)
    name, published = readout.removesuffix("_published"), readout.endswith("_published")
    ddof = int(published and name.startswith("alti"))
    with undisturbed(model):
        layers = trace(model, ids, mask)
    for row, length in enumerate((9, 12)):
        product = torch.eye(length)
        for layer in layers:
            vectors, result = transformed_vectors(layer, row, length, ddof)
            if name in ("alti_ln2", "globenc"):
                sigma = layer.pre2[row, :length].std(-1, correction=ddof)[:, None, None]
                vectors = (vectors - vectors.mean(-1, keepdim=True)) * layer.norm2.weight / sigma
                result = layer.output[row, :length]
            order = 1 if name in ("alti", "alti_ln2") else 2
            matrix = vectors.norm(p=order, dim=-1)
            if name.startswith("alti"):
                away = (result[:, None] - vectors).norm(p=order, dim=-1)
                matrix = (result.norm(p=order, dim=-1)[:, None] - away).clamp(min=0)
            if readout != "globenc_published":
                matrix = matrix / matrix.sum(-1, keepdim=True)
            product = matrix @ product
        torch.testing.assert_close(found[row, :length], product[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "roberta"])
def test_rollout_by_hand(architecture):
    model = small_model(architecture)
    model.set_attn_implementation("eager")
    ids, mask, _ = small_batch(architecture, lengths=(9,))
    product = torch.eye(9)
    for attention in model(input_ids=ids, attention_mask=mask, output_attentions=True).attentions:
        product = (attention[0].mean(0) + torch.eye(9)) / 2 @ product
    torch.testing.assert_close(attribute(model, ids, mask, "rollout")[0], product[0], rtol=1e-5, atol=1e-6)


def probability_of_words(model, ids, target, words, position=None):
    """p(target) for given word embeddings, by transformers' own argument."""
    logits = model(inputs_embeds=words, attention_mask=torch.ones(len(words), ids.shape[1]).long()).logits
    position = torch.zeros(len(words), dtype=torch.int64) if position is None else position.expand(len(words))
    return explained_probability(logits, target.expand(len(words)), position)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_gradient_is_the_models_own(architecture, task):
    """Against inputs_embeds of transformers 5, which applies positions and LayerNorm once."""
    model = small_model(architecture, task)
    ids, _, positions = small_batch(architecture, lengths=(9,))
    position = positions[:1] if task == "agreement" else torch.zeros(1, dtype=torch.int64)
    words = model.get_input_embeddings()(ids).detach().requires_grad_(True)
    target = torch.tensor([1])
    (gradient,) = torch.autograd.grad(probability_of_words(model, ids, target, words, position).sum(), words)
    norms = gradient.norm(dim=-1)
    inputs = (model, ids, None)
    ours = attribute(*inputs, "grad_l2", target=1, position=position)
    torch.testing.assert_close(ours, norms / norms.sum(), rtol=1e-4, atol=1e-6)
    product = attribute(*inputs, "gxi_mean", target=1, position=position)
    torch.testing.assert_close(product, (gradient * words).mean(-1).detach(), rtol=1e-4, atol=1e-6)


def test_integrated_gradients_equal_captum():
    from captum.attr import IntegratedGradients

    model = small_model("bert")
    special = special_ids_of("bert")
    ids, _, _ = small_batch("bert", lengths=(9,))
    embed = model.get_input_embeddings()
    baseline = torch.full_like(ids, special["mask"])
    baseline[0, 0], baseline[0, -1] = special["cls"], special["sep"]
    target = torch.tensor([1])
    captum = IntegratedGradients(lambda words: probability_of_words(model, ids, target, words))
    want = captum.attribute(embed(ids).detach(), embed(baseline).detach(), n_steps=40, internal_batch_size=8)
    batch = Batch(model, ids, None, target=1, tokenizer_ids=special)
    found = explain("ig", batch, steps=40)
    torch.testing.assert_close(found["ig_mean_abs"], want.abs().mean(-1).float(), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found["ig_mean"], want.mean(-1).float(), rtol=1e-3, atol=1e-6)
    assert found["completeness_gap"].max() < 0.02


def test_published_integrated_gradients_take_100_steps_and_embed_twice():
    """Along the path between what the embedding block gives for the text and for its baseline."""
    from captum.attr import IntegratedGradients

    model, special = small_model("bert"), special_ids_of("bert")
    ids, _, _ = small_batch("bert", lengths=(9,))
    baseline = torch.full_like(ids, special["mask"])
    baseline[0, 0], baseline[0, -1] = special["cls"], special["sep"]
    ends = [model.bert.embeddings(row).detach() for row in (ids, baseline)]
    captum = IntegratedGradients(lambda words: probability_of_words(model, ids, torch.tensor([1]), words))
    want = captum.attribute(*ends, n_steps=100, internal_batch_size=8)
    found = explain("ig_published", Batch(model, ids, None, target=1, tokenizer_ids=special))
    assert found["steps"].tolist() == [100]
    torch.testing.assert_close(found["ig_mean_published"], want.mean(-1).float(), rtol=1e-3, atol=1e-6)
    rise = probability_of_words(model, ids, torch.tensor([1]), torch.cat(ends)).diff().abs().item()
    assert found["completeness_gap"].item() == pytest.approx(abs(want.sum().item()) - rise, abs=1e-4)


def test_the_baseline_keeps_the_separator_between_two_sentences():
    ids = torch.tensor([[2, 9, 3, 8, 7, 3], [2, 9, 8, 3, 0, 0]])
    batch = Batch(small_model("bert"), ids, (ids > 0).long(), tokenizer_ids=special_ids_of("bert"))
    assert baseline_ids(batch).tolist() == [[2, 4, 3, 4, 4, 3], [2, 4, 4, 3, 0, 0]]


@pytest.mark.slow
def test_steps_of_integrated_gradients_lie_where_the_probability_changes():
    """A steep classifier, where 100 steps miss; the oracle: 20,000 points of the midpoint rule in double precision."""
    # What docs/definitions.md states.
    assert METHODS["ig"].parameters == {"steps": "auto", "gap": 0.01, "max_steps": 3200}
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(9, 12))
    baseline = torch.where(mask.bool(), special["mask"], ids)
    for row, length in enumerate((9, 12)):
        baseline[row, 0], baseline[row, length - 1] = special["cls"], special["sep"]
    with torch.no_grad():
        ends = [model(input_ids=row[:1], attention_mask=mask[:1]).logits[0] for row in (ids, baseline)]
        # Steep, and the class changes half way between the first example and its baseline.
        model.classifier.bias -= (ends[0] + ends[1]) / 2
        model.classifier.bias *= 3000
        model.classifier.weight *= 3000
    batch = Batch(model, ids, mask, target=1, tokenizer_ids=special)
    fixed, found = explain("ig", batch, steps=100), explain("ig", batch)
    assert fixed["steps"].tolist() == [100, 100]
    assert fixed["completeness_gap"][0] > 0.05
    assert (found["completeness_gap"] < 0.01).all()
    # The second example needs no more than the first steps, whatever the first one does.
    assert found["steps"][0] > found["steps"][1] == 32
    assert found["steps"][0] % 32 == 0

    # Neither the order of examples nor their company changes where an example's steps lie; two of these paths are halved.
    three, padding = torch.cat([ids[:1], ids]), torch.cat([mask[:1], mask])
    three[1, [3, 4]] = three[1, [4, 3]]
    alone = [
        explain(
            "ig", Batch(model, three[row : row + 1], padding[row : row + 1], target=1, tokenizer_ids=special)
        )
        for row in range(3)
    ]
    assert sum(one["steps"].item() > 32 for one in alone) == 2
    for rows in ([0, 1, 2], [2, 1, 0]):
        together = explain("ig", Batch(model, three[rows], padding[rows], target=1, tokenizer_ids=special))
        assert together["steps"].tolist() == [alone[row]["steps"].item() for row in rows]
        expected = torch.cat([alone[row]["ig_mean"] for row in rows])
        torch.testing.assert_close(together["ig_mean"], expected, rtol=1e-3, atol=1e-4)

    model, length, points = model.double(), 9, 20_000
    words = model.get_input_embeddings()
    end, start = (words(row[:1, :length]).detach() for row in (ids, baseline))
    total = torch.zeros_like(end)
    for alphas in ((torch.arange(points, dtype=torch.float64) + 0.5) / points).split(1000):
        path = (start + alphas[:, None, None] * (end - start)).requires_grad_(True)
        probability = model(inputs_embeds=path).logits.softmax(-1)[:, 1].sum()
        total += torch.autograd.grad(probability, path)[0].sum(0) / points
    want = (total * (end - start))[0]
    with torch.no_grad():
        upper, lower = (model(input_ids=row[:1, :length]).logits.softmax(-1)[0, 1] for row in (ids, baseline))
    assert want.sum() == pytest.approx((upper - lower).item(), abs=1e-3)
    width = want.shape[1]
    assert found["ig_mean"][0].sum() * width == pytest.approx((upper - lower).item(), abs=0.01)
    np.testing.assert_allclose(found["ig_mean"][0, :length] * width, want.sum(-1), atol=0.02)
    assert abs(fixed["ig_mean"][0, :length] * width - want.sum(-1)).max() > 0.02
    assert found["completeness_gap"][0] == pytest.approx(
        abs(found["ig_mean"][0].sum().item() * width - (upper - lower).item()), abs=1e-4
    )


@pytest.mark.slow
def test_steps_of_integrated_gradients_stop_at_the_maximum():
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(9, 5))
    batch = Batch(model, ids, mask, target=1, tokenizer_ids=special)
    found = explain("ig", batch, gap=1e-30, max_steps=120)
    assert found["steps"].tolist() == [96, 96]  # three pieces of 32; a fourth would be over 120
    torch.testing.assert_close(
        found["ig_mean"], explain("ig", batch, steps=500)["ig_mean"], rtol=1e-4, atol=1e-7
    )
    few = explain("ig", batch, gap=1e-30, max_steps=7)
    assert few["steps"].tolist() == [7, 7]
    torch.testing.assert_close(few["ig_l2"], explain("ig", batch, steps=7)["ig_l2"])


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"steps": 0}, "'steps' of method 'ig' is 0: expected 'auto' or a whole number, at least 1"),
        ({"steps": "some"}, "is 'some': expected 'auto'"),
        ({"gap": -1.0}, "'gap' of method 'ig' is -1.0: expected a number above 0"),
        ({"gap": True}, "expected a number above 0"),
        ({"max_steps": 2.5}, "is 2.5: expected a whole number, at least 1"),
    ],
)
def test_wrong_steps_of_integrated_gradients(wrong, text):
    model, (ids, _, _) = small_model("bert"), small_batch("bert", lengths=(5,))
    with pytest.raises(PlumblineError, match=text):
        attribute(model, ids, None, "ig_mean", tokenizer_ids=special_ids_of("bert"), **wrong)


def test_published_gradient_embeds_twice():
    """The published variable is the embedding block's output, handed in where word embeddings belong."""
    model = small_model("bert")
    ids, _, _ = small_batch("bert", lengths=(9,))
    block = model.bert.embeddings(ids).detach().requires_grad_(True)
    target = model(input_ids=ids).logits.argmax(-1)
    (gradient,) = torch.autograd.grad(probability_of_words(model, ids, target, block).sum(), block)
    ours = attribute(model, ids, None, "gxi_l2_published")
    torch.testing.assert_close(ours, (gradient * block).norm(dim=-1).detach(), rtol=1e-4, atol=1e-6)


def test_published_agreement_gradient_explains_a_softmax_over_positions():
    """Over a sentence's own ones: beside a longer one nothing changes."""
    model = small_model("roberta", "agreement")
    ids, mask, positions = small_batch("roberta", lengths=(9, 12))
    ours = attribute(model, ids, mask, "grad_l2_published", position=positions)
    for row, length in enumerate((9, 12)):
        own = ids[row : row + 1, :length]
        block = model.roberta.embeddings(own).detach().requires_grad_(True)
        logits = model(inputs_embeds=block, attention_mask=torch.ones_like(own)).logits[0, :, 0]
        (gradient,) = torch.autograd.grad(logits.softmax(0)[positions[row]], block)
        norms = gradient[0].norm(dim=-1)
        torch.testing.assert_close(ours[row, :length], norms / norms.sum(), rtol=1e-4, atol=1e-6)
        assert not ours[row, length:].any()


@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_blankout_one_at_a_time(task):
    model, special = small_model("bert", task), special_ids_of("bert")
    ids, _, positions = small_batch("bert", lengths=(9,))
    place = int(positions[0]) if task == "agreement" else 0

    def logits(row):
        found = model(input_ids=torch.from_numpy(row)[None]).logits[0]
        return found[place] if task == "agreement" else found

    row = ids[0].numpy()
    full = logits(row)
    target = int(full.argmax()) if task == "classification" else 0
    plain, published = [], []
    for index in range(9):
        masked = row.copy()
        masked[index] = special["mask"]
        other = logits(masked)
        if task == "agreement":
            plain.append((full.sigmoid() - other.sigmoid()).abs().item())
            published.append(plain[-1])
        else:
            plain.append((full.softmax(0)[target] - other.softmax(0)[target]).abs().item())
            published.append((full.softmax(0)[target] - other[target].sigmoid()).abs().item())
    settings = {"position": place, "tokenizer_ids": special}
    for readout, want in (("blankout", plain), ("blankout_published", published)):
        ours = attribute(model, ids, None, readout, **settings)[0]
        np.testing.assert_allclose(ours, want, atol=1e-5)
        if task == "agreement":
            assert ours[place] == 0


def test_module_names_are_in_the_models():
    for architecture in ARCHITECTURES:
        model = small_model(architecture)
        names = modules_of(model)
        for part in (names.attention, names.value, names.dense, names.norm1, names.norm2):
            layers_of(model)[0].get_submodule(part)


SIGNED = [readout for readout in READOUTS.values() if readout.signed]


def test_every_signed_readout_has_one_unsigned_twin():
    for readout in SIGNED:
        (twin,) = (other for other in READOUTS.values() if readout.id in other.absolute_of)
        assert not twin.signed
        assert twin.published == readout.published
        assert method_of(twin.id) is method_of(readout.id)
    assert {name for other in READOUTS.values() for name in other.absolute_of} == {r.id for r in SIGNED}


@pytest.mark.parametrize("readout", [r.id for r in SIGNED])
def test_the_twin_is_the_absolute_value_up_to_a_factor(readout):
    """Of what is clipped: the twin where the sum is positive, zero elsewhere."""
    model, special = small_model("bert"), special_ids_of("bert")
    ids, mask, _ = small_batch("bert", lengths=(12, 7))
    twin = next(other.id for other in READOUTS.values() if readout in other.absolute_of)
    found = explain(method_of(readout).id, Batch(model, ids, mask, target=0, tokenizer_ids=special))
    signs = found[readout.replace("_clip", "_mean")].sign()
    assert (signs < 0).any()
    for row, length in enumerate((12, 7)):
        scores, others = found[readout][row, :length], found[twin][row, :length]
        kept = signs[row, :length] > 0 if "_clip" in readout else torch.ones(length, dtype=torch.bool)
        want = others[kept] / others[kept].sum()
        torch.testing.assert_close(scores[kept].abs() / scores[kept].abs().sum(), want, rtol=1e-4, atol=1e-6)
        assert not scores[~kept].any()
