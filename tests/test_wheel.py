"""The package without its checkout: a wheel is built, installed into an empty folder, and used from another one."""

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests import workflow

pytestmark = pytest.mark.slow

# Runs where the wheel is all there is of the project, and prints what it finds as JSON.
USE = """
import importlib, json, pkgutil, sys

import numpy as np
import torch
import transformers
import yaml

import plumbline

modules = [plumbline.__name__]
for info in pkgutil.walk_packages(plumbline.__path__, "plumbline."):
    module = importlib.import_module(info.name)
    modules.append(module.__name__)
    assert module.__file__.startswith(sys.argv[1]), module.__file__

from plumbline.artefacts import schema
from plumbline.attribution import attribute
from plumbline.datasets.multiberts import matrices
from plumbline.tables.published import numbers_of
from plumbline.workflow.config import validate

torch.manual_seed(0)
config = transformers.BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
                                 intermediate_size=32, max_position_embeddings=40)
model = transformers.BertForSequenceClassification(config).eval()
ids = torch.tensor([[2, 11, 12, 13, 3]])
scores = attribute(model, ids, torch.ones_like(ids), method="alti")
with open(sys.argv[2], encoding="utf-8") as file:
    given = yaml.safe_load(file)
print(json.dumps({
    "modules": modules,
    "scores": np.asarray(scores).tolist(),
    "scale": validate(given)["scale"],
    "columns": list(schema("attributions")["columns"]),
    "published": len(numbers_of("comp_suff")),
    "matrices": {name: list(found.shape) for name, found in matrices().items()},
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy without .git, as of an unpacked tarball."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = workflow.checkout(folder / "checkout")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(sources)]
    # Where what builds it is installed, no package index is asked.
    if all(importlib.util.find_spec(name) for name in ("setuptools", "setuptools_scm")):
        command.append("--no-build-isolation")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(sources)
    (found,) = folder.glob("plumbline-*.whl")
    return found


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = workflow.ROOT / "src/plumbline"
    wanted = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("plumbline/")}
    assert held == wanted


def test_the_wheel_works_without_the_checkout(wheel, tmp_path):
    target, place = tmp_path / "target", tmp_path / "place"
    place.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
    )
    shutil.copy(workflow.ROOT / workflow.TINY, place / "config.yaml")
    done = subprocess.run(
        [sys.executable, "-c", USE, str(target), str(place / "config.yaml")],
        cwd=place,
        capture_output=True,
        text=True,
        env={
            **workflow.environment(),
            "PYTHONPATH": str(target),
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    package = workflow.ROOT / "src/plumbline"
    sources = {path for path in package.rglob("*.py") if "__pycache__" not in path.parts}
    assert len(found["modules"]) == len(sources)
    (scores,) = found["scores"]
    assert len(scores) == 5
    assert all(score >= 0 for score in scores)
    assert abs(sum(scores) - 1) < 1e-5  # a row of shares
    assert found["scale"] == "tiny"
    assert {"id", "tokens", "target"} <= set(found["columns"])
    assert found["published"] > 0
    assert set(map(tuple, found["matrices"].values())) == {(10, 10)}
