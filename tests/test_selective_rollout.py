"""Selective rollout, attention flow and their study: the equations once more, golden cases, networkx, a direct run."""

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from plumbline.agreement import rollouts, spearman, spearman_dense
from plumbline.artefacts import check_file, read_rows, write_rows
from plumbline.attribution import (
    METHODS,
    READOUTS,
    attention_flow,
    attribute,
    mamba_maps,
    mamba_maps_full,
    selective_rollout,
)
from plumbline.attribution.batch import Batch
from plumbline.attribution.flow import flows, upper_bounds
from plumbline.attribution.input_gradient import left_of_sum, logit_function, references
from plumbline.attribution.selective import largest_distance
from plumbline.errors import PlumblineError
from plumbline.models.encoders import undisturbed
from plumbline.models.tokenisation import train_tokenizer
from plumbline.stats import percentiles, resampled_medians
from tests.conftest import GOLDEN
from tests.small_models import ARCHITECTURES, small_batch, small_model

THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0)


def golden(name):
    return np.load(GOLDEN / "thesis" / f"{name}.npz")


def softmax(logits):
    found = np.exp(logits - logits.max(-1, keepdims=True))
    return found / found.sum(-1, keepdims=True)


def seeded(layers, heads, tokens, spread=2.0, seed=0):
    return softmax(spread * np.random.default_rng(seed).normal(size=(layers, heads, tokens, tokens)))


FEW = st.integers(1, 5)
TWO_TO_SIX = st.integers(2, 6)


def attentions(layers=FEW, tokens=TWO_TO_SIX):
    """Attention of one example, diffuse or peaked, as a strategy."""
    shapes = st.tuples(layers, st.integers(1, 3), tokens).map(lambda found: (*found, found[2]))
    logits = shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(-1, 1)))
    return st.builds(lambda values, spread: softmax(spread * values), logits, st.sampled_from([0.5, 3, 30]))


def mixed(attention):
    """A'_l by the equation, (layers, n, n)."""
    means = np.einsum("lhij->lij", attention) / attention.shape[1] + np.eye(attention.shape[-1])
    return means / np.einsum("lij->li", means)[..., None]


# ------------------------------------------------------------------------------------------------ golden cases


