"""Calls of Snakemake, each a fork of one process that has imported it: half of a dry run's time goes into imports.

Nothing of this project is imported beforehand: each call reads the code of its own checkout. This script reads a line of JSON a
call: folder, arguments, changes of the environment, the file for standard output and error. It answers with the exit code.
"""

import json
import os
import runpy
import sys

# What Snakemake and this project's plan import later; then what Snakemake is.
IMPORTED = (
    "docutils.parsers.rst.directives.images",
    "nbformat",
    "numpy",
    "pydantic",
    "smart_open",
    "yte",
    "snakemake.cli",
    "snakemake.report.html_reporter",
)


def in_a_fork():
    """The next call, in a process of its own; none where there is no other."""
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    return None


if __name__ == "__main__":
    for name in IMPORTED:
        __import__(name)
    if call := in_a_fork():
        os.chdir(call["folder"])
        os.environ.update(call["environment"])
        sys.path[0] = call["folder"]  # as with `python -m snakemake`
        with open(os.devnull) as nothing, open(call["output"], "w") as output:
            for number, file in enumerate((nothing, output, output)):
                os.dup2(file.fileno(), number)
        sys.argv[1:] = call["arguments"]
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
