"""How far rollouts rank tokens as the input gradient does, layer by layer: the study of selective rollout.

"Improving Explainability of Transformer Models", part 1. Two definitions, in one pass each:

    corrected  the normal network; the gradient of the predicted class's logit
    published  the embedding block applied twice, attention and gradient alike; the logit of class 1

The input gradient is read out in three ways (`plumbline.attribution.input_gradient.references`): |sum_d g|, as published, with
average ranks and with dense ones; ||g||_2 and |g . x|, with average ranks. Compared with it are raw attention, rollout with and
without residual, the first layer alone, selective rollout at every threshold, absolute and as a share of the largest distance
that a text of n tokens allows, attention flow (corrected alone, since it takes long), and two controls. Everything after the
network is computed in double precision.
"""

import itertools

import numpy as np

from ..artefacts import stream_records, write_rows
from ..attribution.artefact import BATCH_TOKENS, like_lengths, run_examples
from ..attribution.batch import Batch
from ..attribution.flow import flow_shares
from ..attribution.input_gradient import CORRELATIONS, left_of_sum, logit_function, references
from ..attribution.rollout_variants import joint
from ..attribution.selective import largest_distance, layer_means, read_out, select
from ..models.encoders import load, replaced_output, undisturbed
from ..models.runtime import fitting, in_memory, prepare
from ..models.tokenisation import blocks, padded
from ..seeds import seed_of
from . import spearman, spearman_dense

DEFINITIONS = ("corrected", "published")
COLUMNS = (
    "id",
    "definition",
    "readout",
    "threshold",
    "layer",
    *CORRELATIONS,
    "used",
    "tokens",
    "left_of_sum",
)


def write_rollouts(
    *,
    dataset,
    model,
    data,
    output,
    thresholds,
    scaled_thresholds,
    flow_examples,
    flow_tokens,
    name="",
    device="cpu",
    threads=1,
    batch_tokens=None,
    **choice,
):
    """Write results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet.

    Parameters
    ----------
    dataset, model, data, output, name, device, threads, batch_tokens
        See `plumbline.attribution.artefact.write_attributions`.
    thresholds : sequence of float
        Thresholds of selective rollout as Frobenius distances.
    scaled_thresholds : sequence of float
        Thresholds as shares of the largest distance.
    flow_examples : int
        How many examples have attention flow too: the first ones of at most `flow_tokens` tokens.
    flow_tokens : int
        The most tokens of an example that has attention flow.
    **choice
        Which examples, as `write_attributions` takes it. Texts that would have to be cut are left out.
    """
    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    found = list(run_examples(stream_records(data), network, tokenizer, data, **{**choice, "longer": 0}))
    budget = batch_tokens or BATCH_TOKENS[device.type]
    flowing = [example.id for example in found if len(example.ids) <= flow_tokens][:flow_examples]
    made = {example.id: None for example in found}
    for block in blocks(found):

        def correlated(block=block):
            values = {example.id: [] for example in block}
            with undisturbed(network, "eager"):
                for examples in like_lengths(block, fitting(budget)):
                    for number, definition, *passed in _passes(network, tokenizer, examples):
                        flow = definition == "corrected" and number in flowing
                        scores = readouts(*passed[:2], thresholds, scaled_thresholds, flow=flow)
                        seed = seed_of("rollouts", dataset, name, number)
                        values[number] += rows(number, definition, scores, *passed[2:], seed)
            return values

        made |= in_memory(correlated, f"rollouts on {dataset}")
    columns = zip(*itertools.chain(*made.values()), strict=True)
    write_rows(output, dict(zip(COLUMNS, columns, strict=True)), kind="rollouts")


