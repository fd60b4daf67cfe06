"""The one exception whose text is meant for a person: what is wrong, where, and what to do."""

import atexit
import contextlib
import difflib
import errno
import gc
import sys
from collections.abc import Iterable


class PlumblineError(Exception):
    """A fault that its reader can mend. The message is one line: what, where, what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).split()))


def unknown(kind: str, name: object, legal: Iterable[object]) -> PlumblineError:
    """Return the error for a name outside a closed list.

    Parameters
    ----------
    kind : str
        What the name is of.
    name : object
        The unknown name.
    legal : iterable
        The legal names.

    Returns
    -------
    PlumblineError
        It names the nearest legal name, and all of them.
    """
    names = sorted(str(item) for item in legal)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.0)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return PlumblineError(f"unknown {kind} '{name}': {hint}legal: {', '.join(names)}")


@contextlib.contextmanager
def one_line_errors(log=None):
    """End a script with one line on standard error (and in `log`) instead of a traceback.

    PlumblineError, the operating system's faults (disk full, missing file, no permission) and a GPU without memory
    enough are meant for the user; any other exception is a defect of ours and keeps its traceback.

    Parameters
    ----------
    log : path, optional
        The line is appended to it.

    Raises
    ------
    SystemExit
        With status 1, after the line is written.
    """
    # A quarter of the time in which a job imports torch and transformers went to looking for garbage among
    # objects that stay; a short job need not look so often.
    gc.set_threshold(100_000, 50, 100)
    # Nor once more at its very end, where memory goes back as a whole: a second of every job with torch (docs/performance.md).
    atexit.register(gc.freeze)
    try:
        yield
    except Exception as fault:
        if not isinstance(fault, PlumblineError | OSError) and not _out_of_memory(fault):
            raise
        line = f"plumbline: error: {_text(fault)}"
        print(line, file=sys.stderr, flush=True)
        if log:
            # A disk that is full for the artefact may be full for the log as well.
            with contextlib.suppress(OSError), open(log, "a", encoding="utf-8") as out:
                print(line, file=out)
        sys.exit(1)


def _out_of_memory(fault):
    """Whether it is torch's exception for a full GPU, without importing torch for it."""
    return type(fault).__name__ == "OutOfMemoryError"


def _text(fault):
    if _out_of_memory(fault):
        # Where batches can be halved, `models.runtime.in_memory` has caught it.
        return "the GPU's memory does not suffice: lower `batch_size` where the model is trained, or set `device: cpu`"
    if isinstance(fault, OSError):
        where = fault.filename or "the output folder"
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"disk full while writing {where}: free some space and run the same command again"
        return f"{fault.strerror or fault} ({where})"
    return str(fault)
