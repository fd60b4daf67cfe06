"""The floors of docs/architecture.md: an import goes down or stays on its floor, and none goes in a circle."""

import ast
import functools
import re
from pathlib import Path

import networkx as nx
import pytest

from plumbline.workflow.study import studies

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/plumbline"
# From the bottom. A module belongs to the longest name that it starts with.
FLOORS = {
    "ground": "__init__ errors seeds artefacts arrays words chosen modules stats work registry config_types studies",
    "library": "datasets models attribution faithfulness agreement theory causal seed_pairs collect",
    "report": "tables figures",
    "plan": "config workflow.outputs workflow.stage workflow.stages workflow.study workflow.targets studies.image_runs "
    + " ".join(f"studies.{room.parent.name}" for room in sorted(SOURCE.glob("studies/*/__init__.py"))),
    "workflow": "workflow __main__",
}
FLOOR_OF = {name: place for place, names in enumerate(FLOORS.values()) for name in names.split()}


def name_of(file):
    """A module's name below plumbline; of a room's table or figure the one by which it is imported."""
    name = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
    name = re.sub(r"^studies\.\w+\.(tables|figures)\.", r"\1.", name)
    return name.removesuffix(".__init__")


MODULES = {name_of(file): file for file in sorted(SOURCE.rglob("*.py"))}


def imported(name, file):
    """The modules of the package that a module imports, also inside its functions."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (
            node.level or (node.module or "").startswith("plumbline")
        ):
            continue
        base = (node.module or "").removeprefix("plumbline").strip(".")
        if node.level:
            parts = package.split(".") if package else []
            above = parts[: len(parts) - node.level + 1]
            base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            full = f"{base}.{alias.name}".strip(".")
            yield full if full in MODULES else base or "__init__"


@functools.cache
def imports():
    """A graph of the package's modules: an edge goes to what a module imports."""
    edges = ((name, found) for name, file in MODULES.items() for found in imported(name, file))
    return nx.DiGraph((name, found) for name, found in edges if found != name)


def floor(name):
    parts = name.split(".")
    return next(
        FLOOR_OF[start] for end in range(len(parts), 0, -1) if (start := ".".join(parts[:end])) in FLOOR_OF
    )


def test_every_module_stands_on_a_floor():
    assert set(imports()) <= set(MODULES)
    assert len(imports()) > 150
    assert all(0 <= floor(name) < len(FLOORS) for name in MODULES)
    assert floor("studies") == 0 and floor("studies.alti.study") == 3 and floor("workflow.warm") == 4
    assert floor("tables.comp_suff") == 2


def test_no_import_goes_up():
    assert [(a, b) for a, b in imports().edges if floor(a) < floor(b)] == []


def test_no_import_goes_in_a_circle():
    assert [sorted(circle) for circle in nx.strongly_connected_components(imports()) if len(circle) > 1] == []


@pytest.mark.parametrize("name", FLOORS)
def test_the_page_names_each_floor(name):
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert f"| {name} |" in page


def test_each_study_has_its_page_and_no_page_is_left_over():
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (ROOT / "docs/studies").glob("*.md")}
    assert set(pages) == set(studies())
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for study, text in pages.items():
        assert f"Study `{study}`: " in text
        assert f"docs/studies/{study}.md" in readme


def walks():
    """(value, its steps) of each walk that the page draws; a step is a file and, of a module, the function."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for value, chain in re.findall(r'subgraph \w+\["([^"]+)"\]\n(.*?)\n  end', page, re.S):
        yield value, [step.strip('"').split(": ") for step in re.findall(r"\[([^\]]+)\]", chain)]


@pytest.mark.parametrize(
    ("value", "steps"), list(walks()), ids=lambda found: found if isinstance(found, str) else ""
)
def test_a_value_passes_at_most_five_files(value, steps):
    assert 2 <= len(steps) <= 5
    assert steps[0] == ["config.yaml"]
    for name, *function in steps:
        (file,) = [*ROOT.glob(name), *SOURCE.glob(name), *SOURCE.glob(f"studies/*/{name}")]
        assert all(f"\ndef {known}(" in file.read_text(encoding="utf-8") for known in function)


def test_the_three_walks_are_drawn():
    assert [value for value, _ in walks()] == ["bootstrap.level", "methods.ig.gap", "heatmap_examples"]
