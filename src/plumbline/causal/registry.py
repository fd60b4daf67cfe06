"""What explanations of convolutional networks there are, and what metrics of them; read by the workflow itself, so no torch here.

The explanations' entries: plumbline.attribution.convolutional. How they are computed: causal.attributions and
causal.baselines; causal.metrics.
"""

from ..attribution.convolutional import EXPLANATIONS
from ..registry import Metric

CAUSAL = {"causal": "released", "causal_forward": "forward"}  # id -> mode of causal.attributions
# What a configuration may leave out: those that are neither of the causal graph nor controls.
BASELINES = tuple(name for name, entry in EXPLANATIONS.items() if name not in CAUSAL and not entry.control)

METRICS = {
    metric.id: metric
    for metric in (
        Metric(
            id="lipschitz",
            label="Local Lipschitz estimate",
            direction=-1,
            axis="robustness",
            citation="Alvarez-Melis & Jaakkola 2018, arXiv 1806.08049",
        ),
        Metric(
            id="max_sensitivity",
            label="Max-sensitivity",
            direction=-1,
            axis="robustness",
            citation="Yeh et al. 2019, arXiv 1901.09392",
        ),
        Metric(
            id="faithfulness_correlation",
            label="Faithfulness correlation",
            direction=1,
            axis="faithfulness",
            citation="Bhatt et al. 2020, arXiv 2005.00631",
        ),
        Metric(
            id="irof",
            label="IROF",
            direction=1,
            axis="faithfulness",
            citation="Rieger & Hansen 2020, arXiv 2003.08747",
        ),
        Metric(
            id="pixel_flipping",
            label="Pixel-flipping AUC",
            direction=-1,
            axis="faithfulness",
            citation="Bach et al. 2015",
        ),
        Metric(
            id="sparseness",
            label="Sparseness",
            direction=1,
            axis="complexity",
            citation="Chalasani et al. 2020, arXiv 1810.06583",
        ),
        Metric(
            id="complexity",
            label="Complexity",
            direction=-1,
            axis="complexity",
            citation="Bhatt et al. 2020, arXiv 2005.00631",
        ),
        Metric(
            id="parameter_randomisation",
            label="Parameter randomisation",
            direction=-1,
            axis="randomisation",
            citation="Adebayo et al. 2018, arXiv 1810.03292",
        ),
    )
}
