"""Explanations of image classifiers, one score a pixel: those of the causal graph, baselines and controls.

`EXPLANATIONS` says what there is; no torch is imported for it.
"""

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
    "guided_backprop": Explanation(
        "Guided backprop", citation="Springenberg et al. 2015, arXiv 1412.6806"
    ),
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
BASELINES = tuple(
    name for name, entry in EXPLANATIONS.items() if name not in CAUSAL and not entry.control
)


def explain(method, model, images, targets, *, graphs=None, seeds=None, layer=None):
    """Maps (batch, height, width) of one method, a score a pixel; signed where the method is, neither absolute nor scaled.

    method   id of EXPLANATIONS; settings of the baselines: causal.baselines.
    model    in evaluation mode, with an nn.ReLU module for every use; frozen or not, and left as it was.
    images   float (batch, channels, height, width) as the model reads them; targets: int64 (batch,), the explained classes.
    graphs   class -> CausalGraph, for the causal methods.
    seeds    an integer an image, for what is drawn (gradient_shap, rise, random); images of the same seed get the same draws.
             None: 0 for all. Order and batches change nothing beyond rounding.
    layer    a convolution, for the causal methods and grad_cam; None: the second from the input.

    Raises PlumblineError for an unknown method, a layer without maps (with the legal ones), and a class without a graph.
    """
    if method not in EXPLANATIONS:
        raise unknown("explanation", method, EXPLANATIONS)
    from . import attributions, baselines

    layer = layer or attributions.default_layer(model)
    seeds = [0] * len(images) if seeds is None else [int(seed) for seed in seeds]
    if method not in CAUSAL:
        return baselines.compute(method, model, images, targets, seeds, layer)
    found = images.new_zeros(len(images), *images.shape[2:])
    for target in sorted(set(targets.tolist())):
        if target not in (graphs or {}):
            raise PlumblineError(f"there is no causal graph of class {target}: learn it, or explain other images")
        rows = (targets == target).nonzero()[:, 0]
        for part in rows.split(baselines.ROWS):
            found[part] = attributions.attribution(
                model, graphs[target], layer, images[part], CAUSAL[method]
            )
    return found


def image_seeds(dataset, name, ids, method):
    """The seeds of images for `explain`; name: model and training seed."""
    return [seed_of(dataset, name, number, method, 0) for number in ids]
