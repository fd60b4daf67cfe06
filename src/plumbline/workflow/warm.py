"""One warm process a local run: it imports what jobs import once, and every job is a fork of it.

Most of a small job's time goes to imports (docs/performance.md). `start` starts the server and returns the path of a client
that takes the interpreter's place. Snakemake calls the client with a script. The client hands its argument list, working
directory, environment and its three standard descriptors to the server over a Unix socket. The server forks; the fork runs
the script and ends as an interpreter ends; the client ends in the same way. The client calls the plain interpreter wherever
the server cannot stand in for it: there is no server, the job's environment is another one, a source file has changed.

The server ends with Snakemake and the jobs end with the server, also where either is killed (PR_SET_PDEATHSIG of Linux).
This module is what the client imports at every job, so its top imports little.
"""

import contextlib
import marshal
import os
import signal
import socket
import sys

# Imported beforehand, beside all modules of the package: what these import only when a function is called.
LIBRARIES = (
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf",
    "matplotlib.figure",
    "networkx",
    "ortools.graph.python.max_flow",
    "pandas",
    "pyarrow.compute",
    "pyarrow.parquet",
    "safetensors.torch",
    "scipy.stats",
    "skimage.segmentation",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.model_selection",
    "snakemake.iocontainers",
    "snakemake.logging",
    "snakemake.script",
    "torch.fx.experimental.optimization",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.distilbert.modeling_distilbert",
    "transformers.models.roberta.modeling_roberta",
)
# What the client hands on to the job. SIGTSTP would be lost on a job that no terminal controls: it gets SIGSTOP.
FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT")
# What a shell sets for every command anew, and no library reads when it is imported.
OF_THE_SHELL = {b"_", b"SHLVL", b"PWD", b"OLDPWD"}
# What the interpreter and the C library read before the first line of Python.
READ_AT_START = (b"PYTHON", b"LD_", b"MALLOC_", b"GLIBC_")
# Longest first line of a script that every Linux reads whole.
SHEBANG = 127
LARGEST_REQUEST = 2**20
PR_SET_PDEATHSIG = 1


def start(modules=()):
    """Start the server of this process's run; return the path of its client, or `sys.executable` where there can be none.

    modules  what it imports when the second job asks: names of modules; none: all of the package and LIBRARIES.

    There is none outside Linux: on macOS a fork after its libraries have started is not safe. The server is stopped when this
    process ends.
    """
    import atexit
    import subprocess
    import tempfile
    from pathlib import Path

    first_line = f"#!{sys.executable} -IS\n"
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # another system, or a Linux before 5.3
        return sys.executable
    if len(first_line) > SHEBANG:
        return sys.executable
    folder = tempfile.TemporaryDirectory(prefix="plumbline-")
    address, file = os.path.join(folder.name, "socket"), Path(folder.name, "python")
    file.write_text(
        f"{first_line}import sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        f"from plumbline.workflow.warm import client\nclient({address!r}, {sys.executable!r})\n"
    )
    file.chmod(0o700)
    if not os.access(file, os.X_OK):  # a file system that executes nothing
        return sys.executable
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(socket.SOMAXCONN)
        arguments = [folder.name, str(listener.fileno()), str(os.getpid()), *modules]
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, *arguments],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the client, which hands it on to its job
        )

    @atexit.register
    def stop():
        server.terminate()
        server.wait()
        folder.cleanup()

    return str(file)


# The client


