"""Isotropy: cosines by the equations, the golden reference's vectors, and a file that does not depend on batches."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification

from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import isotropy
from plumbline.attribution.decomposition import examples, trace
from plumbline.models.encoders import undisturbed
from plumbline.tables import isotropy as table
from plumbline.tables.published import numbers_of
from tests.conftest import GOLDEN
from tests.small_models import ARCHITECTURES, small_batch, small_model
from tests.synthetic import OPTIONS, make, merge
from tests.test_equations import transformed_vectors

pytestmark = pytest.mark.slow


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_measure_follows_the_equations(architecture):
    """Every value once more: hidden states of the model itself, and T_ij formed as a whole."""
    model = small_model(architecture)
    ids, mask, _ = small_batch(architecture)
    lengths = mask.sum(-1).tolist()
    numbers = [40, 7, 9, 13]
    with undisturbed(model):
        layers = trace(model, ids, mask)
        with torch.no_grad():
            hidden = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
    found = isotropy.measure("sst2", numbers, layers, lengths)
    for row, (number, length) in enumerate(zip(numbers, lengths, strict=True)):
        rows = {(vectors, depth): (value, count) for _, vectors, depth, value, count in found[number]}
        assert len(rows) == len(found[number]) == 2 * len(layers) + 1
        for depth, states in enumerate(hidden):
            first, second = isotropy.positions("sst2", number, depth, length)
            states = states[row].double().numpy()
            assert rows["embeddings", depth] == (
                pytest.approx(cosine(states[first], states[second]), abs=1e-5),
                1,
            )
        for depth, layer in enumerate(layers):
            first, second = isotropy.positions("sst2", number, depth, length)
            vectors = transformed_vectors(layer, row, length)[0].double().detach().numpy()
            want = np.mean([cosine(target[first], target[second]) for target in vectors])
            assert rows["transformed", depth] == (pytest.approx(want, abs=1e-4), length)


@pytest.mark.parametrize("name", ["bert", "distilbert"])
def test_golden_vectors(name):
    """The reference's own transformed vectors and hidden states (sentences of 7 tokens)."""
    golden = np.load(GOLDEN / "alti" / f"layers_{name}.npz")
    model = AutoModelForSequenceClassification.from_pretrained(GOLDEN / "alti" / f"tiny-{name}")
    ids = torch.from_numpy(np.load(GOLDEN / "alti" / "inputs.npz")["bert_len7"])
    with undisturbed(model):
        layers = trace(model, ids, torch.ones_like(ids))
    for depth, layer in enumerate(layers):
        for row, example in enumerate(examples(layer, [7] * len(ids))):
            vectors = golden["tv__len7"][row, depth].astype(np.float64)
            for first, second in ((0, 6), (3, 1)):
                ours = isotropy.transformed_cosines(example, first, second)
                want = [cosine(target[first], target[second]) for target in vectors]
                np.testing.assert_allclose(ours.detach(), want, atol=2e-5)
            states = golden["hidden_states__len7"][row, depth].astype(np.float64)
            assert isotropy.cosine(layer.inputs[row, 0], layer.inputs[row, 6]).item() == pytest.approx(
                cosine(states[0], states[6]), abs=1e-5
            )


def test_cosine_of_tiny_and_of_zero_vectors():
    """Attention may leave a vector of 1e-25; its direction counts all the same."""
    vectors = torch.tensor([[3.0, 4.0], [3e-25, 4e-25], [0.0, 0.0]])
    assert isotropy.cosine(vectors[0], vectors).tolist() == pytest.approx([1, 1, 0])


@given(example=st.integers(0, 2**40), layer=st.integers(0, 24), length=st.integers(2, 600))
def test_positions_are_distinct_and_their_own(example, layer, length):
    first, second = drawn = isotropy.positions("sst2", example, layer, length)
    assert first != second
    assert {0 <= place < length for place in drawn} == {True}
    assert drawn == isotropy.positions("sst2", example, layer, length)


