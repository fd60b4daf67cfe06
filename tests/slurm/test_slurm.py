"""The workflow through profiles/slurm on a real one-machine Slurm, and what breaks there: `make test-slurm`, as root.

Slurm's own record of jobs (jobcomp.log) says what ran and how it ended; nothing is mocked.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from tests import workflow

HERE = Path(__file__).parent
# Two nodes of two CPUs, as many as the machine of the tests has. Waits that suit one machine, not a cluster; no sacct here.
NODES = {"SLURM_E2E_CPU_NODES": "2", "SLURM_E2E_CPUS": "2", "SLURM_E2E_MEM_MB": "10000"}
SLURM = (
    "--workflow-profile",
    "profiles/slurm",
    "--latency-wait",
    "10",
    "--slurm-status-command",
    "squeue",
    "--slurm-no-account",
    "--slurm-keep-successful-logs",
)
TINY = ("--configfile", workflow.TINY)
STUDIES = ("attention_meets_xai", "explainn")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="Slurm's daemons need root here: run `make test-slurm` as root"
)


class Cluster:
    """The one-machine Slurm of up.sh."""

    def __init__(self, root):
        self.root = root
        self.environment = {**NODES, "SLURM_E2E_ROOT": str(root), "SLURM_CONF": str(root / "etc/slurm.conf")}

    def up(self):
        self.script("up.sh")

    def script(self, name, *arguments):
        call = ["bash", str(HERE / name), *arguments]
        done = subprocess.run(call, env={**os.environ, **self.environment}, capture_output=True, text=True)
        if done.returncode == 77:
            pytest.skip(f"Slurm is not here and cannot be installed: {done.stderr}")
        assert done.returncode == 0, done.stderr

    def ask(self, *call):
        """What one of Slurm's commands prints."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout

    def running(self):
        """Id -> node of the jobs that run."""
        lines = self.ask("squeue", "-h", "-t", "R", "-o", "%A %N").split("\n")
        return dict(line.split() for line in lines if line)

    def ended(self):
        """Id -> the states in which Slurm's record says that the job ended, in order: several where it was requeued."""
        record, states = self.root / "log/jobcomp.log", {}
        for line in record.read_text().splitlines() if record.exists() else []:
            job, state = re.search(r"JobId=(\d+) .*JobState=(\w+)", line).groups()
            states.setdefault(job, []).append(state)
        return states


def abandoned():
    """Folders of clusters whose tests were killed: their links in /etc/slurm, perhaps their daemons, are in the way."""
    for root in Path("/tmp").glob("plumbline_slurm_*"):
        try:
            maker = psutil.Process(int(root.name.rpartition("_")[2]))
            alive = maker.create_time() < root.stat().st_mtime  # else a later process has the number
        except psutil.NoSuchProcess:
            alive = False
        if not alive:
            yield root


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    for root in abandoned():
        Cluster(root).script("down.sh", "--purge")
    # Not below pytest's own folder, which root alone may enter: munge insists on a path that others may.
    root = Path(f"/tmp/plumbline_slurm_{os.getpid()}")
    cluster = Cluster(root)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.script("down.sh", "--purge")
        # What ran on a node that was lost: a real one would have taken it along.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd().startswith(f"{tmp_path_factory.getbasetemp()}/"):
                    process.kill()


