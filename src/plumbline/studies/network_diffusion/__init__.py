"""The study of Vision Mamba and network diffusion (docs/studies/network_diffusion.md)."""
