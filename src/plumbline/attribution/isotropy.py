"""How alike the vectors of two positions point: hidden states against ALTI's transformed vectors, layer by layer.

For each example and layer two positions a and b are drawn, special tokens included:

    embeddings   cos(X^l_a, X^l_b), l = 0..L: the input of layer l; L: the last layer's output
    transformed  cos(T^l_ia, T^l_ib) for every target i, l = 0..L-1

Near 1: vectors lie in a narrow cone, and their directions hardly distinguish tokens. Near 0: they point apart. sigma_i
cancels in the cosine, so the standard deviation's ddof does not matter here.
"""

import numpy as np

from ..artefacts import stream_records, write_rows
from ..models.encoders import load, undisturbed
from ..models.runtime import fitting, in_memory, prepare
from ..models.tokenisation import blocks, padded
from ..seeds import seed_of
from .artefact import BATCH_TOKENS, like_lengths, run_examples

# The published means are over the first 500 examples.
EXAMPLES = 500
COLUMNS = ("id", "vectors", "layer", "cosine", "values")


def positions(dataset, example, layer, length):
    """Draw two distinct positions of one example and layer, the same for both kinds of vectors.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    example : int
        Id of the example.
    layer : int
        The layer.
    length : int
        Tokens of the example.

    Returns
    -------
    list of int
        Two of 0..length - 1.
    """
    draw = np.random.default_rng(seed_of("isotropy", dataset, example, layer))
    return draw.choice(length, size=2, replace=False).tolist()


def cosine(first, second):
    """Compute the cosine over the last dimension, in double precision.

    The square of a vector that hardly any attention reached is 0 in single precision.

    Parameters
    ----------
    first, second : torch.Tensor of float, shape (..., D)
        The vectors.

    Returns
    -------
    torch.Tensor, float64, shape (...)
        In [-1, 1]. 0 with a vector of zeros.
    """
    import torch

    return torch.nn.functional.cosine_similarity(first.double(), second.double(), dim=-1, eps=1e-100)


def transformed_cosines(example, first, second):
    """Compute cos(T_ia, T_ib) of source positions a, b and every target i.

    Parameters
    ----------
    example : attribution.decomposition.Example
        One example's layer.
    first, second : int
        a and b.

    Returns
    -------
    torch.Tensor, float64, shape (n,)
    """
    # weights[a] @ sources[a] is sigma_i T_ia over all i, (n, D): two source tokens of n are formed.
    return cosine(*(example.weights[source] @ example.sources[source] for source in (first, second)))


def measure(dataset, numbers, layers, lengths):
    """Measure one batch.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    numbers : sequence of int
        Ids of the batch's examples.
    layers : list of attribution.decomposition.Layer
        `decomposition.trace` of the batch.
    lengths : sequence of int
        Tokens of each example.

    Returns
    -------
    dict of int to list of tuple
        Id of an example -> its rows (`COLUMNS`).
    """
    from .decomposition import examples

    found = {number: [] for number in numbers}
    hidden = [*(layer.inputs for layer in layers), layers[-1].output]
    for depth, vectors in enumerate(hidden):
        for row, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
            first, second = positions(dataset, number, depth, length)
            value = cosine(vectors[row, first], vectors[row, second])
            found[number].append((number, "embeddings", depth, value.item(), 1))
    for depth, layer in enumerate(layers):
        for number, example in zip(numbers, examples(layer, lengths), strict=True):
            values = transformed_cosines(example, *positions(dataset, number, depth, example.length))
            found[number].append((number, "transformed", depth, values.mean().item(), len(values)))
    return found


def write_isotropy(
    *, dataset, model, data, output, device="cpu", threads=1, batch_tokens=None, within=None, **choice
):
    """Write results/{scale}/isotropy/{dataset}/{model}/seed{seed}.parquet.

    It has the first 500 of the run's examples at most, and none that would have to be cut.

    Parameters
    ----------
    dataset, model, data, output, device, threads, batch_tokens
        See `plumbline.attribution.artefact.write_attributions`.
    within : int, optional
        How many examples are taken, the first ones. None: `EXAMPLES`.
    **choice
        Which examples of the data, see `plumbline.attribution.artefact.run_examples`.
    """
    from .decomposition import trace

    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    choice |= {"within": min(EXAMPLES, within or EXAMPLES), "longer": 0}
    budget = batch_tokens or BATCH_TOKENS[device.type]
    found = {}
    for block in blocks(run_examples(stream_records(data), network, tokenizer, data, **choice)):

        def measured(block=block):
            values = {}
            with undisturbed(network, "eager"):
                for batch in like_lengths(block, fitting(budget)):
                    inputs = padded(batch, tokenizer.pad_token_id)
                    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
                    lengths = [len(example.ids) for example in batch]
                    numbers = [example.id for example in batch]
                    values |= measure(dataset, numbers, trace(network, **inputs), lengths)
            return values

        found |= in_memory(measured, f"isotropy on {dataset}")
    rows = [row for number in sorted(found) for row in found[number]]
    write_rows(output, dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)), kind="isotropy")
