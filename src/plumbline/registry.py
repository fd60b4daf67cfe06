"""What a registry is: one module an entry, found by looking into the package. No torch import here.

A registry package (datasets, attribution, faithfulness, agreement, figures, tables) holds one module
an entry; the module's `ENTRY` describes it. Adding an entry is adding a file.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from . import studies
from .errors import PlumblineError, unknown

Entry = TypeVar("Entry", bound="Method | Protocol | Metric | Dataset | Output")
# A module that defines an entry, annotated or not.
DEFINES_ENTRY = re.compile(r"^ENTRY\s*[:=]", re.MULTILINE)


class Registry(dict[str, Entry], Generic[Entry]):
    """Entries by id, in the order of their `order`, then of their id.

    Attributes
    ----------
    kind : str
        What an entry is called in faults.
    studies : dict of str
        Of tables and figures: id -> the study whose room holds the module.
    """

    def __init__(self, kind: str, entries: Mapping[str, Entry]) -> None:
        super().__init__(sorted(entries.items(), key=lambda item: (getattr(item[1], "order", 0), item[0])))
        self.kind = kind
        self.studies: dict[str, str] = {}

    def __getitem__(self, name: str) -> Entry:
        if not isinstance(name, str) or name not in self:
            raise unknown(self.kind, name, self)
        return super().__getitem__(name)


def discover(package: str, kind: str) -> Registry[Any]:
    """The registry of a package: every module directly inside it that defines an `ENTRY`.

    A module bears its entry's id. The others, which may import torch, are not imported.
    """
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is no package"
    found = (_entries(package, folder) for folder in spec.submodule_search_locations)
    return Registry(kind, {name: entry for entries in found for name, entry in entries.items()})


def discover_in_rooms(registry: Registry[Any], part: str) -> None:
    """Add the entries in the folder `part` of every study's room, by studies; those of rooms that were read are left.

    A module there is imported as one of the package `plumbline.<part>`.
    """
    package = importlib.import_module(f"{__package__}.{part}")
    for study, room in studies.folders().items():
        folder = str(room / part)
        if folder in package.__path__ or not os.path.isdir(folder):
            continue
        package.__path__.append(folder)
        for name in (entries := _entries(package.__name__, folder)):
            if name in registry:
                raise PlumblineError(
                    f"the studies '{registry.studies[name]}' and '{study}' both have a {registry.kind} '{name}': rename one"
                )
        registry.update(entries)
        registry.studies.update(dict.fromkeys(entries, study))


def _entries(package: str, folder: str) -> dict[str, Any]:
    """The entries of the modules in one folder of a package, by their ids, in the order of ids."""
    entries = {}
    for info in pkgutil.iter_modules([folder]):
        text = Path(folder, f"{info.name}.py")
        if info.ispkg or not DEFINES_ENTRY.search(text.read_text(encoding="utf-8")):
            continue
        entry = importlib.import_module(f"{package}.{info.name}").ENTRY
        if entry.id != info.name:
            raise AssertionError(
                f"{package}.{info.name} registers '{entry.id}'; a module bears its entry's id"
            )
        entries[entry.id] = entry
    return entries


@dataclass(frozen=True)
class Look:
    """How figures draw a readout: colour, as '#rrggbb'; marker, as matplotlib names it; dash, a key of `figures.style.DASHES`."""

    color: str
    marker: str
    dash: str = "solid"


# Where a readout can be shown: lines and points of means over examples, with their intervals as bands; ranks of special
# tokens; heat maps of single texts or images; coloured words, by the data set's task; matrices of all layers; among the
# gradients that a study's claim is about. Tables of means show every readout.
SHOWN = (
    "curves",
    "bands",
    "ranks",
    "examples",
    "words_classification",
    "words_agreement",
    "matrices",
    "claims",
)


@dataclass(frozen=True, kw_only=True)
class Readout:
    """One way to reduce a method's computation to one score a token.

    id        the name in files, tables and the Python API.
    label     the name in figures and tables.
    column    the Parquet column, `scores_<id>`.
    signed    whether the score tells evidence for the class from evidence against it; clipped scores do, though none is negative.
    absolute_of ids of the signed readouts of the same quantity, of which this one is the absolute value up to a factor an
              example: the unsigned twin beside which a signed readout is to be read.
    layered   whether it is a product of one matrix a layer; the method's module then has `layer_matrices(readouts,
              **parameters)`.
    published whether this is the definition behind published numbers where it differs from the correct one.
    reference the key of the same vector in the reference's files, None where it has none.
    noise     whether exact arithmetic gives zero everywhere, so that what it ranks is rounding noise.
    stochastic whether it is drawn; its seeds bear its name.
    known_truth whether it needs a rationale mask, so exists on known-truth data alone.
    control   whether it knows nothing of the model, so makes no claim.
    family    what it is computed from, which tables and figures group by; empty: its method's.
    citation  empty: its method's.
    look      how figures draw it; None: as its corrected definition, `<id>` of `<id>_published`, or by its id.
    shown     the places of `SHOWN` where it stands by default; None: all, of a published definition none.
    """

    id: str
    label: str
    signed: bool = False
    absolute_of: tuple[str, ...] = ()
    layered: bool = False
    published: bool = False
    reference: str | None = None
    noise: bool = False
    stochastic: bool = False
    known_truth: bool = False
    control: bool = False
    family: str = ""
    citation: str = ""
    look: Look | None = None
    shown: tuple[str, ...] | None = None

    @property
    def column(self) -> str:
        return f"scores_{self.id}"

    @property
    def block(self) -> str:
        """The block of `collect.BLOCKS` in which tables show it: only what is in one block is compared."""
        if self.control:
            return "control"
        if self.noise:
            return "noise"
        if self.published:
            return "published"
        return "signed" if self.signed else "unsigned"

    def stands_in(self, place: str) -> bool:
        """Whether it stands in a place of `SHOWN` by default."""
        return not self.published if self.shown is None else place in self.shown


@dataclass(frozen=True)
class Legal:
    """What a parameter may be: in words, and as a function of a value."""

    words: str
    # Not in the text of an entry, which is part of what jobs hang on: a function's text is its address, another in every process.
    holds: Callable[[Any], bool] = field(repr=False)


def whole(value: object) -> bool:
    """Whether a value is a whole number, at least 1, and not so large that nobody would wait for it."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000


def between(low: float, high: float) -> Callable[[Any], bool]:
    """A function that says whether a value is a number from `low` to `high`."""

    def holds(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return holds


# What a standard deviation's divisor leaves out of the number of features.
DDOF = Legal("int, 0 or 1", lambda value: type(value) is int and value in (0, 1))


# What methods explain, and where they are computed; a method's explanations are of one kind of model.
MODELS = {
    "text encoders": "the method's own module",
    "patch models": "attribution.image_maps",
    "convolutional networks": "causal.explanations",
    "multi-head classifier": "theory.explanations",
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """One computation: one job, one file; its readouts are that file's columns.

    models      what it explains, a key of `MODELS`. Of text encoders its module has `compute(batch, readouts, **parameters)`.
    needs       what it takes from the model: attention, gradient, forward; nothing for controls.
    parameters  name -> default; what the config block of the method may set.
    legal       name -> `Legal`, of parameters of which the default's type does not say what they may be.
    integral    whether it sums an integral, so that its files say of each example how inexact that is: completeness_gap, steps.
    principal   the readout that the method's name means in the Python API where no readout bears it; None where none stands for it.
    """

    id: str
    label: str
    family: str
    readouts: tuple[Readout, ...]
    citation: str
    models: str = "text encoders"
    needs: tuple[str, ...] = ()
    integral: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    legal: dict[str, Legal] = field(default_factory=dict)
    principal: str | None = None
    order: int = 50

    @property
    def control(self) -> bool:
        """Whether all of its readouts are controls: it runs beside the methods of every run, which takes up all of them."""
        return all(readout.control for readout in self.readouts)

    @property
    def by_id(self) -> dict[str, Readout]:
        """Its readouts by their ids, in order."""
        return {readout.id: readout for readout in self.readouts}

    def check(self, name: str, value: object, place: str) -> None:
        """PlumblineError where a value is not legal for a parameter; place: what to call it."""
        if name in self.legal and not self.legal[name].holds(value):
            raise PlumblineError(f"{place} is {value!r}: expected {self.legal[name].words}")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A way to perturb an input by a ranking and to score what happens.

    scored     whether a curve has a score (`aopc`); published_steps is a curve only.
    removal    'delete' (tokens leave, positions shift) or 'mask' (replaced by the mask token).
    precision  of the forward passes: 'float32', or 'bfloat16' (torch's autocast; weights and results stay float32).
    """

    id: str
    label: str
    citation: str
    removal: str
    precision: str = "float32"
    scored: bool = True
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number of explanations with its direction: +1 higher is better, -1 lower is better, 0 neither.

    axis  what it measures of one explanation: robustness, faithfulness, complexity, randomisation; empty: how two agree.
    """

    id: str
    label: str
    direction: int
    citation: str
    axis: str = ""
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A data set: what it is, where it comes from, what its rows hold.

    task         'classification' or 'agreement' of texts, or 'images'.
    label_names  label -> name, by index; empty where the data have the names.
    sources      source kind ('generated', 'mirror', 'hub', 'url') -> its particulars; the first is the default.
    hidden       source kind -> splits whose labels the source hides (-1).
    known_truth  whether every row carries a rationale mask, one flag a word.
    parameters   name -> default of the config block.
    """

    id: str
    label: str
    task: str
    label_names: tuple[str, ...]
    splits: tuple[str, ...]
    licence: str
    citation: str
    sources: dict[str, Any]
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)
    known_truth: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    order: int = 50


@dataclass(frozen=True, kw_only=True)
class Output:
    """A figure or a table: one module, named as its output.

    needs    the artefacts it reads, by stage: 'data', 'models', 'attributions', 'faithfulness', 'agreement', 'gaps' (the
             attributions of the methods that it shows and that sum an integral: how inexact each is),
             'isotropy', 'rollouts', 'contributions', 'seed_consistency', 'model_consistency', 'released', '<stage>_cost', 'work',
             'classifier', 'theory_<experiment>' and 'shown' of the multi-head classifier,
             'tables/<id>' ('tables/<id>?': where the configuration makes it).
    per      what there is one of: 'study', 'model' (one a data set and model), 'seed'.
    options  the configuration's keys that it reads beyond scale and runs: a change there makes it again.
    methods  it shows the runs alone that have all of these methods, and is not made where none has; empty: every run.
    readouts it reads the methods alone that have one of these readouts, or all methods of a run that has none of them; empty:
             every method. A dict where it depends on the data set's task.
    seeds    'all', or 'lowest': it shows the lowest training seed alone of a data set and model.
    published whether it reads the published numbers.
    formats  file endings.
    """

    id: str
    label: str
    needs: tuple[str, ...]
    per: str = "study"
    options: tuple[str, ...] = ("bootstrap",)
    methods: tuple[str, ...] = ()
    readouts: tuple[str, ...] | dict[str, tuple[str, ...]] = ()
    seeds: str = "all"
    published: bool = False
    formats: tuple[str, ...] = ("csv", "tex")
