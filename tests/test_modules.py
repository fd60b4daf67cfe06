"""What a job's result depends on: every file of the package is in some job's code, or provably shapes no number."""

import ast
import re
import shutil
import subprocess
import sys

import pytest

from plumbline import modules
from plumbline.agreement import METRICS
from plumbline.config import registries
from plumbline.theory.experiments import EXPERIMENTS
from tests.workflow import ROOT

PACKAGE = ROOT / "src/plumbline"
# Tools that people call, and what the public API alone reaches: no job runs them.
NO_JOB = {
    "theory/landed.py",
    "causal/quantus_adapter.py",
    "causal/__init__.py",
    "theory/__init__.py",
    "models/__init__.py",
    "datasets/mirror.py",
    "__init__.py",
    "__main__.py",
    "config_types.py",
}


def script(name):
    return ROOT / f"scripts/{name}.py"


def code(name, *dynamic):
    """Paths below the package, or `schemas/...` and `scripts/...`, of a job's files."""
    found = modules.job_files(script(name), *dynamic)
    return {re.sub(r".*/(?=scripts/)|.*/plumbline/", "", file) for file in found}


def every_job():
    """(script, what the rules name beside it) of every kind of job, with each entry of its registry."""
    kinds = registries()
    named = {
        "attributions": [(f"attribution.{name}",) for name in kinds["methods"]],
        "faithfulness": [(f"faithfulness.{name}",) for name in kinds["protocols"]],
        "contributions": [(f"attribution.{name}",) for name in kinds["methods"]],
        "agreement": [tuple(f"agreement.{name}" for name in METRICS)],
        "consistency": [tuple(f"agreement.{name}" for name in METRICS)],
        "released_seeds": [tuple(f"agreement.{name}" for name in METRICS)],
        "theory": [(f"theory.{name}",) for name in EXPERIMENTS.values()],
        "data": [
            (f"datasets.{name}", f"schemas/{kind}")
            for name in kinds["datasets"]
            for kind in ("data", "images")
        ],
        "image_model": [(f"datasets.{name}",) for name in kinds["datasets"]],
        "table": [(f"tables.{name}",) for name in kinds["tables"]],
        "figure": [(f"figures.{name}",) for name in kinds["figures"]],
        "gather": [("schemas/attributions",), ("schemas/faithfulness",)],
    }
    for path in sorted(ROOT.glob("scripts/*.py")):
        if path.stem not in (
            "download_dataset",
            "download_model",
            "mirror",
        ):  # of these the script alone counts
            for names in named.get(path.stem, [()]):
                yield path.stem, names


@pytest.mark.slow
def test_every_file_is_in_some_jobs_code_or_named():
    reached = set().union(*(code(name, *names) for name, names in every_job()))
    files = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}
    untracked = {f"{name.replace('.', '/')}.py" for name in modules.UNTRACKED}
    # Nor do the workflow's own parts and what a study's room says of the configuration.
    planning = {
        file
        for file in files
        if file.startswith(("workflow/", "studies/")) and not re.search(r"/(tables|figures)/", file)
    }
    assert not planning & reached
    assert files - planning - reached == (untracked | NO_JOB) - planning
    assert {f"schemas/artefacts/{path.name}" for path in PACKAGE.glob("schemas/artefacts/*.yaml")} <= reached


