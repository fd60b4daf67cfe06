"""The study of ALTI: explanations of text encoders by the aggregation of token-to-token interactions, and others beside it (docs/studies/alti.md)."""
