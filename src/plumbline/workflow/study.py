"""What a study is to the workflow, and the stages of all of them.

No torch here: every `snakemake` call imports this module.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import PlumblineError
from ..studies import add_room, folders, rooms
from .stage import Stage


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study: its stages, and the runs that its tables and figures show. Its room holds it as `STUDY` of study.py.

    Attributes
    ----------
    id : str
        The name of the room, and the study's key in the configuration where it has one.
    runs : callable
        Takes the configuration and returns a Row for each thing that an output may show, in the configuration's order.
    stages : tuple of Stage
        The stages that this study alone has.
    image_models : bool
        Whether the runs are of image models, which the core then makes.
    compared : callable
        Takes the configuration and returns the methods that the outputs of the study read beside their own and the controls.
        None: every method of a run.
    complete : bool
        Whether an output shows the runs alone that have every file that it needs.
    downloads : callable
        Takes the configuration and returns what `plumbline.datasets.sources.fetch` takes, with its licence, of each file
        that the study alone downloads.
    check_files : callable
        Takes the configuration and raises PlumblineError where a file is missing that no job makes.
    """

    id: str
    runs: Callable
    stages: tuple[Stage, ...] = ()
    image_models: bool = False
    compared: Callable = lambda config: None
    complete: bool = False
    downloads: Callable = lambda config: []
    check_files: Callable = lambda config: None


@functools.cache
def studies():
    """Find every study, in the order of ids.

    Returns
    -------
    dict of str to Study
        Id -> study.

    Raises
    ------
    PlumblineError
        Where a room holds a study of another id.
    """
    found = {name: room.STUDY for name, room in rooms("study").items()}
    for name, study in found.items():
        if study.id != name:
            raise PlumblineError(f"the room {name} holds the study '{study.id}': a room bears its study's id")
    return found


def add_rooms(places):
    """Take up the rooms of studies outside the package, with their tables and figures.

    Parameters
    ----------
    places : list of str
        The rooms' folders, seen from the working directory: the key `studies` of the configuration.
    """
    if not places:
        return
    from .. import figures, tables
    from ..registry import discover_in_rooms

    for place in places:
        add_room(place)
    studies.cache_clear()
    discover_in_rooms(tables.TABLES, "tables")
    discover_in_rooms(figures.FIGURES, "figures")


def rules_of(study):
    """Find the file with the rules of a study: rules.smk of its room, or else the file of `rules/` with its name.

    Parameters
    ----------
    study : str
        Id of the study.

    Returns
    -------
    str
        A path.
    """
    inside = folders()[study] / "rules.smk"
    return str(inside) if inside.is_file() else str(Path("rules", f"{study}.smk"))
