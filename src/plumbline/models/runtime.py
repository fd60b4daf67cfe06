"""One job's torch: threads from the configuration, no TF32, quiet libraries."""

import ctypes
import os
import sys

from ..errors import PlumblineError


def release_memory():
    """Give freed memory back to the system, where the C library can (glibc).

    Tensors of ever other sizes leave holes in the heap: training on long texts grew from 0.8 to above 3 GB of them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def prepare(device="cpu", threads=1):
    """Set torch up for a job and return its device.

    Threads are part of what makes bytes reproducible, so they come from the configuration and not from the
    number of cores. Raises PlumblineError where the device is not there.
    """
    # transformers reads these when it is imported; a job without it need not wait for it.
    os.environ.update(
        TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1"
    )
    import torch

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if transformers := sys.modules.get("transformers"):
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    if device == "cuda" and not torch.cuda.is_available():
        raise PlumblineError("device 'cuda' is not there: set `device: cpu` or run on a machine with a GPU")
    return torch.device(device)
