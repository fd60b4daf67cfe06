"""Files of data sets: they give the right rows, or one line says which file and row cannot."""

import gzip
import hashlib
import itertools
import os

import numpy as np
import pandas as pd
import pytest

from plumbline.datasets import load, raw_files
from plumbline.datasets.sources import fetch
from plumbline.errors import PlumblineError
from tests.hub_server import hub

MIRROR = os.environ.get("PLUMBLINE_MIRROR")
needs_mirror = pytest.mark.skipif(not MIRROR, reason="set PLUMBLINE_MIRROR to the folder of mirrored data")


def test_the_words_of_a_tree_and_the_label_at_its_root(tmp_path):
    trees = ["(3 (2 It) (4 (2 -LRB-) (3 (4 lovely) (2 and\\/or))))", "(0 (1 No) (2 x))"]
    write_mirror(
        tmp_path,
        {
            "sst_trees/dev.tsv.gz": [("tree", "label"), (trees[0], 3), ("(0 (1 No) (2 film))", 0)],
            "sst_trees/test.tsv.gz": [("tree", "label"), (trees[0], 2)],
        },
    )
    frame = load("sst5", "validation", {"source": "mirror"}, mirror=tmp_path)
    assert frame["text"].tolist() == ["It ( lovely and/or", "No film"] and frame["label"].tolist() == [3, 0]
    with pytest.raises(PlumblineError, match="row 0 of the test split is no tree whose root has the label 2"):
        load("sst5", "test", {"source": "mirror"}, mirror=tmp_path)


@pytest.mark.slow
@needs_mirror
def test_sst5_is_the_treebank_behind_sst2():
    """Every sentence of SST-2 is one of these, positive where the root's label is above the middle; the rest is neutral."""
    letters = lambda text: "".join(filter(str.isalnum, text.lower()))  # noqa: E731
    sizes = {"train": 8544, "validation": 1101, "test": 2210}
    for split, size in sizes.items():
        five, two = load("sst5", split, {}), load("sst2", split, {})
        assert len(five) == size and set(five["label"]) == set(range(5))
        labels = dict(zip(map(letters, five["text"]), five["label"], strict=True))
        polar = [labels[letters(text)] for text in two["text"]]
        assert 2 not in polar and [int(label > 2) for label in polar] == two["label"].tolist()


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
    write_mirror(
        tmp_path,
        {"imdb/train.tsv.gz": [("text", "label"), *train], "imdb/test.tsv.gz": [("text", "label"), *test]},
    )
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


GOOD = [("a fine film", 1), ("a dull film", 0)]
PLAIN = b"text\tlabel\na fine film\t1\na dull film\t0\n"


