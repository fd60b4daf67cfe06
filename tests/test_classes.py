"""More than two classes, from training to tables and figures: the softmax of all of them, and names of all of them."""

import os
from functools import partial

import numpy as np
import pytest
import torch

from plumbline import figures, tables
from plumbline.agreement import table as agreement_rows
from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import explain
from plumbline.attribution.artefact import write_attributions
from plumbline.datasets import DATASETS, load
from plumbline.faithfulness.artefact import write_faithfulness
from plumbline.models import encoders
from plumbline.models.training import train_job
from tests.synthetic import OPTIONS, compare, make, merge, write_table

pytestmark = pytest.mark.slow

NAMES = ("weights", "architecture", "tokenizer", "tokenizer_config", "metrics")
FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "metrics.json")
FIVE = DATASETS["sst5"].label_names
BLOCK = {"architecture": "bert", "source": "scratch", "layers": 2, "hidden_size": 16, "heads": 2, "feed_forward": 16, "vocabulary": 300,
         "training": {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2, "warmup": 0.0, "weight_decay": 0.0, "max_tokens": None}}  # fmt: skip


def made(folder):
    """Sentences whose one word says which of five classes they are of."""
    words = ("awful", "dull", "plain", "nice", "superb")
    rows = {"id": list(range(200)), "label": [row % 5 for row in range(200)]}
    rows["text"] = [f"film {row % 7} is {words[row % 5]} ." for row in range(200)]
    write_rows(folder / "data.parquet", rows, kind="data")
    return folder / "data.parquet", folder / "data.parquet"


def treebank(folder):
    for split, size in (("train", 600), ("test", 40)):
        block = {"order": "shuffled", split: size}
        write_rows(folder / f"{split}.parquet", load("sst5", split, block), kind="data")
    return folder / "train.parquet", folder / "test.parquet"


mirrored = pytest.mark.skipif(
    not os.environ.get("PLUMBLINE_MIRROR"), reason="set PLUMBLINE_MIRROR to the folder of mirrored data"
)


@pytest.mark.parametrize("source", [made, pytest.param(treebank, marks=mirrored)])
def test_five_classes_from_training_to_tables(source, tmp_path):
    train, test = source(tmp_path)
    outputs = {name: str(tmp_path / "model" / file) for name, file in zip(NAMES, FILES, strict=True)}
    train_job(
        dataset="sst5",
        model="small",
        seed=0,
        block=BLOCK,
        label_names=FIVE,
        train=train,
        evaluation=test,
        split="test",
        checkpoint=None,
        outputs=outputs,
    )
    model, tokenizer = encoders.load(tmp_path / "model")
    assert model.config.id2label == dict(enumerate(FIVE))
    about = {"dataset": "sst5", "model": "small", "seed": 0}
    inputs = {"models": [{**about, "path": outputs["metrics"]}], "attributions": [], "faithfulness": []}
    entry = {"protocol": "standard", "examples": None, "cap": 30}
    for method, readouts in (
        ("attention", ["raw_attention"]),
        ("gradient", ["grad_l2"]),
        ("blankout", ["blankout"]),
        ("controls", ["random"]),
    ):
        files = {kind: tmp_path / kind / f"{method}.parquet" for kind in ("attributions", "faithfulness")}
        write_attributions(
            dataset="sst5",
            model=tmp_path / "model",
            method=method,
            explain=partial(explain, method),
            data=test,
            output=files["attributions"],
            examples=10,
        )
        kept = [name for name in read_rows(files["attributions"]) if name.startswith("scores_")]
        readouts = [
            name.removeprefix("scores_") for name in kept if name.removeprefix("scores_") in readouts
        ] or [kept[0][7:]]
        write_faithfulness(
            model=tmp_path / "model",
            attributions=files["attributions"],
            protocols=[entry | {"readouts": readouts}],
            output=files["faithfulness"],
        )
        for kind, path in files.items():
            inputs[kind].append({**about, "method": method, "path": path})
    rows = read_rows(inputs["attributions"][0]["path"])
    if source is made:
        assert set(rows["target"]) == set(range(5))
    for row in rows.itertuples():
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.input_ids.tolist()])).logits[0].double()
        odds = torch.exp(logits - logits.max())
        assert row.target == int(odds.argmax())
        assert row.probability == pytest.approx(float((odds / odds.sum())[row.target]), abs=1e-5)
    curves = read_rows(inputs["faithfulness"][-1]["path"])
    assert all(np.all((curve >= 0) & (curve <= 1)) for curve in curves["probability"])
    vectors = {"random": list(rows_of(inputs, "controls")), "blankout": list(rows_of(inputs, "blankout"))}
    assert len(agreement_rows(vectors, resamples=20, level=0.95, seed=0))
    for name in ("comp_suff", "accuracy"):
        paths = [tmp_path / f"{name}.{ending}" for ending in ("csv", "tex")]
        write_table(name, inputs, OPTIONS, *paths)
        assert "SST-5" in paths[1].read_text() or "sst5" in paths[0].read_text()


