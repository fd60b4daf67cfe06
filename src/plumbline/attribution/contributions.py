"""The contributions stage's file: the matrices behind the scores, of a few chosen examples of one model."""

import importlib

import numpy as np

from ..artefacts import stream_records, write_rows
from ..chosen import chosen
from ..errors import PlumblineError
from ..models.encoders import load, undisturbed
from ..models.runtime import prepare
from ..models.tokenisation import padded
from .artefact import run_examples
from .batch import Batch
from .decomposition import layer_matrices, products


def write_contributions(*, model, methods, data, output, wanted, device="cpu", threads=1, **choice):
    """Write results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet.

    Parameters
    ----------
    model : path
        A folder that the model stage wrote.
    methods : mapping of str to mapping
        Method -> {readouts, parameters}: layered readouts of it.
    data : path
        Parquet file of the split.
    output : path
        The file to write.
    wanted : sequence of int
        Ids of the examples to write. The next example takes the place of one that is too long.
    device, threads
        See `plumbline.models.runtime.prepare`.
    **choice
        Which examples of the data are explained, see `plumbline.attribution.artefact.run_examples`.

    Raises
    ------
    PlumblineError
        Where there is no layered readout or no such example.
    """
    if not methods:
        raise PlumblineError(
            f"{output}: no readout of this run is a product of layer matrices: add method attention, norms or alti "
            "to the run, or take the figures of contributions out of `figures`"
        )
    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    found = run_examples(stream_records(data), network, tokenizer, data, **choice)
    by_id = {example.id: example for example in found if not example.cut}
    columns = {}
    for number in dict.fromkeys(shown for _, shown in chosen(wanted, by_id, data)):
        example = by_id[number]
        batch = Batch(network, **padded([example], tokenizer.pad_token_id), position=example.position)
        about = {
            "id": example.id,
            "tokens": tokenizer.convert_ids_to_tokens(example.ids.tolist()),
            "position": example.position,
            "target": batch.target.item(),
            "probability": batch.probability.item(),
        }
        for row in _rows(batch, methods):
            for name, value in (about | row).items():
                columns.setdefault(name, []).append(value)
    write_rows(output, columns, kind="contributions")


def _rows(batch, methods):
    """One dict a readout and layer of a batch of one example: readout, layer, matrix, layer_matrix."""
    for readout, layers in contributions(batch, methods)[0].items():
        for number, pair in enumerate(zip(products(layers), layers, strict=True), start=1):
            matrix, layer_matrix = (part.cpu().numpy().astype(np.float32).ravel() for part in pair)
            yield {"readout": readout, "layer": number, "matrix": matrix, "layer_matrix": layer_matrix}


def contributions(batch, methods):
    """Compute what each source adds to each target, layer by layer.

    Parameters
    ----------
    batch : attribution.batch.Batch
        The model and its inputs.
    methods : mapping of str to mapping
        Method -> {readouts, parameters}.

    Returns
    -------
    list of dict of str to list of torch.Tensor
        One an example: readout -> [C^0, C^1, ...]. A matrix is (targets, sources) of the example's own length.
    """
    functions = []
    for method, about in methods.items():
        module = importlib.import_module(f"{__package__}.{method}")
        functions.append(module.layer_matrices(about["readouts"], **about["parameters"]))

    def matrices(example):
        return {readout: matrix for function in functions for readout, matrix in function(example).items()}

    with undisturbed(batch.model):
        return layer_matrices(batch, matrices)
