"""A study outside the checkout: its room is named in the configuration, and nothing of the checkout knows it."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from plumbline.artefacts import read_about
from plumbline.errors import PlumblineError
from plumbline.studies import add_room
from tests import workflow

TABLE, FIGURE = "results/tiny/tables/toy/toy_words.csv", "results/tiny/figures/toy/toy_words.pdf"
WORDS, DATA = "results/tiny/toy/sentiment.json", "results/tiny/data/sentiment/test.parquet"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkout, and beside it a room and a configuration that names it."""
    made = workflow.checkout(tmp_path_factory.mktemp("outside") / "checkout")
    shutil.copytree(workflow.ROOT / "tests/toy", made.parent / "rooms/toy")
    shutil.rmtree(made / "tests/toy")
    return made


def configured(folder, **changes):
    """Write the tiny configuration with the toy study; return its path."""
    block = workflow.configuration(workflow.TINY)
    block |= {"studies": ["../rooms/toy"], "toy": {"dataset": "sentiment"}}
    block |= {"tables": ["toy_words"], "figures": ["toy_words"], "faithfulness": [], **changes}
    block = {key: value for key, value in block.items() if value is not None}
    (folder / "toy.yaml").write_text(yaml.safe_dump(block))
    return "toy.yaml"


def edit(file, old, new):
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.slow
def test_a_study_outside_the_checkout_runs_and_its_edits_rerun_what_depends_on_them(folder):
    room, call = folder.parent / "rooms/toy", ("--configfile", configured(folder), "--", "toy")
    assert workflow.planned(folder, *call) == sorted([DATA, WORDS, TABLE, FIGURE])
    done = workflow.snakemake(folder, "--lint", "--configfile", "toy.yaml")
    assert "Congratulations" in done.stdout, done.stdout
    done = workflow.snakemake(folder, "--cores", "1", *call)
    assert done.returncode == 0, done.stdout
    texts = pd.read_parquet(folder / DATA)["text"]
    mean = sum(len(text.split()) for text in texts) / len(texts)
    assert json.loads((folder / WORDS).read_text())["words"] == pytest.approx(mean)
    assert read_about(folder / WORDS)["dataset"] == "sentiment"
    assert pd.read_csv(folder / TABLE)["words"][0] == pytest.approx(mean, rel=1e-5)
    assert (folder / FIGURE).read_bytes().startswith(b"%PDF")
    assert workflow.planned(folder, *call) == []

    edit(room / "tables/toy_words.py", 'assign(scale=options["scale"])', 'assign(scale="mine")')
    # The figure reads the table, and waits for whether it changes.
    assert workflow.planned(folder, *call) == sorted([TABLE, FIGURE])
    done = workflow.snakemake(folder, "--cores", "1", *call)
    assert done.returncode == 0 and pd.read_csv(folder / TABLE)["scale"][0] == "mine", done.stdout
    edit(room / "figures/toy_words.py", "figure(3, 2)", "figure(3, 3)")
    assert workflow.planned(folder, *call) == [FIGURE]
    edit(room / "words.py", "factor * sum", "1.0 * factor * sum")
    assert workflow.planned(folder, *call) == sorted([WORDS, TABLE, FIGURE])
    configured(folder, toy={"dataset": "sentiment", "factor": 2})
    assert workflow.planned(folder, *call) == sorted([WORDS, TABLE, FIGURE])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"studies": []}, "unknown key 'toy'"),
        ({"studies": ["../rooms/toys"]}, "/rooms/toys is no room of a study: it has no study.py"),
        ({"studies": "../rooms/toy"}, "studies is '../rooms/toy': it must be a list of folders"),
        ({"studies": ["$NOT_SET/toy"]}, "the environment has no $NOT_SET"),
        ({"toy": {"dataset": "sentimant"}}, "toy: unknown dataset 'sentimant': did you mean 'sentiment'?"),
        ({"toy": {"dataset": "sentiment", "factr": 1}}, "unknown key 'factr': did you mean 'factor'?"),
        ({"tables": ["toy_word"]}, "unknown table 'toy_word': did you mean 'toy_words'?"),
        ({"toy": None}, "'toy_words' belongs to the study toy, which this configuration has not"),
    ],
)
def test_faults_of_a_room_outside_are_one_line(folder, changes, line):
    done = workflow.snakemake(folder, "-n", "--configfile", configured(folder, **changes), "--", "toy")
    (said,) = workflow.error_lines(done.stdout)
    assert line in said


@pytest.mark.slow
def test_a_table_of_a_room_outside_has_an_id_of_its_own(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(workflow.ROOT / "tests/toy", other)
    (other / "config.py").unlink()
    rooms = ["../rooms/toy", str(other)]
    done = workflow.snakemake(folder, "-n", "--configfile", configured(folder, studies=rooms), "--", "toy")
    (said,) = workflow.error_lines(done.stdout)
    assert "the studies 'other' and 'toy' both have a table 'toy_words': rename one" in said


def test_a_room_outside_has_an_id_of_its_own(tmp_path):
    for name, line in (("alti", "the id 'alti' is taken by"), ("Toy", "a study's id has small letters")):
        shutil.copytree(workflow.ROOT / "tests/toy", tmp_path / name)
        with pytest.raises(PlumblineError, match=line):
            add_room(tmp_path / name)


@pytest.mark.slow
def test_a_room_outside_leaves_nothing_behind(folder):
    config = configured(folder, studies=None, toy=None, tables=["accuracy"], figures=[])
    assert workflow.planned(folder, "--configfile", config)
    done = workflow.snakemake(folder, "-n", "--configfile", config, "--", "toy")
    assert "no rule makes 'toy'" in workflow.error_lines(done.stdout)[0]