@pytest.mark.parametrize("name", ["rollout_base_like", "rollout_peaked"])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_golden_selective_rollout(name, threshold):
    cases = golden(name)
    relevance, used = selective_rollout(cases["att"], threshold)
    np.testing.assert_allclose(relevance, cases[f"sel_{threshold}_rel"], rtol=0, atol=1e-10)
    assert used == cases[f"sel_{threshold}_used"].tolist()
    for row in (0, 3):
        products, _ = selective_rollout(cases["att"], threshold, position=row)
        np.testing.assert_allclose(products, cases[f"sel_{threshold}"][:, row], rtol=0, atol=1e-10)
    dense = [spearman_dense.compute(row, cases["grads"]) for row in relevance]
    np.testing.assert_allclose(dense, cases[f"sel_{threshold}_spearman"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["rollout_base_like", "rollout_peaked"])
def test_golden_variants(name):
    """Joint rollout is selective rollout of threshold 0, with and without the residual connection."""
    cases = golden(name)
    for residual, key in ((True, "joint"), (False, "nores")):
        relevance, used = selective_rollout(cases["att"], 0, residual=residual)
        np.testing.assert_allclose(relevance, cases[f"{key}_rel"], rtol=0, atol=1e-10)
        assert used == list(range(len(relevance)))
    attention = torch.from_numpy(cases["att"])
    found = rollouts.readouts(attention, 2, [], [])
    np.testing.assert_allclose(found["raw_attention_max", None][0], cases["raw_rel"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["rollout_max", None][0], cases["joint_rel"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["rollout", None][0], cases["joint_res"][:, 2], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["rollout_no_residual_max", None][0], cases["nores_rel"], rtol=0, atol=1e-10)  # fmt: skip


@pytest.mark.parametrize("layer", range(3))
def test_golden_flow(layer):
    cases = golden("flow")
    found = attention_flow(cases["att"], layer)
    np.testing.assert_allclose(found, cases[f"flow_rel_layer{layer}"], rtol=0, atol=1e-6)


def test_golden_ranks_with_ties():
    cases = golden("spearman_ties")
    assert spearman_dense.compute(cases["x"], cases["y"]) == pytest.approx(float(cases["dense"]), abs=1e-12)
    assert spearman.compute(cases["x"], cases["y"]) == pytest.approx(
        float(cases["true_average_rank"]), abs=1e-12
    )


# ------------------------------------------------------------------------------------- selective rollout by itself


@settings(max_examples=40, deadline=None)
@given(attention=attentions(), threshold=st.floats(0, 2), residual=st.booleans())
def test_selective_rollout_follows_the_equations(attention, threshold, residual):
    matrices = mixed(attention) if residual else np.einsum("lhij->lij", attention) / attention.shape[1]
    product, last, wanted, want = matrices[0], matrices[0], [0], [matrices[0]]
    for layer, matrix in enumerate(matrices[1:], start=1):
        gap = matrix - last
        distance = np.sqrt(np.einsum("ij,ij->", gap, gap))
        if abs(distance - threshold) < 1e-9:
            return  # rounding decides
        if distance > threshold:
            product, last = np.einsum("ij,jk->ik", matrix, product), matrix
            wanted.append(layer)
        want.append(product)
    relevance, used = selective_rollout(attention, threshold, residual)
    assert used == wanted
    np.testing.assert_allclose(relevance, np.stack(want).max(1), rtol=0, atol=1e-12)
    row, _ = selective_rollout(attention, threshold, residual, position=1)
    np.testing.assert_allclose(row, np.stack(want)[:, 1], rtol=0, atol=1e-12)
    # A row of the product spreads one unit of relevance over the tokens.
    np.testing.assert_allclose(row.sum(-1), 1, rtol=0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(attention=attentions(tokens=st.just(2)))
def test_two_tokens_never_pass_the_published_threshold(attention):
    assert selective_rollout(attention, 1.0)[1] == [0]


@settings(max_examples=25, deadline=None)
@given(attention=attentions())
def test_no_two_layers_are_farther_apart_than_the_largest_distance(attention):
    matrices = mixed(attention)
    apart = max(np.linalg.norm(first - second) for first in matrices for second in matrices)
    assert apart <= largest_distance(attention.shape[-1]) + 1e-9


def test_the_largest_distance_is_reached():
    first = np.eye(4)[[1, 0, 3, 2]]
    second = np.eye(4)[[2, 3, 0, 1]]
    attention = np.stack([first, second])[:, None]
    assert selective_rollout(attention, largest_distance(4) - 1e-9)[1] == [0, 1]
    assert selective_rollout(attention, largest_distance(4) + 1e-9)[1] == [0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_of_the_kind_that_was_given(dtype):
    attention = seeded(3, 2, 5).astype(dtype)
    for found in (selective_rollout(attention, 0.1)[0], attention_flow(attention, 2)):
        assert isinstance(found, np.ndarray)
        assert found.dtype == dtype
    tensor = torch.from_numpy(attention).requires_grad_()
    for found in (selective_rollout(tensor, 0.1)[0], attention_flow(tensor, 2)):
        assert isinstance(found, torch.Tensor)
        assert found.dtype == tensor.dtype
        assert not found.requires_grad
    np.testing.assert_array_equal(attention_flow(tensor, 2, 1).numpy(), attention_flow(attention, 2, 1))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda a: selective_rollout(a[0], 1), "(layers, heads, n, n)"),
        (lambda a: selective_rollout(a, -1), "never negative"),
        (lambda a: selective_rollout(a, float("nan")), "never negative"),
        (lambda a: selective_rollout(a, 1, position=5), "outside the 5 tokens"),
        (lambda a: selective_rollout((a > 0).astype(int), 1), "floating-point"),
        (lambda a: attention_flow(a, 3), "layers 0 to 2"),
        (lambda a: attention_flow(a, -1), "layers 0 to 2"),
        (lambda a: attention_flow(a, 0, -1), "outside the 5 tokens"),
    ],
)
def test_errors_name_what_is_wrong(call, text):
    with pytest.raises(PlumblineError) as fault:
        call(seeded(3, 2, 5))
    assert text in str(fault.value)


# ------------------------------------------------------------------------------------------------- attention flow


def by_networkx(matrices):
    """All maximum flows to the top nodes, float64 (n, n), by Edmonds and Karp's algorithm."""
    graph, size = networkx.DiGraph(), matrices.shape[-1]
    for layer, i, j in np.argwhere(matrices > 0).tolist():
        graph.add_edge((layer + 1, i), (layer, j), capacity=matrices[layer, i, j])
    graph.add_nodes_from((level, i) for level in (0, len(matrices)) for i in range(size))
    chosen = networkx.algorithms.flow.edmonds_karp
    return np.array(
        [
            [networkx.maximum_flow_value(graph, (len(matrices), i), (0, j), flow_func=chosen) for j in range(size)]
            for i in range(size)
        ]
    )  # fmt: skip


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(attention=attentions(layers=st.integers(1, 6), tokens=st.integers(2, 5)), data=st.data())
def test_flows_are_maximum_flows(attention, data):
    """Diffuse and peaked attention, and with edges missing, where the cheap graph does not reach the bound."""
    kept = data.draw(arrays(np.bool_, attention.shape[-2:]))
    for matrices in (mixed(attention), mixed(attention) * kept):
        want = by_networkx(matrices)
        np.testing.assert_allclose(flows(matrices), want, rtol=0, atol=1e-8)
        np.testing.assert_allclose(flows(matrices, [1]), want[[1]], rtol=0, atol=1e-8)
        if len(matrices) > 1:
            bounds = upper_bounds(matrices[0], matrices[1:-1][::-1], matrices[-1])
            assert (want <= bounds + 1e-9).all()


def test_two_layers_share_no_edge():
    """The flow from i to j is the sum over middle nodes of min(A'_1[i, k], A'_0[k, j])."""
    bottom, top = matrices = mixed(seeded(2, 3, 6))
    want = np.minimum(top[:, :, None], bottom[None]).sum(1)
    np.testing.assert_allclose(flows(matrices), want, rtol=0, atol=1e-12)


def test_flow_of_one_layer_is_its_rollout():
    attention = seeded(3, 2, 7)
    np.testing.assert_allclose(attention_flow(attention, 0), selective_rollout(attention, 0)[0][0], atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("layer", range(4))
def test_flow_readouts(layer):
    """A row is normalised on its own; the maximum runs over the nodes' normalised flows."""
    attention = seeded(4, 2, 5, spread=5)
    want = by_networkx(mixed(attention)[: layer + 1])
    want /= want.sum(1, keepdims=True)
    np.testing.assert_allclose(attention_flow(attention, layer), want.max(0), rtol=0, atol=1e-8)
    np.testing.assert_allclose(attention_flow(attention, layer, 3), want[3], rtol=0, atol=1e-8)


# --------------------------------------------------------------------------------------------------- the methods


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_readouts_of_a_model_are_those_of_its_attention(architecture, task):
    model = small_model(architecture, task)
    ids, mask, places = small_batch(architecture)
    given = {"position": places} if task == "agreement" else {}
    with undisturbed(model, "eager"), torch.no_grad():
        layers = model(input_ids=ids, attention_mask=mask, output_attentions=True).attentions
    entry = METHODS["selective"].parameters
    for row, n in enumerate(mask.sum(-1).tolist()):
        own = torch.stack([layer[row, :, :n, :n] for layer in layers])
        place = int(places[row]) if task == "agreement" else 0
        rollout = torch.eye(n)
        for layer in own:
            rollout = (layer.mean(0) + torch.eye(n)) / 2 @ rollout
        scaled = entry["scaled_threshold"] * largest_distance(n)
        for suffix, position in (("", place), ("_max", None)):
            want = {
                f"selective_rollout{suffix}": selective_rollout(own, entry["threshold"], position=position)[0][-1],
                f"selective_rollout_scaled{suffix}": selective_rollout(own, scaled, position=position)[0][-1],
                f"first_layer{suffix}": selective_rollout(own[:1], 0, position=position)[0][0],
                f"rollout_no_residual{suffix}": selective_rollout(own, 0, False, position)[0][-1],
                f"flow{suffix}": attention_flow(own, len(own) - 1, position),
            }  # fmt: skip
            for readout, product in (("raw_attention", own[-1].mean(0)), ("rollout", rollout)):
                want[readout + suffix] = product.amax(0) if suffix else product[place]
            for readout, scores in want.items():
                found = attribute(model, ids, mask, readout, **given)[row, :n]
                torch.testing.assert_close(found, scores, rtol=1e-4, atol=2e-5, msg=lambda text, name=readout: f"{name}: {text}")  # fmt: skip


def test_input_gradient_is_read_out_in_three_ways():
    """Corrected: the predicted class, past the embedding block; as published: class 1, handed in as word embeddings."""
    model = small_model("bert")
    ids, _, _ = small_batch("bert", lengths=(7,))
    with torch.no_grad():
        model.classifier.bias[0] += 20  # class 0 is predicted, so that class 1 is another one
        block = model.bert.embeddings(input_ids=ids)
        predicted = model(input_ids=ids).logits[0].argmax()
    assert predicted == 0
    leaf = block.clone().requires_grad_()
    logits = model.classifier(model.bert.pooler(model.bert.encoder(leaf)[0]))
    (gradient,) = torch.autograd.grad(logits[0, predicted], leaf)
    wanted = {
        "input_gradient": gradient.sum(-1).abs(),
        "input_gradient_l2": gradient.square().sum(-1).sqrt(),
        "input_gradient_dot": torch.einsum("btd,btd->bt", gradient, block).abs(),
    }
    for readout, scores in wanted.items():
        torch.testing.assert_close(attribute(model, ids, None, readout), scores, rtol=1e-4, atol=1e-6)
    assert READOUTS["input_gradient_published"].noise
    batch = Batch(model.double(), ids)
    leaf = block.double().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(inputs_embeds=leaf).logits[0, 1], leaf)
    function = logit_function(batch, published=True)
    with undisturbed(model):
        _, ours = function.gradient(block.double())
    torch.testing.assert_close(ours, gradient, rtol=1e-6, atol=1e-9)


def test_norm_and_product_do_not_hang_on_the_axes_of_the_embedding():
    """Rotating embeddings and gradients alike moves |sum_d g|, one arbitrary direction, and neither of the others."""
    gradient, embeddings = torch.randn(
        2, 1, 9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    rotation = torch.linalg.qr(
        torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    )[0]
    before, after = references(gradient, embeddings), references(gradient @ rotation, embeddings @ rotation)
    for readout in ("input_gradient_l2", "input_gradient_dot"):
        torch.testing.assert_close(before[readout], after[readout])
    assert spearmanr(before["input_gradient"][0], after["input_gradient"][0])[0] < 0.9


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("architecture", ["bert", "roberta", "electra"])
def test_published_input_gradient_is_rounding_noise(architecture, dtype, most):
    """The embedding block's LayerNorm takes the sum over features away: what is left falls with the precision."""
    model = small_model(architecture, width=32).to(dtype)
    ids, mask, _ = small_batch(architecture)
    batch, left = Batch(model, ids, mask), {}
    for published in (False, True):
        function = logit_function(batch, published=published)
        with undisturbed(model):
            with torch.no_grad():
                embeddings = function.embed(ids)
            _, gradient = function.gradient(embeddings)
        left[published] = left_of_sum(gradient, mask)
    assert (left[True] < most).all()
    assert (left[False] > 1e3 * most).all()
    noise = attribute(model, ids, mask, "input_gradient_published").sum(-1)  # of the last gradient
    assert (noise < 10 * most * gradient.abs().sum((1, 2))).all()


# ------------------------------------------------------------------------------------------------------- the stage


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data file, and a model and tokeniser that `load` hands out instead of a folder's."""
    draw = np.random.default_rng(5)
    texts = [" ".join(draw.choice(["a", "film", "good", "bad", ",", "not"], size=draw.integers(3, 12))) + " ." for _ in range(8)]  # fmt: skip
    rows = {"id": np.arange(8) + 3, "text": texts, "label": np.arange(8) % 2}
    write_rows(tmp_path / "test.parquet", rows, kind="data")
    loaded = small_model("bert"), train_tokenizer("bert", texts, 60)
    monkeypatch.setattr(rollouts, "load", lambda *_: loaded)
    return tmp_path, *loaded, texts


BLOCK = {"thresholds": [0.3, 1.0], "scaled_thresholds": [0.2], "flow_examples": 3, "flow_tokens": 9}


def written(folder, **changes):
    path = folder / "rollouts.parquet"
    rollouts.write_rollouts(dataset="sst2", name="m/seed0", model="m", data=folder / "test.parquet", output=path,
                            **BLOCK, **changes)  # fmt: skip
    assert check_file(path) == []
    return read_rows(path)


@pytest.mark.slow
def test_stage_equals_a_direct_computation(folder):
    root, model, tokenizer, texts = folder
    frame = written(root)
    kept = frame[frame["definition"] == "corrected"].set_index(["id", "readout", "layer"])
    for number, text in enumerate(texts):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with undisturbed(model, "eager"), torch.no_grad():
            layers = model(input_ids=ids, output_attentions=True).attentions
        own = torch.stack([layer[0] for layer in layers]).double().numpy()
        gradients = {
            column: attribute(model, ids, None, readout)[0].numpy()
            for column, readout in (
                ("spearman", "input_gradient"),
                ("spearman_l2", "input_gradient_l2"),
                ("spearman_dot", "input_gradient_dot"),
            )
        }
        for threshold, readout in ((1.0, "selective_rollout"), (0.2, "selective_rollout_scaled")):
            scale = largest_distance(ids.shape[1]) if readout.endswith("scaled") else 1
            for suffix, position in (("", 0), ("_max", None)):
                relevance, used = selective_rollout(own, threshold * scale, position=position)
                for layer, scores in enumerate(relevance):
                    rows = kept.loc[[(number + 3, readout + suffix, layer)]]
                    row = rows[rows["threshold"] == threshold].iloc[0]
                    for column, gradient in gradients.items():
                        assert row[column] == pytest.approx(spearmanr(scores, gradient)[0], abs=1e-3)
                    assert row["used"] == sum(place <= layer for place in used)
                    assert row["tokens"] == ids.shape[1]
    flowing = kept.xs("flow_max", level="readout").index.get_level_values("id").unique()
    lengths = {number + 3: len(tokenizer(text)["input_ids"]) for number, text in enumerate(texts)}
    assert flowing.tolist() == [number for number in lengths if lengths[number] <= 9][:3]
    assert "flow" not in set(frame[frame["definition"] == "published"]["readout"])


@pytest.mark.slow
def test_stage_as_published_embeds_twice_and_explains_class_1(folder):
    root, model, tokenizer, texts = folder
    kept = written(root).query("definition == 'published'").set_index(["id", "readout", "layer"])
    for number, text in enumerate(texts[:4]):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with undisturbed(model, "eager"):
            leaf = model.bert.embeddings(ids).detach().requires_grad_()
            found = model(inputs_embeds=leaf, output_attentions=True)
            (gradient,) = torch.autograd.grad(found.logits[0, 1], leaf)
        for layer, attention in enumerate(found.attentions):
            scores = attention[0].mean(0).detach().numpy()
            for readout, vector in (("raw_attention", scores[0]), ("raw_attention_max", scores.max(0))):
                want = spearmanr(vector, gradient[0].norm(dim=-1))[0]
                assert kept.loc[(number + 3, readout, layer), "spearman_l2"] == pytest.approx(want, abs=1e-3)


def test_columns_of_the_stage_are_of_the_metric_and_the_gradient_of_their_names():
    """With ties, where average and dense ranks part."""
    scores = np.array([1.0, 1.0, 0.0, 2.0, 3.0, 3.0])
    gradients = {
        "input_gradient": np.array([0.5, 0.1, 0.1, 0.7, 0.3, 0.3]),
        "input_gradient_l2": np.array([0.1, 0.2, 0.2, 0.2, 0.9, 0.4]),
        "input_gradient_dot": np.array([0.9, 0.2, 0.5, 0.5, 0.1, 0.0]),
    }
    found = rollouts.rows(7, "corrected", {("rollout", None): (scores[None], None)}, gradients, 0.5, 1)
    row = dict(zip(rollouts.COLUMNS, found[0], strict=True))
    for column, name in (("spearman", ""), ("spearman_l2", "_l2"), ("spearman_dot", "_dot")):
        assert row[column] == pytest.approx(spearmanr(scores, gradients[f"input_gradient{name}"])[0])
    # Dense ranks 2 2 1 3 4 4 and 3 1 1 4 2 2: differences 1 1 0 -1 2 2, squares 11, of n = 6.
    assert row["spearman_dense"] == pytest.approx(1 - 6 * 11 / (6 * 35))


@pytest.mark.slow
def test_stage_has_every_row_and_depends_on_no_batch(folder):
    root, *_ = folder
    frame, single = written(root), written(root, batch_tokens=1)
    keys = ["id", "definition", "readout", "threshold", "layer"]
    pd.testing.assert_frame_equal(frame[keys], single[keys])
    corrected = frame["definition"] == "corrected"
    close = np.isclose(frame["spearman"], single["spearman"], atol=0.15, equal_nan=True)
    assert close[corrected].mean() > 0.99
    assert frame.groupby(["id", "definition"])["layer"].nunique().eq(3).all()
    assert (frame.loc[~corrected, "left_of_sum"] < 1e-6).all()
    assert (frame.loc[corrected, "left_of_sum"] > 1e-3).all()
    first = frame[frame["readout"] == "first_layer"].groupby(["id", "definition"])["spearman"]
    assert (first.nunique() <= 1).all()
    zero = frame[(frame["layer"] == 0) & frame["readout"].isin(["rollout_max", "selective_rollout_max", "first_layer_max"])]  # fmt: skip
    assert (zero.groupby(["id", "definition"])["spearman"].nunique() == 1).all()


# ------------------------------------------------------------------------------------------------------ statistics


def test_resampled_medians_are_medians_of_the_draws():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(31, 4))
    values[3, 1], values[:, 3], values[:5, 2] = np.nan, np.nan, 0
    found = resampled_medians(values[None], resamples=50, seed=3).drawn
    draws = np.random.default_rng(3).multinomial(31, np.full(31, 1 / 31), size=50)
    for row, counts in zip(found, draws, strict=True):
        resample = np.repeat(values, counts, axis=0)
        np.testing.assert_allclose(row[:3], np.nanmedian(resample[:, :3], axis=0), atol=1e-12)
    assert np.isnan(found[:, 3]).all()
    lower, upper = percentiles(found, 0.9)
    np.testing.assert_allclose(lower[:3], np.quantile(found[:, :3], 0.05, axis=0))
    assert np.isnan([lower[3], upper[3]]).all()


# ----------------------------------------------------------------------------------------------------------- maps


def test_mamba_maps_of_arrays_and_tensors():
    draw = np.random.default_rng(0)
    gradients = draw.normal(size=(3, 2, 7, 4))
    for function, hidden in (
        (mamba_maps, draw.normal(size=(3, 2, 5, 7))),
        (mamba_maps_full, draw.normal(size=(3, 2, 7, 7))),
    ):
        found = function(hidden, gradients, start_layer=1, class_position=3)
        tensors = function(
            torch.from_numpy(hidden), torch.from_numpy(gradients), start_layer=1, class_position=3
        )
        assert list(found) == ["raw", "rollout", "attribution"]
        for name, values in found.items():
            assert (values.dtype, values.shape) == (np.float64, (2, 6))
            np.testing.assert_array_equal(values, tensors[name].numpy())
