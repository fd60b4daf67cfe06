"""One job's torch: device and threads from the configuration, no TF32, quiet libraries, batches that fit the memory."""

import ctypes
import os
import sys

from ..errors import PlumblineError

# glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes. Tensors of up to 32 MiB lie in the heap (glibc itself comes to no larger
# ones), and 256 MiB of freed heap are kept. Else every pass gives its memory back and asks for it again.
HEAP = ((-3, 2**25), (-1, 2**28))
SMALLEST = 2**16  # share of a batch's size below which there is one example in it, for certain


def release_memory():
    """Give freed memory back to the system, where the C library can (glibc).

    Tensors of ever other sizes leave holes in the heap: training on long texts grew from 0.8 to above 3 GB of them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def prepare(device="cpu", threads=1):
    """Set torch up for a job.

    Parameters
    ----------
    device : {'cpu', 'cuda', 'auto'}
        'cuda': the first GPU that the job may see. 'auto': that GPU where there is one, else the CPU.
    threads : int
        Of torch. They are part of what makes bytes reproducible, so they come from the configuration and not from the number of
        cores.

    Returns
    -------
    torch.device

    Raises
    ------
    PlumblineError
        Where the device is not there.
    """
    # transformers reads these when it is imported; a job without it need not wait for it.
    os.environ.update(
        TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1"
    )
    # cuBLAS gives equal bytes from run to run with a workspace of fixed size alone.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if set_option := getattr(ctypes.CDLL(None), "mallopt", None):
        for option, size in HEAP:
            set_option(option, size)
    import torch

    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if transformers := sys.modules.get("transformers"):
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
    there = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not there:
        raise PlumblineError(
            "device 'cuda' is not there: set `device: auto` or `device: cpu`, or run on a machine with a GPU"
        )
    if there:
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device("cuda" if there else "cpu")


_share = 1  # of a batch's usual size, in this job


def fitting(size):
    """Reduce the size of a batch (tokens, images) to what this job's memory has held so far.

    Parameters
    ----------
    size : int
        The most.

    Returns
    -------
    int
    """
    return max(1, size // _share)


def in_memory(work, what):
    """Do work, and again with half of all sizes of `fitting` where the GPU's memory does not suffice.

    The smaller sizes stay for the rest of the job, and a line on standard error says so. Sizes of batches change results by
    rounding alone.

    Parameters
    ----------
    work : callable
        Takes nothing.
    what : str
        What the work is, for messages.

    Returns
    -------
    object
        What work() returns.

    Raises
    ------
    PlumblineError
        Where halving does not help.
    """
    global _share
    import torch

    while True:
        try:
            return work()
        except torch.OutOfMemoryError:
            if _share >= SMALLEST:
                raise PlumblineError(
                    f"{what}: the GPU's memory does not suffice for one text or image: set `device: cpu` or a lower "
                    "max_tokens"
                ) from None
        _share *= 2
        torch.cuda.empty_cache()
        print(f"plumbline: {what}: out of GPU memory: batches of 1/{_share} from here on", file=sys.stderr)
