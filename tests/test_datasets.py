"""Data sets: registry, blocks, downloads, and the rows of the real data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import plumbline
from plumbline.artefacts import check_file, write_rows
from plumbline.datasets import DATASETS, load, raw_files, settings, sst2_drawn
from plumbline.errors import PlumblineError

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")
SOURCES = [(dataset, source) for dataset, entry in DATASETS.items() for source in entry.sources]


def test_registry():
    texts = {
        "sentiment",
        "reviews",
        "agreement",
        "sst2",
        "sst2_drawn",
        "sst5",
        "imdb",
        "imdb_25k",
        "yelp",
        "sva",
    }
    images = {"digits", "digits_half", "mnist", "cifar10", "imagenet", "imagenet_samples"}
    assert set(DATASETS) == texts | images
    assert images == {name for name, entry in DATASETS.items() if entry.task == "images"}
    with pytest.raises(PlumblineError, match="unknown dataset 'sst22': did you mean 'sst2'"):
        DATASETS["sst22"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_entry_is_complete(dataset):
    entry = DATASETS[dataset]
    assert entry.label and entry.licence and entry.citation and entry.sources
    if entry.task == "images":
        assert entry.splits[-1] == "test" and len(entry.label_names) in (0, 10, 1000)
    else:
        assert (
            entry.task in ("classification", "agreement")
            and len(set(entry.label_names)) == len(entry.label_names) >= 2
        )
        assert entry.task == "classification" or len(entry.label_names) == 2
        assert entry.splits == ("train", "validation", "test")
    assert set(entry.splits) | {"seed"} <= set(entry.parameters)
    assert settings(dataset, {}) == settings(dataset, {"source": None})
    assert settings(dataset, {})["source"] == next(iter(entry.sources))


@pytest.mark.slow
def test_import_is_cheap():
    """The Snakefile imports this package at every start."""
    code = "import sys, plumbline.datasets; print({'pandas', 'torch', 'pyarrow', 'numpy'} & set(sys.modules))"
    package = Path(plumbline.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=package)
    assert done.stdout == "set()\n", done.stderr


def test_wrong_blocks():
    with pytest.raises(PlumblineError, match="unknown key of dataset 'sst2' 'trian': did you mean 'train'"):
        load("sst2", "train", {"trian": 5})
    with pytest.raises(PlumblineError, match="unknown source of dataset 'sva' 'hub': .*legal: mirror, url"):
        load("sva", "train", {"source": "hub"})
    with pytest.raises(PlumblineError, match="unknown split of dataset 'sst2' 'dev'"):
        load("sst2", "dev", {})
    with pytest.raises(
        PlumblineError, match="unknown order of dataset 'imdb' 'random': .*legal: shuffled, source"
    ):
        load("imdb", "test", {"order": "random"})
    for value in (0, -1, "all", 2.5, True):
        with pytest.raises(PlumblineError, match=r"datasets\.sst2\.train is .*: expected a whole number"):
            load("sst2", "train", {"train": value})
    with pytest.raises(PlumblineError, match=r"datasets\.sentiment\.test is None"):
        load("sentiment", "test", {"test": None})


@pytest.mark.parametrize(("dataset", "source"), SOURCES)
def test_raw_files(dataset, source):
    items = raw_files(dataset, {"source": source})
    assert bool(items) == (source in ("hub", "url"))
    for item in items:
        assert {"name", "kind", "sha256"} < set(item)
        assert ({"url"} if item["kind"] == "url" else {"repo", "repo_type", "filename", "revision"}) <= set(
            item
        )


def test_another_revision_leaves_the_known_checksums():
    known = raw_files("sst2", {"source": "hub"})
    other = raw_files("sst2", {"source": "hub", "revision": "refs/pr/1"})
    assert all(item["sha256"] and len(item["revision"]) == 40 for item in known)
    assert all(item["sha256"] is None and item["revision"] == "refs/pr/1" for item in other)


def test_another_url():
    items = raw_files("sva", {"source": "url", "url": "http://127.0.0.1/x.tsv"})
    assert [item.get("url") for item in items] == ["http://127.0.0.1/x.tsv", None]


def test_missing_download(tmp_path):
    with pytest.raises(
        PlumblineError, match=r"missing download .*/yelp/train\.parquet: make it with `snakemake"
    ):
        load("yelp", "train", {"source": "hub"}, downloads=tmp_path)


ROWS = {
    "sst2": {"train": (6920, 3610), "validation": (872, 444), "test": (1821, 909)},
    "imdb": {"validation": (2500, None), "test": (25_000, 12_500)},
    "yelp": {"train": (4036, None), "validation": (448, None), "test": (4455, 3314)},
    "sva": {"train": (6302, None), "validation": (700, None), "test": (6056, None)},
}


@pytest.mark.slow
@needs_mirror
@pytest.mark.parametrize("dataset", ROWS)
def test_mirrored_rows(dataset, tmp_path):
    for split, (count, positive) in ROWS[dataset].items():
        frame = load(dataset, split, {"source": "mirror"}, mirror=MIRROR)
        assert len(frame) == count
        assert positive is None or frame["label"].sum() == positive
        write_rows(tmp_path / "x.parquet", frame, kind="data")
        assert check_file(tmp_path / "x.parquet") == []


def test_the_drawn_sample_is_what_random_gives_with_seed_10():
    """The places as Python itself prints them for random.seed(10); random.sample(range(1821), 500)."""
    places = sst2_drawn.drawn(1821)
    assert (places[:8], places[-3:]) == ([1170, 66, 878, 988, 1183, 30, 422, 947], [881, 693, 364])
    assert (len(set(places)), sum(places), max(places) < 1821) == (500, 455515, True)
    assert sst2_drawn.drawn(1821, 20) == places[:20]
    for rows, size in ((499, 500), (1821, 501)):
        with pytest.raises(PlumblineError, match="draws 500 test rows"):
            sst2_drawn.drawn(rows, size)


@needs_mirror
def test_the_drawn_sample_holds_the_rows_of_its_places():
    whole = load("sst2", "test", {"source": "mirror"}, mirror=MIRROR)
    frame = load("sst2_drawn", "test", {"source": "mirror"}, mirror=MIRROR)
    assert frame["id"].tolist() == list(range(500))
    assert frame["text"].tolist()[:2] == [whole["text"][1170], whole["text"][66]]
    assert frame["text"].tolist() == [whole["text"][place] for place in sst2_drawn.drawn(1821)]
    validation = load("sst2_drawn", "validation", {"source": "mirror"}, mirror=MIRROR)
    assert validation.equals(load("sst2", "validation", {"source": "mirror"}, mirror=MIRROR))


@pytest.mark.slow
@needs_mirror
def test_mirrored_phrases():
    assert len(load("sst2", "train", {"source": "mirror", "train_on": "phrases"}, mirror=MIRROR)) == 67_349


@pytest.mark.slow
@needs_mirror
def test_mirrored_agreement_rows():
    frames = {
        split: load("sva", split, {"source": "mirror"}, mirror=MIRROR) for split in DATASETS["sva"].splits
    }
    for frame in frames.values():
        assert frame["text"].is_unique
        words = frame["text"].str.split()
        assert all(row[index] == "***mask***" for row, index in zip(words, frame["mask_index"], strict=True))
        assert (frame["verb_correct"] != frame["verb_incorrect"]).all()
        # The third person singular is the form in -s.
        assert (
            list(frame["label"])
            == frame["verb_correct"].str.lower().str.fullmatch(".*[^s]s|.*sses").astype(int).tolist()
        )
    texts = [set(frame["text"]) for frame in frames.values()]
    assert not texts[0] & texts[1] and not texts[0] & texts[2] and not texts[1] & texts[2]


@pytest.mark.parametrize("dataset", ["sentiment", "agreement"])
def test_generated_rows_fit_the_schema(dataset, tmp_path):
    write_rows(tmp_path / "x.parquet", load(dataset, "validation", {"validation": 60}), kind="data")
    assert check_file(tmp_path / "x.parquet") == []
