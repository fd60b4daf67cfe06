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

    Parameters
    ----------
    package : str
        The package's name.
    kind : str
        What messages call an entry, e.g. 'method'.

    Returns
    -------
    Registry
        Id -> entry, in the order of `order`, then of ids.
    """
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is no package"
    found = (_entries(package, folder) for folder in spec.submodule_search_locations)
    return Registry(kind, {name: entry for entries in found for name, entry in entries.items()})


def discover_in_rooms(registry: Registry[Any], part: str) -> None:
    """Add the entries in a folder of every study's room to a registry. Rooms that were read are left.

    A module there is imported as one of the package `plumbline.<part>`.

    Parameters
    ----------
    registry : Registry
        The registry, which is changed. Its `studies` say to which study an entry belongs.
    part : {'tables', 'figures'}
        The folder.

    Raises
    ------
    PlumblineError
        Where another study has an output of that name.
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
    """How figures draw a readout.

    Attributes
    ----------
    color : str
        '#rrggbb'.
    marker : str
        As matplotlib names it.
    dash : str
        A key of `figures.style.DASHES`.
    """

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

    Attributes
    ----------
    id : str
        The name in files, tables and the Python API.
    label : str
        The name in figures and tables.
    signed : bool
        Whether the score tells evidence for the class from evidence against it. Clipped scores do, though none is negative.
    absolute_of : tuple of str
        Ids of the signed readouts of the same quantity, of which this one is the absolute value up to a factor an example: the
        unsigned twin beside which a signed readout is to be read.
    layered : bool
        Whether it is a product of one matrix a layer. The method's module then has `layer_matrices(readouts, **parameters)`.
    published : bool
        Whether this is the definition behind published numbers where it differs from the correct one.
    reference : str or None
        The key of the same vector in the reference's files. None: it has none.
    noise : bool
        Whether exact arithmetic gives zero everywhere, so that what it ranks is rounding noise.
    stochastic : bool
        Whether it is drawn. Its seeds bear its name.
    known_truth : bool
        Whether it needs a rationale mask, so exists on known-truth data alone.
    control : bool
        Whether it knows nothing of the model, so makes no claim.
    family : str
        What it is computed from, by which tables and figures group. Empty: its method's.
    citation : str
        The source. Empty: its method's.
    look : Look or None
        How figures draw it. None: as its corrected definition, `<id>` of `<id>_published`, or by its id.
    shown : tuple of str or None
        The places of `SHOWN` where it stands by default. None: all, of a published definition none.
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
    """What a parameter may be.

    Attributes
    ----------
    words : str
        In words.
    holds : callable
        A function of a value: whether it is legal.
    """

    words: str
    # Not in the text of an entry, which is part of what jobs depend on: a function's text is its address, another in every process.
    holds: Callable[[Any], bool] = field(repr=False)


def whole(value: object) -> bool:
    """Whether a value is a whole number, at least 1, and not so large that nobody would wait for it.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    bool
        At most 100,000 is legal.
    """
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000


def between(low: float, high: float) -> Callable[[Any], bool]:
    """A test of numbers within bounds.

    Parameters
    ----------
    low, high : float
        The bounds, which are legal themselves.

    Returns
    -------
    callable
        A function of a value: whether it is a number from `low` to `high`.
    """

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
    """One computation: one job, one file. Its readouts are that file's columns.

    Attributes
    ----------
    id : str
        The name in files, in the configuration and in the Python API.
    label : str
        The name in figures and tables.
    family : str
        What it is computed from, by which tables and figures group.
    readouts : tuple of Readout
        Its scores, in the order of the columns.
    citation : str
        The source.
    models : str
        What it explains, a key of `MODELS`. Of text encoders its module has `compute(batch, readouts, **parameters)`.
    needs : tuple of str
        What it takes from the model: attention, gradient, forward. Empty: nothing, of controls.
    integral : bool
        Whether it sums an integral, so that its files say of each example how inexact that is: completeness_gap, steps.
    parameters : dict of str to object
        Name -> default; what the method's block of the configuration may set.
    legal : dict of str to Legal
        Of parameters of which the default's type does not say what they may be.
    principal : str or None
        The readout that the method's name means in the Python API where no readout bears it. None: none stands for it.
    order : int
        Its place in the registry, then by id.
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

    Attributes
    ----------
    id : str
        The name in files and in the configuration.
    label : str
        The name in figures and tables.
    citation : str
        The source.
    removal : {'delete', 'mask'}
        delete: tokens leave, positions shift. mask: they are replaced by the mask token.
    precision : {'float32', 'bfloat16'}
        Of the forward passes. bfloat16 is torch's autocast; weights and results stay float32.
    scored : bool
        Whether a curve has a score (`aopc`). published_steps is a curve only.
    order : int
        Its place in the registry, then by id.
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
    """A number of explanations with its direction.

    Attributes
    ----------
    id : str
        The name in files.
    label : str
        The name in figures and tables.
    direction : {1, -1, 0}
        1: higher is better; -1: lower is better; 0: neither.
    citation : str
        The source.
    axis : str
        What it measures of one explanation: robustness, faithfulness, complexity, randomisation. Empty: how two agree.
    order : int
        Its place in the registry, then by id.
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

    Attributes
    ----------
    id : str
        The name in files and in the configuration.
    label : str
        The name in figures and tables.
    task : {'classification', 'agreement', 'images'}
        classification and agreement are of texts.
    label_names : tuple of str
        Names of labels, by index. Empty where the data have the names.
    splits : tuple of str
        Names of the splits.
    licence : str
        As the source states it.
    citation : str
        The source.
    sources : dict of str to object
        Source kind ('generated', 'mirror', 'hub', 'url') -> its particulars. The first is the default.
    hidden : dict of str to tuple of str
        Source kind -> splits whose labels the source hides (-1).
    known_truth : bool
        Whether every row carries a rationale mask, one flag a word.
    parameters : dict of str to object
        Name -> default of the data set's block of the configuration.
    order : int
        Its place in the registry, then by id.
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

    Attributes
    ----------
    id : str
        The name in files and in the configuration.
    label : str
        The name for readers.
    needs : tuple of str
        The artefacts that it reads, by stage: 'data', 'models', 'attributions', 'faithfulness', 'agreement', 'gaps' (the
        attributions of the methods that it shows and that sum an integral: how inexact each is), 'isotropy', 'rollouts',
        'contributions', 'seed_consistency', 'model_consistency', 'released', '<stage>_cost', 'work', 'classifier',
        'theory_<experiment>' and 'shown' of the multi-head classifier, 'tables/<id>' ('tables/<id>?': where the configuration makes
        it).
    per : {'study', 'model', 'seed'}
        What there is one of. model: one a data set and model.
    options : tuple of str
        The configuration's keys that it reads beyond scale and runs. A change there makes it again.
    methods : tuple of str
        It shows the runs alone that have all of these methods, and is not made where none has. Empty: every run.
    readouts : tuple of str or dict
        It reads the methods alone that have one of these readouts, or all methods of a run that has none of them. Empty: every
        method. A dict where it depends on the data set's task.
    seeds : {'all', 'lowest'}
        lowest: it shows the lowest training seed alone of a data set and model.
    published : bool
        Whether it reads the published numbers.
    formats : tuple of str
        File endings.
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
