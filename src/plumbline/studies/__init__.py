"""The studies. Each has a room, a folder here or one that the configuration names; the folder's name is the study's id."""

import functools
import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType

from ..errors import PlumblineError


def folders():
    """Return the folder of every study's room, by the study's id, in the order of ids."""
    return dict(sorted((_inside(tuple(__path__)) | _OUTSIDE).items()))


@functools.cache
def _inside(places):
    """The folder of every room inside the package, by the study's id."""
    found = [room for room in pkgutil.iter_modules(places) if room.ispkg]
    return {room.name: Path(room.module_finder.path, room.name) for room in found}


# Rooms outside the package, by the study's id.
_OUTSIDE = {}


def add_room(folder):
    """Take up a room outside the package. Its modules are imported as those of a room inside.

    Parameters
    ----------
    folder : str or Path
        The room. It holds study.py, and as far as the study has them config.py, rules.smk, tables/ and figures/.

    Raises
    ------
    PlumblineError
        Where the folder is no room, or another study has its id.
    """
    folder = Path(folder).resolve()
    name = folder.name
    if _OUTSIDE.get(name) == folder:
        return
    if not (folder / "study.py").is_file():
        raise PlumblineError(f"studies: {folder} is no room of a study: it has no study.py")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise PlumblineError(f"studies: rename {folder}: a study's id has small letters, digits and _")
    if name in folders():
        raise PlumblineError(f"studies: rename {folder}: the id '{name}' is taken by {folders()[name]}")
    _OUTSIDE[name] = folder
    package = ModuleType(f"{__name__}.{name}")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package


def rooms(part):
    """Import one module of every study's room that has it.

    Parameters
    ----------
    part : str
        The module's name, such as study or config.

    Returns
    -------
    dict
        The study's id -> the module, in the order of ids.
    """
    return {
        name: importlib.import_module(f"{__name__}.{name}.{part}")
        for name, folder in folders().items()
        if (folder / f"{part}.py").is_file()
    }