# What a table's bytes are -> its rows, or what the one line says besides the file's name.
TABLES = {
    "as it should be": (PLAIN, GOOD),
    "no last newline": (PLAIN[:-1], GOOD),
    "CRLF": (PLAIN.replace(b"\n", b"\r\n"), GOOD),
    "CR": (PLAIN.replace(b"\n", b"\r"), GOOD),
    "a byte order mark": (b"\xef\xbb\xbf" + PLAIN, GOOD),
    "empty lines": (PLAIN.replace(b"\n", b"\n\n"), GOOD),
    "other columns, another order": (b"id\tlabel\ttext\n7\t1\ta fine film\n8\t0\ta dull film\n", GOOD),
    "a tab too many, in the header too": (PLAIN.replace(b"\n", b"\t\n"), GOOD),
    "quotation marks are characters": (
        b'text\tlabel\n"a ""fine"" film\t1\na \'dull" film\t0\n',
        [('"a ""fine"" film', 1), ("a 'dull\" film", 0)],
    ),
    "words that pandas takes for missing": (b"text\tlabel\nNA\t1\nnull\t0\n", [("NA", 1), ("null", 0)]),
    "line ends of Unicode": (
        "text\tlabel\na fine\u2028film\t1\na dull\x85film\t0\n".encode(),
        [("a fine\u2028film", 1), ("a dull\x85film", 0)],
    ),
    # The first of the fields becomes pandas's index, and `text` the label's.
    "a tab too many in every row": (
        b"text\tlabel\na fine film\t1\t\na dull film\t0\t\n",
        "row 0 .*line 2.* has 3 fields, its first line 2",
    ),
    "two tabs too many in every row": (b"text\tlabel\nx\ty\ta fine film\t1\n", "row 0 .* has 4 fields"),
    "a tab too many in front": (b"text\tlabel\n\ta fine film\t1\n", "row 0 .* has 3 fields"),
    "a tab too many in one row": (PLAIN + b"a film\t1\t\n", "row 2 .*line 4.* has 3 fields"),
    "a tab within a quoted text": (b'text\tlabel\n"a fine\tfilm"\t1\n', "row 0 .* has 3 fields"),
    "a line end within a quoted text": (b'text\tlabel\n"a fine\nfilm"\t1\n', "row 0 .* has 1 fields"),
    "a field too few": (PLAIN + b"a film\n", "row 2 .* has 1 fields"),
    "commas": (PLAIN.replace(b"\t", b","), "has no column 'text'; it has text,label"),
    "no header": (PLAIN.split(b"\n", 1)[1], "has no column 'text'"),
    "another header": (PLAIN.replace(b"label", b"stars"), "has no column 'label'; it has text, stars"),
    "two columns of a name": (b"text\tlabel\tlabel\na\t1\t0\n", "has more than one column 'label'"),
    "an empty text": (PLAIN + b" \t1\n", "row 2 .*line 4.* has an empty text"),
    "a label beyond the classes": (PLAIN + b"a film\t7\n", "row 2 .* has the label 7; legal: 0 to 1"),
    "the mark of hidden labels": (PLAIN + b"a film\t-1\n", "row 2 .* has the label -1; legal: 0 to 1"),
    "a label in words": (PLAIN + b"a film\tgood\n", "row 2 .* has no integer label: 'good'"),
    "half a label": (PLAIN + b"a film\t0.5\n", "row 2 .* has no integer label"),
    "an empty label": (PLAIN + b"a film\t\n", "row 2 .* has no integer label: ''"),
    "a label beyond int64": (PLAIN + b"a film\t" + b"9" * 30 + b"\n", "row 2 .* has no integer label"),
    "a NUL byte": (PLAIN.replace(b"dull", b"du\0ll"), "line 3 .* holds a NUL byte"),
    "UTF-16": (PLAIN.decode().encode("utf-16"), "line 1 .* holds a NUL byte"),
    "Latin-1": ("text\tlabel\nan unusual café\t1\n".encode("latin-1"), "line 2 .* is not UTF-8"),
    "nothing": (b"", "is empty"),
    "a header alone": (b"text\tlabel\n", "has no rows"),
}


def in_mirror(folder, name, content):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    with open(folder / "SHA256SUMS", "a") as out:
        out.write(f"{digest}  {name}\n")


def found_or_fault(dataset, split, expected, path, **where):
    """A split's rows, or the one line in place of them."""
    if isinstance(expected, list):
        frame = load(dataset, split, {"order": "source", **where.pop("block", {})}, **where)
        assert list(zip(frame["text"], frame["label"], strict=True)) == expected
        return
    with pytest.raises(PlumblineError, match=expected) as caught:
        load(dataset, split, {"order": "source", **where.pop("block", {})}, **where)
    assert "\n" not in str(caught.value)
    assert path is None or path in str(caught.value) or "has no rows" in str(caught.value)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
