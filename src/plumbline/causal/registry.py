"""What explanations of image classifiers there are, and what metrics of them; read by the workflow itself, so no torch here.

How they are computed: causal.attributions and causal.baselines; causal.metrics.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """One explanation: label; whether it is a control, or the one that was published."""

    label: str
    control: bool = False
    published: bool = False


EXPLANATIONS = {
    "causal": Explanation("Causal, as released", published=True),  # Ahmad et al. 2024, arXiv 2305.08950
    "causal_forward": Explanation("Causal, forward"),
    "saliency": Explanation("Saliency"),  # Simonyan et al. 2014, arXiv 1312.6034
    "input_x_gradient": Explanation("Input × gradient"),  # Shrikumar et al. 2016, arXiv 1605.01713
    "integrated_gradients": Explanation("Integrated gradients"),  # Sundararajan et al. 2017, arXiv 1703.01365
    "gradient_shap": Explanation("GradientShap"),  # Lundberg & Lee 2017, arXiv 1705.07874
    "guided_backprop": Explanation("Guided backprop"),  # Springenberg et al. 2015, arXiv 1412.6806
    "deconvolution": Explanation("Deconvolution"),  # Zeiler & Fergus 2014, arXiv 1311.2901
    "grad_cam": Explanation("Grad-CAM"),  # Selvaraju et al. 2017, arXiv 1610.02391
    "deep_lift": Explanation("DeepLift"),  # Shrikumar et al. 2017, arXiv 1704.02685
    "occlusion": Explanation("Occlusion"),  # Zeiler & Fergus 2014, arXiv 1311.2901
    "lrp": Explanation("LRP"),  # Bach et al. 2015; Montavon et al. 2019
    "rise": Explanation("RISE"),  # Petsiuk et al. 2018, arXiv 1806.07421
    "random": Explanation("Random", control=True),
    "input": Explanation("|Input|", control=True),
}
CAUSAL = {"causal": "released", "causal_forward": "forward"}  # id -> mode of causal.attributions
# What a configuration may leave out: those that are neither of the causal graph nor controls.
BASELINES = tuple(name for name, entry in EXPLANATIONS.items() if name not in CAUSAL and not entry.control)


@dataclass(frozen=True)
class Metric:
    """One metric: label; direction, 1 where higher is better and -1 where lower is; what it measures."""

    label: str
    direction: int
    axis: str  # robustness, faithfulness, complexity or randomisation


METRICS = {
    # Alvarez-Melis & Jaakkola 2018, arXiv 1806.08049
    "lipschitz": Metric("Local Lipschitz estimate", -1, "robustness"),
    # Yeh et al. 2019, arXiv 1901.09392
    "max_sensitivity": Metric("Max-sensitivity", -1, "robustness"),
    # Bhatt et al. 2020, arXiv 2005.00631
    "faithfulness_correlation": Metric("Faithfulness correlation", 1, "faithfulness"),
    # Rieger & Hansen 2020, arXiv 2003.08747
    "irof": Metric("IROF", 1, "faithfulness"),
    # Bach et al. 2015
    "pixel_flipping": Metric("Pixel-flipping AUC", -1, "faithfulness"),
    # Chalasani et al. 2020, arXiv 1810.06583
    "sparseness": Metric("Sparseness", 1, "complexity"),
    # Bhatt et al. 2020, arXiv 2005.00631
    "complexity": Metric("Complexity", -1, "complexity"),
    # Adebayo et al. 2018, arXiv 1810.03292
    "parameter_randomisation": Metric("Parameter randomisation", -1, "randomisation"),
}
