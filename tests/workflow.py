"""Running Snakemake in a copy of the checkout, and reading what it plans."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from plumbline.workflow.config import validate

ROOT = Path(__file__).resolve().parents[1]
TINY = "tests/config.tiny.yaml"


def tiny_config():
    """The tiny configuration with its defaults."""
    blocks = [yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", TINY)]
    return validate(blocks[0] | blocks[1])


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
    """The environment without what would leak from this process: its PYTHONPATH and its mirror."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PLUMBLINE_MIRROR")}
    return {**kept, **changes}


def snakemake(folder, *arguments, **changes):
    """A finished call: returncode, and stdout and stderr together as text in stdout."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(**changes),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


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