def client(address, python):
    """Run `sys.argv[1:]` as a fork of the server at `address` and end as it ends, or call the interpreter `python` with it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    arguments = sys.argv[1:]
    if connection := _started(address, arguments):
        _end_as(_status_of(connection))
    os.execv(python, [python, *arguments])


def _started(address, arguments):
    """The connection to the server once a job has started there; None where it has not."""
    if not arguments or arguments[0].startswith("-"):
        return None
    os.umask(mask := os.umask(0))
    request = marshal.dumps((arguments, os.getcwdb(), mask, dict(os.environb)))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(address)
        socket.send_fds(connection, [request], [0, 1, 2])
        return connection if connection.recv(1) else None
    except OSError:
        return None


def _status_of(connection):
    """Wait for the job's end and return its wait status; hand on signals meanwhile."""

    def forward(number, frame):
        _send(connection, bytes([signal.SIGSTOP if number == signal.SIGTSTP else number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in (getattr(signal, name) for name in FORWARDED):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)
    answer = _receive(connection)
    return int(answer) if answer else signal.SIGKILL  # a server that is killed takes its jobs with it


def _end_as(status):
    """End this process with another one's wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


# The server


class Server:
    """Forks a process for every job that asks, and tells each client how its job has ended.

    listener  the socket, bound and listening.
    modules   as of `start`.
    """

    def __init__(self, listener, modules=()):
        import selectors

        self.modules = modules
        self.first = True  # no job that it could take has asked
        self.selector = selectors.DefaultSelector()
        self.environment = (
            None  # of all its jobs: (working directory, umask, variables) of the first that it takes
        )
        self.sources = None
        self._watch(listener, self._accept, listener)

    def serve(self):
        """Return in a job's process alone, with the arguments of `become`."""
        while True:
            # One event at a time: the next may be about what this one closes.
            call, arguments = self.selector.select()[0][0].data
            if job := call(*arguments):
                return job

    def _watch(self, file, call, *arguments):
        import selectors

        self.selector.register(file, selectors.EVENT_READ, (call, arguments))

    def _accept(self, listener):
        connection, _ = listener.accept()
        self._watch(connection, self._start, connection)

    def _start(self, connection):
        """Start the job that a client asks for; or close the connection, and the client goes on without."""
        self.selector.unregister(connection)
        request, descriptors = _received(connection)
        server, pid = os.getpid(), None
        if request and self._can_take(*request):
            with contextlib.suppress(OSError):  # no memory for another process
                pid = os.fork()
            if pid == 0:
                connection.close()
                self._close()
                return server, descriptors, *request
        if pid:
            job = os.pidfd_open(pid)
            self._watch(connection, self._hand_on, connection, job)
            self._watch(job, self._end, connection, job, pid)
            _send(connection, b"1")
        else:
            connection.close()
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def _hand_on(self, connection, job):
        """Send the job a signal that its client hands on; SIGKILL where the client is gone."""
        if number := _receive(connection):
            number = number[0]
        else:
            number = signal.SIGKILL
            self.selector.unregister(connection)
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            signal.pidfd_send_signal(job, number)

    def _end(self, connection, job, pid):
        """Tell the client its job's wait status."""
        _, status = os.waitpid(pid, 0)
        if connection in self.selector.get_map():
            self.selector.unregister(connection)
        _send(connection, str(status).encode())
        connection.close()
        self.selector.unregister(job)
        os.close(job)

    def _close(self):
        """Close everything that is watched, in a job's process: a client must see that the server is gone."""
        for key in list(self.selector.get_map().values()):
            if isinstance(key.fileobj, int):
                os.close(key.fileobj)
            else:
                key.fileobj.close()
        self.selector.close()

    def _can_take(self, arguments, folder, mask, variables):
        """Whether a fork of this process is what a new interpreter would be. The second job decides on the environment."""
        compared = {name: value for name, value in variables.items() if name not in OF_THE_SHELL}
        if self.environment is None:
            # Libraries start their threads when they are imported, and threads do not survive a fork.
            if (
                variables.get(b"OMP_NUM_THREADS") != b"1"
                or _at_start(variables) != _at_start(os.environb)
                or _sets_variables(arguments[0])
            ):
                return False
            if self.first:
                self.first = False  # a run of one job need not wait for what others import
                return False
            self.environment, self.sources = (folder, mask, compared), _sources()
            _import(self.modules, folder, mask, variables)
        return (
            (folder, mask, compared) == self.environment
            and _sources() == self.sources
            and len(os.listdir("/proc/self/task")) == 1
            and not _sets_variables(arguments[0])
        )


def _received(connection):
    """(what a client asks for, its descriptors); (None, []) where it is gone."""
    try:
        message, descriptors, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
    except OSError:
        return None, []
    return (marshal.loads(message) if len(descriptors) == 3 else None), descriptors


def _receive(connection):
    """A message; empty where the other side is gone."""
    try:
        return connection.recv(64)
    except OSError:
        return b""


def _send(connection, message):
    """Send a message, unless the other side is gone."""
    with contextlib.suppress(OSError):
        connection.send(message)


def _at_start(variables):
    return {name: value for name, value in variables.items() if name.startswith(READ_AT_START)}


def _sources():
    """What tells whether a file of the package has changed: path -> (inode, time of change in ns, size in bytes)."""
    found, folders = {}, [os.path.dirname(os.path.dirname(__file__))]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.is_dir():
                folders.append(entry.path)
                continue
            with contextlib.suppress(FileNotFoundError):  # an editor's temporary file
                about = entry.stat()
                found[entry.path] = (about.st_ino, about.st_mtime_ns, about.st_size)
    return found


def _entries(folder):
    """What a folder holds but for compiled modules; nothing where it is gone."""
    try:
        return [entry for entry in os.scandir(folder) if entry.name != "__pycache__"]
    except FileNotFoundError:
        return []


def _sets_variables(script):
    """Whether a script sets environment variables, which a library that is imported already would not read; or is not there."""
    import re

    try:
        with open(script, "rb") as file:
            text = file.read()
    except OSError:
        return True
    return re.search(rb"^[ \t]*os\.environ(\[|\.(update|setdefault|pop))", text, re.MULTILINE) is not None


def _import(modules, folder, mask, variables):
    """Import what jobs import, in their environment. Nothing is computed: threads start at the first computation."""
    import gc
    import importlib
    import pkgutil

    import plumbline

    os.chdir(folder)
    os.umask(mask)
    os.environb.update(variables)
    # Arrow's allocator would start a thread of its own.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    gc.disable()
    own = (module.name for module in pkgutil.walk_packages(plumbline.__path__, "plumbline."))
    for name in modules or (*own, *LIBRARIES):
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional library: the job that needs it says so
    gc.collect()
    gc.freeze()


# A job


def become(server, descriptors, arguments, folder, mask, variables):
    """Make this fork what a new interpreter would be that was called with `arguments`."""
    import gc
    import random
    import tempfile

    import numpy as np

    _end_with(server, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if not sys.stdout.write_through:
        sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    os.environb.clear()
    os.environb.update(variables)
    sys.argv = arguments
    if not os.environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    # Drawn anew by every interpreter.
    random.seed()
    np.random.seed()
    if torch := sys.modules.get("torch"):
        torch.default_generator.seed()
    tempfile.tempdir = None
    gc.enable()


def run(script):
    """Run a script as the interpreter does and return its wait status."""
    import runpy

    path = os.path.abspath(script)
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return ((end.code or 0) & 0xFF) << 8
        print(end.code, file=sys.stderr)
        return 1 << 8
    except BaseException as fault:
        # Without the frames of this module and of runpy.
        trace = fault.__traceback__
        while trace and trace.tb_frame.f_code.co_filename != path:
            trace = trace.tb_next
        sys.excepthook(type(fault), fault.with_traceback(trace), trace)
        return signal.SIGINT if isinstance(fault, KeyboardInterrupt) else 1 << 8
    return 0


def _end_with(parent, number):
    """Have the system send this process a signal when its parent ends; end now where it has ended already."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != parent:
        os._exit(1)


def main(folder, listener, parent, *modules):
    """Serve; in a job's process, run the job."""
    import atexit
    import shutil

    server, status = os.getpid(), 1 << 8

    @atexit.register
    def end():
        """The last call at a job's exit: taking the interpreter apart would copy the pages that the job shares."""
        nonlocal status
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                status = 120 << 8  # as the interpreter's own
        _end_as(status)

    def stop(number, frame):
        if os.getpid() == server:
            shutil.rmtree(folder, ignore_errors=True)
        _end_as(number)

    signal.signal(signal.SIGTERM, stop)
    _end_with(int(parent), signal.SIGTERM)
    job = Server(socket.socket(fileno=int(listener)), modules).serve()
    become(*job)
    status = run(sys.argv[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
