"""Matrices behind the scores: the same mathematics, the golden layers, the file that the stage writes."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from plumbline.artefacts import check_file, read_rows, write_rows
from plumbline.attribution import METHODS, READOUTS, attribute
from plumbline.attribution.batch import Batch
from plumbline.attribution.contributions import contributions, write_contributions
from plumbline.attribution.decomposition import products
from plumbline.chosen import chosen
from plumbline.config import layered_methods, registries
from plumbline.errors import PlumblineError
from plumbline.words import words
from tests.conftest import GOLDEN
from tests.small_models import ARCHITECTURES, small_batch, small_model

LAYERED = {
    method.id: {"readouts": [readout.id for readout in method.readouts if readout.layered], "parameters": {}}
    for method in METHODS.values()
    if any(readout.layered for readout in method.readouts)
}
STOCHASTIC = [
    readout.id for readout in READOUTS.values() if readout.layered and readout.id != "globenc_published"
]


def numbers(matrices):
    return np.stack([matrix.detach().numpy() for matrix in matrices])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["classification", "agreement"])
def test_row_of_the_product_is_the_attribution(architecture, task):
    """Of every example of a padded batch, and at the mask of an agreement sentence."""
    model = small_model(architecture, task)
    ids, mask, positions = small_batch(architecture)
    position = positions if task == "agreement" else torch.zeros(len(ids), dtype=torch.int64)
    found = contributions(Batch(model, ids, mask, position=position), LAYERED)
    for readout in [name for about in LAYERED.values() for name in about["readouts"]]:
        scores = attribute(model, ids, mask, readout, position=position)
        for row, (length, matrices) in enumerate(zip(mask.sum(-1).tolist(), found, strict=True)):
            together = numbers(products(matrices[readout]))
            assert together.shape == (3, length, length)
            want = scores[row, :length].numpy()
            np.testing.assert_allclose(together[-1][position[row]], want, rtol=1e-5, atol=1e-6)
            if readout in STOCHASTIC:
                np.testing.assert_allclose(together.sum(-1), 1, atol=1e-5)
                np.testing.assert_allclose(numbers(matrices[readout]).sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "distilbert"])
@pytest.mark.parametrize("length", [7, 12, 30])
def test_matrices_are_the_references(name, length):
    model = AutoModelForSequenceClassification.from_pretrained(GOLDEN / "alti" / f"tiny-{name}")
    golden = np.load(GOLDEN / "alti" / f"layers_{name}.npz")
    ids = torch.from_numpy(np.load(GOLDEN / "alti" / "inputs.npz")[f"bert_len{length}"])
    found = contributions(Batch(model, ids), LAYERED)
    single = {"alti": "C_alti", "alti_l2": "C_alti_l2", "alti_ln2": "C_alti_ln2", "norm_rollout": "C_norm"}
    joint = {"alti": "alti", "norm_rollout": "norm", "globenc_published": "globenc", "rollout": "rollout"}
    for row, matrices in enumerate(found):
        for readout, key in single.items():
            want = golden[f"{key}__len{length}"][row]
            assert np.abs(numbers(matrices[readout]) - want).max() / want.max() < 1e-4, key
        for readout, key in joint.items():
            # Layer by layer, since what is not normalised grows by orders of magnitude.
            for ours, want in zip(
                numbers(products(matrices[readout])), golden[f"joint_{key}__len{length}"][row], strict=True
            ):
                assert np.abs(ours - want).max() / want.max() < 1e-4, key


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as the model stage writes it, with a random agreement model, and a data file for it."""
    from plumbline.models.tokenisation import train_tokenizer

    folder = tmp_path_factory.mktemp("model")
    texts = [
        "the keys that the old woman over there saw near the house ***mask*** rusty",
        "the key ***mask*** rusty",
        "keys of the house ***mask*** old",
    ]
    tokenizer = train_tokenizer("bert", texts, 60)
    model = small_model("bert", "agreement")
    model.config.plumbline_task = "agreement"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = {
        "id": range(3),
        "text": texts,
        "label": [0, 1, 0],
        "mask_index": [text.split().index("***mask***") for text in texts],
    }
    write_rows(folder / "test.parquet", rows, kind="data")
    return folder


def write(folder, output, **changes):
    methods = {name: {**about, "readouts": about["readouts"][:1]} for name, about in LAYERED.items()}
    arguments = {"model": str(folder), "methods": methods, "data": folder / "test.parquet", "wanted": [1]}
    write_contributions(**arguments | {"output": output} | changes)
    return read_rows(output)