def rows_of(inputs, method):
    path = next(item["path"] for item in inputs["attributions"] if item["method"] == method)
    frame = read_rows(path)
    return frame[next(name for name in frame if name.startswith("scores_"))]


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    run = {"dataset": "sst5", "oracle": False}
    found = merge(
        make(root, **run, seeds=(0, 1)), make(root, **run, model="distilbert", architecture="distilbert")
    )
    found |= compare(root, found, ("sst5", "bert", "distilbert"))
    shown_tables = {}
    needed = {
        need.removeprefix("tables/").rstrip("?")
        for name in OF_TEXTS["figures"]
        for need in figures.FIGURES[name].needs
    }
    for name in sorted(
        name for name in needed & set(OF_TEXTS["tables"]) if tables.TABLES[name].per == "study"
    ):
        paths = [root / "tables" / f"{name}.{ending}" for ending in tables.TABLES[name].formats]
        write_table(name, found, OPTIONS, *paths)
        shown_tables[f"tables/{name}"] = [{"path": paths[0]}]
    return found | shown_tables


TEXT_STUDIES = ("alti", "selective_rollout")
OF_TEXTS = {
    kind: [name for name, study in registry.studies.items() if study in TEXT_STUDIES]
    for kind, registry in (("tables", tables.TABLES), ("figures", figures.FIGURES))
}


def options_of(entry):
    about = {"dataset": "sst5", "model": "bert"} if entry.per != "study" else {}
    return {**OPTIONS, **about, **({"seed": 0} if entry.per == "seed" else {})}


def shown(inputs, entry):
    """The inputs of an output: of one model or seed where it shows one."""
    if entry.per == "study":
        return inputs
    return {
        stage: [
            item
            for item in items
            if item.get("model") in (None, "bert") and (entry.per != "seed" or item.get("seed") in (None, 0))
        ]
        for stage, items in inputs.items()
    }


@pytest.mark.parametrize(
    "name", [name for name in OF_TEXTS["tables"] if name != "rationale"]
)  # of known truth alone
def test_tables_of_five_classes(artefacts, tmp_path, name):
    entry = tables.TABLES[name]
    paths = [tmp_path / f"{name}.{ending}" for ending in entry.formats]
    write_table(name, shown(artefacts, entry), options_of(entry), *paths)
    assert paths[0].read_text().count("\n") > 1
    if name == "saliency":
        assert all(label in paths[0].read_text() for label in FIVE[:1])


@pytest.mark.parametrize("name", OF_TEXTS["figures"])
def test_figures_of_five_classes(artefacts, tmp_path, name):
    entry = figures.FIGURES[name]
    figures.write(name, shown(artefacts, entry), options_of(entry), [tmp_path / "figure.png"])
    assert (tmp_path / "figure.png").stat().st_size > 1000
