"""Explanations of image classifiers, one score a pixel: those of the causal graph, baselines and controls.

`EXPLANATIONS` says what there is; no torch is imported for it.
"""

import warnings
from dataclasses import dataclass

from ..errors import PlumblineError, unknown
from ..seeds import seed_of


@dataclass(frozen=True)
class Explanation:
    """One explanation: label; whether it is a control, or the one that was published; who proposed it."""

    label: str
    control: bool = False
    published: bool = False
    citation: str = ""


_EXPLAINN = "Ahmad et al. 2024, arXiv 2305.08950"
EXPLANATIONS = {
    "causal": Explanation("Causal, as released", published=True, citation=_EXPLAINN),
    "causal_forward": Explanation("Causal, forward", citation=_EXPLAINN),
    "saliency": Explanation("Saliency", citation="Simonyan et al. 2014, arXiv 1312.6034"),
    "input_x_gradient": Explanation("Input × gradient", citation="Shrikumar et al. 2016, arXiv 1605.01713"),
    "integrated_gradients": Explanation(
        "Integrated gradients", citation="Sundararajan et al. 2017, arXiv 1703.01365"
    ),
    "gradient_shap": Explanation("GradientShap", citation="Lundberg & Lee 2017, arXiv 1705.07874"),
    "guided_backprop": Explanation("Guided backprop", citation="Springenberg et al. 2015, arXiv 1412.6806"),
    "deconvolution": Explanation("Deconvolution", citation="Zeiler & Fergus 2014, arXiv 1311.2901"),
    "grad_cam": Explanation("Grad-CAM", citation="Selvaraju et al. 2017, arXiv 1610.02391"),
    "deep_lift": Explanation("DeepLift", citation="Shrikumar et al. 2017, arXiv 1704.02685"),
    "occlusion": Explanation("Occlusion", citation="Zeiler & Fergus 2014, arXiv 1311.2901"),
    "lrp": Explanation("LRP", citation="Bach et al. 2015; Montavon et al. 2019"),
    "rise": Explanation("RISE", citation="Petsiuk et al. 2018, arXiv 1806.07421"),
    "random": Explanation("Random", control=True),
    "input": Explanation("|Input|", control=True),
}
CAUSAL = {"causal": "released", "causal_forward": "forward"}  # id -> mode of causal.attributions
# What a configuration may leave out: those that are neither of the causal graph nor controls.
BASELINES = tuple(name for name, entry in EXPLANATIONS.items() if name not in CAUSAL and not entry.control)


def explain(method, model, images, targets, *, graphs=None, seeds=None, layer=None):
    """Maps (batch, height, width) of one method, a score a pixel; signed where the method is, neither absolute nor scaled.

    method   id of EXPLANATIONS; settings of the baselines: causal.baselines.
    model    in evaluation mode, with an nn.ReLU module for every use; frozen or not, and left as it was.
    images   float (batch, channels, height, width) as the model reads them; targets: int64 (batch,), the explained classes.
    graphs   class -> CausalGraph, for the causal methods.
    seeds    an integer an image, for what is drawn (gradient_shap, rise, random); images of the same seed get the same draws.
             None: 0 for all. Order and batches change nothing beyond rounding.
    layer    a convolution, for the causal methods and grad_cam; None: the second from the input.

    Raises PlumblineError for an unknown method, a layer without maps (with the legal ones), a class without a graph, and where
    a method has a rule for ReLU and a ReLU is no module of its own.
    """
    if method not in EXPLANATIONS:
        raise unknown("explanation", method, EXPLANATIONS)
    from . import attributions, baselines

    layer = layer or attributions.default_layer(model)
    seeds = [0] * len(images) if seeds is None else [int(seed) for seed in seeds]
    if not len(images):
        return images.new_zeros(0, *images.shape[2:])
    if method not in CAUSAL:
        return baselines.compute(method, model, images, targets, seeds, layer)
    found = images.new_zeros(len(images), *images.shape[2:])
    for target in sorted(set(targets.tolist())):
        if target not in (graphs or {}):
            raise PlumblineError(
                f"there is no causal graph of class {target}: learn it, or explain other images"
            )
        rows = (targets == target).nonzero()[:, 0]
        for part in rows.split(baselines.ROWS):
            found[part] = attributions.attribution(model, graphs[target], layer, images[part], CAUSAL[method])
    return found


