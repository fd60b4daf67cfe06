"""What explanations of convolutional image classifiers there are: those of the causal graph, baselines and controls.

How they are computed: plumbline.causal.explanations.
"""

from ..registry import Look, Method, Readout

_CAUSAL = {
    "family": "causal",
    "look": Look("#0173b2", "D"),
    "citation": "Ahmad et al. 2024, arXiv 2305.08950",
}
_GRADIENT = {"family": "gradient", "look": Look("#d55e00", "o")}
_PROPAGATION = {"family": "propagation", "look": Look("#029e73", "o")}
_PERTURBATION = {"family": "perturbation", "look": Look("#cc78bc", "o")}
_CONTROL = {"family": "control", "look": Look("#949494", "x"), "control": True, "citation": "control"}


def _of(family, name, label, citation, **more):
    """A baseline of a family."""
    return Readout(id=name, label=label, citation=citation, **family, **more)


ENTRY = Method(
    id="convolutional",
    label="Explanations of convolutional networks",
    family="causal",
    models="convolutional networks",
    order=101,
    citation="Ahmad et al. 2024, arXiv 2305.08950; each readout's own",
    readouts=(
        Readout(id="causal", label="Causal, as released", published=True, **_CAUSAL),
        Readout(id="causal_forward", label="Causal, forward", **_CAUSAL),
        _of(_GRADIENT, "saliency", "Saliency", "Simonyan et al. 2014, arXiv 1312.6034"),
        _of(
            _GRADIENT,
            "input_x_gradient",
            "Input × gradient",
            "Shrikumar et al. 2016, arXiv 1605.01713",
            signed=True,
        ),
        _of(
            _GRADIENT,
            "integrated_gradients",
            "Integrated gradients",
            "Sundararajan et al. 2017, arXiv 1703.01365",
            signed=True,
        ),
        _of(
            _GRADIENT,
            "gradient_shap",
            "GradientShap",
            "Lundberg & Lee 2017, arXiv 1705.07874",
            stochastic=True,
            signed=True,
        ),
        _of(
            _PROPAGATION,
            "guided_backprop",
            "Guided backprop",
            "Springenberg et al. 2015, arXiv 1412.6806",
            signed=True,
        ),
        _of(
            _PROPAGATION,
            "deconvolution",
            "Deconvolution",
            "Zeiler & Fergus 2014, arXiv 1311.2901",
            signed=True,
        ),
        # Of a layer's activations: the claim is about gradients of the image.
        _of(_GRADIENT, "grad_cam", "Grad-CAM", "Selvaraju et al. 2017, arXiv 1610.02391", shown=()),
        _of(_PROPAGATION, "deep_lift", "DeepLift", "Shrikumar et al. 2017, arXiv 1704.02685", signed=True),
        _of(_PERTURBATION, "occlusion", "Occlusion", "Zeiler & Fergus 2014, arXiv 1311.2901", signed=True),
        _of(_PROPAGATION, "lrp", "LRP", "Bach et al. 2015; Montavon et al. 2019", signed=True),
        _of(_PERTURBATION, "rise", "RISE", "Petsiuk et al. 2018, arXiv 1806.07421", stochastic=True),
        Readout(id="random", label="Random", stochastic=True, **_CONTROL),
        Readout(id="input", label="|Input|", **_CONTROL),
    ),
)
EXPLANATIONS = ENTRY.by_id
