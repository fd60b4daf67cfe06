"""What holds for a run of the workflow as a whole: lines on standard error, checks before it, its start.

No torch here: every `snakemake` call imports this module.
"""

import atexit
import os
import re
import sys
from pathlib import Path

from ..artefacts import read_json, sweep
from ..config_types import expanded
from ..errors import PlumblineError
from ..models.checkpoint import checkpoint_folder
from . import progress, warm
from .config import validate
from .downloads import mirror_folder
from .outputs import PAPER_COMMAND
from .snakemake_parts import lift_rate_limit, runs_locally, uses_environments
from .stages import all_stages
from .study import studies
from .targets import check_target, targets_asked


def say(line):
    """Print a line of ours among Snakemake's, on standard error."""
    print(f"plumbline: {line}", file=sys.stderr, flush=True)


def stop(fault):
    """End the run with one line; an exception would show its traceback."""
    say(f"error: {fault}")
    sys.exit(1)


def scale_line(config):
    """The scale and, but for the paper's, how to get to that one."""
    line = f"scale {config['scale']} (results/{config['scale']}/)"
    return line if config["scale"] == "paper" else f"{line}; the paper's scale: {PAPER_COMMAND}"


def validated(config):
    """The configuration with its defaults; a fault ends the run."""
    try:
        return validate(config)
    except PlumblineError as fault:
        stop(fault)


def at_start(config, workflow):
    """Do what a run needs and its plan does not. A dry run and the jobs of a cluster do not come here.

    A local run has a warm process, whose client takes the interpreter's place. Conda and containers bring their own
    interpreter, and a cluster's nodes do not see the process. Snakemake's default limit of job starts is lifted. What killed
    jobs have left is removed. Plain lines tell the progress. The scale is named once more in the run's last line, below Snakemake's own.
    """
    lift_rate_limit(workflow)
    progress.report(say)
    atexit.register(lambda: say(scale_line(config)))
    if config["warm"] and runs_locally(workflow) and not uses_environments(workflow):
        sys.executable = warm.start()
    if swept := sweep(os.path.join("results", config["scale"])):
        say(f"removed {len(swept)} temporary files of jobs that were killed, such as {swept[0]}")


def at_success(config, since):
    """Say what each stage took: its jobs, their CPU-seconds and the most memory of one, imports not counted.

    Parameters
    ----------
    config : dict
        The configuration with its defaults.
    since : float
        When the run began, in seconds since the epoch. Costs that were written earlier are of other runs.
    """
    found = {}
    for stage in all_stages():
        for name in [name for name in stage.paths if name.endswith("cost")]:
            files = map(Path, (*stage.files(config, name), *stage.shard_files(config, name)))
            written = [file for file in files if file.is_file() and file.stat().st_mtime >= since]
            found[stage.id] = [read_json(file) for file in written]
    for stage, costs in ((stage, costs) for stage, costs in found.items() if costs):
        seconds = sum(cost["cpu_seconds"] for cost in costs)
        most = max(cost["max_rss_mb"] for cost in costs)
        jobs = f"{len(costs)} job{'s' * (len(costs) > 1)}"
        say(f"{stage}: {jobs}, {seconds:.0f} CPU-seconds, at most {most:.0f} MB")


def check_files(config, workflow):
    """Refuse an interpreter, a mirror, a checkpoint or a study's file that no job could use, before anything runs."""
    # Snakemake writes the interpreter into a shell command as it is, but for conda environments and containers.
    if re.search(r"[\s'\"$`\\|&;<>()*?\[\]{}#~!]", sys.executable) and not uses_environments(workflow):
        stop(
            f"the path of Python, {sys.executable}, has a blank or a sign of the shell, which Snakemake does not quote: move the "
            "checkout, or make the virtual environment elsewhere (make VENV=/path/of/venv)"
        )
    try:
        if mirror := config["mirror"] or os.environ.get("PLUMBLINE_MIRROR"):
            os.environ.update(PLUMBLINE_MIRROR=str(Path(expanded(mirror)).resolve()))
    except ValueError as fault:
        stop(f"PLUMBLINE_MIRROR: {fault}")
    try:
        for name in dict.fromkeys(run["model"] for run in config["runs"]):
            if config["models"][name]["source"] == "directory":
                checkpoint_folder(config["models"][name])
        for study in studies().values():
            study.check_files(config)
    except (PlumblineError, OSError) as fault:
        stop(fault)


def stop_at_unknown_targets(config, workflow, checkout):
    """Refuse what no rule makes, with the legal names. A workflow that takes this one as a module has targets of its own."""
    is_main = Path(workflow.basedir).resolve() == checkout
    if Path(sys.argv[0]).name not in ("snakemake", "__main__.py") or not is_main:
        return
    rules = {rule.name for rule in workflow.rules}
    try:
        for target in targets_asked(sys.argv[1:]):
            check_target(config, target, rules)
            if target == "mirror" and re.search("[{}]", mirror_folder()):
                stop(
                    f"Snakemake reads the braces of {mirror_folder()} as wildcards: name another folder in PLUMBLINE_MIRROR"
                )
    except PlumblineError as fault:
        stop(fault)
