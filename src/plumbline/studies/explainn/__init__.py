"""The study ExplainNN: causal graphs of image classifiers by path interventions (docs/studies/explainn.md)."""
