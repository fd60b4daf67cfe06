"""One job's torch: threads from the configuration, no TF32, quiet libraries."""

import os

from ..errors import PlumblineError


def prepare(device="cpu", threads=1):
    """Set torch up for a job and return its device.

    Threads are part of what makes bytes reproducible, so they come from the configuration and not from the
    number of cores. Raises PlumblineError where the device is not there.
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import torch
    import transformers

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if device == "cuda" and not torch.cuda.is_available():
        raise PlumblineError("device 'cuda' is not there: set `device: cpu` or run on a machine with a GPU")
    return torch.device(device)