def _passes(network, tokenizer, examples):
    """Each example's pass under each definition: id, definition, attention (layers, heads, n, n), position, readout of the
    input gradient -> (n,), and `left_of_sum`."""
    import torch

    inputs = padded(examples, tokenizer.pad_token_id)
    batch = Batch(network, **inputs, position=torch.tensor([example.position for example in examples]))
    for definition in DEFINITIONS:
        function = logit_function(batch, published=definition == "published")
        with torch.no_grad():
            embeddings = function.embed(batch.input_ids)
            with replaced_output(function.entry, embeddings):
                attention = torch.stack(batch.attentions(), 1)
        _, gradient = function.gradient(embeddings)
        left = left_of_sum(gradient, batch.attention_mask).tolist()
        scores = {
            name: values.double().cpu().numpy() for name, values in references(gradient, embeddings).items()
        }
        for row, (example, n) in enumerate(zip(examples, batch.lengths, strict=True)):
            own = attention[row, :, :, :n, :n].double()
            gradients = {name: values[row, :n] for name, values in scores.items()}
            yield example.id, definition, own, example.position, gradients, left[row]


def readouts(attention, position, thresholds, scaled_thresholds, *, flow=False):
    """Compute all rollouts of one example.

    Parameters
    ----------
    attention : torch.Tensor, float64, shape (layers, heads, n, n)
        Attention weights.
    position : int
        The row that is read out. `_max` readouts are the maximum over rows.
    thresholds : sequence of float
        Thresholds of selective rollout as Frobenius distances.
    scaled_thresholds : sequence of float
        Thresholds as shares of the largest distance.
    flow : bool
        Whether to compute attention flow too.

    Returns
    -------
    dict of tuple to tuple
        (id of a readout, threshold or None) -> (scores, float64, shape (layers, n); layers used up to each, shape (layers,), or
        None).
    """
    import torch

    mixed, plain = layer_means(attention), layer_means(attention, residual=False)
    products = {
        ("raw_attention", None): (plain, None),
        ("rollout", None): (joint(mixed), None),
        ("rollout_no_residual", None): (joint(plain), None),
        ("first_layer", None): (mixed[:1].expand_as(mixed), None),
    }
    length = mixed.shape[-1]
    scales = {
        "selective_rollout": (thresholds, 1),
        "selective_rollout_scaled": (scaled_thresholds, largest_distance(length)),
    }
    for readout, (values, scale) in scales.items():
        for threshold in values:
            found, used = select(mixed, threshold * scale)
            counts = np.searchsorted(used, np.arange(len(mixed)), side="right")
            products[readout, float(threshold)] = found, counts
    if flow:
        matrices = mixed.cpu().numpy()
        shares = [flow_shares(matrices[: layer + 1]) for layer in range(len(matrices))]
        products["flow", None] = torch.from_numpy(np.stack(shares)), None
    return {
        (readout + suffix, threshold): (read_out(product, place).cpu().numpy(), used)
        for (readout, threshold), (product, used) in products.items()
        for suffix, place in (("", position), ("_max", None))
    }


def rows(number, definition, scores, gradients, left, seed):
    """Make the rows of one example and definition: every readout and control, layer by layer.

    Parameters
    ----------
    number : int
        Id of the example.
    definition : str
        One of `DEFINITIONS`.
    scores : dict
        As `readouts` returns it.
    gradients : mapping of str to numpy.ndarray of float, shape (n,)
        Readout of the input gradient -> scores.
    left : float
        See `plumbline.attribution.input_gradient.left_of_sum`.
    seed : int
        Of the random control.

    Returns
    -------
    list of tuple
        Values of `COLUMNS`.
    """
    n, layers = len(next(iter(gradients.values()))), len(next(iter(scores.values()))[0])
    controls = {"random": np.random.default_rng(seed).random(n), "position": 1 / (1 + np.arange(n))}
    scores = scores | {
        (name, None): (np.tile(values, (layers, 1)), None) for name, values in controls.items()
    }
    found = []
    metrics = {"spearman": spearman, "spearman_dense": spearman_dense}
    for layer in range(layers):
        vectors = np.stack([*gradients.values(), *(values[layer] for values, _ in scores.values())])
        pairs = {name: metric.pairwise(vectors) for name, metric in metrics.items()}
        places = {name: place for place, name in enumerate(gradients)}
        correlations = [pairs[metric][places[name], len(places) :] for metric, name in CORRELATIONS.values()]
        for (readout, threshold), (_, used), *values in zip(
            scores, scores.values(), *correlations, strict=True
        ):
            values = [None if np.isnan(value) else value for value in values]
            count = None if used is None else used[layer]
            found.append((number, definition, readout, threshold, layer, *values, count, n, left))
    return found
