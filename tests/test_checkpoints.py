"""Foreign checkpoints: read whole, or one line that says what is missing. Nothing is left random and nothing is unpickled."""

import argparse
import importlib.util
import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from plumbline.errors import PlumblineError
from plumbline.models.checkpoint import (
    check_folder,
    checkpoint_folder,
    read_model,
    read_tokenizer,
    to_safetensors,
)
from plumbline.models.encoders import load
from plumbline.models.image_models import published_weights
from plumbline.models.tokenisation import tokenise
from plumbline.models.training import initial
from plumbline.models.vit import released_weights
from tests.small_models import ARCHITECTURES, small_model
from tests.test_models import SMALL, toy, train, train_as_it_is

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 437955512\n"
NAMES = ("negative", "positive")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trained two-class BERT with its tokeniser, and the data that it knows."""
    folder = tmp_path_factory.mktemp("finished")
    data = toy(folder / "data.parquet")
    train(folder / "model", data)
    return folder / "model", data


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "checkpoint")


def change(folder, **facts):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | facts))


def weights(folder, changed):
    """Write the folder's weights anew as `changed` makes them of name -> tensor."""
    held = load_file(folder / "model.safetensors")
    save_file(changed(held), folder / "model.safetensors", metadata={"format": "pt"})


def as_pickle(folder, changed=lambda held: held):
    torch.save(changed(load_file(folder / "model.safetensors")), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without(part):
    return lambda held: {name: tensor for name, tensor in held.items() if part not in name}


def taken(folder, data, out, **block):
    block = {"architecture": "bert", "source": "directory", "directory": str(folder)} | block
    return train_as_it_is(out, data, block, NAMES)


def head_of(width):
    return lambda held: (
        held
        | {
            "classifier.weight": torch.ones(width, SMALL["hidden_size"]),
            "classifier.bias": torch.ones(width),
        }
    )


def classes(folder, width):
    weights(folder, head_of(width))
    change(
        folder,
        id2label={str(label): f"LABEL_{label}" for label in range(width)},
        label2id={f"LABEL_{label}": label for label in range(width)},
    )


DAMAGE = {
    "headless": (lambda folder: weights(folder, without("classifier")), ("classifier.weight", "set `training`")),
    "pooler gone": (lambda folder: weights(folder, without("pooler")), ("bert.pooler.dense",)),
    "one layer norm gone": (lambda folder: weights(folder, without("output.LayerNorm.bias")), ("LayerNorm.bias",)),
    "a layer more in config.json": (lambda folder: change(folder, num_hidden_layers=2), ("lacks weights", "layer.1.")),
    "a layer less in config.json": (lambda folder: change(folder, num_hidden_layers=0), ("layer.0.", "config.json has not")),
    "another width": (lambda folder: change(folder, intermediate_size=32), ("another shape", "32x16")),
    "three classes": (lambda folder: classes(folder, 3), ("tells 3 classes apart, the data has 2",)),
    "one class": (lambda folder: classes(folder, 1), ("tells 1 classes apart",)),
    "a head of other classes than said": (lambda folder: weights(folder, head_of(3)), ("another shape", "classifier.weight 3x16 for 2x16")),
    "weights are a pointer": (lambda folder: (folder / "model.safetensors").write_text(POINTER), ("Git LFS pointer", "git lfs pull")),
    "tokeniser is a pointer": (lambda folder: (folder / "tokenizer.json").write_text(POINTER), ("tokenizer.json is a Git LFS pointer",)),
    "config is a pointer": (lambda folder: (folder / "config.json").write_text(POINTER), ("config.json is a Git LFS pointer",)),
    "cut off": (lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:500]), ("damaged",)),
    "empty": (lambda folder: (folder / "model.safetensors").write_bytes(b""), ("damaged",)),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), ("has no weights",)),
    "no tokeniser": (lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")], ("has no tokeniser",)),
    "vocab.json alone": (lambda folder: ((folder / "vocab.json").write_text("{}"), (folder / "tokenizer.json").unlink()), ("merges.txt",)),
    "damaged tokeniser": (lambda folder: (folder / "tokenizer.json").write_text("{}"), ("tokeniser in",)),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), ("config.json is not read",)),
    "config of a list": (lambda folder: (folder / "config.json").write_text("[]"), ("config.json is not read",)),
    "config of no type": (lambda folder: (folder / "config.json").write_text("{}"), ("config.json is not read",)),
    "a pickle of objects": (lambda folder: as_pickle(folder, lambda held: {"args": argparse.Namespace(), **held}), ("more than tensors",)),
    "a pickle of numbers": (lambda folder: as_pickle(folder, lambda held: {**held, "epoch": 3}), ("does not hold a model's weights",)),
    "a pickle of a list": (lambda folder: as_pickle(folder, lambda held: list(held.values())), ("does not hold a model's weights",)),
    "None for a weight": (lambda folder: as_pickle(folder, lambda held: held | {"classifier.bias": None}), ("lacks weights", "classifier.bias")),
    "a pickle that is a pointer": (lambda folder: (as_pickle(folder), (folder / "pytorch_model.bin").write_text(POINTER)), ("Git LFS pointer",)),
    "a shard is missing": (lambda folder: (folder / "model.safetensors").rename(folder / "other")
                           and (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}'), ("lacks model-1",)),
    "classes in another order": (lambda folder: change(folder, id2label={"0": "POSITIVE", "1": "NEGATIVE"}, label2id={"POSITIVE": 0, "NEGATIVE": 1}), ("set `label_order: [1, 0]`",)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_taken_as_it_is_has_to_be_whole(finished, copy, tmp_path, damage):
    spoil, said = DAMAGE[damage]
    spoil(copy)
    with pytest.raises(PlumblineError) as fault:
        taken(copy, finished[1], tmp_path / "out")
    assert "\n" not in str(fault.value) and len(str(fault.value)) < 500
    for part in said:
        assert part in str(fault.value), str(fault.value)
    assert not (tmp_path / "out").exists()


WHOLE = {
    "as it is": lambda folder: None,
    "a pickle": as_pickle,
    "under state_dict": lambda folder: as_pickle(folder, lambda held: {"state_dict": held, "epoch": 3}),
    "under model": lambda folder: as_pickle(folder, lambda held: {"model": held}),
    "None for what it has not": lambda folder: as_pickle(folder, lambda held: held | {"gone": None}),
    "old names": lambda folder: weights(
        folder,
        lambda held: {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in held.items()
        },
    ),
    "positions written down": lambda folder: weights(
        folder, lambda held: held | {"bert.embeddings.position_ids": torch.arange(130)[None]}
    ),
    "in two files": lambda folder: in_two_files(folder),
    "half precision": lambda folder: weights(
        folder, lambda held: {name: tensor.half() for name, tensor in held.items()}
    ),
}


def in_two_files(folder):
    held = load_file(folder / "model.safetensors")
    names, places = sorted(held), {}
    for number in (0, 1):
        part = {name: held[name] for name in names[number::2]}
        save_file(part, folder / f"model-{number}.safetensors", metadata={"format": "pt"})
        places |= dict.fromkeys(part, f"model-{number}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("form", WHOLE)
def test_whole_checkpoints_of_other_forms(finished, copy, tmp_path, form):
    WHOLE[form](copy)
    assert taken(copy, finished[1], tmp_path / "out")["accuracy"] == 1
    made, original = (load_file(folder / "model.safetensors") for folder in (tmp_path / "out", finished[0]))
    assert made.keys() == original.keys()
    tolerance = 1e-3 if form == "half precision" else 0
    for name, tensor in made.items():
        torch.testing.assert_close(tensor, original[name], rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_where_it_is_trained_the_head_alone_may_be_missing(finished, copy, tmp_path):
    block = {"architecture": "bert", "source": "directory", "directory": str(copy)}
    weights(copy, without("classifier"))
    assert train(tmp_path / "a", finished[1], block=block)["accuracy"] > 0.9
    weights(
        copy, lambda held: without("pooler")(head_of(3)(held))
    )  # as of a masked-LM class; another data set's head
    assert train(tmp_path / "b", finished[1], block=block)["accuracy"] > 0.9
    weights(copy, without("layer.0.output.dense.weight"))
    with pytest.raises(
        PlumblineError, match=r"lacks weights of a BertFor.*: bert.encoder.layer.0.output.dense.weight"
    ):
        train(tmp_path / "c", finished[1], block=block)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_knows_its_head_from_its_encoder(architecture, tmp_path):
    """A saved base model: its head is missing and may be trained; a weight of its last layer may not be missing."""
    model = small_model(architecture)
    model.base_model.save_pretrained(tmp_path)
    assert read_model(tmp_path, "classification", classes=2, trained=True).num_labels == 2
    assert read_model(tmp_path, "agreement", trained=True).get_output_embeddings().out_features == 1
    with pytest.raises(PlumblineError, match="classifier"):
        read_model(tmp_path, "classification", classes=2)
    last = sorted(name for name in load_file(tmp_path / "model.safetensors") if "layer" in name.lower())[-1]
    weights(tmp_path, without(last))
    for task in ("classification", "agreement"):
        with pytest.raises(PlumblineError, match="lacks weights"):
            read_model(tmp_path, task, classes=2, trained=True)


@pytest.mark.slow
def test_agreement_as_it_is_needs_the_one_logit_head(tmp_path):
    data = toy(tmp_path / "data.parquet", "agreement")
    train(tmp_path / "model", data)
    assert taken(tmp_path / "model", data, tmp_path / "out")["accuracy"] == 1
    made, given = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "model"))
    assert all(torch.equal(made[name], given[name]) for name in given)
    facts = json.loads((tmp_path / "model/config.json").read_text())
    del facts["plumbline_task"]
    (tmp_path / "model/config.json").write_text(json.dumps(facts))
    with pytest.raises(PlumblineError, match="no agreement head"):
        taken(tmp_path / "model", data, tmp_path / "out")


@pytest.mark.slow
def test_training_names_the_classes_as_the_data_does(finished, copy, tmp_path):
    change(copy, id2label={"0": "positive", "1": "negative"}, label2id={"positive": 0, "negative": 1})
    train(
        tmp_path / "out",
        finished[1],
        block={"architecture": "bert", "source": "directory", "directory": str(copy)},
        label_names=NAMES,
    )
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["id2label"] == {"0": "negative", "1": "positive"}


def test_load_says_what_is_wrong_in_one_line(copy):
    assert load(copy)[0].num_labels == 2
    (copy / "tokenizer.json").unlink()
    with pytest.raises(PlumblineError, match="has no tokeniser"):
        load(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(PlumblineError, match="has no weights"):
        load(copy)
    with pytest.raises(PlumblineError, match="no checkpoint in"):
        load(copy / "nowhere")


@pytest.mark.parametrize("size", [300, 20])
def test_a_tokeniser_of_another_model_is_refused(copy, size):
    """Ids outside the embedding, or most of its rows without an entry."""
    model = load(copy)[0]
    model.resize_token_embeddings(size if size < 100 else 10 * size)
    with pytest.raises(PlumblineError, match="belongs to another model"):
        read_tokenizer(copy, model)


def test_texts_that_the_tokeniser_does_not_know(copy):
    tokenizer = load(copy)[1]
    rows = [{"id": 0, "text": "Это хороший фильм", "label": 1}]
    with pytest.raises(PlumblineError, match=r"knows none of 3 of 3 tokens \(\[UNK\]\)"):
        tokenise(rows, tokenizer, limit=60, where="data")


def test_a_tokeniser_without_mask_or_padding(finished, copy, tmp_path):
    """Classification needs neither; agreement and protocols that mask say so."""
    facts = json.loads((copy / "tokenizer_config.json").read_text())
    facts = {name: value for name, value in facts.items() if name not in ("mask_token", "pad_token")}
    (copy / "tokenizer_config.json").write_text(json.dumps(facts))
    assert taken(copy, finished[1], tmp_path / "out")["accuracy"] == 1
    network, tokenizer = load(tmp_path / "out")
    assert tokenizer.mask_token is None and tokenizer.pad_token_id == network.config.pad_token_id
    with pytest.raises(PlumblineError, match="no mask token, which agreement is read at"):
        tokenise([{"id": 0, "text": "a ***mask***", "label": 0, "mask_index": 1}], tokenizer, limit=60)


def test_curves_that_mask_need_a_mask(finished, copy, tmp_path):
    from plumbline.attribution import explain
    from plumbline.attribution.artefact import write_attributions
    from plumbline.faithfulness.artefact import write_faithfulness

    facts = json.loads((copy / "tokenizer_config.json").read_text())
    del facts["mask_token"]
    (copy / "tokenizer_config.json").write_text(json.dumps(facts))
    file = tmp_path / "controls.parquet"
    write_attributions(
        dataset="toy",
        model=copy,
        method="controls",
        explain=partial(explain, "controls"),
        data=finished[1],
        output=file,
        examples=3,
    )
    entry = {"readouts": ["random"], "examples": None, "cap": 30}
    standard, masked = ([entry | {"protocol": name}] for name in ("standard", "mask"))
    write_faithfulness(model=copy, attributions=file, protocols=standard, output=tmp_path / "curves.parquet")
    with pytest.raises(PlumblineError, match="no mask token, which protocol 'mask'"):
        write_faithfulness(
            model=copy, attributions=file, protocols=masked, output=tmp_path / "curves.parquet"
        )


@pytest.mark.skipif(
    importlib.util.find_spec("sentencepiece") is not None, reason="sentencepiece is installed"
)
def test_a_sentencepiece_file_alone_is_an_error(copy):
    model, _ = load(copy)
    (copy / "tokenizer.json").unlink()
    (copy / "spiece.model").write_bytes(b"a")
    with pytest.raises(PlumblineError, match="pip install sentencepiece"):
        read_tokenizer(copy, model)


def test_downloads_are_checked_before_they_count(copy):
    as_pickle(copy, lambda held: {"model_state_dict": held})
    to_safetensors(copy)
    check_folder(copy)
    assert not (copy / "pytorch_model.bin").exists() and load(copy)[0].num_labels == 2


def test_a_model_of_another_kind_is_named(copy):
    block = {"architecture": "roberta", "source": "directory", "directory": str(copy), "training": None}
    with pytest.raises(PlumblineError, match="is a 'bert', the config says 'roberta'"):
        initial(block, "classification", NAMES, None, None)


@pytest.mark.parametrize(
    "content",
    [[], {"model": []}, {"model": {"a": None}}, {"model": {"a": {"b": torch.ones(1)}}}, {"state_dict": {}}],
)
def test_image_checkpoints_that_hold_something_else(tmp_path, content):
    torch.save(content, tmp_path / "vim.pth")
    with pytest.raises(PlumblineError, match="no checkpoint of Vim"):
        published_weights(tmp_path / "vim.pth")


def test_image_checkpoints_that_are_damaged(tmp_path):
    for text in (POINTER, ""):
        (tmp_path / "file").write_text(text)
        with pytest.raises(PlumblineError, match="is not read"):
            published_weights(tmp_path / "file")
        with pytest.raises(PlumblineError, match="no file of plain arrays"):
            released_weights("vit_mnist", tmp_path / "file")
    np.savez(tmp_path / "other.npz", a=np.ones(1))
    with pytest.raises(PlumblineError, match="no Vision Transformer"):
        released_weights("vit_mnist", tmp_path / "other.npz")


@pytest.mark.parametrize("package", ["no_such_package", "json.no_such_part", "this", "a b", ""])
def test_packages_that_carry_no_checkpoint(package):
    with pytest.raises(PlumblineError, match="is not installed"):
        checkpoint_folder({"source": "package", "package": package, "subfolder": ""})
