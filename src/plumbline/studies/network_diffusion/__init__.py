"""The study of Vision Mamba and network diffusion (docs/vision.md)."""
