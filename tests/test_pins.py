"""One set of versions: constraints.txt; the conda environment and the installed packages agree with it."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
import yaml
from packaging.requirements import Requirement

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


def needed(names):
    """The canonical names of `names` and of all that they need here, extras included."""
    found, open_ = set(), [Requirement(name) for name in names]
    while open_:
        requirement = open_.pop()
        key = (canonical(requirement.name), frozenset(requirement.extras))
        if key in found:
            continue
        found.add(key)
        for line in requires(requirement.name) or []:
            item = Requirement(line)
            if any(not item.marker or item.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)):
                open_.append(item)
    return {name for name, _ in found}


@pytest.mark.slow
def test_conda_environment_has_the_same_pins():
    """Whole: what its packages need is pinned as well, so that it cannot resolve to other versions."""
    dependencies = yaml.safe_load((ROOT / "envs/plumbline.yaml").read_text())["dependencies"]
    (listed,) = (item["pip"] for item in dependencies if isinstance(item, dict))
    found = dict(re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==(\S+)", item).groups() for item in listed)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = needed([*project["dependencies"], *project["optional-dependencies"]["minilm"]])
    assert found == {name: pins()[name] for name in names}


def test_container_has_the_same_pins_and_python():
    recipe = (ROOT / "Dockerfile").read_text()
    dependencies = yaml.safe_load((ROOT / "envs/plumbline.yaml").read_text())["dependencies"]
    assert re.search(r"^FROM python:([\d.]+)-slim", recipe, flags=re.MULTILINE)[1] == "3.11"
    assert "python =3.11" in dependencies
    installs = re.findall(r"pip install (.*)", recipe)
    assert installs
    assert all("-c constraints.txt" in line for line in installs)
    assert "'.[minilm,slurm]'" in installs[-1]


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
