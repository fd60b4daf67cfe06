"""Faults end in one clear line of ours and leave nothing half-written; a killed run can be taken up again."""

import contextlib
import gzip
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from plumbline import artefacts
from tests import workflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

VALIDATION = "results/small/data/sst2/validation.parquet"


def only_error(done, *parts):
    """The distinct error lines of a failed call are one, which says all of `parts`."""
    assert done.returncode != 0, done.stdout
    lines = set(workflow.error_lines(done.stdout))
    assert len(lines) == 1, done.stdout
    (line,) = lines
    for part in parts:
        assert part in line
    return line


# ------------------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("change", "said", "nearest"),
    [
        ({"modles": {}}, "modles", "models"),
        ({"methods": {"altii": {}}}, "altii", "alti"),
        ({"datasets": {"sentimnt": {}}}, "sentimnt", "sentiment"),
        ({"runs": [{"dataset": "sentiment", "model": "brt", "methods": ["alti"]}]}, "brt", "bert"),
        (
            {
                "runs": [
                    {"dataset": "sentiment", "model": "bert", "methods": ["alti"], "readouts": ["alti_l3"]}
                ]
            },
            "alti_l3",
            "alti_l2",
        ),
    ],
)
def test_mistyped_configuration_stops_at_parse_time(plain, tmp_path, change, said, nearest):
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(change))
    done = workflow.snakemake(plain, "-n", "--configfile", str(tmp_path / "overlay.yaml"))
    only_error(done, f"'{said}'", f"did you mean '{nearest}'?")
    assert "Building DAG" not in done.stdout


def test_a_checkpoint_folder_is_looked_for_at_parse_time(plain, tmp_path):
    model = {"architecture": "bert", "source": "directory", "directory": str(tmp_path / "nowhere")}
    run = {"dataset": "sentiment", "model": "mine", "methods": ["alti"]}
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump({"models": {"mine": model}, "runs": [run]}))
    done = workflow.snakemake(plain, "-n", "--configfile", str(tmp_path / "overlay.yaml"))
    only_error(done, f"no checkpoint in {tmp_path / 'nowhere'}: config.json is missing there")


# ------------------------------------------------------------------------------------------- places


def test_an_interpreter_that_snakemake_does_not_quote(plain, tmp_path):
    """A blank in the path of the virtual environment: one line, where every job would end in a shell's error."""
    folder = tmp_path / "my work"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", folder / ".venv"],
        check=True,
    )
    places = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    done = subprocess.run(
        [folder / ".venv/bin/python", "-m", "snakemake", "-n"],
        cwd=plain,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=workflow.environment(PYTHONPATH=places),
    )
    only_error(done, "my work/.venv/bin/python, has a blank", "make VENV=")


def test_make_says_so_before_it_installs(tmp_path):
    folder = tmp_path / "my work"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(workflow.ROOT / name, folder)
    call = {"cwd": folder, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(["make", "install"], **call)
    assert done.returncode and not (folder / ".venv").exists()
    (line,) = workflow.error_lines(done.stdout)
    assert "my work/.venv has a blank" in line and "make VENV=/path/of/venv" in line


@pytest.mark.parametrize(
    ("home", "given", "cache"),
    [
        ("fine", None, None),
        ("fine/none-yet", None, "here"),
        ("file/home", None, "here"),
        ("file/home", "/elsewhere", "/elsewhere"),
        ("cache-is-a-file", None, "here"),
    ],
)
def test_make_gives_snakemake_a_cache_where_the_home_folder_cannot_be_written(tmp_path, home, given, cache):
    """Its cache is $XDG_CACHE_HOME, else ~/.cache; here Snakemake is a program that says which it was given."""
    shutil.copy(workflow.ROOT / "Makefile", tmp_path)
    (tmp_path / "fine").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "cache-is-a-file").mkdir()
    (tmp_path / "cache-is-a-file/.cache").touch()
    program = tmp_path / ".venv/bin/snakemake"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho cache ${XDG_CACHE_HOME:-none}\n")
    program.chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", ".venv/installed"):
        (tmp_path / name).touch()
    environment = {key: value for key, value in os.environ.items() if key != "XDG_CACHE_HOME"}
    environment |= {"HOME": str(tmp_path / home)} | ({"XDG_CACHE_HOME": given} if given else {})
    said = subprocess.run(
        ["make", "-s"], cwd=tmp_path, env=environment, text=True, capture_output=True, check=True
    ).stdout
    wanted = {"here": f"{tmp_path}/.snakemake/cache", None: "none"}.get(cache, cache)
    assert said.split() == ["cache", wanted]