class Run:
    """Snakemake through the profile, in the background."""

    def __init__(self, cluster, folder, *arguments):
        self.folder, self.cluster = folder, cluster
        self.log = folder / "snakemake.log"
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "impatient.py"), "--nocolor", *SLURM, *arguments],
                cwd=folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=workflow.environment(**cluster.environment),
            )

    def submitted(self):
        """The ids of this run's submissions."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.log.read_text())

    def until(self, found):
        """The first value of `found()` that holds; the run must not end before."""
        limit = time.monotonic() + 300
        while not (value := found()):
            assert self.process.poll() is None, f"the run ended early: {self.log.read_text()}"
            assert time.monotonic() < limit, f"not seen in five minutes: {self.log.read_text()}"
            time.sleep(0.1)
        return value

    def script(self, name):
        """The process, on a node, of the script `name`, once it runs; psutil.Process."""

        def search():
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    words = process.cmdline()
                    if any(word.endswith(f".{name}") for word in words) and process.cwd() == str(self.folder):
                        return process

        return self.until(search)

    def on_nodes(self):
        """The processes that Slurm runs for it; list of psutil.Process."""
        own, found = psutil.Process(self.process.pid), []
        own = {own.pid, *(process.pid for process in own.children(recursive=True))}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid not in own and process.cwd() == str(self.folder):
                    found.append(process)
        return found

    def finish(self):
        """Wait for its end, which must be a good one."""
        code = self.process.wait(900)
        assert code == 0, self.log.read_text()
        return self


def outputs_of(text):
    """Every output file that a log or a dry run names."""
    lines = re.findall(r"^ +output: (.*)$", text, flags=re.MULTILINE)
    return {name for line in lines for name in line.split(", ")}


def equal(folder, reference, scale):
    """Both folders hold the same files of one scale, byte for byte, but for benchmarks and logs."""
    mine, theirs = (workflow.files(place / "results" / scale) for place in (folder, reference))
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []


def checked(cluster, folder, scale, *arguments):
    """A run through Slurm from nothing: every job in a submission, few of those, and the bytes of a local run."""
    planned = workflow.snakemake(folder, "-n", *arguments).stdout
    jobs = int(re.search(r"^total +(\d+)$", planned, flags=re.MULTILINE)[1])
    run = Run(cluster, folder, *arguments).finish()
    # How many GPUs are in use is for Slurm to say.
    assert re.search(r"^Provided resources: slot=\S+ 1\)$", run.log.read_text(), flags=re.MULTILINE)
    # Slurm says that every submission ended well, and the logs that it wrote name every file that was to be made.
    records = cluster.ended()
    assert {job: records[job] for job in run.submitted()} == {job: ["COMPLETED"] for job in run.submitted()}
    logs = (folder / ".snakemake/slurm_logs").rglob("*.log")
    made = set().union(*(outputs_of(path.read_text()) for path in logs if path.stem in run.submitted()))
    assert made == outputs_of(planned)
    # At most one submission per five jobs of under 30 seconds; a longer one may have its own.
    took = [
        json.loads(path.read_text())["seconds"]
        for path in folder.glob(f"results/{scale}/benchmarks/**/*.json")
        if "work" not in path.parts
    ]
    long = sum(seconds >= 30 for seconds in took)
    assert len(run.submitted()) <= (jobs - long) / 5 + long
    print(f"{scale}: {jobs} jobs, {long} of 30 s or more, {len(run.submitted())} submissions")
    local = workflow.checkout(folder.parent / "local")
    done = workflow.snakemake(local, "--cores", "2", *arguments)
    assert done.returncode == 0, done.stdout
    equal(folder, local, scale)


@pytest.fixture(scope="module")
def tiny(cluster, tmp_path_factory):
    """The tiny configuration, made through Slurm."""
    folder = workflow.checkout(tmp_path_factory.mktemp("tiny") / "checkout")
    checked(cluster, folder, "tiny", *TINY)
    return folder


LOST = [
    f"results/tiny/{name}"
    for name in (
        "models/sentiment/tiny/seed0/model.safetensors",
        "attributions/sentiment/tiny/seed0/alti.parquet",
    )
]
TARGET = (*TINY, "--", LOST[-1])


@pytest.fixture
def begun(tiny, tmp_path):
    """A copy of the finished tiny run without its model and one method's scores: two jobs are to be done, two submissions."""
    folder = workflow.copy(tiny, tmp_path / "checkout")
    for name in LOST:
        (folder / name).unlink()
    return folder


def test_tiny_run(tiny):
    assert (tiny / "results/tiny/tables/alti/comp_suff.csv").is_file()