@pytest.mark.slow
def test_what_is_not_tracked_computes_nothing():
    """No numerical library, no rounding, no products: values can only pass through."""
    for name in modules.UNTRACKED:
        tree = ast.parse((PACKAGE / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8"))
        imported = {
            part.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for part in (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
        }
        assert not imported & {"numpy", "scipy", "torch", "pandas", "statistics", "random"}, name
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"round", "sum", "pow"}, name


@pytest.mark.parametrize(
    "kind", ["float32", "float64", "int64", "int32", "int8", "uint8", "string", "bool", "list<float32>"]
)
def test_artefacts_hand_values_through(tmp_path, monkeypatch, kind):
    """Which is why `artefacts` need not be tracked: what is written is what is read, at every type and across row groups."""
    import numpy as np

    from plumbline import artefacts

    monkeypatch.setattr(artefacts, "ROW_GROUP", 7)
    monkeypatch.setattr(artefacts, "schema", lambda _: {"columns": {"value": {"type": kind}}})
    draw = np.random.default_rng(0)
    numbers = draw.standard_normal(40).astype("float32" if "32" in kind else "float64")
    values = {
        "string": [str(number) for number in numbers],
        "bool": (numbers > 0).tolist(),
        "list<float32>": [numbers[: place % 5].tolist() for place in range(40)],
    }.get(kind)
    if values is None:
        values = (numbers if "float" in kind else draw.integers(0, 100, 40)).tolist()
    artefacts.write_rows(tmp_path / "rows.parquet", {"value": values}, kind="any")
    assert [row["value"] for row in artefacts.read_records(tmp_path / "rows.parquet")] == values
    assert [row["value"] for row in artefacts.stream_records(tmp_path / "rows.parquet")] == values


@pytest.mark.parametrize(
    ("name", "dynamic", "holds", "lacks"),
    [
        # The origin of every draw; how many digits a table has; the types of an artefact's columns.
        ("attributions", ("attribution.controls",), {"seeds.py", "schemas/artefacts/attributions.yaml"}, {"attribution/alti.py"}),
        ("table", ("tables.comp_suff",), {"tables/__init__.py", "stats.py", "seeds.py"}, {"models/encoders.py", "studies/alti/tables/agreement.py"}),
        ("figure", ("figures.token_heatmap",), {"figures/__init__.py", "figures/style.py"}, {"attribution/__init__.py"}),
        ("agreement", (), {"collect.py", "seeds.py", "schemas/artefacts/agreement.yaml"}, {"attribution/__init__.py"}),
        ("data", ("datasets.sst2", "schemas/data"), {"datasets/__init__.py", "datasets/raw.py", "schemas/artefacts/data.yaml"}, {"datasets/imdb.py"}),
        ("faithfulness", ("faithfulness.mask",), {"work.py", "faithfulness/mask.py"}, {"faithfulness/standard.py"}),
        ("gather", ("schemas/faithfulness",), {"work.py", "schemas/artefacts/faithfulness.yaml"}, set()),
    ],
)  # fmt: skip
def test_holes_that_were(name, dynamic, holds, lacks):
    found = code(name, *dynamic)
    assert holds <= found
    assert not lacks & found


def test_imports_of_every_form_are_seen(tmp_path, monkeypatch):
    root = tmp_path / "src/plumbline"
    for name, text in {
        "__init__": "",
        "a": "import plumbline.b\n",
        "b": "def f():\n    from plumbline import c\n",
        "c": "from plumbline.d import X\n",
        "d": "from .e import y\nX = 1\n",
        "e": "y = 2\n",
        "p/__init__": "from ..f import z\nTWO = 2\n",
        "f": "",
        "g": "from .p import TWO\n",
        "h": "from .p import z\n",
        "errors": "from .f import z\n",
        "i": "from .errors import z\n",
        "j": "x = 1; from .f import z\n",
        "k": "from .f import \\\n    z\n",
        "l": "from .f import (  # one\n    z,\n)\nfrom .b import f  # another\n",
        "m": "from .f import z\n# To import d as well: from .d import X\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.py").write_text(text)
    monkeypatch.setattr(modules, "ROOT", root)

    def clear():
        for found in (modules._path, modules._tracked, modules._imports, modules._reached):
            found.cache_clear()

    def of(name):
        clear()
        return sorted(file.removeprefix(f"{root}/") for file in modules.job_files(root / f"{name}.py"))

    assert of("a") == [
        "a.py",
        "b.py",
        "c.py",
        "d.py",
    ]  # a constant of d; what d imports for its functions does not matter
    assert of("d") == ["d.py", "e.py"]
    assert of("g") == ["g.py", "p/__init__.py"]
    assert of("h") == ["f.py", "h.py", "p/__init__.py"]
    assert of("i") == ["i.py"]
    assert of("j") == ["f.py", "j.py"]
    assert of("k") == ["f.py", "k.py"]
    assert of("l") == ["b.py", "c.py", "d.py", "f.py", "l.py"]
    assert of("m") == ["f.py", "m.py"]  # what a comment says is no statement
    clear()


def test_modules_imported_by_name_are_those_that_the_rules_name():
    """importlib's calls, which reading imports does not see: each has its rule, above in `every_job`."""
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\bimport_module\(", path.read_text(encoding="utf-8"))
    }
    packages = {
        f"{name}/__init__.py"
        for name in ("attribution", "agreement", "datasets", "tables", "figures", "theory", "causal")
    }
    assert found == packages | {
        "registry.py",
        "faithfulness/protocols.py",
        "attribution/contributions.py",
        "agreement/consistency.py",
        "theory/experiments.py",
        "workflow/warm.py",  # before any job, all modules
        "studies/__init__.py",  # what a room says of the configuration, which no job reads
    }


@pytest.mark.slow
def test_the_list_is_read_in_a_copy_too(tmp_path):
    """The files are found from the package's own place, wherever the checkout lies."""
    shutil.copytree(PACKAGE, tmp_path / "src/plumbline", ignore=shutil.ignore_patterns("__pycache__"))
    ask = f"from plumbline.modules import job_files; print(*job_files({str(script('gather'))!r}, 'schemas/faithfulness'))"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path / "src",
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(tmp_path / "src")},
    )
    assert str(tmp_path / "src/plumbline/schemas/artefacts/faithfulness.yaml") in done.stdout.split()


@pytest.mark.parametrize("kind", ["methods", "protocols", "datasets", "tables", "figures", "agreement"])
def test_the_text_of_an_entry_is_the_same_in_every_process(kind):
    """Tables and figures depend on a digest of it (workflow/code_digest.py)."""
    entries = METRICS if kind == "agreement" else registries()[kind]
    assert " at 0x" not in repr(list(entries.values()))