def test_from_any_working_directory(plain, tmp_path):
    """`-s` and `--directory`: the files of the checkout are found, results go where one stands, and a job runs."""
    target = "results/tiny/data/digits/test.parquet"
    overlay = ["--configfile", str(plain / workflow.TINY), "--"]
    for place, *how in (("a", "-s", str(plain / "Snakefile")), ("b", "--directory", str(tmp_path / "b"))):
        (tmp_path / place).mkdir()
        start = tmp_path / place if place == "a" else plain
        done = workflow.snakemake(start, "-n", *how, *overlay, "all")
        assert done.returncode == 0, done.stdout
        assert "comp_suff.csv" in done.stdout
        done = workflow.snakemake(start, "--cores", "1", *how, *overlay, target)
        assert done.returncode == 0, done.stdout
        assert (tmp_path / place / target).is_file()
    assert not (plain / "results/tiny/data").exists()


def test_as_a_module_of_another_workflow(plain, tmp_path):
    """`module:` with a prefix: rules of both workflows in one graph, files of the checkout found, a job runs."""
    target = "results/tiny/data/digits/test.parquet"
    (tmp_path / "Snakefile").write_text(
        f"""
import yaml
from pathlib import Path
CHECKOUT = Path({str(plain)!r})
SETTINGS = [yaml.safe_load((CHECKOUT / name).read_text()) for name in ("config.yaml", {workflow.TINY!r})]

module plumbline:
    snakefile: str(CHECKOUT / "Snakefile")
    config: SETTINGS[0] | SETTINGS[1]

use rule * from plumbline as plumbline_*

rule mine:
    default_target: True
    input: {target!r}
    output: "mine.parquet"
    shell: "cp {{input}} {{output}}"
"""
    )
    # The checks of plumbline's own targets leave those of the other workflow alone.
    done = workflow.snakemake(tmp_path, "--cores", "1", "--", "mine")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "mine.parquet").read_bytes() == (tmp_path / target).read_bytes()
    done = workflow.snakemake(tmp_path, "-n", "--", "plumbline_all")
    assert done.returncode == 0 and "comp_suff.csv" in done.stdout, done.stdout


def test_paths_of_the_mirror(empty, mirror, tmp_path):
    """`~` and variables are filled in; braces are no wildcards, but for the target that would fill the folder."""
    braces = tmp_path / "m{dataset}"
    mirror.rename(braces)
    assert get(empty, PLUMBLINE_MIRROR=str(braces)).returncode == 0
    (empty / VALIDATION).unlink()
    assert (
        get(
            empty, HOME=str(tmp_path), PLUMBLINE_MIRROR="~/m{dataset}", XDG_CACHE_HOME=str(tmp_path)
        ).returncode
        == 0
    )
    (empty / VALIDATION).unlink()
    assert get(empty, DATA=str(tmp_path), PLUMBLINE_MIRROR="$DATA/m{dataset}").returncode == 0
    only_error(get(empty, PLUMBLINE_MIRROR="$NOWHERE/m"), "the environment has no $NOWHERE")
    only_error(get(empty, target="mirror", PLUMBLINE_MIRROR=str(braces)), "reads the braces of")


# ------------------------------------------------------------------------------------------- sources