def test_two_studies_of_the_small_scale(cluster, tmp_path):
    checked(cluster, workflow.checkout(tmp_path / "checkout"), "small", "--", *STUDIES)


def test_gpu_jobs_go_to_the_gpu_partition(cluster, begun):
    """Slurm's GPUs are empty files here, so that the job gets one and then says that there is none."""
    config = yaml.safe_load((begun / workflow.TINY).read_text()) | {"device": "cuda"}
    (begun / "gpu.yaml").write_text(yaml.safe_dump(config))
    run = Run(cluster, begun, "--retries", "0", "--configfile", "gpu.yaml", *TARGET[2:])
    assert (run.process.wait(300) == 0) == torch.cuda.is_available(), run.log.read_text()
    record = (cluster.root / "log/jobcomp.log").read_text()
    assert re.search(
        rf"^JobId={run.submitted()[0]} .*Partition=gpu .*NodeList=gpu1 ", record, flags=re.MULTILINE
    )
    if not torch.cuda.is_available():
        said = begun / "results/tiny/logs/models/sentiment/tiny/seed0.log"
        assert "device 'cuda' is not there" in said.read_text()


# ------------------------------------------------------------------------------------------- faults


def test_killed_job_is_submitted_again(cluster, tiny, begun):
    run = Run(cluster, begun, *TARGET)
    run.script("model.py").kill()
    run.finish()
    assert cluster.ended()[run.submitted()[0]] == ["FAILED"]
    equal(begun, tiny, "tiny")


def test_cancelled_job_is_submitted_again(cluster, tiny, begun):
    run = Run(cluster, begun, *TARGET)
    run.script("model.py")
    cluster.ask("scancel", run.submitted()[0])
    run.finish()
    assert cluster.ended()[run.submitted()[0]] == ["CANCELLED"]
    equal(begun, tiny, "tiny")


@pytest.mark.parametrize("state", ["drain", "down"])
def test_lost_node(cluster, tiny, begun, state):
    """A drained node ends its job and gets no other; one that goes down loses its job, which another node runs."""
    run = Run(cluster, begun, *TARGET)
    run.script("model.py")
    node = cluster.running()[run.submitted()[0]]
    lost = run.on_nodes() if state == "down" else []
    cluster.ask("scontrol", "update", f"nodename={node}", f"state={state}", "reason=test")
    # What ran on a node that is lost is lost with it; here it would go on, and take away what the next attempt has written.
    for process in lost:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    try:
        run.finish()
    finally:
        cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
    record = (cluster.root / "log/jobcomp.log").read_text()
    states = [cluster.ended()[job] for job in run.submitted()]
    assert states[-1] == ["COMPLETED"]
    assert (states[0] == ["COMPLETED"]) == (state == "drain")
    assert re.search(rf"JobId={run.submitted()[-1]} .*NodeList={node} ", record) is None
    equal(begun, tiny, "tiny")


def test_restarted_controller(cluster, tiny, begun):
    run = Run(cluster, begun, *TARGET)
    run.script("model.py")
    controller = int((cluster.root / "run/slurmctld.pid").read_text())
    os.kill(controller, signal.SIGKILL)
    time.sleep(8)
    cluster.up()
    run.finish()
    equal(begun, tiny, "tiny")


def test_killed_snakemake(cluster, tiny, begun):
    """Its lock stays and is named; after --unlock the same command goes on to the same bytes."""
    run = Run(cluster, begun, *TARGET)
    run.script("model.py")
    run.process.kill()
    run.process.wait()
    blocked = workflow.snakemake(begun, *SLURM, *TARGET, **cluster.environment)
    assert blocked.returncode != 0
    assert "Directory cannot be locked" in blocked.stdout
    assert "--unlock" in blocked.stdout
    # Jobs that it left in the queue would write beside the new ones (docs/cluster.md).
    cluster.ask("scancel", *run.submitted())
    assert workflow.snakemake(begun, "--unlock", *TINY).returncode == 0
    Run(cluster, begun, *TARGET).finish()
    equal(begun, tiny, "tiny")
