"""The public API's docstrings: NumPy style, and they name the arguments that there are."""

import dataclasses
import inspect
import re

import pytest

from plumbline import (
    agreement,
    artefacts,
    attribution,
    causal,
    collect,
    datasets,
    faithfulness,
    registry,
    seeds,
    stats,
    theory,
)

MODULES = (agreement, artefacts, attribution, collect, datasets, faithfulness, registry, seeds, stats)
PUBLIC = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
} | {
    f"{package.__name__}.{name}": getattr(package, name)
    for package in (causal, theory)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
}


ENTRIES = {name: value for name, value in vars(registry).items() if dataclasses.is_dataclass(value)}


def sections(text):
    """Heading -> lines of a docstring in NumPy style."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return {name: body.rstrip().split("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def named(text, heading):
    """The names under a heading, each on a line of its own or with others."""
    lines = [line.split(" : ")[0] for line in sections(text).get(heading, ()) if line and line[0] != " "]
    return sorted(name.strip(" *") for line in lines for name in line.split(","))


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_name_the_arguments(name):
    assert named(PUBLIC[name].__doc__, "Parameters") == sorted(inspect.signature(PUBLIC[name]).parameters)


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_say_what_each_field_is(name):
    fields = [field.name for field in dataclasses.fields(ENTRIES[name])]
    assert named(ENTRIES[name].__doc__, "Attributes") == sorted(fields)


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_say_what_is_returned(name):
    source = inspect.getsource(PUBLIC[name])
    found = sections(PUBLIC[name].__doc__)
    if re.search(r"^    return \S", source, re.MULTILINE):
        assert "Returns" in found
    if re.search(r"^ +raise (PlumblineError|unknown)\b", source, re.MULTILINE):
        assert "Raises" in found


def test_the_public_functions_are_many():
    assert len(PUBLIC) > 70
