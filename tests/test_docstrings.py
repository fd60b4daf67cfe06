"""The public API's docstrings: NumPy style, and they name the arguments that there are."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import textwrap

from plumbline import (
    agreement,
    artefacts,
    attribution,
    causal,
    collect,
    datasets,
    faithfulness,
    models,
    registry,
    seeds,
    stats,
    theory,
)
from plumbline.workflow import downloads, job, progress, stage, stages, study

# Functions, classes and methods are held: of whole packages; of workflow, of what tests/test_stages.py does not hold to a
# number of lines.
PACKAGES = (agreement, attribution, faithfulness, models)
WHOLE = (
    *PACKAGES,
    *(
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in PACKAGES
        for found in pkgutil.iter_modules(package.__path__)
    ),
    *(downloads, job, progress, stage, stages, study),
)
# Functions alone are held.
OTHERS = (artefacts, collect, datasets, registry, seeds, stats)


def own(module, kind):
    """Name -> what a module defines and does not import."""
    return {
        f"{module.__name__}.{name}": value
        for name, value in vars(module).items()
        if kind(value) and value.__module__ == module.__name__ and name[0] != "_"
    }


CLASSES = {name: value for module in WHOLE for name, value in own(module, inspect.isclass).items()}
DATACLASSES = {
    name: value
    for name, value in (CLASSES | own(registry, inspect.isclass)).items()
    if dataclasses.is_dataclass(value)
}
WITH_INIT = {
    name: value for name, value in CLASSES.items() if name not in DATACLASSES and "__init__" in vars(value)
}
METHODS = {  # without those that a field has as its default
    f"{owner}.{name}": getattr(value, name)
    for owner, value in CLASSES.items()
    for name in vars(value)
    if name[0] != "_" and callable(found := getattr(value, name)) and found.__name__ == name
}
PUBLIC = {name: value for module in WHOLE + OTHERS for name, value in own(module, inspect.isfunction).items()}
PUBLIC |= METHODS | {
    f"{package.__name__}.{name}": getattr(package, name)
    for package in (causal, theory)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
}


def sections(text):
    """Heading -> lines of a docstring in NumPy style."""
    parts = re.split(r"^(\w+)\n-+\n", inspect.cleandoc(text), flags=re.MULTILINE)
    return {name: body.rstrip().split("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def named(text, heading):
    """The names under a heading, each on a line of its own or with others."""
    lines = [line.split(" : ")[0] for line in sections(text).get(heading, ()) if line and line[0] != " "]
    return sorted(name.strip(" *") for line in lines for name in line.split(","))


def arguments(function):
    """What a caller gives to a function, a method or a class."""
    return sorted(name for name in inspect.signature(function).parameters if name != "self")


def test_docstrings_name_the_arguments():
    held = PUBLIC | WITH_INIT
    said = {name: named(value.__doc__, "Parameters") for name, value in held.items()}
    assert said == {name: arguments(value) for name, value in held.items()}


def test_dataclasses_say_what_each_field_is():
    said = {name: named(value.__doc__, "Attributes") for name, value in DATACLASSES.items()}
    assert said == {name: sorted(inspect.get_annotations(value)) for name, value in DATACLASSES.items()}


def test_docstrings_say_what_is_returned():
    lacking = []
    for name, value in PUBLIC.items():
        source = textwrap.dedent(inspect.getsource(value))
        needed = {
            "Returns": re.search(r"^    return \S", source, re.MULTILINE),
            "Yields": inspect.isgeneratorfunction(value),
            "Raises": re.search(r"^ +raise (PlumblineError|unknown)\b", source, re.MULTILINE),
        }
        found = sections(value.__doc__)
        lacking += [(name, heading) for heading, wanted in needed.items() if wanted and heading not in found]
    assert lacking == []


def test_the_public_functions_are_many():
    assert len(PUBLIC) > 300
