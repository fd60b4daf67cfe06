"""`python -m plumbline new`: what it writes works as it is, in its place and nowhere else."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from plumbline.__main__ import KINDS
from plumbline.attribution import READOUTS, method_of
from plumbline.collect import short_label
from plumbline.figures import FIGURES, style
from tests import workflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

# What the lines that the command prints ask for, and a model that is soon trained.
CONFIG = {
    "scale": "new",
    "datasets": {"my_dataset": {"source": "generated"}},
    "models": {
        "tiny": {"architecture": "bert", "source": "scratch", "layers": 2, "hidden_size": 32, "heads": 2, "feed_forward": 64,
                 "vocabulary": 300, "training": {"epochs": 4, "batch_size": 16, "learning_rate": 3.0e-3}},
    },
    "runs": [{"dataset": "my_dataset", "model": "tiny", "seeds": [0, 1], "split": "test", "examples": 10,
              "methods": ["my_method", "attention", "ig"]}],
    "faithfulness": [{"protocol": "standard"}, {"protocol": "my_protocol"}],
    "tables": ["comp_suff", "my_table", "accuracy"], "figures": ["my_figure"],
    "attention_meets_xai": None, "network_diffusion": None, "explainn": None, "selective_rollout": None,
    "released_seeds": None, "bootstrap": {"resamples": 100},
}  # fmt: skip


def new(folder, *words):
    """A finished call of the command in a checkout."""
    return subprocess.run(
        [sys.executable, "-m", "plumbline", "new", *words],
        cwd=folder,
        text=True,
        capture_output=True,
        env=workflow.environment(PYTHONPATH=str(folder / "src")),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkout with one new entry of every kind, and what the calls said."""
    folder = workflow.checkout(tmp_path_factory.mktemp("new"))
    said = {}
    for kind in KINDS:
        done = new(folder, kind, f"my_{kind}")
        assert done.returncode == 0, done.stderr
        said[kind] = done.stdout
    return folder, said


def test_each_new_entry_is_one_file_and_clean(made):
    folder, said = made
    before = {str(file.relative_to(workflow.ROOT)) for file in workflow.ROOT.glob("src/plumbline/**/*.py")}
    after = {str(file.relative_to(folder)) for file in folder.glob("src/plumbline/**/*.py")}
    assert len(after - before) == len(KINDS)
    assert all(f"/my_{kind}.py is written" in text for kind, text in said.items())
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *sorted(after - before)],
        cwd=folder,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout


def test_new_entries_run_from_data_to_figure(made):
    folder, _ = made
    (folder / "new.yaml").write_text(yaml.safe_dump(CONFIG))
    done = workflow.snakemake(folder, "--cores", "2", "--configfile", "new.yaml")
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"^plumbline: models: 2 jobs, \d+ CPU-seconds, at most \d+ MB$", done.stdout, re.M)
    results = folder / "results/new"
    accuracy = pd.read_csv(results / "tables/alti/accuracy.csv")
    assert accuracy["accuracy"].min() > 0.9
    frame = pd.read_csv(results / "tables/alti/my_table.csv")
    assert {"my_method", "attention_mean", "ig_l2", "random"} & set(frame["readout"]) >= {
        "my_method",
        "random",
    }
    # The same numbers as the table of which it shows a part.
    whole = pd.read_csv(results / "tables/alti/comp_suff.csv")
    whole = whole[(whole["protocol"] == "standard") & (whole["kind"] == "comp")].set_index("readout")
    for row in frame.itertuples():
        assert row.mean == pytest.approx(whole.loc[row.readout, "mean"], rel=1e-5), row.readout
    assert "my_protocol" in set(pd.read_csv(results / "tables/alti/comp_suff.csv")["protocol"])
    assert (results / "figures/alti/my_figure.png").stat().st_size > 10_000
    # The length of a word's embedding does not depend on the sentence.
    rows = pd.read_parquet(results / "attributions/my_dataset/tiny/seed0/my_method.parquet")
    lengths = {}
    for tokens, scores in zip(rows["tokens"], rows["scores_my_method"], strict=True):
        for token, score in zip(tokens, scores, strict=True):
            lengths.setdefault(token, []).append(score)
    assert len(lengths) > 8
    assert all(np.ptp(values) < 1e-6 for values in lengths.values())


# Draws each figure of several methods from made artefacts, and prints each one's texts and each readout's look.
DRAW = """
import importlib, json, sys
from pathlib import Path
from matplotlib.text import Text
from plumbline.attribution import READOUTS
from plumbline.figures import FIGURES, style
from tests.synthetic import OPTIONS, compare, make, merge, with_tables

root = Path(sys.argv[1])
bert = make(root, seeds=(0, 1), examples=4)
other = make(root, model="distilbert", architecture="distilbert", examples=4)
inputs = merge(bert, other) | compare(root, merge(bert, other), ("sentiment", "bert", "distilbert"))
inputs = with_tables(root, inputs, studies=("alti",))
texts = {}
for name, entry in FIGURES.items():
    if FIGURES.studies[name] != "alti":
        continue
    drawn = importlib.import_module(f"plumbline.figures.{name}").draw(inputs, OPTIONS | {"dataset": "sentiment", "model": "bert"})
    # Titles of seed_matrices say a mean behind the label.
    texts[name] = [text.get_text().split(": ")[0] for text in drawn.findobj(Text)]
print(json.dumps({"texts": texts, "looks": {name: style.mark(name) for name in READOUTS}}))
"""


def test_a_new_method_is_in_every_figure_of_methods_and_changes_no_look(made, tmp_path):
    """A figure of methods names two of them at least. Matrices alone need a method that is a product of layers."""
    folder, _ = made
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path)],
        cwd=workflow.ROOT,
        text=True,
        capture_output=True,
        env=workflow.environment(PYTHONPATH=f"{folder / 'src'}:{workflow.ROOT}"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    labels = {short_label(readout): method_of(readout).id for readout in READOUTS}
    named = {
        name: {labels[text] for text in texts if text in labels} for name, texts in found["texts"].items()
    }
    comparing = {name for name, methods in named.items() if len(methods) > 1} - {"contributions"}
    # Released files have no other methods than theirs.
    comparing = {name for name in comparing & FIGURES.keys() if FIGURES[name].needs != ("released",)}
    assert {
        "token_heatmap",
        "deletion_curves",
        "special_tokens",
        "seed_matrices",
        "seed_consistency",
    } < comparing
    assert [name for name in comparing if "My method" not in found["texts"][name]] == []
    looks = json.loads(json.dumps({readout: style.mark(readout) for readout in READOUTS}))
    assert {readout: found["looks"][readout] for readout in READOUTS} == looks
    assert found["looks"]["my_method"] not in looks.values()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("methd", "mine"), "unknown kind 'methd': did you mean 'method'?"),
        (("method", "alti"), "there is a method 'alti' already: choose another id"),
        (("method", "My-Method"), "id 'My-Method': expected small letters, digits and _, a letter first"),
        (("table", "mine", "--study", "alty"), "unknown study 'alty': did you mean 'alti'?"),
        (("metric", "my_metric"), "there is a metric 'my_metric' already: choose another id"),
    ],
)
def test_what_cannot_be_made_is_one_line(made, words, said):
    folder, _ = made
    done = new(folder, *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"plumbline: error: {said}") and done.stderr.count("\n") == 1