def test_tables_give_the_right_rows_or_one_line_with_file_and_row(tmp_path, name, packed):
    content, expected = TABLES[name]
    for dataset, file in (
        ("imdb", "imdb/test.tsv.gz"),
        ("yelp", "yelp/test.tsv.gz"),
        ("sst2", "sst2/test.tsv.gz"),
    ):
        in_mirror(tmp_path, file, gzip.compress(content) if packed and content else content)
        found_or_fault(dataset, "test", expected, str(tmp_path / file), mirror=tmp_path)
        (tmp_path / "SHA256SUMS").unlink()


@pytest.mark.parametrize("length", [1, 8, 30, -1])
def test_a_gzip_file_that_ends_early(tmp_path, length):
    in_mirror(tmp_path, "imdb/test.tsv.gz", gzip.compress(PLAIN)[:length])
    found_or_fault(
        "imdb",
        "test",
        "damaged gzip file|is not UTF-8|has no column",
        str(tmp_path / "imdb/test.tsv.gz"),
        mirror=tmp_path,
    )


def test_a_gzip_file_damaged_inside(tmp_path):
    content = bytearray(gzip.compress(PLAIN * 50))
    content[40] ^= 255
    in_mirror(tmp_path, "imdb/test.tsv.gz", bytes(content))
    found_or_fault("imdb", "test", "damaged gzip file", str(tmp_path / "imdb/test.tsv.gz"), mirror=tmp_path)
    with pytest.raises(PlumblineError, match="has no imdb/train.tsv.gz"):
        imdb("train", tmp_path)


AGREEMENT = "sentence\ttarget_index\tverb_correct\tverb_incorrect\tlabel\tn_attractors\n"
SENTENCES = [f"the cat number {number} sleeps" for number in range(12)]
LEGAL = AGREEMENT + "".join(f"{text}\t4\tsleeps\tsleep\tVBZ\t0\n" for text in SENTENCES)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("a dog naps\t2\tnaps\tnap\tVBZ\t0", None),
        ("a dog naps\t2\tnaps\tnaps\t?\t0", None),  # of unknown number: dropped
        ("a dog naps\t3\tnaps\tnap\tVBZ\t0", "row 12 .* has 3 words, its target_index is 3"),
        ("a dog naps\t-1\tnaps\tnap\tVBZ\t0", "row 12 .*line 14.* has the target_index -1; legal: 0 or more"),
        ("a dog naps\t\tnaps\tnap\tVBZ\t0", "row 12 .* has no integer target_index"),
        ("a dog naps\t2\t\tnap\tVBZ\t0", "row 12 .* has an empty verb_correct"),
        ("a dog naps\t2\tnaps\tNaps\tVBZ\t0", "row 12 .* has two equal verbs and the label 'VBZ'"),
        ("a dog naps\t2\tnaps\tnap\tVB\t0", "row 12 .* has the label 'VB'; legal: VBP, VBZ"),
        ("a dog naps\t2\tnaps\tnap\tVBZ\t-2", "row 12 .* has the n_attractors -2"),
        ("a dog naps\t2\tnaps\tnap\tVBZ\t0\t", "row 12 .* has 7 fields"),
        ("\t2\tnaps\tnap\tVBZ\t0", "row 12 .* has an empty sentence"),
        ("***mask*** dog naps\t2\tnaps\tnap\tVBZ\t0", r"row 12 .* has not one \*\*\*mask"),
    ],
)
def test_tables_of_agreement(tmp_path, row, expected):
    test = "sentence_masked\tverb_correct\tverb_incorrect\tlabel\tn_attractors\na cow ***mask***\teats\teat\tVBZ\t0\n"
    in_mirror(tmp_path, "sva/lgd_subset.tsv.gz", gzip.compress(test.encode()))
    in_mirror(tmp_path, "sva/linzen_filtered.tsv.gz", gzip.compress((LEGAL + row + "\n").encode()))
    block = {"source": "mirror", "validation": 1}
    if expected is None:
        rows = [load("sva", split, block, mirror=tmp_path) for split in ("train", "validation")]
        assert sum(map(len, rows)) == 12 + ("?" not in row)
        assert all((frame["text"].str.split().str[-1] == "***mask***").all() for frame in rows)
    else:
        path = str(tmp_path / "sva/linzen_filtered.tsv.gz")
        found_or_fault("sva", "train", expected, path, mirror=tmp_path, block=block)


