"""Data sets: the registry, the config blocks, and the rows of each source."""

import gzip
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import plumbline
from plumbline.artefacts import check_file, write_rows
from plumbline.datasets import DATASETS, load, raw_files, settings, sst2_drawn
from plumbline.datasets.sources import fetch
from plumbline.errors import PlumblineError
from tests.hub_server import hub

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")
SOURCES = [(dataset, source) for dataset, entry in DATASETS.items() for source in entry.sources]


# ---------------------------------------------------------------- registry and blocks


def test_registry():
    texts = {"sentiment", "reviews", "agreement", "sst2", "sst2_drawn", "imdb", "imdb_25k", "yelp", "sva"}
    images = {"digits", "digits_half", "mnist", "cifar10", "imagenet", "imagenet_samples"}
    assert set(DATASETS) == texts | images
    assert images == {name for name, entry in DATASETS.items() if entry.task == "images"}
    with pytest.raises(PlumblineError, match="unknown dataset 'sst': did you mean 'sst2'"):
        DATASETS["sst"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_entry_is_complete(dataset):
    entry = DATASETS[dataset]
    assert entry.label and entry.licence and entry.citation and entry.sources
    if entry.task == "images":
        assert entry.splits[-1] == "test" and len(entry.label_names) in (0, 10)
    else:
        assert entry.task in ("classification", "agreement") and len(entry.label_names) == 2
        assert entry.splits == ("train", "validation", "test")
    assert set(entry.splits) | {"seed"} <= set(entry.parameters)
    assert settings(dataset, {}) == settings(dataset, {"source": None})
    assert settings(dataset, {})["source"] == next(iter(entry.sources))


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


# ---------------------------------------------------------------- a mirror of our own making

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def review(number):
    return (
        f'review "{WORDS[number % 10]} {number}'  # with a quotation mark, which is a character like any other
    )


@pytest.fixture
def mirror(tmp_path):
    """A mirror whose imdb has 40 train rows (rows 0 and 39 have one text) and 20 test rows, sorted by label."""
    train = [(review(number % 39), int(number >= 20)) for number in range(40)]
    test = [(review(100 + number), int(number >= 10)) for number in range(20)]
    write_mirror(tmp_path, {"imdb/train.tsv.gz": [("text", "label"), *train],
                            "imdb/test.tsv.gz": [("text", "label"), *test]})  # fmt: skip
    return tmp_path


def write_mirror(folder, tables):
    sums = ""
    for name, lines in tables.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(
            gzip.compress("".join("\t".join(map(str, line)) + "\n" for line in lines).encode())
        )
        sums += f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
    (folder / "SHA256SUMS").write_text(sums)


def imdb(split, mirror, **block):
    return load("imdb", split, {"source": "mirror", **block}, mirror=mirror)


def test_rows_keep_the_source_order(mirror):
    frame = imdb("test", mirror, order="source")
    assert list(frame) == ["id", "text", "label"] and list(frame["id"]) == list(range(20))
    assert list(frame["text"]) == [review(100 + number) for number in range(20)]
    assert frame["label"].sum() == 10 and not frame["label"].head(10).any()
    assert imdb("test", mirror, order="source", test=7).equals(frame.head(7))


def test_shuffled_rows_are_a_fixed_permutation(mirror):
    frame = imdb("test", mirror)
    assert frame["label"].head(10).nunique() == 2
    assert set(frame["text"]) == set(imdb("test", mirror, order="source")["text"])
    assert imdb("test", mirror, test=7).equals(frame.head(7))
    assert not imdb("test", mirror, seed=1).equals(frame)


def test_validation_is_carved_from_train(mirror):
    train, validation = imdb("train", mirror, validation=8), imdb("validation", mirror, validation=8)
    assert len(validation) == 8 and len(train) in (31, 32)
    assert not set(train["text"]) & set(validation["text"])
    assert set(imdb("validation", mirror)["text"]) <= set(
        validation["text"]
    )  # a tenth: 4, and a part of the 8
    assert len(imdb("validation", mirror)) == 4
    number = train["text"].str.split().str[2].astype(int).tolist()
    assert number in (sorted(number), [*sorted(number[:-1]), 0])


def test_a_text_of_validation_leaves_train(mirror):
    double = review(0)
    for seed in range(30):
        block = {"validation": 8, "seed": seed}
        if double in set(imdb("validation", mirror, **block)["text"]):
            assert double not in set(imdb("train", mirror, **block)["text"])
            break
    else:
        raise AssertionError("no seed took the repeated text")


def test_fewer_training_rows_are_a_sample_in_order(mirror):
    small, large = imdb("train", mirror, train=10), imdb("train", mirror, train=20)
    assert set(small["text"]) <= set(large["text"]) and large["label"].nunique() == 2
    assert list(large["label"]) == sorted(large["label"])


def test_wrong_numbers_of_rows(mirror):
    with pytest.raises(PlumblineError, match=r"'imdb' has 20 test rows, not 21: lower datasets\.imdb\.test"):
        imdb("test", mirror, test=21)
    with pytest.raises(PlumblineError, match="40 validation rows leave none of 40 for training"):
        imdb("train", mirror, validation=40)


def test_damaged_tables(tmp_path):
    def fault(lines, match):
        write_mirror(tmp_path, {"imdb/test.tsv.gz": lines})
        with pytest.raises(PlumblineError, match=match):
            imdb("test", tmp_path)

    fault([("text", "stars"), ("a", 1)], "has no column 'label'; it has text, stars")
    fault(
        [("text", "label"), ("a", 1), ("  ", 0)],
        r"row \d of the test split of dataset 'imdb' \(mirror\) has an empty text",
    )
    fault([("text", "label"), ("a", 7)], "has the label 7; legal: 0 to 1")
    fault([("text", "label"), ("a", "good")], "no integer label")
    fault([("text", "label")], "has no rows")
    with pytest.raises(PlumblineError, match="has no imdb/train.tsv.gz"):
        imdb("train", tmp_path)


# ---------------------------------------------------------------- hub and url


def parquet(folder, name, **columns):
    pd.DataFrame(columns).to_parquet(folder / name)
    return (folder / name).read_bytes()


def test_hub_from_download_to_rows(tmp_path, monkeypatch):
    files = {
        f"data/{split}-00000-of-00001.parquet": parquet(
            tmp_path, split, idx=range(3), sentence=[f"{split} a ", "b ", "c "], label=labels)
        for split, labels in {"train": [0, 1, 1], "validation": [1, 0, 1], "test": [-1, -1, -1]}.items()
    }  # fmt: skip
    block = {"source": "hub", "revision": "main"}
    with hub({"dataset/stanfordnlp/sst2": {"commit": "c" * 40, "files": files}}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        for item in raw_files("sst2", block):
            fetch(item, tmp_path / "downloads" / "sst2" / item["name"], lock=tmp_path / "lock.json")
    train = load("sst2", "train", block, downloads=tmp_path / "downloads")
    assert train.to_dict("list") == {"id": [0, 1, 2], "text": ["train a", "b", "c"], "label": [0, 1, 1]}
    assert set(load("sst2", "test", block, downloads=tmp_path / "downloads")["label"]) == {-1}
    with pytest.raises(PlumblineError, match="the hub's SST-2 has phrases only"):
        load("sst2", "train", block | {"train_on": "sentences"}, downloads=tmp_path / "downloads")
    (tmp_path / "downloads" / "sst2" / "train.parquet").write_bytes(b"damaged")
    with pytest.raises(PlumblineError, match="train.parquet is not a Parquet file"):
        load("sst2", "train", block, downloads=tmp_path / "downloads")


def test_missing_download(tmp_path):
    with pytest.raises(
        PlumblineError, match=r"missing download .*/yelp/train\.parquet: make it with `snakemake"
    ):
        load("yelp", "train", {"source": "hub"}, downloads=tmp_path)


def test_sva_is_prepared_as_published(tmp_path):
    """Against a transcription of the rules of specs/alti.md section 6, on made-up rows."""
    from sklearn.model_selection import train_test_split

    verbs = [("has", "have"), ("have", "has"), ("lives", "live"), ("live", "lives"), ("is", "are"), ("are", "is"),
             ("hath", "have")]  # fmt: skip
    lines = [(number % 5, "full", f"the {WORDS[number % 10]} {number} ***mask*** here .", *verbs[number % 7])
             for number in range(140)]  # fmt: skip
    folder = tmp_path / "sva"
    folder.mkdir()
    (folder / "lgd_dataset.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    (folder / "vocab.txt").write_text("[PAD]\nis\nare\nhas\nhave\nlives\nlive\n")

    kept = [line for line in lines if line[3] in ("has", "have", "lives", "live")]
    third = [line[3] in ("is", "has") or len(line[3]) > len(line[4]) for line in kept]
    train, rest = train_test_split(
        range(len(kept)), test_size=0.3, random_state=48151623, shuffle=True, stratify=third
    )
    validation, test = train_test_split(rest, test_size=0.5, random_state=48151623, shuffle=True,
                                        stratify=[third[index] for index in rest])  # fmt: skip
    for split, expected in {"train": train, "validation": validation, "test": test}.items():
        frame = load("sva", split, {"source": "url", "labels": "published"}, downloads=tmp_path)
        assert list(frame["text"]) == [kept[index][2] for index in sorted(expected)]
        assert list(frame["label"]) == [int(third[index]) for index in sorted(expected)]
        assert list(frame["attractors"]) == [kept[index][0] for index in sorted(expected)]
        assert set(frame["mask_index"]) == {3}
        corrected = load("sva", split, {"source": "url"}, downloads=tmp_path)
        assert corrected.drop(columns="label").equals(frame.drop(columns="label"))
        assert list(corrected["label"]) == [
            int(verb in ("has", "lives")) for verb in corrected["verb_correct"]
        ]
    (folder / "lgd_dataset.tsv").write_text("0\tfull\tno mask here\thas\thave\n")
    with pytest.raises(
        PlumblineError, match=r"sva: row 0 of the source has not one \*\*\*mask\*\*\*: no mask here"
    ):
        load("sva", "train", {"source": "url"}, downloads=tmp_path)


# ---------------------------------------------------------------- the real data

ROWS = {
    "sst2": {"train": (6920, 3610), "validation": (872, 444), "test": (1821, 909)},
    "imdb": {"validation": (2500, None), "test": (25_000, 12_500)},
    "yelp": {"train": (4036, None), "validation": (448, None), "test": (4455, 3314)},
    "sva": {"train": (6302, None), "validation": (700, None), "test": (6056, None)},
}


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


@needs_mirror
def test_mirrored_phrases():
    assert len(load("sst2", "train", {"source": "mirror", "train_on": "phrases"}, mirror=MIRROR)) == 67_349


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
