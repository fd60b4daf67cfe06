"""Sentence pairs through the stages: training, attributions, faithfulness; separators and segments by hand."""

from functools import partial

import numpy as np
import pytest
import torch

from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import explain
from plumbline.attribution.artefact import write_attributions
from plumbline.attribution.contributions import write_contributions
from plumbline.errors import PlumblineError
from plumbline.faithfulness.artefact import write_faithfulness
from plumbline.models.encoders import load
from plumbline.models.tokenisation import tokenise, train_tokenizer
from tests.test_models import SMALL, TRAINING, train


def pairs(path, rows=160):
    """Label 1 where the second text says that the first one's place is good."""
    words = ["bad", "good"]
    columns = {
        "id": list(range(rows)),
        "label": [row % 2 for row in range(rows)],
        "text": [f"the place {row % 7} ?" for row in range(rows)],
        "text_pair": [f"it is {words[row % 2]} ." for row in range(rows)],
        "rationale": [[0, 0, 0, 0, 0, 0, 1, 0]] * rows,
    }
    write_rows(path, columns, kind="data")
    return path


@pytest.fixture(scope="module", params=["bert", "roberta", "distilbert"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    data = pairs(folder / "data.parquet")
    facts = train(
        folder, data, block=SMALL | {"architecture": request.param}, training=TRAINING | {"epochs": 10}
    )
    return request.param, folder, data, facts


def inputs_of(architecture, tokenizer, text, pair):
    """A pair's token ids and types, put together by hand."""
    first, second = (tokenizer(part, add_special_tokens=False).input_ids for part in (text, pair))
    cls, sep = [tokenizer.cls_token_id], [tokenizer.sep_token_id]
    middle = sep * (2 if architecture == "roberta" else 1)
    ids = [*cls, *first, *middle, *second, *sep]
    types = [0] * (1 + len(first) + len(middle)) + [int(architecture == "bert")] * (len(second) + 1)
    return ids, types


@pytest.mark.slow
def test_a_model_learns_from_the_second_text(trained):
    _, _, _, facts = trained
    assert facts["accuracy"] == 1


@pytest.mark.slow
def test_attributions_and_curves_of_pairs(trained, tmp_path):
    architecture, folder, data, _ = trained
    model, tokenizer = load(folder)
    file, output = tmp_path / "gradient.parquet", tmp_path / "curves.parquet"
    about = {"dataset": "toy", "model": folder, "data": data, "examples": 5}
    write_attributions(method="gradient", explain=partial(explain, "gradient"), output=file, **about)
    protocols = [{"protocol": "standard", "readouts": ["grad_l2"], "examples": None, "cap": 30}]
    write_faithfulness(model=folder, attributions=file, protocols=protocols, output=output)
    rows, texts = read_rows(file), read_rows(data)
    assert ("token_type_ids" in rows) == (architecture == "bert")
    found = read_rows(output).set_index(["id", "kind"])
    for row in rows.itertuples():
        ids, types = inputs_of(architecture, tokenizer, texts["text"][row.id], texts["text_pair"][row.id])
        assert list(row.input_ids) == ids
        given = {"input_ids": torch.tensor([ids])}
        if architecture == "bert":
            assert list(row.token_type_ids) == types
            given["token_type_ids"] = torch.tensor([types])
        with torch.no_grad():
            chance = model(**given).logits.softmax(-1)[0, row.target].item()
        assert row.probability == pytest.approx(chance, abs=1e-5)
        special = ids.count(tokenizer.cls_token_id) + ids.count(tokenizer.sep_token_id)
        comp, suff = found.loc[(row.id, "comp")], found.loc[(row.id, "suff")]
        assert comp["probability"][0] == pytest.approx(chance, abs=1e-5)
        # Special tokens alone, those between the texts among them.
        assert suff["removed"][0] == len(ids) - special
        kept = [place for place, token in enumerate(ids) if token in tokenizer.all_special_ids]
        bare = {name: values[:, kept] for name, values in given.items()}
        with torch.no_grad():
            left = model(**bare).logits.softmax(-1)[0, row.target].item()
        assert suff["probability"][0] == pytest.approx(left, abs=1e-5)


@pytest.mark.slow
def test_contributions_of_pairs(trained, tmp_path):
    _, folder, data, _ = trained
    about = {"model": folder, "data": data, "examples": 5}
    methods = {"alti": {"readouts": ["alti"], "parameters": {}}}
    write_contributions(methods=methods, output=tmp_path / "c.parquet", wanted=[1], **about)
    write_attributions(
        method="alti", explain=partial(explain, "alti"), dataset="toy", output=tmp_path / "a.parquet", **about
    )
    matrix = read_rows(tmp_path / "c.parquet")["matrix"].iloc[-1]
    scores = read_rows(tmp_path / "a.parquet")["scores_alti"][1]
    np.testing.assert_allclose(matrix.reshape(len(scores), -1)[0], scores, atol=1e-5)


def test_rationales_and_limits_of_pairs():
    rows = [
        {
            "id": 0,
            "text": "a good film",
            "text_pair": "it is dull",
            "label": 0,
            "rationale": [0, 1, 0, 0, 0, 1],
        }
    ]
    for architecture in ("bert", "roberta"):
        tokenizer = train_tokenizer(architecture, ["a good film it is dull"] * 3, 400)
        (example,) = tokenise(rows, tokenizer, limit=60, segments=2)
        names = tokenizer.convert_ids_to_tokens(example.ids.tolist())
        said = [name for name, flag in zip(names, example.rationale, strict=True) if flag]
        assert "".join(said).replace("##", "").replace("Ġ", "") == "gooddull"
        most = len(example.ids) - 2
        (cut,) = tokenise(rows, tokenizer, limit=most, segments=2, too_long="truncate")
        assert cut.cut == 2
        assert cut.ids.tolist() == [*example.ids[: most - 1], example.ids[-1]]
        if architecture == "bert":
            assert cut.types.tolist() == [*example.types[: most - 1], 1]
        with pytest.raises(PlumblineError, match="nothing of the second text of example 0"):
            tokenise(rows, tokenizer, limit=5, segments=2, too_long="truncate")
    with pytest.raises(PlumblineError, match="text of example 0 is empty"):
        tokenise([rows[0] | {"text_pair": " "}], tokenizer, limit=60)


def test_texts_alone_have_no_segments(tmp_path):
    tokenizer = train_tokenizer("bert", ["a good film"] * 3, 100)
    (example,) = tokenise([{"id": 0, "text": "a good film", "label": 0}], tokenizer, limit=60, segments=2)
    assert example.types is None
