"""What tests share: the golden files, and the tiny run (its tests are one xdist group, so it is made once)."""

import functools
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
# What takes longest comes first: the default reproduction on one worker, the other runs of Snakemake on another.
FIRST = ("default", "workflow")
# Fixtures that take seconds and serve several files: all tests of one run on one worker, so that it is made once.
COSTLY = {
    "table_inputs": "figures",  # they hold the same studies' artefacts
    "xai_study": "figures",
    **{name: name for name in ("explained_lenet", "trained_lenet", "trained_vim")},
}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Put tests into xdist groups by what they share, and the longest groups first (`--no-loadscope-reorder`).

    What shares nothing across files is one group a file: what its module keeps is made on one worker.
    """
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            costly = [name for name in COSTLY if name in item.fixturenames]
            item.add_marker(pytest.mark.xdist_group(COSTLY[costly[0]] if costly else item.path.stem))

    def place(item):
        groups = [mark.args[0] for mark in item.iter_markers("xdist_group")]
        return min((FIRST.index(group) for group in groups if group in FIRST), default=len(FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A copy of the checkout in which nothing has run; for dry runs alone."""
    from tests import workflow

    return workflow.checkout(tmp_path_factory.mktemp("plain") / "checkout")


@pytest.fixture(scope="session")
def causal_inputs(tmp_path_factory):
    """The artefacts of a small study of causal graphs, for its tables and figures; its tests are one xdist group."""
    from tests import synthetic

    return synthetic.causal(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy of the checkout with the finished tiny run; copy it before changing it."""
    from tests import workflow

    folder = workflow.checkout(tmp_path_factory.mktemp("finished") / "checkout")
    done = workflow.snakemake(folder, "--cores", "2", "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture
def fresh(finished, tmp_path):
    """A copy of the finished tiny run, to change at will."""
    from tests import workflow

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
    from tests import small_images

    return small_images.published_vim()


@pytest.fixture(scope="session")
def trained_vim(tmp_path_factory):
    """A folder with two splits of digits, a Vim trained on them for one epoch, its maps and their faithfulness."""
    from tests import small_images

    return small_images.trained_vim(tmp_path_factory.mktemp("vision"))


@pytest.fixture(scope="session")
def trained_lenet(tmp_path_factory):
    """A LeNet trained a little on digits_half: its folder, the test rows, and the graphs of classes 0 and 3."""
    from tests import small_networks

    return small_networks.trained_lenet(tmp_path_factory.mktemp("causal"))


@pytest.fixture(scope="session")
def hard_graph(trained_lenet):
    """(network, a hard graph of class 3 from 60 images, images, numbers of the right ones)."""
    from tests import small_networks

    return small_networks.hard_graph(trained_lenet)


@pytest.fixture(scope="session")
def explained_lenet(tmp_path_factory):
    """A trained LeNet, its test images and three graphs, on disk."""
    from tests import small_explanations

    return small_explanations.explained_lenet(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def explained_digits(explained_lenet):
    """(model, images, labels, {class: graph}) of the study, the first 4 right ones of each class."""
    from tests import small_explanations

    return small_explanations.explained_digits(explained_lenet)


@pytest.fixture(scope="session")
def written_maps(explained_lenet, tmp_path_factory):
    """Paths of the study's explanations and nodes, and their folder."""
    from tests import small_explanations

    folder = tmp_path_factory.mktemp("written")
    return *small_explanations.write_maps(explained_lenet, folder), folder


@pytest.fixture(scope="session")
def table_inputs(tmp_path_factory):
    """Artefacts of several models and studies, for every table."""
    from tests import table_rows

    return table_rows.table_inputs(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="session")
def made_rows(table_inputs):
    """table -> its rows of `table_inputs`, to change at will; each table is computed once."""
    from plumbline import tables
    from tests.synthetic import OPTIONS

    once = functools.cache(lambda table: tables.module_of(table).rows(table_inputs, OPTIONS))
    return lambda table: once(table).copy()


@pytest.fixture(scope="session")
def xai_study(tmp_path_factory):
    """A folder with the study of attention_meets_xai, and its artefacts."""
    from tests import small_xai

    return small_xai.xai_study(tmp_path_factory.mktemp("study") / "small")


@pytest.fixture
def noted(monkeypatch):
    """A function that returns the list of what a figure's module, by its name, draws from then on."""
    import importlib

    def note(name):
        module, drawn = importlib.import_module(f"plumbline.figures.{name}"), []
        draw = module.draw
        monkeypatch.setattr(module, "draw", lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1])
        return drawn

    return note