def image_seeds(dataset, name, ids, method):
    """The seeds of images for `explain`; name: model and training seed."""
    return [seed_of(dataset, name, number, method, 0) for number in ids]


def write_explanations(
    *, dataset, model, name, graphs, data, output, nodes, methods, layer, images, gallery, device="cpu", threads=1
):  # fmt: skip
    """Write results/{scale}/attributions/{dataset}/{model}/seed{seed}/explanations.parquet and nodes.parquet beside it.

    model    a folder that the image_model stage wrote; data: Parquet file of the test split; graphs: paths of graph.json.
    name     model and training seed, part of the seed of what is drawn; methods: ids of EXPLANATIONS.
    layer    as in `explain`; images: the first rightly classified ones of each class that has a graph are explained.
    gallery  of as many of each class, the maps of single nodes are kept too, in both modes.

    A class whose graph ends above the layer has no causal map: its images are left out for all methods, with a warning.
    Raises PlumblineError for a layer that is no convolution, an unknown method, and where no class is left.
    """
    import numpy as np
    import torch

    from ..artefacts import read_rows, write_rows
    from . import attributions
    from .graph import read_graph
    from .learn import ready, right_images

    network, _, pictures, labels = ready(model, data, device, threads)
    layer = layer or attributions.default_layer(network)
    attributions.check_layer(layer, attributions.convolutions(network), type(network).__name__)
    known = {graph.target: graph for graph in map(read_graph, graphs)}
    reached = [
        target
        for target, graph in sorted(known.items())
        if layer in attributions.legal_layers(network, graph)
    ]
    if not reached:
        raise PlumblineError(f"no class of {dataset}, {name}, has a causal graph down to layer '{layer}': choose a higher one, "
                             "or more samples")  # fmt: skip
    for target in sorted(known.keys() - set(reached)):
        warnings.warn(
            f"class {target}: the graph ends above '{layer}', its images are left out", stacklevel=2
        )
    rows = [right_images(network, pictures, labels, target)[:images] for target in reached]
    shown = [row for part in rows for row in part[:gallery]]
    rows = np.concatenate(rows)
    ids = read_rows(data, ["id"])["id"].to_numpy()
    inputs = pictures.to(next(network.parameters()).device)
    targets = torch.from_numpy(labels).to(inputs.device)
    with torch.no_grad():
        chances = torch.cat([network(inputs[row : row + 1]).softmax(-1)[:, labels[row]] for row in rows])
    columns = {
        "id": ids[rows], "label": labels[rows], "target": labels[rows], "probability": chances.cpu().numpy(),
        "height": np.full(len(rows), inputs.shape[2]), "width": np.full(len(rows), inputs.shape[3]),
    }  # fmt: skip
    for method in methods:
        seeds = image_seeds(dataset, name, ids[rows], method)
        maps = explain(method, network, inputs[rows], targets[rows], graphs=known, seeds=seeds, layer=layer)
        columns[f"scores_{method}"] = list(maps.flatten(1).float().cpu().numpy())
    kept = {}
    for row in shown:
        graph = known[labels[row]]
        for mode in attributions.MODES:
            maps = attributions.node_maps(network, graph, layer, inputs[row : row + 1], mode)[0]
            for node, scores in zip(graph.layer(layer).effects, maps, strict=True):
                cells = {"id": ids[row], "target": graph.target, "mode": mode, "node": node}
                cells |= {"height": scores.shape[0], "width": scores.shape[1]}
                cells["scores"] = scores.flatten().cpu().numpy()
                for key, value in cells.items():
                    kept.setdefault(key, []).append(value)
    write_rows(output, columns, kind="explanations")
    write_rows(nodes, kept, kind="nodes")
