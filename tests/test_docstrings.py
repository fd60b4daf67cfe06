"""The public API's docstrings: NumPy style, and they name the arguments that there are."""

import inspect
import re

import pytest

from plumbline import (
    agreement,
    artefacts,
    attribution,
    causal,
    config,
    datasets,
    faithfulness,
    seeds,
    stats,
    theory,
)

MODULES = (agreement, artefacts, attribution, config, datasets, faithfulness, seeds, stats)
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


def sections(text):
    """Heading -> lines of a docstring in NumPy style."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return {name: body.rstrip().split("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_name_the_arguments(name):
    """An argument has a line of its own, or shares one, and none is made up."""
    found = sections(PUBLIC[name].__doc__)
    lines = [line.split(" : ")[0] for line in found.get("Parameters", ()) if line and line[0] != " "]
    named = [argument.strip(" *") for line in lines for argument in line.split(",")]
    assert sorted(named) == sorted(inspect.signature(PUBLIC[name]).parameters)


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