@pytest.fixture
def mirror(tmp_path):
    """A mirror with three sentences of SST-2's validation split."""
    folder = tmp_path / "mirror"
    (folder / "sst2").mkdir(parents=True)
    text = "text\tlabel\na charming film\t1\na dull film\t0\na film\t1\n"
    (folder / "sst2/dev.tsv.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    sums(folder)
    return folder


def sums(folder):
    digest = hashlib.sha256((folder / "sst2/dev.tsv.gz").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  sst2/dev.tsv.gz\n")


def get(folder, target=VALIDATION, source="mirror", **environment):
    (folder / "overlay.yaml").write_text(yaml.safe_dump({"datasets": {"sst2": {"source": source}}}))
    return workflow.snakemake(
        folder, "--cores", "1", "--configfile", "overlay.yaml", "--", target, **environment
    )


@pytest.fixture
def empty(tmp_path):
    return workflow.checkout(tmp_path / "checkout")


def test_mirror(empty, mirror):
    done = get(empty, PLUMBLINE_MIRROR=str(mirror))
    assert done.returncode == 0, done.stdout
    assert (empty / VALIDATION).is_file()


def test_no_mirror_is_set(empty):
    only_error(get(empty), "PLUMBLINE_MIRROR", "mirror:")
    assert not (empty / VALIDATION).exists()


def test_wrong_checksum(empty, mirror):
    (mirror / "sst2/dev.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\nother\t1\n", mtime=0))
    only_error(get(empty, PLUMBLINE_MIRROR=str(mirror)), "wrong checksum", "sst2/dev.tsv.gz")
    assert not (empty / VALIDATION).exists()


def test_mirror_file_corrupted_between_runs(empty, mirror):
    """What was read stays as it is; what reads the file anew says so, and the right file gives the same bytes again."""
    good = (mirror / "sst2/dev.tsv.gz").read_bytes()
    assert get(empty, PLUMBLINE_MIRROR=str(mirror)).returncode == 0
    first = (empty / VALIDATION).read_bytes()
    (mirror / "sst2/dev.tsv.gz").write_bytes(good[:-1])
    done = get(empty, PLUMBLINE_MIRROR=str(mirror))
    assert done.returncode == 0 and "Nothing to be done" in done.stdout
    (empty / VALIDATION).unlink()
    only_error(
        get(empty, PLUMBLINE_MIRROR=str(mirror)), "wrong checksum", "sst2/dev.tsv.gz", "copy the file again"
    )
    assert not (empty / VALIDATION).exists()
    (mirror / "sst2/dev.tsv.gz").write_bytes(good)
    assert get(empty, PLUMBLINE_MIRROR=str(mirror)).returncode == 0
    assert (empty / VALIDATION).read_bytes() == first


def test_missing_mirror_file(empty, mirror):
    (mirror / "sst2/dev.tsv.gz").unlink()
    only_error(get(empty, PLUMBLINE_MIRROR=str(mirror)), "sst2/dev.tsv.gz", str(mirror))


def test_empty_text(empty, mirror):
    (mirror / "sst2/dev.tsv.gz").write_bytes(gzip.compress(b"text\tlabel\na film\t1\n \t0\n", mtime=0))
    sums(mirror)
    only_error(get(empty, PLUMBLINE_MIRROR=str(mirror)), "empty text")


def test_unreachable_host(empty):
    """Port 9 of this machine answers nobody; the line names file and host."""
    done = get(empty, source="hub", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode != 0
    lines = set(workflow.error_lines(done.stdout))
    assert lines
    assert all("127.0.0.1:9" in line and "cannot fetch" in line for line in lines)
    assert not (empty / VALIDATION).exists()


# ------------------------------------------------------------------------------------------- machine


def test_full_disk(empty):
    """The results on a file system of 16 KiB; with more room the same command goes on."""
    folder = empty / "results"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        target = "results/tiny/data/sentiment/train.parquet"
        done = workflow.snakemake(empty, "--cores", "1", "--configfile", workflow.TINY, "--", target)
        only_error(done, "disk full", "train.parquet")
        assert not (empty / target).exists()
        assert not list((empty / target).parent.glob(".train*"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        done = workflow.snakemake(empty, "--cores", "1", "--configfile", workflow.TINY, "--", target)
        assert done.returncode == 0, done.stdout
    finally:
        subprocess.run(["umount", str(folder)], check=True)


CHAIN = [
    f"results/tiny/{stage}/sentiment/tiny/seed0/alti.parquet" for stage in ("attributions", "faithfulness")
]


def test_clock_skew(finished, fresh):
    """Files of a machine an hour ahead, and of one behind: nothing is stale. A job that reads one from the future stops and says
    so; once the times are right the same command gives the same bytes."""
    for stage, hours in (
        ("data", 1),
        ("models", -1),
        ("attributions", 1),
        ("faithfulness", -1),
        ("tables", 1),
    ):
        for path in (fresh / "results/tiny" / stage).rglob("*.*"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 3600 * hours))
    done = workflow.snakemake(fresh, "-n", "--configfile", workflow.TINY)
    assert "Nothing to be done" in done.stdout, done.stdout
    (fresh / CHAIN[1]).unlink()
    call = ("--cores", "1", "--configfile", workflow.TINY, "--", CHAIN[1])
    done = workflow.snakemake(fresh, *call)
    assert done.returncode != 0
    assert f"{CHAIN[1]} has older modification time" in done.stdout and "clock skew" in done.stdout
    assert not (fresh / CHAIN[1]).exists()
    for path in (fresh / "results/tiny").rglob("*.*"):
        if path.stat().st_mtime > time.time():
            os.utime(path)
    done = workflow.snakemake(fresh, *call)
    assert done.returncode == 0, done.stdout
    assert workflow.files(fresh / "results/tiny") == workflow.files(finished / "results/tiny")
    # The job's new times belong into the table of costs.
    assert workflow.planned(fresh, "--configfile", workflow.TINY) == ["results/tiny/benchmarks/cost.csv"]


def test_two_runs_at_once(finished, fresh):
    """The second stops at once and says why; the first ends as if alone."""
    for name in CHAIN:
        (fresh / name).unlink()
    call = ("--cores", "1", "--configfile", workflow.TINY, "--", CHAIN[1])
    with open(fresh / "first.log", "w") as out:
        first = subprocess.Popen(
            workflow.command(*call),
            cwd=fresh,
            env=workflow.environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    until = time.monotonic() + 300
    while not children(first):
        assert first.poll() is None and time.monotonic() < until, (fresh / "first.log").read_text()
        time.sleep(0.05)
    second = workflow.snakemake(fresh, *call)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    assert first.wait(600) == 0, (fresh / "first.log").read_text()
    # On one machine one job has the GPU.
    assert 'Provided resources: gpu=Resource("gpu", 1)' in (fresh / "first.log").read_text()
    assert workflow.files(fresh / "results/tiny") == workflow.files(finished / "results/tiny")


def test_weights_that_are_not_finite(fresh):
    """NaN in the weights is an error that names the example, not a column of NaN."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    weights = fresh / "results/tiny/models/sentiment/tiny/seed0/model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in sorted(tensors) if name.endswith("word_embeddings.weight"))
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, weights, metadata={"format": "pt"})
    target = "results/tiny/attributions/sentiment/tiny/seed0/alti.parquet"
    done = workflow.snakemake(fresh, "--cores", "1", "--configfile", workflow.TINY, "--", target)
    only_error(done, "not finite")


def test_what_killed_jobs_leave_is_swept(plain, tmp_path):
    """Of dead processes of this machine and, after two days, of others; never of a live one, nor any other file."""
    name = artefacts.temporary_prefix("graph.pdf")
    machine = name.removeprefix(".graph.pdf.").removesuffix(f".{os.getpid()}.")
    dead = subprocess.Popen(["true"])
    dead.wait()
    now, long_ago = time.time(), time.time() - 3600 * (artefacts.LEFT_BEHIND + 1)

    def temporary(target, host, process, changed=now, folder=False):
        path = tmp_path / "results" / "figures" / f".{target}.{host}.{process}.abcd_123"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.mkdir if folder else path.touch)()
        if folder:
            (path / "weights").touch()
        os.utime(path, (changed, changed))
        return path

    gone = [
        temporary("graph.pdf", machine, dead.pid),
        temporary("saving", machine, dead.pid, folder=True),
        temporary(
            "b.parquet", machine, os.getpid(), changed=long_ago
        ),  # the number of a process that has started since
        temporary("c.parquet", "another-7", os.getpid(), changed=long_ago),
        temporary(
            "d.parquet", f"{machine}9", 1, changed=long_ago, folder=True
        ),  # another container's numbers
    ]
    kept = [
        temporary("a.parquet", machine, os.getpid()),
        temporary("c.csv", "another-7", dead.pid),
        *(
            tmp_path / "results" / "figures" / other
            for other in ("graph.pdf", ".hidden", ".graph.pdf.abcd_123", "x.1.abcdefgh")
        ),
    ]
    for path in kept:
        path.touch(exist_ok=True)
        os.utime(
            path, (long_ago, long_ago)
        ) if machine not in path.name and "another" not in path.name else None
    assert sorted(artefacts.sweep(tmp_path / "results")) == sorted(gone)
    assert all(path.exists() for path in kept) and not any(path.exists() for path in gone)


def test_a_temporary_file_says_whose_it_is(tmp_path):
    with artefacts.atomic(tmp_path / "a.json") as temporary:
        assert artefacts.TEMPORARY.fullmatch(os.path.basename(temporary))[3] == str(os.getpid())
        assert artefacts.sweep(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def children(process):
    return [child for child in psutil.Process(process.pid).children(recursive=True) if child.is_running()]


def test_killed_run_is_taken_up_to_the_same_bytes(finished, tmp_path):
    """kill -9 of a whole run in mid-job; then the same command again: the bytes of an undisturbed run.

    One table and all that it depends on. That all files of two runs are equal is for the tests of Slurm (tests/slurm).
    """
    folder = workflow.checkout(tmp_path / "checkout")
    call = ("--cores", "2", "--configfile", workflow.TINY, "--", "results/tiny/tables/alti/comp_suff.csv")
    process = subprocess.Popen(
        workflow.command(*call),
        cwd=folder,
        env=workflow.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    attributions = folder / "results/tiny/attributions/sentiment/tiny/seed0"
    until = time.monotonic() + 600
    # In the middle: some attributions are there, and a script is at work on the next.
    while len(list(attributions.glob("*.parquet"))) < 2 or not children(process):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "no attributions after ten minutes"
        time.sleep(0.05)
    for victim in [*children(process), psutil.Process(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim.pid, signal.SIGKILL)
    process.wait()
    left = folder / f"results/tiny/figures/{artefacts.temporary_prefix('x.pdf')}abcdefgh".replace(
        f".{os.getpid()}.", f".{process.pid}."
    )
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    assert workflow.snakemake(folder, "--unlock", "--configfile", workflow.TINY).returncode == 0
    done = workflow.snakemake(folder, *call)
    assert done.returncode == 0, done.stdout
    assert not [path for path in (folder / "results").rglob(".*") if path.name != ".gitkeep"], (
        "temporary files are left"
    )
    undisturbed = workflow.files(finished / "results/tiny")
    again = workflow.files(folder / "results/tiny")
    assert {"tables", "faithfulness", "attributions", "models", "data"} <= {
        name.split("/")[0] for name in again
    }
    assert {name for name in undisturbed if name.startswith("faithfulness/sentiment/")} <= again.keys()
    assert [name for name in again if again[name] != undisturbed[name]] == []
