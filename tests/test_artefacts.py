"""Reading artefacts: what is damaged is said in one line with the file's name, whichever reader meets it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from plumbline import artefacts
from plumbline.artefacts import (
    about,
    check_file,
    gather_rows,
    load_weights,
    open_rows,
    read_about,
    read_json,
    read_records,
    read_rows,
    stream_records,
    write_json,
    write_rows,
)
from plumbline.errors import PlumblineError
from plumbline.workflow.job import fields_of

ROWS = 300
COLUMNS = {
    "id": list(range(ROWS)),
    "text": [f"film {number} über alles" for number in range(ROWS)],
    "label": [number % 2 for number in range(ROWS)],
}
READERS = {
    "rows": read_rows,
    "records": read_records,
    "stream": lambda path: list(stream_records(path)),
    "gather": lambda path: gather_rows(path.with_name("gathered.parquet"), [path], kind="data"),
    "check": check_file,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "test.parquet"
    write_rows(path, COLUMNS, kind="data")
    return path.read_bytes()


def pages(content):
    """How many bytes of a Parquet file lie before its footer."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_a_byte_changed_inside_is_never_read(tmp_path, good, reader):
    """Wherever it lies: in lengths, texts, or in numbers, where a changed bit is as good a number."""
    path = tmp_path / "test.parquet"
    for place in range(4, pages(good), 7):
        content = bytearray(good)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            READERS[reader](path)
        except PlumblineError as fault:
            assert str(path) in str(fault) and "\n" not in str(fault)
        else:  # a byte that carries nothing, as in a page header's statistics
            assert read_rows(path).to_dict("list") == COLUMNS


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", ["cut", "empty", "footer", "other", "pointer"])
def test_a_file_that_is_none_is_named(tmp_path, good, reader, damage):
    path = tmp_path / "test.parquet"
    path.write_bytes(
        {
            "cut": good[: len(good) // 2],
            "empty": b"",
            "footer": good[: pages(good) + 9] + good[-8:],
            "other": b"PAR1 but no table PAR1",
            "pointer": b"version https://git-lfs.github.com/spec/v1\n",
        }[damage]
    )
    with pytest.raises(PlumblineError, match="not a Parquet file, or damaged") as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_is_named(tmp_path, reader):
    with pytest.raises(PlumblineError, match=r"missing file .*absent.parquet: make it with `snakemake"):
        READERS[reader](tmp_path / "absent.parquet")
    with pytest.raises(PlumblineError, match="missing file"):
        open_rows(tmp_path / "absent.parquet")


@pytest.mark.parametrize(
    "reader", [read_rows, read_records, lambda path, names: list(stream_records(path, names))]
)
def test_a_missing_column_is_named(tmp_path, good, reader):
    (tmp_path / "test.parquet").write_bytes(good)
    with pytest.raises(
        PlumblineError, match="test.parquet has no column 'rationale'; it has id, text, label"
    ):
        reader(tmp_path / "test.parquet", ["id", "rationale"])


def test_a_file_without_checksums_is_read_too(tmp_path, good):
    """Files of earlier versions have none."""
    import pyarrow.parquet as pq

    (tmp_path / "new.parquet").write_bytes(good)
    pq.write_table(pq.read_table(tmp_path / "new.parquet"), tmp_path / "old.parquet", compression="zstd")
    assert read_rows(tmp_path / "old.parquet").to_dict("list") == COLUMNS


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": 1', b'{"a": 1} {', b"\xff\xfe{\0}\0", b"version 1\n", b"[" * 100_000]
)
def test_json_that_is_none_is_named(tmp_path, content):
    (tmp_path / "facts.json").write_bytes(content)
    with pytest.raises(PlumblineError, match="facts.json is not JSON") as caught:
        read_json(tmp_path / "facts.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(PlumblineError, match="missing file"):
        read_json(tmp_path / "absent.json")


def test_weights_that_are_none_are_named(tmp_path):
    model, path = torch.nn.Linear(3, 2), tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    good, other = path.read_bytes(), torch.nn.Linear(3, 2)
    load_weights(other, path)
    assert torch.equal(other.weight, model.weight)
    header = int.from_bytes(good[:8], "little")
    damaged = json.loads(good[8 : 8 + header])
    damaged["weight"]["data_offsets"][1] += 4
    text = json.dumps(damaged).encode().ljust(header)
    for content in (
        b"",
        good[:20],
        good[:-4],
        b"version https://git-lfs.github.com/spec/v1\n",
        b"PK\3\4",
        good[:8] + text + good[-32:],
        np.uint64(2**60).tobytes() + good[8:],
    ):
        path.write_bytes(content)
        with pytest.raises(PlumblineError, match="is not a safetensors file, or damaged") as caught:
            load_weights(torch.nn.Linear(3, 2), path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    path.write_bytes(good)
    for network in (
        torch.nn.Linear(3, 4),
        torch.nn.Linear(3, 2, bias=False),
        torch.nn.Conv2d(1, 1, 1),
        torch.nn.Bilinear(3, 3, 2),
    ):
        with pytest.raises(PlumblineError, match="has the weights of another network") as caught:
            load_weights(network, path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(PlumblineError, match="missing file"):
        load_weights(model, tmp_path / "absent.safetensors")


def test_the_files_metadata_names_a_schema(tmp_path, good, monkeypatch):
    (tmp_path / "test.parquet").write_bytes(good)
    assert check_file(tmp_path / "test.parquet") == []
    monkeypatch.setattr(artefacts, "SCHEMAS", tmp_path)
    assert check_file(tmp_path / "test.parquet") == ["no schema is named in the file's metadata"]


OF = {"dataset": "digits", "model": "lenet", "seed": 3, "class": 8}
NONE = {"method": None, "split": None}


def test_an_artefact_says_what_it_is_of_and_its_content_stays(tmp_path):
    with about(OF):
        write_rows(tmp_path / "a.parquet", COLUMNS, kind="data")
        write_json(tmp_path / "a.json", {"accuracy": 0.5})
        write_json(tmp_path / "list.json", ["a word"])
    write_rows(tmp_path / "plain.parquet", COLUMNS, kind="data")
    assert read_about(tmp_path / "a.parquet") == read_about(tmp_path / "a.json") == OF | NONE
    assert check_file(tmp_path / "a.parquet") == []
    assert open_rows(tmp_path / "a.parquet").read().equals(open_rows(tmp_path / "plain.parquet").read())
    assert next(iter(json.loads((tmp_path / "a.json").read_text()))) == "about"
    assert read_json(tmp_path / "a.json") == {"accuracy": 0.5}
    assert read_json(tmp_path / "list.json") == ["a word"]


def test_gathered_shards_are_of_what_the_gathering_job_is_of(tmp_path):
    """Byte for byte as if there had been no shards, which say their number."""
    for number in (0, 1):
        half = {name: values[150 * number : 150 * (number + 1)] for name, values in COLUMNS.items()}
        with about(OF | {"shard": number}):
            write_rows(tmp_path / f"{number}.parquet", half, kind="data")
    assert read_about(tmp_path / "1.parquet")["shard"] == 1
    with about(OF):
        gather_rows(
            tmp_path / "gathered.parquet", [tmp_path / "0.parquet", tmp_path / "1.parquet"], kind="data"
        )
        write_rows(tmp_path / "whole.parquet", COLUMNS, kind="data")
    assert (tmp_path / "gathered.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("name", ["a.parquet", "a.json", "list.json"])
def test_an_artefact_that_does_not_say_what_it_is_of_is_told(tmp_path, name):
    write_rows(tmp_path / "a.parquet", COLUMNS, kind="data")
    write_json(tmp_path / "a.json", {"accuracy": 0.5})
    write_json(tmp_path / "list.json", ["a word"])
    with pytest.raises(PlumblineError, match=f"{name} does not say what it is of.*remove it and run again"):
        read_about(tmp_path / name)
    with pytest.raises(PlumblineError, match="missing file"):
        read_about(tmp_path / f"no_{name}")


def test_wildcards_are_numbers_where_rows_of_stages_have_numbers():
    wildcards = {"dataset": "digits", "seed": "3", "class": "8", "shard": "0", "model": "7"}
    assert fields_of(wildcards) == {"dataset": "digits", "seed": 3, "class": 8, "shard": 0, "model": "7"}