def test_a_vocabulary_with_other_line_ends_is_the_same(tmp_path):
    folder = tmp_path / "sva"
    folder.mkdir()
    lines = [
        f"0\tx\tthe {word} number {n} ***mask***\t{pair}\n"
        for n in range(10)
        for word, pair in (("cat", "has\thave"), ("cats", "have\thas"))
    ]
    (folder / "lgd_dataset.tsv").write_text("".join(lines))
    found = []
    for end in ("\n", "\r\n"):
        (folder / "vocab.txt").write_bytes(f"[PAD]{end}has{end}have{end}".encode())
        found.append(load("sva", "train", {"source": "url"}, downloads=tmp_path))
    assert len(found[0]) == 14 and found[1].equals(found[0])
    (folder / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(PlumblineError, match="the 0 rows of .*lgd_dataset.tsv .* cannot be divided"):
        load("sva", "train", {"source": "url"}, downloads=tmp_path)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(header + array.astype("uint8").tobytes())


PICTURES, DIGITS = np.arange(5 * 28 * 28).reshape(5, 28, 28) % 251, np.array([3, 1, 4, 1, 5])
NO_IDX = "is no IDX file of bytes"


@pytest.mark.parametrize(
    ("pictures", "labels", "expected"),
    [
        (idx(PICTURES), idx(DIGITS), None),
        (idx(PICTURES), idx(DIGITS[:4]), "images.* has 5 images, .*labels.* 4 labels"),
        (idx(PICTURES[:4]), idx(DIGITS), "has 4 images, .* 5 labels"),
        (idx(PICTURES[:0]), idx(DIGITS[:0]), "has no rows"),
        (idx(DIGITS), idx(PICTURES), "images.* has 1 dimensions, not 3"),
        (idx(PICTURES), idx(PICTURES), "labels.* has 3 dimensions, not 1"),
        (
            idx(PICTURES),
            idx(np.array([3, 1, 10, 1, 5])),
            "row 2 of .*labels.* has the label 10; legal: 0 to 9",
        ),
        (idx(PICTURES)[:-9], idx(DIGITS), "images.* is no gzip file"),
        (idx(PICTURES), idx(DIGITS)[:11], "labels.* is no gzip file"),
        (gzip.compress(gzip.decompress(idx(PICTURES))[:-1]), idx(DIGITS), "images.* holds 3919 values"),
        (gzip.compress(gzip.decompress(idx(PICTURES))[:9]), idx(DIGITS), f"images.* {NO_IDX}"),
        (idx(PICTURES), gzip.compress(b"\0\0\x08"), f"labels.* {NO_IDX}"),
        (idx(PICTURES), gzip.compress(b""), f"labels.* {NO_IDX}"),
        (idx(PICTURES), gzip.compress(b"\0\0\x0d\x01\0\0\0\x05" + bytes(20)), f"labels.* {NO_IDX}"),
        (idx(PICTURES), b"version https://git-lfs.github.com/spec/v1\n", "labels.* is no gzip file"),
    ],
    ids=itertools.count(),
)
def test_files_of_mnist_agree_or_one_line_says_which_does_not(tmp_path, pictures, labels, expected):
    in_mirror(tmp_path, "mnist/t10k-images-idx3-ubyte.gz", pictures)
    in_mirror(tmp_path, "mnist/t10k-labels-idx1-ubyte.gz", labels)
    if expected:
        with pytest.raises(PlumblineError, match=expected):
            load("mnist", "test", {"source": "mirror"}, mirror=tmp_path)
        return
    frame = load("mnist", "test", {"source": "mirror"}, mirror=tmp_path)
    assert frame["label"].tolist() == DIGITS.tolist()
    assert (np.stack(frame["pixels"]) == PICTURES.reshape(5, -1)).all()


def parquet(folder, name, **columns):
    pd.DataFrame(columns).to_parquet(folder / name)
    return (folder / name).read_bytes()


def test_hub_from_download_to_rows(tmp_path, monkeypatch):
    files = {
        f"data/{split}-00000-of-00001.parquet": parquet(
            tmp_path, split, idx=range(3), sentence=[f"{split} a ", "b ", "c "], label=labels
        )
        for split, labels in {"train": [0, 1, 1], "validation": [1, 0, 1], "test": [-1, -1, -1]}.items()
    }
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


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": ["a", "b"], "label": [0, 1]}, [("a", 0), ("b", 1)]),
        ({"text": ["a", None], "label": [0, 1]}, "row 1 of .* has no text"),
        ({"text": ["a", " "], "label": [0, 1]}, "row 1 of .* has an empty text"),
        ({"text": ["a", "b"], "label": [0, None]}, "row 1 of .* has no label"),
        ({"text": ["a", "b"], "label": [0.0, 0.5]}, "column 'label' of .* is float64, not whole numbers"),
        ({"text": ["a", "b"], "label": ["0", "1"]}, "column 'label' of .* not whole numbers"),
        ({"text": ["a", "b"], "label": [False, True]}, "column 'label' of .* is bool, not whole numbers"),
        ({"text": ["a", "b"], "label": [0, 2]}, "row 1 of .* has the label 2; legal: 0 to 1"),
        ({"text": ["a", "b"], "label": [0, -1]}, "row 1 of .* has the label -1; legal: 0 to 1"),
        ({"text": [1, 2], "label": [0, 1]}, "column 'text' of .* is int64, not text"),
        ({"sentence": ["a", "b"], "label": [0, 1]}, "has no column 'text'; it has sentence, label"),
    ],
)
def test_parquet_tables_give_the_right_rows_or_one_line(tmp_path, columns, expected):
    for dataset in ("imdb", "yelp"):
        (tmp_path / dataset).mkdir()
        parquet(tmp_path / dataset, "test.parquet", **columns)
        path = str(tmp_path / dataset / "test.parquet")
        found_or_fault(dataset, "test", expected, path, downloads=tmp_path, block={"source": "hub"})


