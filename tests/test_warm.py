"""Jobs as forks of one warm process: each is to its caller what a new interpreter would be, and none is left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests import workflow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a warm process is for Linux alone"),
    pytest.mark.xdist_group("warm"),
]
SRC = workflow.ROOT / "src"
PARENT = """
import sys
from plumbline.workflow import warm
print(warm.start(sys.argv[1:]), flush=True)
sys.stdin.read()
"""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Warm:
    """A process that has started a server, as Snakemake does."""

    def __init__(self, *modules, src=SRC):
        self.environment = workflow.environment(PYTHONPATH=str(src), **dict.fromkeys(THREADS, "1"))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, *modules],
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.client = self.process.stdout.readline().strip()
        (server,) = psutil.Process(self.process.pid).children()
        self.server = server.pid
        first = Path(self.client).with_name("first.py")
        first.write_text("import os; print(os.getppid())")
        assert not self.takes(first), "a run of one job imports nothing beforehand"

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()

    def popen(self, script, python=None, cwd=workflow.ROOT, **changes):
        return subprocess.Popen(
            [python or self.client, str(script), "an argument"], env=self.environment | changes, text=True, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, script, python=None, **changes):
        """(exit code, standard output, standard error) of a job."""
        job = self.popen(script, python, **changes)
        out, err = job.communicate(timeout=120)
        return job.returncode, out, err

    def takes(self, script, **changes):
        """Whether the server forks the script, which prints its parent's process id last."""
        code, out, err = self.run(script, **changes)
        assert code == 0, err
        return int(out.split()[-1]) == self.server


@contextlib.contextmanager
def warm_process(*modules, **options):
    found = Warm(*modules, **options)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        found.process.stdout.close()


@pytest.fixture(scope="module", autouse=True)
def signals():
    """Signals end processes as they do in a terminal: `nohup` and a shell's `&` hand on that some are ignored."""
    ignored = [
        number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="module")
def warm(signals):
    with warm_process("numpy", "torch", "matplotlib") as found:
        yield found
        found.end()
        assert not psutil.pid_exists(found.server) and not Path(found.client).parent.exists()


@pytest.fixture
def written(tmp_path):
    """A function that writes a script and returns its path."""

    def write(text, name="script.py"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return tmp_path / name

    return write


def until(true, seconds=60):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def running(pid):
    """Whether a process is there and no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


ENDS = {
    "nothing": "",
    "texts": "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.write('no line end')",
    "number": "import sys; sys.exit(3)",
    "negative": "import sys; sys.exit(-1)",
    "none": "import sys; sys.exit(None)",
    "words": "import sys; sys.exit('said at the end')",
    "hard": "import os; os._exit(7)",
    "exception": """
        def deep():
            raise ValueError("a fault")
        try:
            deep()
        except ValueError as fault:
            raise KeyError("another") from fault
    """,
    "imported": "import json; json.loads('{')",
    "syntax": "for\n",
    "group": "raise ExceptionGroup('two', [ValueError(1), KeyError(2)])",
    "interrupt": "raise KeyboardInterrupt",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "aborted": "import os; os.abort()",
    "at the end": """
        import atexit, tempfile, threading, time
        folder = tempfile.TemporaryDirectory()
        atexit.register(lambda: print("atexit", flush=True))
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
        print("main")
    """,
    "hook": "import sys; sys.excepthook = lambda *about: print('hook', about[0].__name__)\n1 / 0",
    "child": "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)']); sys.exit(5)",
    "closed": "import os; print('x'); os.close(1)",
}


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_a_job_ends_as_with_its_own_interpreter(warm, written, text):
    script = written(text)
    assert warm.run(script) == warm.run(script, sys.executable)


STATE = """
    import gc, json, os, random, signal, sys, tempfile, threading
    import matplotlib, numpy, torch
    found = {
        "argv": sys.argv, "path": sys.path, "file": __file__, "name": __name__, "main": sys.modules["__main__"].__name__,
        "executable": sys.executable, "environment": dict(os.environ), "folder": os.getcwd(),
        "umask": os.umask(0o77), "streams": [(s.isatty(), s.line_buffering, s.encoding, s.errors, s.fileno()) for s in (sys.stdin, sys.stdout, sys.stderr)],
        "signals": [str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP)],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "descriptors": sorted(os.listdir("/proc/self/fd")),
        "collecting": [gc.isenabled(), gc.get_threshold()], "threads": len(os.listdir("/proc/self/task")),
        "temporary": tempfile.gettempdir(), "torch": [torch.get_num_threads(), torch.get_default_dtype().itemsize],
        "errors": numpy.geterr(), "dpi": matplotlib.rcParams["figure.dpi"], "new": hasattr(sys, "left_behind"),
    }
    print(json.dumps(found))