def test_positions_cover_all_pairs():
    """No position is preferred, and another data set or layer draws apart."""
    drawn = [tuple(isotropy.positions("sst2", example, 0, 4)) for example in range(2400)]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 12
    assert counts.between(140, 265).all()
    assert drawn != [tuple(isotropy.positions("sst2", example, 1, 4)) for example in range(2400)]
    assert drawn != [tuple(isotropy.positions("imdb", example, 0, 4)) for example in range(2400)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data file, and a model and tokeniser that `load` hands out instead of a folder's."""
    from plumbline.models.tokenisation import train_tokenizer

    draw = np.random.default_rng(5)
    texts = [
        " ".join(draw.choice(["a", "film", "good", "bad", ",", "not"], size=draw.integers(2, 14))) + " ."
        for _ in range(20)
    ]
    rows = {"id": np.arange(20) + 3, "text": texts, "label": np.arange(20) % 2}
    write_rows(tmp_path / "test.parquet", rows, kind="data")
    loaded = small_model("bert"), train_tokenizer("bert", texts, 60)
    monkeypatch.setattr(isotropy, "load", lambda *_: loaded)
    return tmp_path


def written(folder, **settings):
    path = folder / "isotropy.parquet"
    isotropy.write_isotropy(dataset="sst2", model="m", data=folder / "test.parquet", output=path, **settings)
    return read_rows(path)


def test_file_holds_every_layer_and_depends_on_no_batch(folder):
    whole = written(folder)
    assert whole.groupby("id").size().tolist() == [7] * 20  # 3 layers: 4 embeddings, 3 transformed
    assert set(whole["id"]) == set(range(3, 23))
    assert whole["cosine"].between(-1, 1).all()
    single = written(folder, batch_tokens=1)
    pd.testing.assert_frame_equal(single.drop(columns="cosine"), whole.drop(columns="cosine"))
    np.testing.assert_allclose(single["cosine"], whole["cosine"], atol=1e-5)


def test_file_takes_the_first_examples_and_no_cut_one(folder, monkeypatch):
    assert set(written(folder, examples=4)["id"]) == {3, 4, 5, 6}
    short = written(folder, max_tokens=9, longer=None)
    assert 0 < short["id"].nunique() < 20
    assert short["values"].max() <= 9
    monkeypatch.setattr(isotropy, "EXAMPLES", 5)
    assert written(folder)["id"].nunique() == 5
    assert written(folder, within=3)["id"].nunique() == 3


# ------------------------------------------------------------------------------------------------ the table


def test_table_weighs_by_values_as_published_and_by_example_corrected(tmp_path):
    found = merge(make(tmp_path, seeds=(0, 1)), make(tmp_path, model="small", layers=2))
    frame = table.rows(found, OPTIONS)
    stored = pd.concat([read_rows(item["path"]) for item in found["isotropy"] if item["model"] == "bert"])
    for vectors, layers in (("embeddings", 4), ("transformed", 3)):
        own = frame[(frame["model"] == "bert") & (frame["vectors"] == vectors)]
        assert own["layer"].tolist() == sorted([*range(layers)] * 2)
        for row in own.itertuples():
            values = stored[(stored["vectors"] == vectors) & (stored["layer"] == row.layer)]
            weights = values["values"] if row.definition == "published" else None
            assert row.mean == pytest.approx(
                np.average(values["cosine"].astype(float), weights=weights), abs=1e-6
            )
            assert row.lower < row.mean < row.upper
            assert (row.examples, row.seeds) == (12, "0 1")
    wide = frame.pivot_table(index=["model", "vectors", "layer"], columns="definition", values="mean")
    same = np.isclose(wide["corrected"], wide["published"], atol=1e-12)
    assert (same == (wide.index.get_level_values("vectors") == "embeddings")).all()
    assert frame["published_value"].isna().all()


def test_published_numbers_need_as_many_layers(tmp_path):
    hub = {
        "dataset": "sst2",
        "architecture": "distilbert",
        "source": "hub",
        "epochs": 0,
        "oracle": False,
        "methods": (),
        "repo": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "examples": 4,
    }
    frame = table.rows(make(tmp_path, model="six", layers=6, **hub), OPTIONS)
    beside = frame.dropna(subset="published_value")
    assert set(beside["definition"]) == {"published"}
    assert len(beside) == 13
    last = beside[(beside["vectors"] == "transformed") & (beside["layer"] == 5)].iloc[0]
    assert (last["published_value"], last["published_checkpoint"]) == (0.383863, "same")
    text = table.latex(frame, OPTIONS)
    assert "In print: data/distilbert" in text
    assert "0.384" in text
    other = make(tmp_path, model="three", layers=3, **hub)
    assert table.rows(other, OPTIONS)["published_value"].isna().all()
    trained = make(tmp_path, model="own", layers=6, **{**hub, "epochs": 1})
    assert "another checkpoint" in table.latex(table.rows(trained, OPTIONS), OPTIONS)


def test_latex_has_every_number_in_its_own_column(tmp_path):
    """A layer's cells: cosine of embeddings, that in print, transformed vectors over examples and over values, in print."""
    about = {
        "dataset": "sst2",
        "architecture": "distilbert",
        "source": "hub",
        "epochs": 0,
        "oracle": False,
        "methods": (),
        "repo": "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "examples": 4,
    }
    frame = table.rows(make(tmp_path, model="six", layers=6, seeds=(0, 1), **about), OPTIONS)
    lines = [line.split(" & ") for line in table.latex(frame, OPTIONS).splitlines()]
    heads = ["Layer", "cosine", "in print", "over examples", "over all values", r"in print \\"]
    assert heads in lines
    rows = frame.set_index(["layer", "vectors", "definition"])
    for layer in range(6):
        (cells,) = (line[1:] for line in lines if line[0] == str(layer))
        shown = [[float(number) for number in re.findall(r"-?\d\.\d+", cell)] for cell in cells]
        for place, key in (
            (0, ("embeddings", "corrected")),
            (2, ("transformed", "corrected")),
            (3, ("transformed", "published")),
        ):
            row = rows.loc[(layer, *key)]
            assert shown[place] == pytest.approx([row["mean"], row["lower"], row["upper"]], abs=5.1e-4)
        assert shown[2] != shown[3]
        for place, vectors in ((1, "embeddings"), (4, "transformed")):
            assert shown[place] == pytest.approx(
                [rows.loc[(layer, vectors, "published"), "published_value"]], abs=5.1e-4
            )


def test_published_numbers_are_complete():
    layers = {"bert": 12, "distilbert": 6, "roberta": 12}
    for measurement, numbers in numbers_of("isotropy").groupby("measurement"):
        depth = layers[numbers["about"].iloc[0]["architecture"]]
        for vectors, count in (("transformed", depth), ("embeddings", depth + 1)):
            found = numbers[numbers["vectors"] == vectors]["layer"]
            assert found.tolist() == [str(layer) for layer in range(count)], measurement