def test_sva_is_prepared_as_published(tmp_path):
    """Against a transcription of the authors' rules, on made-up rows."""
    from sklearn.model_selection import train_test_split

    verbs = [
        ("has", "have"),
        ("have", "has"),
        ("lives", "live"),
        ("live", "lives"),
        ("is", "are"),
        ("are", "is"),
        ("hath", "have"),
    ]
    lines = [
        (number % 5, "full", f"the {WORDS[number % 10]} {number} ***mask*** here .", *verbs[number % 7])
        for number in range(140)
    ]
    folder = tmp_path / "sva"
    folder.mkdir()
    (folder / "lgd_dataset.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    (folder / "vocab.txt").write_text("[PAD]\nis\nare\nhas\nhave\nlives\nlive\n")

    kept = [line for line in lines if line[3] in ("has", "have", "lives", "live")]
    third = [line[3] in ("is", "has") or len(line[3]) > len(line[4]) for line in kept]
    train, rest = train_test_split(
        range(len(kept)), test_size=0.3, random_state=48151623, shuffle=True, stratify=third
    )
    validation, test = train_test_split(
        rest, test_size=0.5, random_state=48151623, shuffle=True, stratify=[third[index] for index in rest]
    )
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
        PlumblineError, match=r"row 0 of .*lgd_dataset.tsv has not one \*\*\*mask\*\*\*: no mask here"
    ):
        load("sva", "train", {"source": "url"}, downloads=tmp_path)