"""
LEAVES = """
    import gc, os, random, signal, sys, tempfile
    import matplotlib, numpy, torch
    os.environ["LEFT_BEHIND"] = "1"
    torch.manual_seed(1); torch.set_num_threads(2); torch.set_default_dtype(torch.float64); numpy.random.seed(1); random.seed(1)
    matplotlib.rcParams["figure.dpi"] = 7; numpy.seterr(all="raise"); sys.left_behind = 1
    signal.signal(signal.SIGTERM, signal.SIG_IGN); gc.disable(); os.umask(0); os.chdir("/"); sys.path.append("left behind")
    tempfile.tempdir = "/"
    open(__file__ + ".left", "w")
"""


def test_nothing_of_a_job_is_visible_in_the_next(warm, written):
    state, leaves = written(STATE), written(LEAVES, "leaves.py")
    assert warm.run(leaves) == (0, "", "")
    found, expected = (json.loads(warm.run(state, python)[1]) for python in (None, sys.executable))
    assert found == expected
    assert expected["new"] is False and expected["threads"] == 1


def test_what_is_drawn_without_a_seed_differs_from_job_to_job(warm, written):
    script = written("""
        import random, numpy, torch, uuid
        print(random.random(), numpy.random.rand(), torch.rand(1).item(), torch.initial_seed(), uuid.uuid4())
    """)
    first, second = (warm.run(script)[1].split() for _ in range(2))
    assert all(one != other for one, other in zip(first, second, strict=True))


def test_standard_input_is_the_jobs_own(warm, written):
    script = written("import sys; print(sys.stdin.read().upper())")
    done = subprocess.run(
        [warm.client, script], input="text", capture_output=True, text=True, env=warm.environment, cwd=workflow.ROOT
    )  # fmt: skip
    assert done.stdout == "TEXT\n"


def test_the_server_stands_in_where_nothing_differs_from_its_environment(warm, written, tmp_path):
    script = written("import os; print(os.getppid())")
    assert warm.takes(script)
    assert warm.takes(script, SHLVL="7", _="/bin/x")
    assert not warm.takes(script, HF_HOME=str(tmp_path))
    assert not warm.takes(script, OMP_NUM_THREADS="2")
    assert not warm.takes(script, cwd=tmp_path)
    sets = written("import os\nos.environ['HF_HUB_OFFLINE'] = '0'\nprint(os.getppid())", "sets.py")
    assert not warm.takes(sets)
    done = subprocess.run(
        [warm.client, "-c", "import sys; print(sys.argv)", "x"], capture_output=True, text=True
    )
    assert done.stdout == "['-c', 'x']\n"
    assert warm.takes(script)


SLEEPS = """
    import os, signal, sys, time
    signal.signal(signal.SIGUSR1, lambda *about: print("signal", flush=True))
    print(os.getpid(), os.getppid(), flush=True)
    time.sleep(300)
"""


def started(job):
    """The process id of a job that runs SLEEPS."""
    return int(job.stdout.readline().split()[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_client_is_the_jobs(warm, written, number):
    ends = []
    for python in (None, sys.executable):
        job = warm.popen(written(SLEEPS), python)
        pid = started(job)
        time.sleep(0.1)
        job.send_signal(number)
        ends.append((*job.communicate(timeout=60), job.returncode))
        assert not running(pid)
    assert ends[0] == ends[1] and ends[0][-1] == -number


def test_a_job_ends_with_its_client(warm, written):
    job = warm.popen(written(SLEEPS))
    pid = started(job)
    time.sleep(0.1)
    job.send_signal(signal.SIGUSR1)
    assert job.stdout.readline() == "signal\n"
    job.kill()
    job.communicate()
    until(lambda: not running(pid))
    assert warm.takes(written("import os; print(os.getppid())"))


def test_a_stopped_client_stops_its_job(warm, written):
    job = warm.popen(written(SLEEPS))
    pid = started(job)
    time.sleep(0.1)
    job.send_signal(signal.SIGTSTP)
    until(lambda: psutil.Process(pid).status() == psutil.Process(job.pid).status() == psutil.STATUS_STOPPED)
    job.send_signal(signal.SIGCONT)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING)
    job.terminate()
    assert job.wait(60) == -signal.SIGTERM
    job.communicate()


def test_all_ends_with_a_parent_that_is_killed(written):
    with warm_process("numpy") as found:
        job = found.popen(written(SLEEPS))
        pid = started(job)
        found.process.kill()
        until(lambda: not running(found.server) and not running(pid))
        job.communicate(timeout=60)
        assert job.returncode == -signal.SIGKILL
        until(lambda: not Path(found.client).parent.exists())


def test_jobs_go_on_without_a_server_that_was_killed(written):
    """Its job ends as one that was killed; the next ones have interpreters of their own. Another run's server is not touched."""
    with warm_process("numpy") as found, warm_process("numpy") as other:
        job, others = found.popen(written(SLEEPS)), other.popen(written(SLEEPS))
        pid, others_pid = started(job), started(others)
        os.kill(found.server, signal.SIGKILL)
        job.communicate(timeout=60)
        assert job.returncode == -signal.SIGKILL
        until(lambda: not running(pid))
        script = written("import os; print(os.getppid())", "parent.py")
        assert not found.takes(script)
        assert other.takes(script)
        assert running(others_pid)
        others.kill()
        others.communicate()
        for each in (found, other):
            each.end()
            assert not Path(each.client).parent.exists()


