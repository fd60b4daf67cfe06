"""Which source files a job's result depends on: its script, and what it imports of the package, found by reading.

Snakemake does not see what a script imports, so digests of these files are a parameter of the jobs (workflow/code_digest.py).
None of the modules that are read is imported.
"""

import ast
import functools
import os
import re
from pathlib import Path

from .studies import folders

ROOT = Path(__file__).resolve().parent
SCHEMAS = ROOT / "schemas" / "artefacts"

# What no number of a result comes from, with the reason; an edit there reruns nothing (docs/dag.md, tests/test_modules.py).
UNTRACKED = {
    "artefacts": "hands values through; their types stand in schemas/artefacts, which is tracked",
    "config": "what it decides reaches a job as parameters",
    "datasets.sources": "fetches and checks bytes, which a checksum fixes",
    "errors": "texts of faults",
    "modules": "this list",
    "workflow.job": "hands on the wildcards, which are a job's own, and the rooms, whose modules are tracked",
    "registry": "what an entry is; the entries stand in tracked modules, their order in `registries_of`",
}
# Packages whose modules lie in the rooms of studies, too.
IN_ROOMS = ("tables", "figures")
# The registries by the names under which they are imported: these are what modules ask for, not the packages that hold them.
REGISTRIES = {
    "METHODS": "attribution",
    "READOUTS": "attribution",
    "method_of": "attribution",  # a readout's entry in METHODS
    "shown_in": "attribution",  # readouts of METHODS
    "PROTOCOLS": "faithfulness",
    "METRICS": "agreement",
    "DATASETS": "datasets",
    "TABLES": "tables",
    "FIGURES": "figures",
}

# A statement that imports and has its lines to itself. To parse these alone takes a sixth of the time of whole files, which
# every call of Snakemake would spend.
STATEMENT = re.compile(r"[ \t]*((?:from [.\w]+ )?import (?:\([^()]*\)|[\w., ]+))(?: *#.*)?$", re.MULTILINE)


def job_files(script, *names):
    """Return the files that a job depends on.

    They are its script, the modules that it imports, and the schemas of what it writes.

    Parameters
    ----------
    script : path
        The job's script.
    *names : str
        What a name known at run time alone stands for: modules that are imported (dotted, below the package), schemas of
        artefacts that are written (`schemas/<kind>`).

    Returns
    -------
    list of str
        Paths, sorted.
    """
    return sorted({str(script), *_reached(str(script), *map(_path, names))[0]})


def registries_of(script, *names):
    """Return the packages whose registries a job's modules look into.

    Parameters
    ----------
    script, *names
        See `job_files`.

    Returns
    -------
    list of str
        Names of packages, sorted.
    """
    return sorted({REGISTRIES[name] for name in _reached(str(script), *map(_path, names))[1]})


@functools.cache
def _reached(*starts):
    """(files, names of registries) that files depend on, themselves included."""
    files, read, registries = set(), set(), set()
    waiting = [(path, True) for path in starts]
    while waiting:
        path, whole = waiting.pop()
        files.add(path)
        if not whole or path in read or not path.endswith(".py"):
            continue
        read.add(path)
        found, looked_into = _imports(path)
        waiting += found
        registries |= looked_into
    return files, registries


# Paths are text below: of every file of the package, pathlib's would take as long as reading it.


@functools.cache
def _path(name):
    """The file of a module below the package or of a schema, whether there is one or not."""
    if name.startswith("schemas/"):
        return _schema(name.removeprefix("schemas/"))
    parts = name.split(".")
    inside = len(parts) > 1 and parts[0] == "studies" and folders().get(parts[1])
    base = os.path.join(inside, *parts[2:]) if inside else os.path.join(ROOT, *parts)
    if os.path.isdir(base):
        return os.path.join(base, "__init__.py")
    package, _, module = name.rpartition(".")
    rooms = folders().values() if package in IN_ROOMS else ()
    in_rooms = (os.path.join(room, package, f"{module}.py") for room in rooms)
    return next(filter(os.path.isfile, in_rooms), f"{base}.py")


def _schema(kind):
    """The file of an artefact's schema."""
    return os.path.join(SCHEMAS, f"{kind}.yaml")


def _package(path):
    """The package as whose module a file is imported, as parts below plumbline; empty for a script."""
    for package, folder in [*((("studies", study), room) for study, room in folders().items()), ((), ROOT)]:
        if path.startswith(f"{folder}{os.sep}"):
            inside = tuple(path.removeprefix(f"{folder}{os.sep}").split(os.sep)[:-1])
            return inside if inside in [(name,) for name in IN_ROOMS] else (*package, *inside)
    return ()


@functools.cache
def _tracked(target):
    """The file of a module, as parts below the package, unless it is untracked or there is none."""
    name = ".".join(target)
    path = _path(name) if target else os.path.join(ROOT, "__init__.py")
    return path if name not in UNTRACKED and os.path.isfile(path) else None


@functools.cache
def _imports(path):
    """([(file, whether its own imports count)], names of registries) that a file imports, at its top or inside a function."""
    files, registries = [], set()
    package = _package(path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    files += [(_schema(kind), False) for kind in re.findall(r'kind="(\w+)"', text)]
    for node in _statements(text):
        if isinstance(node, ast.Import):
            parts = [alias.name.split(".") for alias in node.names]
            files += [(_tracked(tuple(part[1:])), True) for part in parts if part[0] == ROOT.name]
        elif isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").split(".")[0] == ROOT.name
        ):
            base = package[: len(package) - node.level + 1] if node.level else ()
            target = (*base, *(node.module or "").split(".")[0 if node.level else 1 :])
            target = tuple(part for part in target if part)
            for alias in node.names:
                inner = (*target, alias.name)
                if os.path.isfile(_path(".".join(inner))):
                    files.append((_tracked(inner), True))
                elif REGISTRIES.get(alias.name) == ".".join(target):
                    registries.add(alias.name)
                elif alias.name in ("__version__", "__release__"):
                    continue  # a fact beside the numbers
                else:
                    # A constant comes from the file itself, a function also from what that imports.
                    files.append((_tracked(target), not alias.name.isupper()))
    return [(file, whole) for file, whole in files if file and os.path.isfile(file)], registries


def _statements(text):
    """The statements that import from this package, of a module's text; where the word stands elsewhere too, all statements."""
    starts = (text.rfind("\n", 0, word.start()) + 1 for word in re.finditer(r"import\b", text))
    found = [STATEMENT.match(text, start) for start in starts]
    if all(found):
        own = [match[1] for match in found if match[1].startswith("from .") or ROOT.name in match[1]]
        return ast.parse("\n".join(own)).body
    return ast.walk(ast.parse(text))
