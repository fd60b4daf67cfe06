"""Checkpoints as they come from the hub."""

from pathlib import Path

from ..errors import PlumblineError


def to_safetensors(folder):
    """Replace pytorch_model.bin by model.safetensors, with the same tensors under the same names.

    The file is read with torch.load(weights_only=True), which builds tensors and runs no code; PlumblineError
    where it holds anything else. Nothing is done where model.safetensors is there.
    """
    source, target = Path(folder) / "pytorch_model.bin", Path(folder) / "model.safetensors"
    if target.is_file():
        return
    import pickle

    import torch
    from safetensors.torch import save_file

    from ..artefacts import atomic

    try:
        weights = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        reason = str(fault).splitlines()[0]
        raise PlumblineError(
            f"{source} holds more than tensors and is not read ({reason}): use a revision with model.safetensors"
        ) from None
    with atomic(target) as temporary:
        # Tied weights share memory, which safetensors refuses.
        save_file(
            {name: tensor.clone() for name, tensor in weights.items()}, temporary, metadata={"format": "pt"}
        )
    source.unlink()
