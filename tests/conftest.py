"""What tests share: the golden files, and the tiny run (its tests are one xdist group, so it is made once)."""

from pathlib import Path

import pandas as pd
import pytest

from plumbline.artefacts import write_json
from tests import synthetic, workflow

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A copy of the checkout in which nothing has run; for dry runs alone."""
    return workflow.checkout(tmp_path_factory.mktemp("plain") / "checkout")


@pytest.fixture(scope="session")
def causal_inputs(tmp_path_factory):
    """The artefacts of a small study of causal graphs, for its tables and figures; its tests are one xdist group."""
    return synthetic.causal(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy of the checkout with the finished tiny run; copy it before changing it."""
    folder = workflow.checkout(tmp_path_factory.mktemp("finished") / "checkout")
    done = workflow.snakemake(folder, "--cores", "2", "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def fresh(finished, tmp_path):
    """A copy of the finished tiny run, to change at will."""
    return workflow.copy(finished, tmp_path / "checkout")


@pytest.fixture
def read_as(monkeypatch, tmp_path):
    """A table's module reads these rows and facts of its one model."""

    def patch(module, rows, facts):
        monkeypatch.setattr(module, "seed_rows", lambda items, *_: pd.DataFrame(rows))
        write_json(tmp_path / "metrics.json", facts)
        return [{"dataset": "imagenet", "model": "m", "seed": 0, "path": tmp_path / "metrics.json"}]

    return patch
