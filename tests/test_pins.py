"""One set of versions: constraints.txt; the conda environment and the installed packages agree with it."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

import yaml

from tests.workflow import ROOT


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text().split()
    found = dict(line.split("==") for line in lines)
    assert len(found) == len(lines)
    return {canonical(name): pinned for name, pinned in found.items()}


def direct():
    """Names of the dependencies in pyproject.toml, by group; '' is the project itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        group: {canonical(re.match(r"[\w.-]+", item)[0]) for item in items} for group, items in groups.items()
    }


def test_every_direct_dependency_is_pinned():
    assert set().union(*direct().values()) <= set(pins())


def test_torch():
    assert pins()["torch"] == "2.13.0"
    assert "torchvision" not in pins()


def test_conda_environments_have_the_same_pins():
    for path in (ROOT / "envs").glob("*.yaml"):
        dependencies = yaml.safe_load(path.read_text())["dependencies"]
        (listed,) = (item["pip"] for item in dependencies if isinstance(item, dict))
        found = dict(re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==(\S+)", item).groups() for item in listed)
        found = {canonical(name): pinned for name, pinned in found.items()}
        assert found.keys() == direct()[""] | direct()["minilm"], path
        assert found == {name: pins()[name] for name in found}, path


def test_installed_versions_are_the_pinned_ones():
    """Platform-specific packages may be absent, but none may differ."""
    different = {}
    for name, pinned in pins().items():
        try:
            found = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
        if found != pinned:
            different[name] = (pinned, found)
    assert different == {}
