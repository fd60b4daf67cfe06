"""What tests share: the golden files, and the tiny run (its tests are one xdist group, so it is made once)."""

from pathlib import Path

import pytest

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
    import pandas as pd

    from plumbline.artefacts import write_json

    def patch(module, rows, facts):
        monkeypatch.setattr(module, "seed_rows", lambda items, *_: pd.DataFrame(rows))
        write_json(tmp_path / "metrics.json", facts)
        return [{"dataset": "imagenet", "model": "m", "seed": 0, "path": tmp_path / "metrics.json"}]

    return patch


@pytest.fixture(scope="session")
def published_vim():
    """(golden outputs, model with the golden weights, its trace, gradients of the predicted logit)."""
    import torch

    from plumbline.models.vim import VisionMamba
    from tests.small_images import thesis

    wanted = thesis("vim_small_forward")
    model = VisionMamba(224, 16, 4, 16, 10)
    model.load_state_dict({key[3:]: value for key, value in wanted.items() if key.startswith("sd/")})
    model.requires_grad_(False).eval()
    trace = []
    logits = model(wanted["image"], trace)
    gradients = torch.autograd.grad(logits.max(), [layer.residual for layer in trace])
    return wanted, model, logits, trace, torch.stack(gradients)


@pytest.fixture(scope="session")
def trained_vim(tmp_path_factory):
    """A folder with two splits of digits, a Vim trained on them for one epoch, its maps and their faithfulness."""
    from plumbline.artefacts import write_rows
    from plumbline.datasets import load, schema_of
    from tests.small_images import vim_on_disk

    root = tmp_path_factory.mktemp("vision")
    for split in ("train", "test"):
        rows = load("digits", split, {"train": 320, "test": 60})
        write_rows(root / f"{split}.parquet", rows, kind=schema_of("digits"))
    vim_on_disk(root)
    return root
