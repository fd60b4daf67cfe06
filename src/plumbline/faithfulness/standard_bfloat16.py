"""Protocol `standard` with its forward passes in bfloat16, faster on GPUs; table `precision` shows what that changes."""

from ..registry import Protocol
from .standard import counts, record, score  # noqa: F401

ENTRY = Protocol(
    id="standard_bfloat16",
    label="standard, bfloat16",
    removal="delete",
    precision="bfloat16",
    order=22,
    citation="as `standard`; precision: this project",
)
