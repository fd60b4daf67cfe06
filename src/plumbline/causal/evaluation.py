"""The file of metrics of an image model's explanations: a row an image, method and metric."""

import numpy as np
import torch

from ..artefacts import read_rows, write_rows
from ..errors import PlumblineError
from . import metrics as definitions
from .explanations import explain, image_seeds
from .graph import read_graph
from .learn import ready

COLUMNS = ("id", "target", "method", "metric", "value", "tied", "settings")


def write_metrics(
    *,
    dataset,
    model,
    name,
    graphs,
    data,
    explanations,
    output,
    layer,
    methods,
    metrics,
    device="cpu",
    threads=1,
):
    """Write results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet.

    Perturbed copies of an image share its graph and its draws.

    Parameters
    ----------
    dataset : str
        The data set's id.
    model : path
        A folder that the image_model stage wrote.
    name : str
        Model and training seed, part of the seed of what is drawn.
    graphs : list of path
        Of graph.json.
    data : path
        Parquet file of the test split.
    explanations : path
        The explanations.parquet of the same model, layer and methods.
    output : path
        The Parquet file to write.
    layer : str, optional
        See `explain`.
    methods : list of str
        Ids of EXPLANATIONS.
    metrics : list of str
        Ids of METRICS.
    device : str
        Of torch.
    threads : int
        Of the CPU.

    Raises
    ------
    PlumblineError
        Where the explanations lack a method or hold an image that the data do not have, and as `metrics.measure`.
    """
    network, facts, pictures, labels = ready(model, data, device, threads)
    device = next(network.parameters()).device
    known = {graph.target: graph for graph in map(read_graph, graphs)}
    explained = read_rows(explanations)
    missing = [method for method in methods if f"scores_{method}" not in explained]
    if missing:
        raise PlumblineError(f"{explanations} has no maps of {', '.join(missing)}: make it again")
    places = {number: place for place, number in enumerate(read_rows(data, ["id"])["id"])}
    ids = explained["id"].tolist()
    if any(number not in places for number in ids):
        raise PlumblineError(f"{explanations} holds images that are not in {data}: make it again")
    rows = [places[number] for number in ids]
    for graph in known.values():
        if graph.held_out and set(rows) & set(graph.rows):
            raise PlumblineError(
                f"{explanations} holds images from which the graph of class '{graph.label}' was learnt: make it again"
            )
    images = pictures[rows].numpy()
    mean, std = (np.array(facts[key], dtype=np.float32)[:, None, None] for key in ("mean", "std"))
    subjects = definitions.Subjects(
        model=network,
        images=images,
        targets=explained["target"].to_numpy(dtype=np.int64),
        keys=tuple((dataset, name, number) for number in ids),
        model_key=(dataset, name),
        black=(-mean / std)[:, 0, 0],
        segments=definitions.segments_of(np.clip(images * std + mean, 0, 1)) if "irof" in metrics else None,
    )
    shape = (len(ids), *images.shape[2:])
    maps = {method: np.stack(explained[f"scores_{method}"].to_numpy()).reshape(shape) for method in methods}
    seeds = {method: np.array(image_seeds(dataset, name, ids, method)) for method in methods}

    def again(method, network, images, targets, rows):
        found = explain(
            method,
            network,
            torch.from_numpy(images).to(device),
            torch.from_numpy(targets).to(device),
            graphs=known,
            seeds=seeds[method][rows],
            layer=layer,
        )
        return found.float().cpu().numpy()

    values = {metric: definitions.measure(metric, subjects, maps, again) for metric in metrics}
    tied = {metric: definitions.ties(metric, subjects, maps) for metric in metrics}
    found = [
        (
            number,
            target,
            method,
            metric,
            values[metric][method][row],
            tied[metric] and float(tied[metric][method][row]),
            definitions.SETTINGS[metric],
        )
        for row, (number, target) in enumerate(zip(ids, subjects.targets, strict=True))
        for method in methods
        for metric in metrics
    ]
    write_rows(output, dict(zip(COLUMNS, zip(*found, strict=True), strict=True)), kind="explanation_metrics")
