"""The code that a job's result comes from, as digests that stand among the job's parameters.

Parameters and not inputs: every input of every job is a node to be looked at, and a dozen of them a job cost half as much
again as all else in planning a large grid (docs/scaling.md). Paths are relative: moving the checkout makes nothing stale.
The script is among them: Snakemake would compare its time stamp, which every checkout sets anew (profiles/default).
"""

import functools
import hashlib
import os

from ..agreement import METRICS
from ..config import registries
from ..datasets.sources import sha256_of
from ..modules import ROOT, job_files, registries_of

SOURCES = ROOT.parent
SCRIPTS = SOURCES.parent / "scripts"


@functools.cache
def code_of(script, *names):
    """A job's code.

    Parameters
    ----------
    script : str
        Name of a file of scripts/, without its ending.
    *names : str
        What the script imports or writes under a name that is known at run time alone; see plumbline.modules.job_files.

    Returns
    -------
    list of str
        Path and digest of the script and of each source file of the package that its result comes from.
    """
    return [_line(file) for file in job_files(_file_of(script), *names)]


@functools.cache
def output_code(script, *names):
    """As `code_of`, of a table or figure: with the registries that it reads, whose order decides on colours and rows."""
    packages = registries_of(_file_of(script), *names)
    return code_of(script, *names) + [
        f"registry {package} {_entries_digest(package)}" for package in packages
    ]


def metrics_code(script):
    """As `code_of`, of a job that computes every agreement metric."""
    return code_of(script, *(f"agreement.{name}" for name in METRICS))


def download_code(script):
    """The code of a job that downloads: its script alone, as a checksum says what it has to bring."""
    return [f"{script}.py {_digest_of(_file_of(script))}"]


@functools.cache
def _entries_digest(package):
    """A digest of the entries of a package's registry in their order."""
    kind = {"attribution": "methods", "faithfulness": "protocols"}.get(package, package)
    entries = METRICS if package == "agreement" else registries()[kind]
    return hashlib.sha256(repr(list(entries.values())).encode()).hexdigest()[:16]


@functools.cache
def _line(file):
    return f"{os.path.relpath(file, SOURCES)} {_digest_of(file)}"


@functools.cache
def _digest_of(file):
    return sha256_of(file)[:16]


def _file_of(script):
    return os.path.join(SCRIPTS, f"{script}.py")
