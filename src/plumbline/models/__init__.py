"""Models: encoders and their parts, the agreement head, inference in batches, training."""
