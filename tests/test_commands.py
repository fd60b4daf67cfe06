"""Every snakemake command that a page or a comment shows, as Snakemake itself reads it: no target is taken for an option's value."""

import contextlib
import io
import re
import shlex

import pytest

from plumbline.workflow.study import studies
from tests.workflow import ROOT

PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    ROOT / "results/README.md",
    ROOT / "Makefile",
    ROOT / "Snakefile",
    *ROOT.glob("config*.yaml"),
    *ROOT.glob("profiles/*/*.yaml"),
    *ROOT.glob("rules/*.smk"),
]
RULES = set(
    re.findall(
        r"^(?:use )?rule (\w+)(?: as (\w+))?",
        "\n".join(path.read_text() for path in (*ROOT.glob("rules/*.smk"), ROOT / "Snakefile")),
        flags=re.MULTILINE,
    )
)
RULES = {name for pair in RULES for name in pair if name} | set(studies())


def commands(path):
    """The commands of a page: in backticks, in fenced and indented blocks, after `#   ` of a comment; line ends do not count."""
    text = path.read_text(encoding="utf-8")
    fenced = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    inline = re.findall(r"`([^`]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
    lines = "\n".join(fenced).replace("\\\n", " ").splitlines() + [" ".join(item.split()) for item in inline]
    lines += re.findall(r"^#   (.*)", text, flags=re.MULTILINE)
    lines += [
        line.replace("$(SNAKEMAKE)", "snakemake --cores 2").replace("$(BIN)/", "")
        for line in text.splitlines()
        if line.startswith("\t")
    ]
    for line in lines:
        if match := re.search(r"(?:^|[\s/])snakemake (?=\S)(.*)", line.split("  #")[0]):
            yield match[1]


def misread(command):
    """Why Snakemake does not read a command as it is meant; None where it does."""
    from snakemake.cli import get_argument_parser  # costly: for the worker that runs this file alone

    words = shlex.split(re.sub(r"\$\(?\{?\w+\}?\)?|\{\w+\}", "x", command), comments=True)
    if (
        not words
        or words[0].startswith((".", "#"))
        or not (words[0].startswith("-") or words[0] in RULES or "/" in words[0])
    ):
        return None  # prose
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            found = get_argument_parser().parse_args(words)
        except SystemExit:
            # Executors and storage of plugins that are not installed here are no slip of the page.
            fault = said.getvalue().splitlines()[-1]
            return (
                None
                if re.search(r"invalid choice: '(kubernetes|s3|slurm)'|--default-storage", fault)
                else fault
            )
    for files in (found.configfile or (), [found.workflow_profile] if found.workflow_profile else ()):
        if wrong := [
            file for file in files if not str(file).endswith((".yaml", "profiles/slurm", "profiles/sge"))
        ]:
            return f"{wrong[0]} is taken for a configuration file"
    if wrong := [name for name in {*(found.forcerun or ()), *(found.until or ())} if name not in RULES]:
        return f"{wrong[0]} is taken for a rule"
    if wrong := [
        name for name in found.targets or () if name not in RULES and "/" not in name and not name.isupper()
    ]:
        return f"there is no target {wrong[0]}"
    several = {
        "--configfile",
        "--configfiles",
        "--config",
        "--forcerun",
        "-R",
        "--until",
        "-U",
        "--resources",
        "--default-resources",
    }
    if found.targets and several & set(words) and "--" not in words:
        return "a target follows an option of several values without `--`"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_read_as_they_are_meant(path):
    faults = {command: fault for command in commands(path) if (fault := misread(command))}
    assert faults == {}


def test_what_is_misread():
    assert len(list(commands(ROOT / "README.md"))) >= 6 and len(list(commands(ROOT / "docs/cluster.md"))) >= 6
    assert "alti is taken for a configuration file" in misread("--configfile config.local.yaml alti")
    assert misread("--configfile config.local.yaml -- alti") is None
    assert "results/x is taken for a rule" in misread("--forcerun model results/x")
    assert "no target nothing" in misread("--cores 2 nothing")
    assert misread("--coers 2")
