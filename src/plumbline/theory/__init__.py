"""What the single-layer multi-head classifier's explanations are, in closed form (Lopardo et al. 2024); docs/studies/attention_meets_xai.md.

    MultiHeadClassifier   the model (plumbline.models.multihead)
    closed_form_gradient  the gradient, as published and corrected
    lime_limit            what LIME's coefficients tend to, in four formulas
    lime_coefficients     LIME itself, masking or deleting, vectorised

torch is imported when one of them is asked for: the workflow's own modules read this package's lists without it.
"""

import importlib

_HOME = {
    "MultiHeadClassifier": "plumbline.models.multihead",
    "closed_form_gradient": "plumbline.theory.gradient",
    "lime_limit": "plumbline.theory.limits",
    "lime_coefficients": "plumbline.theory.lime_sampling",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
