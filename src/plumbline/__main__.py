"""`python -m plumbline new KIND ID`: a new entry of a registry, in its place, from a template that works as it is."""

import argparse
import re
import string
import sys
from importlib.resources import files
from pathlib import Path

from .artefacts import write_text
from .config import registries
from .errors import PlumblineError, unknown
from .workflow.study import studies

# Kind -> its folder below the package, and what of a configuration makes the new entry run.
KINDS = {
    "method": ("attribution", "name it in `methods` of a run"),
    "protocol": ("faithfulness", "name it in `faithfulness`: `{{protocol: {id}}}`"),
    "metric": ("agreement", "every run computes it"),
    "dataset": (
        "datasets",
        "name it in `datasets`, `{id}: {{source: generated}}`, and as `dataset` of a run",
    ),
    "table": ("studies/{study}/tables", "name it in `tables`"),
    "figure": ("studies/{study}/figures", "name it in `figures`"),
}


def new(kind, name, study, package):
    """Write the module of a new entry.

    Parameters
    ----------
    kind : str
        One of KINDS.
    name : str
        The entry's id.
    study : str
        The study of a table or figure.
    package : pathlib.Path
        The folder of the package in a checkout.

    Returns
    -------
    pathlib.Path
        The file that was written.

    Raises
    ------
    PlumblineError
        For a name that is not legal or is taken, a study that does not exist, or a file that is there.
    """
    from .agreement import METRICS

    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise PlumblineError(f"id '{name}': expected small letters, digits and _, a letter first")
    known = {**registries(), "metrics": METRICS}[f"{kind}s"]
    if name in known:
        raise PlumblineError(f"there is a {kind} '{name}' already: choose another id")
    if study not in studies():
        raise unknown("study", study, studies())
    file = package / KINDS[kind][0].format(study=study) / f"{name}.py"
    if file.exists():
        raise PlumblineError(f"{file} is there already: choose another id")
    template = files("plumbline").joinpath(f"templates/{kind}.txt").read_text(encoding="utf-8")
    label = name.replace("_", " ").capitalize()
    write_text(file, string.Template(template).substitute(id=name, label=label, study=study))
    return file


def main(words):
    """Run the command line of `python -m plumbline`; `words` are its arguments, without the program's name."""
    parser = argparse.ArgumentParser(prog="python -m plumbline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    part = commands.add_parser(
        "new", help="write the module of a new entry, from a template that works as it is"
    )
    part.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    part.add_argument("id", metavar="ID", help="small letters, digits and _")
    part.add_argument("--study", default="alti", help="of a table or figure (alti)")
    options = parser.parse_args(words)
    file = new(options.kind, options.id, options.study, Path(__file__).parent)
    print(
        f"{file} is written and works as it is. In a configuration: {KINDS[options.kind][1].format(id=options.id)}."
    )


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PlumblineError as fault:
        sys.exit(f"plumbline: error: {fault}")
