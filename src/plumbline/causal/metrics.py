"""Metrics of explanations of image classifiers (specification §8). `METRICS` says what there is; no torch is imported for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric: label; direction, 1 where higher is better and -1 where lower is; what it measures; who proposed it."""

    label: str
    direction: int
    axis: str  # robustness, faithfulness, complexity or randomisation
    citation: str = ""


METRICS = {
    "lipschitz": Metric(
        "Local Lipschitz estimate", -1, "robustness", "Alvarez-Melis & Jaakkola 2018, arXiv 1806.08049"
    ),
    "max_sensitivity": Metric("Max-sensitivity", -1, "robustness", "Yeh et al. 2019, arXiv 1901.09392"),
    "faithfulness_correlation": Metric(
        "Faithfulness correlation", 1, "faithfulness", "Bhatt et al. 2020, arXiv 2005.00631"
    ),
    "irof": Metric("IROF", 1, "faithfulness", "Rieger & Hansen 2020, arXiv 2003.08747"),
    "pixel_flipping": Metric("Pixel flipping, AUC", -1, "faithfulness", "Bach et al. 2015"),
    "sparseness": Metric("Sparseness", 1, "complexity", "Chalasani et al. 2020, arXiv 1810.06583"),
    "complexity": Metric("Complexity", -1, "complexity", "Bhatt et al. 2020, arXiv 2005.00631"),
    "parameter_randomisation": Metric(
        "Parameter randomisation", -1, "randomisation", "Adebayo et al. 2018, arXiv 1810.03292"
    ),
}