def test_a_changed_source_file_is_read(written, tmp_path):
    """A module, a new file and a removed one: each takes jobs away from the server, which has imported the old ones."""
    src = tmp_path / "src"
    shutil.copytree(SRC, src, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    script = written(
        "import os; from plumbline import seeds; print(seeds.__dict__.get('NEW')); print(os.getppid())"
    )
    module = src / "plumbline" / "seeds.py"
    old = module.read_text()
    with warm_process("numpy", "plumbline.seeds", src=src) as found:
        assert found.takes(script)
        module.write_text(old + "NEW = 'changed'\n")
        assert not found.takes(script)
        assert found.run(script)[1].startswith("changed\n")
        found.end()


def test_what_the_server_imports_starts_no_thread_and_no_cuda(tmp_path):
    """All that jobs import is there, no thread runs, and no other file of the package was read: it might change."""
    code = """
        import os, sys
        read = []
        sys.addaudithook(lambda event, about: event == "open" and read.append(str(about[0])))
        from plumbline.workflow import warm
        warm._import((), os.getcwd(), 0o22, {})
        import torch
        assert len(os.listdir("/proc/self/task")) == 1, "threads"
        assert not torch.cuda.is_initialized()
        missing = [name for name in warm.LIBRARIES if name not in sys.modules]
        assert not missing, missing
        root = os.path.dirname(warm.__file__) + "/.."
        mine = [name for name in read if os.path.abspath(name).startswith(os.path.abspath(root) + os.sep) and not name.endswith((".py", ".pyc")) and "__pycache__" not in name]
        print(mine)
    """
    environment = workflow.environment(PYTHONPATH=str(SRC), **dict.fromkeys(THREADS, "1"))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, cwd=workflow.ROOT, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


# Whole runs

SNAKEFILE = """
import sys
from plumbline.workflow import warm

onstart:
    print("started")
    sys.executable = warm.start(["numpy"])

rule all:
    input: "made"

rule first:
    output: "first"
    script: "first.py"

rule make:
    input: "first"
    output: "made"
    log: "log"
    script: "script.py"
"""
JOB = """
    import os, sys
    open(snakemake.output[0], "w").write("half")
    open("pids", "w").write(f"{os.getpid()} {os.getppid()}")
    print("said in the log", file=open(snakemake.log[0], "w"))
"""


@pytest.fixture
def small(tmp_path):
    """A function that starts a workflow whose second job runs `text` after it has begun its output."""

    def start(text, *arguments):
        (tmp_path / "Snakefile").write_text(SNAKEFILE)
        (tmp_path / "first.py").write_text("open(snakemake.output[0], 'w')")
        (tmp_path / "script.py").write_text(textwrap.dedent(JOB) + textwrap.dedent(text))
        return subprocess.Popen(
            workflow.command("--cores", "1", *arguments),
            cwd=tmp_path,
            env=workflow.environment(PYTHONPATH=str(SRC)),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    return start


def processes(folder):
    """The second job of the workflow and its server, once it has started."""
    until(lambda: (folder / "pids").is_file() and len((folder / "pids").read_text().split()) == 2)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@pytest.mark.parametrize(
    "text", ["raise ValueError(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)"]
)
def test_a_job_that_fails_ends_the_run_and_its_output_goes(small, tmp_path, text):
    run = small(text)
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 1, out
    assert not (tmp_path / "made").exists() and (tmp_path / "log").read_text() == "said in the log\n"
    assert ("ValueError: 3" in out) == text.startswith("raise")
    assert not any(map(running, processes(tmp_path)))


def test_ctrl_c_ends_the_run_and_its_job(small, tmp_path):
    run = small("import time; time.sleep(300)")
    pids = processes(tmp_path)
    assert "plumbline.workflow.warm" in psutil.Process(pids[1]).cmdline()
    os.killpg(run.pid, signal.SIGINT)
    out, _ = run.communicate(timeout=120)
    assert run.returncode != 0 and "KeyboardInterrupt" in out
    until(lambda: not any(map(running, pids)))


def test_nothing_is_left_of_a_run_that_is_killed(small, tmp_path):
    run = small("import time; time.sleep(300)")
    pids = processes(tmp_path)
    assert "plumbline.workflow.warm" in psutil.Process(pids[1]).cmdline()
    run.kill()
    run.communicate(timeout=120)
    until(lambda: not any(map(running, pids)))


def test_a_run_that_plans_alone_starts_nothing(small, tmp_path):
    for arguments in (("-n",), ("--lint",), ("--summary",)):
        out, _ = small("", *arguments).communicate(timeout=120)
        assert "started" not in out, out
    out, _ = small("").communicate(timeout=120)
    assert "started" in out, out
