"""The studies. Each has a room, a folder here whose name is the study's id; what is here is a study."""

import importlib
import pkgutil


def rooms(part):
    """The module `part` of every study's room, by the study's id, in the order of ids."""
    return {
        room.name: importlib.import_module(f"{__name__}.{room.name}.{part}")
        for room in pkgutil.iter_modules(__path__)
        if room.ispkg
    }
