"""How far a class depends on its causal nodes: accuracy of pruned networks, with controls.

Recall of a class alone misleads, because weights of that class alone are cut and the other logits stay: the area under the
ROC curve of its logit over images of all classes is the honest number.
"""

import numpy as np
import torch

from ..artefacts import write_rows
from ..models.image_models import BATCH
from ..seeds import seed_of
from .graph import read_graph
from .interventions import CausalNetwork
from .learn import ready, scored_rows

CONDITIONS = (
    "base",
    "drop_non_causal",
    "ablate_causal",
    "ablate_random",
    "ablate_non_causal",
    "graph_edge",
    "graph_layer",
)
COLUMNS = ("class", "condition", "draw", "recall", "auc", "node_share", "weight_share", "images", "held_out")


def dropped_nodes(causes, nodes, draws, seed):
    """Choose the nodes whose edges to the class are cut at the last layer, condition by condition.

    Parameters
    ----------
    causes : sequence of int
        Of the last layer.
    nodes : int
        How many nodes feed it. Random and non-causal nodes are as many as there are causes; of the non-causal ones all, where
        there are fewer.
    draws : int
        How often random and non-causal nodes are drawn anew.
    seed : tuple
        Names and numbers for `seed_of`.

    Returns
    -------
    list of tuple
        (condition, draw, node indices).
    """
    others = np.setdiff1d(np.arange(nodes), causes)
    found = [("base", 0, []), ("drop_non_causal", 0, others), ("ablate_causal", 0, list(causes))]
    for condition, pool in (("ablate_random", np.arange(nodes)), ("ablate_non_causal", others)):
        for number in range(draws):
            draw = np.random.default_rng(seed_of("causal pruning", *seed, condition, number))
            found.append((condition, number, draw.permutation(pool)[: len(causes)]))
    return found


def pruned_weights(network, graph, scope):
    """Return the weights of the graph alone, biases left as they are.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of one class.
    scope : {'edge', 'layer'}
        edge: of the weights into an effect those from other nodes than its causes become 0. layer: all weights of a layer
        become 0 but those from its causes to its effects. Layers at which the graph ends or that it does not reach stay whole.

    Returns
    -------
    dict
        Parameter name -> torch.Tensor, float64.
    """
    found = {}
    for record in graph.layers:
        if not record.causes:
            continue
        blocks = network.blocks(record.layer)
        causal = torch.zeros(blocks.shape[:2], dtype=torch.bool, device=blocks.device)
        causal[np.ix_(record.effects, record.causes)] = True
        kept = causal.clone()
        if scope == "edge":
            kept = torch.ones_like(causal)
            kept[list(record.effects)] = causal[list(record.effects)]
        kept = kept.view(*kept.shape, *[1] * (blocks.dim() - 2))
        found[f"{record.layer}.weight"] = (blocks * kept).view_as(network.modules[record.layer].weight)
    return found


def shares(network, graph):
    """Compute how large a graph is beside its network.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of one class.

    Returns
    -------
    nodes : float
        Share of the nodes that feed tested layers which are causes.
    weights : float
        Share of the chain's weights that are on an edge from a cause to an effect.
    """
    weights = sum(network.modules[name].weight.numel() for name in network.names)
    kept = sum(
        len(record.causes) * len(record.effects) * network.blocks(record.layer)[0, 0].numel()
        for record in graph.layers
    )
    causes = sum(len(record.causes) for record in graph.layers if record.rule != "input")
    return causes / sum(network.nodes[name] for name in network.names[1:]), kept / weights


def quality(logits, labels, target):
    """Compute how well logits tell a class from all others.

    Parameters
    ----------
    logits : numpy.ndarray, float, shape (rows, classes)
        Of images of all classes.
    labels : numpy.ndarray, int64, shape (rows,)
        Classes of the images.
    target : int
        The class.

    Returns
    -------
    recall : float
        Of the class, in [0, 1].
    auc : float
        ROC-AUC of its logit against all others, in [0, 1].
    """
    from sklearn.metrics import roc_auc_score

    own = labels == target
    return float((logits[own].argmax(1) == target).mean()), float(roc_auc_score(own, logits[:, target]))


@torch.no_grad()
def pruning_rows(network, graph, seen, images, labels, *, draws, seed):
    """Compute the rows of one class; columns: schemas/artefacts/pruning.yaml.

    Parameters
    ----------
    network : CausalNetwork
        The network.
    graph : CausalGraph
        The graph of the class.
    seen : Observation
        Of the images at the last layer.
    images : torch.Tensor, float, shape (rows, channels, height, width)
        None of them should be one that the graph was learnt from (`learn.scored_rows`).
    labels : numpy.ndarray, int64, shape (rows,)
        Classes of the images.
    draws : int
        Of random and of non-causal nodes.
    seed : tuple
        See `dropped_nodes`.

    Returns
    -------
    list of dict
    """
    top, target = network.names[-1], graph.target
    base = seen.logits.cpu().numpy()
    share = shares(network, graph)
    given = network.given(top, seen.inputs[top], target)
    found = []
    for condition, draw, nodes in dropped_nodes(graph.layers[0].causes, given.shape[1], draws, seed):
        logits = base.copy()
        logits[:, target] -= given[:, nodes].sum(1)
        found.append((condition, draw, *quality(logits, labels, target)))
    for scope in ("edge", "layer"):
        weights = pruned_weights(network, graph, scope)
        logits = [
            torch.func.functional_call(network.model, weights, (part.double(),)).cpu().numpy()
            for part in images.split(BATCH)
        ]
        found.append((f"graph_{scope}", 0, *quality(np.concatenate(logits), labels, target)))
    images = len(labels), graph.held_out
    return [dict(zip(COLUMNS, (target, *row, *share, *images), strict=True)) for row in found]


def write_pruning(*, dataset, model, seed, data, graphs, output, draws, device="cpu", threads=1):
    """Write results/{scale}/causal/{dataset}/{model}/seed{seed}/pruning.parquet; columns: schemas/artefacts/pruning.yaml.

    Each graph is scored on the images held out from it, if any.

    Parameters
    ----------
    dataset : str
        The data set's id, part of the seed.
    model : path
        A folder that the image_model stage wrote.
    seed : int
        Of training, part of the seed.
    data : path
        Parquet file of the test split.
    graphs : list of path
        Of graph.json, one a class.
    output : path
        The Parquet file to write.
    draws : int
        Of random and of non-causal nodes.
    device : str
        Of torch.
    threads : int
        Of the CPU.
    """
    loaded, _, images, labels = ready(model, data, device, threads)
    network = CausalNetwork(loaded)
    images = images.to(next(loaded.parameters()).device)
    seen = network.observe(images, network.names[-1:])
    rows = []
    for path in graphs:
        graph = read_graph(path)
        scored = scored_rows(graph, labels)
        rows += pruning_rows(
            network,
            graph,
            seen.take(scored),
            images[scored],
            labels[scored],
            draws=draws,
            seed=(dataset, seed, graph.target),
        )
    write_rows(output, {name: [row[name] for row in rows] for name in COLUMNS}, kind="pruning")
