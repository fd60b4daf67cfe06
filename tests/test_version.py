"""One version: of the tag, or the fallback that pyproject.toml, the package and CITATION.cff name."""

import importlib
import importlib.metadata
import tomllib

import pytest
import yaml

import plumbline
from tests.workflow import ROOT

FALLBACK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]["fallback_version"]


@pytest.fixture
def reloaded(monkeypatch):
    """The package as it loads where the metadata of installed packages give a version, or none (None)."""

    def load(found):
        def version(name):
            assert name == "plumbline"
            if found is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return found

        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata, "version", version)
            return importlib.reload(plumbline)

    yield load
    importlib.reload(plumbline)


def test_where_the_package_is_not_installed_its_version_is_the_fallback(reloaded):
    assert reloaded(None).__version__ == FALLBACK


@pytest.mark.parametrize(
    ("installed", "release"),
    [
        ("0.1.0", "0.1.0"),
        ("0.2.0.post1.dev12+g0a1b2c3", "0.2.0"),
        ("1.10.3+d20261129", "1.10.3"),
        ("2.0rc1", "2.0"),
    ],
)
def test_the_release_is_the_version_without_the_commits_since(reloaded, installed, release):
    found = reloaded(installed)
    assert (found.__version__, found.__release__) == (installed, release)


def test_the_citation_has_the_fallback_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == FALLBACK
