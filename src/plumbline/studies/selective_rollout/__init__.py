"""The study of selective rollout: rollouts against the input gradient, layer by layer (docs/studies/selective_rollout.md)."""
