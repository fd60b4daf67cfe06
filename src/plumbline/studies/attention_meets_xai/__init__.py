"""The study of a multi-head classifier: attention, gradients and LIME in closed form (docs/theory.md)."""
