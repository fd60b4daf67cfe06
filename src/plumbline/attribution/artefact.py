"""The attribution stage's file: every readout of one method for one model and data set."""

import math
from itertools import islice

from ..artefacts import open_rows, rows_writer, stream_records
from ..errors import PlumblineError
from ..models.encoders import load, segments, undisturbed
from ..models.encoders import max_tokens as most_tokens
from ..models.runtime import fitting, in_memory, prepare
from ..models.tokenisation import block_range, blocks, padded, special_ids, tokenise
from ..seeds import seed_of
from . import METHODS
from .batch import Batch

# Tokens of one batch, padding counted: fits the cache of a CPU core, fills a GPU.
BATCH_TOKENS = {"cpu": 512, "cuda": 16384}


def write_attributions(
    *,
    dataset,
    model,
    method,
    explain,
    data,
    output,
    name="",
    device="cpu",
    threads=1,
    batch_tokens=None,
    shard=None,
    **choice,
):
    """Write results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet.

    One block of examples is in memory at a time. Rows keep the order of the data. `cut` says how many tokens an example has
    lost to max_tokens.

    Parameters
    ----------
    dataset : str
        Id of the data set. It is part of the seed of stochastic methods.
    model : path
        A folder that the model stage wrote.
    method : str
        Id of the method.
    explain : callable
        `plumbline.attribution.explain` of this method, with its parameters: a function of batch and readouts.
    data : path
        Parquet file of the split.
    output : path
        The file to write.
    name : str
        The model's name and training seed. It is part of the seed of stochastic methods too, so that chance differs as much
        between two models as between two examples.
    device, threads
        See `plumbline.models.runtime.prepare`.
    batch_tokens : int, optional
        The most tokens of a batch. None: `BATCH_TOKENS` of the device.
    shard : tuple of int, optional
        (number of the shard, number of shards): the examples of that shard alone.
    **choice
        Which examples of the data, see `run_examples`.

    Raises
    ------
    PlumblineError
        As `plumbline.attribution.attribute` does. The error names the examples.
    """
    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    truth = "rationale" in open_rows(data).schema_arrow.names
    readouts = [readout for readout in METHODS[method].readouts if truth or not readout.known_truth]
    budget = batch_tokens or BATCH_TOKENS[device.type]
    with rows_writer(output, kind="attributions") as write:
        for block in blocks(_shard_examples(data, network, tokenizer, shard, choice)):

            def explained(block=block):
                found = {}
                with undisturbed(network):  # once a block, not once a batch
                    for batch in like_lengths(block, fitting(budget)):
                        found |= _explained(
                            network, tokenizer, batch, (dataset, name), method, readouts, explain
                        )
                return found

            results = in_memory(explained, f"{method} on {dataset}")
            write(
                {
                    column: [results[example.id][column] for example in block]
                    for column in results[block[0].id]
                }
            )


def _shard_examples(data, network, tokenizer, shard, choice):
    """The examples of a run, or those of one shard, one after the other; all are tokenised first, for faults to come early."""

    def every():
        return run_examples(stream_records(data), network, tokenizer, data, **choice)

    first, last = block_range(sum(1 for _ in every()), shard, data)
    return islice(every(), first, last)


def run_examples(rows, network, tokenizer, where, *, examples=None, within=None, longer=0, max_tokens=None):
    """Tokenise the examples of a split that a run explains, in the order of the data.

    Parameters
    ----------
    rows : iterable of dict
        Rows of the data. A block at a time is in memory.
    network : torch.nn.Module
        The model.
    tokenizer : transformers.PreTrainedTokenizerFast
        The model's tokeniser.
    where : path
        Named in messages.
    examples : int, optional
        How many of the split's first rows are looked at. None: all.
    within : int, optional
        How many examples of at most `max_tokens` are taken, the first ones. None: all.
    longer : int, optional
        How many of the longer ones are taken, the first ones, cut to `max_tokens`. None: all. 0: they are skipped, as
        published.
    max_tokens : int, optional
        The most tokens of an example, special tokens included. None: the model's limit, above which an example is an error.

    Yields
    ------
    plumbline.models.tokenisation.Tokenised

    Raises
    ------
    PlumblineError
        As `plumbline.models.tokenisation.tokenise` does.
    """
    left = {False: math.inf if within is None else within, True: math.inf if longer is None else longer}
    rule = "error" if max_tokens is None else "truncate" if left[True] else "skip"
    settings = {
        "limit": most_tokens(network),
        "segments": segments(network),
        "max_tokens": max_tokens,
        "too_long": rule,
        "where": str(where),
    }
    for block in blocks(islice(rows, examples)):
        for example in tokenise(block, tokenizer, **settings):
            if left[example.cut > 0]:
                left[example.cut > 0] -= 1
                yield example
        if not any(left.values()):
            break


def like_lengths(block, budget):
    """Split a block into batches of examples of like lengths.

    Parameters
    ----------
    block : list of plumbline.models.tokenisation.Tokenised
        Examples.
    budget : int
        The most tokens of a batch, padding counted.

    Yields
    ------
    list of plumbline.models.tokenisation.Tokenised
    """
    import numpy as np

    from ..models.inference import batches

    for chosen in batches(np.array([len(example.ids) for example in block]), budget):
        yield [block[index] for index in chosen]


def _explained(network, tokenizer, examples, names, method, readouts, explain):
    """id -> column -> value for one batch. readouts: those of the method that are computed"""
    import torch

    inputs = padded(examples, tokenizer.pad_token_id)
    drawn = next((readout.id for readout in readouts if readout.stochastic), method)
    seeds = [seed_of(*names, example.id, drawn, 0) for example in examples]
    truth = {}
    if any(readout.known_truth for readout in readouts):
        truth["rationale"] = torch.zeros(inputs["input_ids"].shape)
        for row, example in enumerate(examples):
            truth["rationale"][row, : len(example.ids)] = torch.from_numpy(example.rationale)
    try:
        batch = Batch(
            network,
            **inputs,
            position=torch.tensor([example.position for example in examples]),
            tokenizer_ids=special_ids(tokenizer),
            seed=torch.tensor(seeds),
        )
        found = explain(batch, [readout.id for readout in readouts], **truth)
        target, probability = batch.target.tolist(), batch.probability.tolist()
    except PlumblineError as fault:
        numbers = ", ".join(str(example.id) for example in examples)
        raise PlumblineError(f"{method} on {names[0]}: {fault} (batch of the examples {numbers})") from None
    columns = {}
    for row, example in enumerate(examples):
        columns[example.id] = {
            "id": example.id,
            "tokens": tokenizer.convert_ids_to_tokens(example.ids.tolist()),
            "input_ids": example.ids.astype("int32"),
            "target": target[row],
            "probability": probability[row],
            "position": example.position,
            "cut": example.cut,
        }
        if example.types is not None:
            columns[example.id]["token_type_ids"] = example.types.astype("int32")
        for name, values in found.items():
            if values.dim() == 2:
                columns[example.id][f"scores_{name}"] = values[row, : len(example.ids)].cpu().numpy()
            else:
                columns[example.id][name] = values[row].item()
    return columns
