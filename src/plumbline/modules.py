"""Which source files a job's result hangs on: a module and what it imports of the package, found by reading.

Snakemake does not see what a script imports, so digests of these files are a parameter of the jobs (rules/common.smk).
Nothing is imported here.
"""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).resolve().parent

# What reads, writes, checks and lists, and so shapes no number: an edit there reruns nothing (docs/dag.md).
UNTRACKED = {
    "artefacts",
    "config",
    "datasets.sources",
    "errors",
    "modules",
    "plan",
    "registry",
    "seeds",
    "work",
}


def module_files(*names):
    """Sorted paths of modules (dotted, below the package) and of the tracked modules that they import.

    A package's __init__ holds its registry and entry points and counts as ground unless it is named.
    """
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imports(name)
    return sorted(str(_path(name)) for name in found)


def _path(name):
    base = ROOT.joinpath(*name.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@functools.cache
def _imports(name):
    """Dotted names of the tracked modules that a module imports, at its top or inside a function."""
    path = _path(name)
    package = path.parent.relative_to(ROOT).parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = (*base, *(node.module or "").split(".")) if node.module else base
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == ROOT.name:
            target = tuple(node.module.split("."))[1:]
        else:
            continue
        found |= {".".join(target), *(".".join((*target, alias.name)) for alias in node.names)}
    return sorted(
        item for item in found - UNTRACKED if item and (ROOT / f"{item.replace('.', '/')}.py").is_file()
    )
