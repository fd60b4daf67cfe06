"""Running Snakemake in a copy of the checkout, and reading what it plans."""

import atexit
import copy as copies
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import yaml

from plumbline.workflow.config import validate

ROOT = Path(__file__).resolve().parents[1]
TINY = "tests/config.tiny.yaml"


@functools.cache
def _parsed(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def configuration(name="config.yaml"):
    """A configuration of the checkout as it stands there, to change at will; its file is parsed once."""
    return copies.deepcopy(_parsed(name))


def tiny_config():
    """The tiny configuration with its defaults."""
    return validate(configuration() | configuration(TINY))


def checkout(folder):
    """Copy what git would carry (new files included) into `folder`; no results, no virtual environment."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def command(*arguments):
    return [sys.executable, "-m", "snakemake", "--nocolor", *arguments]


def environment(**changes):
    """The environment without what would leak from this process: its PYTHONPATH, its mirror, the test that runs."""
    ours = ("PYTHONPATH", "PLUMBLINE_MIRROR", "PYTEST_CURRENT_TEST")
    return {**{key: value for key, value in os.environ.items() if key not in ours}, **changes}


@functools.cache
def forks(variables):
    """The process whose forks are calls of Snakemake in one environment (forked_snakemake.py)."""
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/forked_snakemake.py")],
        env=dict(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)  # its input ends, and so does it
    return server


def snakemake(folder, *arguments, **changes):
    """A finished call: returncode, and stdout and stderr together as text in stdout.

    It is a fork of a process that has imported Snakemake, which saves half of a dry run, but where the environment has changes
    that are not for this project's code alone.
    """
    call = command(*arguments)
    if not all(name.startswith("PLUMBLINE_") for name in changes):
        return subprocess.run(
            call,
            cwd=folder,
            env=environment(**changes),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    server = forks(tuple(environment().items()))
    with tempfile.NamedTemporaryFile("r") as output:
        try:
            asked = {
                "output": output.name,
                "folder": str(folder),
                "arguments": [*map(str, call[3:])],
                "environment": changes,
            }
            print(json.dumps(asked), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
        except BaseException:  # a timeout, say: what still runs would answer the next call
            for process in [*psutil.Process(server.pid).children(recursive=True), server]:
                process.kill()
            forks.cache_clear()
            raise
        return subprocess.CompletedProcess(call, code, output.read())


def planned(folder, *arguments):
    """The first output of every job that a dry run plans, sorted; the target rule left out."""
    done = snakemake(folder, "-n", *arguments)
    assert done.returncode == 0, done.stdout
    return sorted(re.findall(r"^    output: ([^,\n]+)", done.stdout, flags=re.MULTILINE))


def counts(folder, *arguments):
    """Rule -> number of jobs that a dry run plans."""
    done = snakemake(folder, "-n", *arguments)
    assert done.returncode == 0, done.stdout
    table = done.stdout.split("Job stats:")[1]
    return {name: int(number) for name, number in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}


def error_lines(text):
    """Our error lines in a log. Snakemake may say more, but never a Python traceback."""
    assert "Traceback" not in text, text
    return [line for line in text.splitlines() if line.startswith("plumbline: error: ")]


def copy(source, target):
    """A copy with time stamps, as `cp -a` makes it."""
    shutil.copytree(source, target, symlinks=True)
    return target


def files(folder, skip=("benchmarks", "logs")):
    """Relative path -> bytes of every file under `folder` but for the folders named in `skip`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(skip) & set(path.relative_to(folder).parts)
    }
