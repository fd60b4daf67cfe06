"""The study of selective rollout: rollouts against the input gradient, layer by layer."""
