"""One version: of the tag, or the fallback that pyproject.toml, the package and CITATION.cff name."""

import importlib.metadata
import subprocess
import sys
import tomllib

import pytest
import yaml

import plumbline
from tests.workflow import ROOT

FALLBACK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]["fallback_version"]


@pytest.fixture
def versions(monkeypatch):
    """(version, release) of the package where the metadata of installed packages give a version, or none (None)."""

    def forget():
        for name in ("__version__", "__release__"):
            vars(plumbline).pop(name, None)

    def read(found):
        def version(name):
            assert name == "plumbline"
            if found is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return found

        forget()
        with monkeypatch.context() as patch:
            patch.setattr(importlib.metadata, "version", version)
            return plumbline.__version__, plumbline.__release__

    yield read
    forget()


def test_where_the_package_is_not_installed_its_version_is_the_fallback(versions):
    assert versions(None)[0] == FALLBACK


@pytest.mark.parametrize(
    ("installed", "release"),
    [
        ("0.1.0", "0.1.0"),
        ("0.2.0.post1.dev12+g0a1b2c3", "0.2.0"),
        ("1.10.3+d20261129", "1.10.3"),
        ("2.0rc1", "2.0"),
    ],
)
def test_the_release_is_the_version_without_the_commits_since(versions, installed, release):
    assert versions(installed) == (installed, release)


def test_the_citation_has_the_fallback_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == FALLBACK


def test_what_every_jobs_client_imports_is_little():
    """No version, which takes metadata of packages and patterns, and nothing else of the package (workflow/warm.py)."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import plumbline.workflow.warm; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    own = {name for name in found if name.startswith("plumbline")}
    assert own == {"plumbline", "plumbline.workflow", "plumbline.workflow.warm"}
    assert not {"re", "importlib.metadata", "inspect", "numpy"} & found
