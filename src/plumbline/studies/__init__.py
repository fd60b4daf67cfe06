"""The studies: a room each, a folder here that bears the study's id. Nothing outside names one: rooms are found by looking."""

import importlib
import pkgutil


def rooms(part):
    """Study -> one module of its room, in the order of their ids; part: the module's name."""
    return {
        room.name: importlib.import_module(f"{__name__}.{room.name}.{part}")
        for room in pkgutil.iter_modules(__path__)
        if room.ispkg
    }
