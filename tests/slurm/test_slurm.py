"""The workflow through profiles/slurm on a real one-machine Slurm, and what breaks there: `make test-slurm`, as root.

Slurm's own record of jobs (jobcomp.log) says what ran and how it ended; nothing is mocked.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import torch

from tests import workflow

HERE = Path(__file__).parent
# Four nodes of one CPU, so that two faults never share a node. Waits that suit one machine, not a cluster; no sacct here.
NODES = {"SLURM_E2E_CPU_NODES": "4", "SLURM_E2E_CPUS": "1", "SLURM_E2E_MEM_MB": "10000"}
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
FEW = ("--configfile", workflow.TINY, "tests/slurm/few.yaml")
STUDIES = ("attention_meets_xai", "explainn")

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0, reason="Slurm's daemons need root here: run `make test-slurm` as root"
    ),
    pytest.mark.timeout(1800),  # the run of the fixture `few` has an interpreter of its own for every job
]


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


def plan(folder, *arguments):
    """What a dry run through the profile says, and the numbers of its jobs and of its submissions."""
    said = workflow.snakemake(folder, "-n", *SLURM, *arguments).stdout
    jobs = int(re.search(r"^total +(\d+)$", said, flags=re.MULTILINE)[1])
    return said, jobs, len(re.findall("Group job ", said))


def equal(folder, reference):
    """Both folders hold the same results, byte for byte, but for benchmarks and logs."""
    mine, theirs = (workflow.files(place / "results/tiny") for place in (folder, reference))
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []


def checked(cluster, folder, *arguments):
    """A run through Slurm: every job in a submission that ended well, and no more submissions than were planned."""
    planned, jobs, submissions = plan(folder, *arguments)
    run = Run(cluster, folder, *arguments).finish()
    # How many GPUs are in use is for Slurm to say.
    assert re.search(r"^Provided resources: slot=\S+ 1\)$", run.log.read_text(), flags=re.MULTILINE)
    # Slurm says that every submission ended well, and the logs that it wrote name every file that was to be made.
    records = cluster.ended()
    assert {job: records[job] for job in run.submitted()} == {job: ["COMPLETED"] for job in run.submitted()}
    logs = (folder / ".snakemake/slurm_logs").rglob("*.log")
    made = set().union(*(outputs_of(path.read_text()) for path in logs if path.stem in run.submitted()))
    assert made == outputs_of(planned)
    print(f"{' '.join(arguments)}: {jobs} jobs, {len(run.submitted())} submissions")
    assert len(run.submitted()) == submissions


@pytest.mark.parametrize("config", [workflow.TINY, "config.yaml"])
def test_at_most_one_submission_for_five_jobs(plain, config):
    _, jobs, submissions = plan(plain, "--configfile", config)
    assert 0 < submissions <= jobs / 5


def test_the_run_has_each_kind_of_job(plain):
    assert workflow.counts(plain, *FEW).keys() == workflow.counts(plain, *FEW[:2]).keys()


@pytest.fixture(scope="module")
def few(cluster, tmp_path_factory):
    """A run through Slurm in two calls: two studies by name, then all. A local run beside it gives the same bytes."""
    root = tmp_path_factory.mktemp("few")
    folder, local = (workflow.checkout(root / name) for name in ("checkout", "local"))
    with open(local / "snakemake.log", "w") as out:
        beside = subprocess.Popen(
            workflow.command("--cores", "1", *FEW),
            cwd=local,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=workflow.environment(),
        )
    try:
        checked(cluster, folder, *FEW, "--", *STUDIES)
        checked(cluster, folder, *FEW)
        code = beside.wait(900)
    finally:
        beside.kill()
    assert code == 0, (local / "snakemake.log").read_text()
    equal(folder, local)
    return folder


def test_two_studies_by_name_and_the_rest(few):
    assert (few / "results/tiny/tables/alti/agreement.csv").is_file()


# ------------------------------------------------------------------------------------------- faults

MODEL = "results/tiny/models/sentiment/tiny/seed0/model.safetensors"
SCORES = "results/tiny/attributions/sentiment/tiny/seed0/alti.parquet"


def killed_job(cluster, folder, target):
    run = Run(cluster, folder, *FEW, "--", target)
    run.script("model.py").kill()
    run.finish()
    assert cluster.ended()[run.submitted()[0]] == ["FAILED"]


def cancelled_job(cluster, folder, target):
    run = Run(cluster, folder, *FEW, "--", target)
    run.script("model.py")
    cluster.ask("scancel", run.submitted()[0])
    run.finish()
    assert cluster.ended()[run.submitted()[0]] == ["CANCELLED"]


def lost_node(cluster, folder, target, state):
    """The first job's node gets this state; no later submission runs there. Returns the records of the two submissions."""
    run = Run(cluster, folder, *FEW, "--", target)
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
    assert len(run.submitted()) == 2
    assert re.search(rf"JobId={run.submitted()[-1]} .*NodeList={node} ", record) is None
    return [cluster.ended()[job] for job in run.submitted()]


