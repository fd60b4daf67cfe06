"""What can be asked of the workflow by name, and the fault of a wrong name. No torch: every `snakemake` call imports it."""

import difflib
import re
from pathlib import Path

from ..config import registries
from ..errors import PlumblineError
from .outputs import output_names, output_paths
from .stages import all_stages


def final_output(config, study=None):
    """List what `snakemake` makes by default, or for one study: every file of every enabled table and figure."""
    return [
        file
        for kind in ("tables", "figures")
        for output in config[kind]
        if study in (None, registries()[kind].studies[output])
        for file in _output_files(config, kind, output)
    ]


def targets(config):
    """List every file that can be asked for by name under this configuration, downloads aside."""
    found = [file for stage in all_stages() for file in stage.all_files(config)]
    for kind in ("tables", "figures"):
        for output in registries()[kind]:
            found += _output_files(config, kind, output)
    return list(dict.fromkeys(found))


def _output_files(config, kind, output):
    """Every file of one table or figure."""
    return [file for name in output_names(config, kind, output) for file in output_paths(config, kind, name)]


# Options of Snakemake that take no value, and those that take one; what others take is left to Snakemake.
FLAGS, WITH_ONE_VALUE = (
    frozenset(options.split())
    for options in (
        "-n --dry-run --dryrun -k --keep-going -F --forceall -f --force -p --printshellcmds -t --touch --nolock --nocolor "
        "--rerun-incomplete --ri",
        "-c --cores -j --jobs -d --directory -s --snakefile --profile --workflow-profile --executor -e",
    )
)


def targets_asked(words):
    """List the targets among the words behind `snakemake` on the command line, which Snakemake does not tell a Snakefile.

    A word is a target behind `--`, at the front, behind an option without a value, or behind the value of one that takes one.
    """
    asked, expected = [], 0  # how many values may follow
    for place, word in enumerate(words):
        if word == "--":
            return asked + words[place + 1 :]
        if word.startswith("-"):
            name, _, value = word.partition("=")
            alone = name in FLAGS or value or re.fullmatch("-[cj][0-9]+", word)
            expected = 0 if alone else 1 if name in WITH_ONE_VALUE else len(words)
        elif expected:
            expected -= 1
        else:
            asked.append(word)
    return asked


def check_target(config, target, rules):
    """Raise PlumblineError for a target that is neither one of `rules` (names) nor a file that a rule makes."""
    folder = f"results/{config['scale']}/"
    legal = targets(config)
    if target in rules or target in legal or target.startswith((f"{folder}downloads/", f"{folder}logs/")):
        return
    if target.startswith("results/") and not target.startswith(folder):
        raise PlumblineError(
            f"no rule makes '{target}': the scale of this configuration is '{config['scale']}', and another scale "
            "needs its --configfile"
        )
    near = difflib.get_close_matches(target, [*legal, *rules], n=1, cutoff=0.0)[0]
    stage = "/".join(target.split("/")[:3]) + "/"
    siblings = {Path(item).stem for item in legal if item.startswith(stage)}
    place = stage if siblings else folder
    names = sorted(siblings or {item.split("/")[2] for item in legal})
    shown = difflib.get_close_matches(target.removeprefix(place), names, n=12, cutoff=0.0)
    raise PlumblineError(
        f"no rule makes '{target}': did you mean '{near}'? {len(shown)} of {len(names)} names under {place}: {', '.join(shown)}"
    )
