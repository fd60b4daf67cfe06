"""What the single-layer multi-head classifier's explanations are, in closed form (Lopardo et al. 2024); docs/theory.md.

MultiHeadClassifier   the model (plumbline.models.multihead)
closed_form_gradient  the gradient, as published and corrected
lime_limit            what LIME's coefficients tend to, in three formulas
lime_coefficients     LIME itself, masking or deleting, vectorised
"""

from ..models.multihead import MultiHeadClassifier
from .gradient import closed_form_gradient
from .lime_limit import lime_limit
from .lime_sampling import lime_coefficients

__all__ = ["MultiHeadClassifier", "closed_form_gradient", "lime_coefficients", "lime_limit"]
