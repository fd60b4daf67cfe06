"""The study of a multi-head classifier: attention, gradients and LIME in closed form (docs/studies/attention_meets_xai.md)."""