@pytest.mark.slow
def test_the_file_holds_every_layer_of_the_chosen_examples(trained, tmp_path):
    frame = write(trained, tmp_path / "a.parquet", wanted=[2, 1])
    assert check_file(tmp_path / "a.parquet") == []
    assert frame["id"].drop_duplicates().tolist() == [2, 1]
    assert frame.groupby(["id", "readout"])["layer"].apply(list).map(tuple).unique().tolist() == [(1, 2, 3)]
    assert set(frame["readout"]) == {"rollout", "norm_rollout", "alti"}
    for row in frame.itertuples():
        n = len(row.tokens)
        assert row.tokens[row.position] == "[MASK]"
        assert len(row.matrix) == len(row.layer_matrix) == n * n
    alti = frame[(frame["readout"] == "alti") & (frame["id"] == 1)].sort_values("layer")
    product = np.eye(len(alti["tokens"].iloc[0]))
    for row in alti.itertuples():
        product = row.layer_matrix.reshape(product.shape) @ product
        np.testing.assert_allclose(row.matrix.reshape(product.shape), product, atol=1e-5)
    assert write(trained, tmp_path / "b.parquet", wanted=[2, 1]).shape == frame.shape
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.slow
def test_what_is_too_long_gives_way_to_the_next(trained, tmp_path):
    lengths = (
        write(trained, tmp_path / "a.parquet", wanted=[0, 1, 2]).groupby("id")["tokens"].first().map(len)
    )
    assert lengths[0] > lengths[1]
    frame = write(trained, tmp_path / "a.parquet", wanted=[0, 1], max_tokens=int(lengths[0]) - 1)
    assert frame["id"].unique().tolist() == [1]
    with pytest.raises(PlumblineError, match=r"heatmap_examples \[2\].*ids 0 to 1"):
        write(trained, tmp_path / "a.parquet", wanted=[2], examples=2)


def test_a_run_without_layers_says_so(trained, tmp_path):
    with pytest.raises(PlumblineError, match="add method attention, norms or alti"):
        write(trained, tmp_path / "a.parquet", methods={})


def test_chosen_examples():
    assert chosen([4, 0, 1], [0, 2, 3, 4], "here") == [(4, 4), (0, 0), (1, 2)]
    for wanted, explained in (([], [0]), ([5], [0, 4]), ([0], [])):
        with pytest.raises(PlumblineError, match="heatmap_examples"):
            chosen(wanted, explained, "here")


def test_layered_methods_of_a_run():
    run = {
        "dataset": "sst2",
        "methods": ["attention", "alti", "ig"],
        "readouts": ["alti", "rollout", "ig_l2"],
    }
    config = {"methods": {"attention": {}, "alti": {"ddof": 1}, "ig": {}, "controls": {}}}
    assert layered_methods(config, run) == {
        "attention": {"readouts": ["rollout"], "parameters": {}},
        "alti": {"readouts": ["alti"], "parameters": {"ddof": 1}},
    }
    found = layered_methods(config, run | {"readouts": None})
    assert found["alti"]["readouts"] == ["alti", "alti_l2", "alti_ln2"]
    assert layered_methods(config, run | {"methods": ["ig"], "readouts": None}) == {}


def test_layered_readouts_have_their_function():
    import importlib

    for name in registries()["methods"]:
        module = importlib.import_module(f"plumbline.attribution.{name}")
        assert hasattr(module, "layer_matrices") == (name in LAYERED)


@pytest.mark.parametrize(
    ("tokens", "position", "want"),
    [
        (["[CLS]", "un", "##believ", "##able", "!", "[SEP]"], 0, ["[CLS]", "unbelievable", "!", "[SEP]"]),
        (["<s>", "Ġa", "Ġfil", "m", ".", "</s>"], 0, ["<s>", "a", "film.", "</s>"]),
        # Pretrained RoBERTa does not mark the first word.
        (["<s>", "un", "real", "Ġone", "</s>"], 0, ["<s>", "unreal", "one", "</s>"]),
        (["<s>", "Ġkeys", "<mask>", "Ġold", "</s>"], 2, ["<s>", "keys", "<mask>", "old", "</s>"]),
        (["<s>", "Ġkeys", "<mask>", ",", "x", "</s>"], 2, ["<s>", "keys", "<mask>", ",x", "</s>"]),
        (["<s>", "ĠcafÃ", "©", "Ċ", "</s>"], 0, ["<s>", "café\\n", "</s>"]),
        (["<s>", "Ġâ", "</s>"], 0, ["<s>", "\ufffd", "</s>"]),
        (["<s>", "▁cafés", "▁no", "ir", "</s>"], 0, ["<s>", "cafés", "noir", "</s>"]),
        (["[CLS]", "[SEP]"], 0, ["[CLS]", "[SEP]"]),
    ],
)
def test_words(tokens, position, want):
    found = words(tokens, position)
    assert [word for word, _ in found] == want
    assert [index for _, indices in found for index in indices] == list(range(len(tokens)))