def drained_node(cluster, folder, target):
    """It ends its job and gets no other."""
    assert lost_node(cluster, folder, target, "drain") == [["COMPLETED"], ["COMPLETED"]]


def node_that_goes_down(cluster, folder, target):
    """It loses its job, which another node runs."""
    first, last = lost_node(cluster, folder, target, "down")
    assert first != ["COMPLETED"]
    assert last == ["COMPLETED"]


def killed_snakemake(cluster, folder, target):
    """Its lock stays and is named; after --unlock the same command goes on to the same bytes."""
    call = (*FEW, "--", target)
    run = Run(cluster, folder, *call)
    run.script("model.py")
    run.process.kill()
    run.process.wait()
    blocked = workflow.snakemake(folder, *SLURM, *call, **cluster.environment)
    assert blocked.returncode != 0
    assert "Directory cannot be locked" in blocked.stdout
    assert "--unlock" in blocked.stdout
    # Jobs that it left in the queue would write beside the new ones (docs/cluster.md).
    cluster.ask("scancel", *run.submitted())
    assert workflow.snakemake(folder, "--unlock", *FEW).returncode == 0
    Run(cluster, folder, *call).finish()


@pytest.fixture(scope="module")
def begun(few, tmp_path_factory):
    """A function that copies the finished run without its model and a target: a submission for each."""

    def copy(target):
        folder = workflow.copy(few, tmp_path_factory.mktemp("begun") / "checkout")
        for name in {MODEL, target}:
            (folder / name).unlink()
        return folder

    return copy


# Fault -> what is asked for when it happens.
FAULTS = {
    killed_job: MODEL,
    cancelled_job: MODEL,
    drained_node: SCORES,
    node_that_goes_down: MODEL,
    killed_snakemake: MODEL,
}


@pytest.fixture(scope="module")
def side_by_side(cluster, begun):
    """Fault -> (its future, its folder), of a run each. A run of one job waits for one core most of the time."""
    folders = {fault: begun(target) for fault, target in FAULTS.items()}
    with ThreadPoolExecutor(3) as pool:
        yield {
            fault: (pool.submit(fault, cluster, folder, FAULTS[fault]), folder)
            for fault, folder in folders.items()
        }


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_ends_in_the_same_bytes(side_by_side, few, fault):
    ended, folder = side_by_side[fault]
    ended.result()
    equal(folder, few)


def test_restarted_controller(cluster, few, begun, side_by_side):
    """Every run on the cluster asks the controller, so this one comes when those side by side have ended."""
    for ended, _ in side_by_side.values():
        ended.exception()
    folder = begun(SCORES)
    run = Run(cluster, folder, *FEW, "--", SCORES)
    run.script("model.py")
    controller = int((cluster.root / "run/slurmctld.pid").read_text())
    os.kill(controller, signal.SIGKILL)
    time.sleep(8)
    cluster.up()
    run.finish()
    equal(folder, few)


def test_gpu_jobs_go_to_the_gpu_partition(cluster, begun):
    """Slurm's GPUs are empty files here, so that the job gets one and then says that there is none."""
    folder = begun(MODEL)
    run = Run(cluster, folder, "--retries", "0", "--config", "device=cuda", *FEW, "--", MODEL)
    assert (run.process.wait(300) == 0) == torch.cuda.is_available(), run.log.read_text()
    record = (cluster.root / "log/jobcomp.log").read_text()
    assert re.search(
        rf"^JobId={run.submitted()[0]} .*Partition=gpu .*NodeList=gpu1 ", record, flags=re.MULTILINE
    )
    if not torch.cuda.is_available():
        said = folder / "results/tiny/logs/models/sentiment/tiny/seed0.log"
        assert "device 'cuda' is not there" in said.read_text()
