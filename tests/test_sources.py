"""Sources: every fault of a mirror or a download is one clear line, and nothing half-written stays."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from plumbline.datasets import mirror as mirror_module
from plumbline.datasets import sources
from plumbline.errors import PlumblineError
from tests import workflow
from tests.hub_server import hub

COMMIT, OTHER = "a" * 40, "b" * 40
BYTES = os.urandom(50_000)


def digest(content):
    return hashlib.sha256(content).hexdigest()


# ---------------------------------------------------------------- mirror


@pytest.fixture
def mirror(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.tsv").write_bytes(BYTES)
    (tmp_path / "SHA256SUMS").write_text(f"{digest(BYTES)}  d/x.tsv\n")
    return tmp_path


def test_mirror_gives_the_checked_file(mirror, monkeypatch):
    assert sources.mirror_file(mirror, "d/x.tsv").read_bytes() == BYTES
    monkeypatch.setenv("PLUMBLINE_MIRROR", str(mirror))
    assert sources.mirror_file(None, "d/x.tsv") == mirror / "d/x.tsv"


@pytest.mark.parametrize("style", ["{} *d/x.tsv", "{}  ./d/x.tsv", "\n{}  d/x.tsv\n\n"])
def test_mirror_reads_what_sha256sum_writes(mirror, style):
    (mirror / "SHA256SUMS").write_text(style.format(digest(BYTES)) + "\n")
    assert sources.mirror_file(mirror, "d/x.tsv").exists()


def test_mirror_faults(mirror, monkeypatch):
    monkeypatch.delenv("PLUMBLINE_MIRROR", raising=False)
    with pytest.raises(
        PlumblineError, match=r"no mirror folder for d/x\.tsv: set `mirror:`.*PLUMBLINE_MIRROR"
    ):
        sources.mirror_file(None, "d/x.tsv")
    with pytest.raises(PlumblineError, match=r"mirror folder /nowhere does not exist"):
        sources.mirror_file("/nowhere", "d/x.tsv")
    with pytest.raises(PlumblineError, match=r"has no d/y\.tsv: copy the file there and add its line"):
        sources.mirror_file(mirror, "d/y.tsv")
    (mirror / "d" / "y.tsv").write_bytes(b"y")
    with pytest.raises(PlumblineError, match=r"SHA256SUMS does not list d/y\.tsv"):
        sources.mirror_file(mirror, "d/y.tsv")
    (mirror / "d" / "x.tsv").write_bytes(BYTES[:-1])
    with pytest.raises(
        PlumblineError, match=rf"wrong checksum of .*d/x\.tsv: {digest(BYTES[:-1])}, but SHA256SUMS says"
    ):
        sources.mirror_file(mirror, "d/x.tsv")
    (mirror / "SHA256SUMS").unlink()
    with pytest.raises(PlumblineError, match=r"has no SHA256SUMS: make it there with"):
        sources.mirror_file(mirror, "d/x.tsv")


# ---------------------------------------------------------------- hub and url


@pytest.fixture
def server(monkeypatch):
    files = {"data/x.parquet": BYTES, "config.json": b"{}", "pytorch_model.bin": b"weights"}
    repos = {
        "dataset/o/d": {"commit": COMMIT, "files": files},
        "model/o/m": {"commit": COMMIT, "files": files},
    }
    with hub(repos, {"t.tsv": BYTES}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def place(tmp_path):
    """The destination and the lock file of a download; afterwards nothing half-written may stay."""
    yield {"destination": tmp_path / "out" / "x", "lock": tmp_path / "lock.json"}
    out = tmp_path / "out"
    assert not out.exists() or {path.name for path in out.rglob("*")} <= {"x"}


def fetch_data(place, **options):
    return sources.fetch_hub("o/d", "data/x.parquet", **place, repo_type="dataset", **options)


def test_hub_download_pins_commit_and_checksum(server, place):
    assert fetch_data(place).read_bytes() == BYTES
    assert os.stat(place["destination"]).st_mode & 0o444 == 0o444
    pins = json.loads(place["lock"].read_text())
    assert pins["hub"] == {"dataset/o/d@main": {"commit": COMMIT, "files": {"data/x.parquet": digest(BYTES)}}}
    before = place["lock"].stat().st_mtime_ns
    fetch_data(place)
    assert place["lock"].stat().st_mtime_ns == before


def test_hub_pinned_revision(server, place):
    fetch_data(place, revision=COMMIT, sha256=digest(BYTES))
    assert f"dataset/o/d@{COMMIT}" in json.loads(place["lock"].read_text())["hub"]
    assert all("main" not in path for _, path in server.requests)
    with pytest.raises(
        PlumblineError, match=f"the config asks for {OTHER}, but the host gives no such commit"
    ):
        fetch_data(place, revision=OTHER)
    with pytest.raises(PlumblineError, match="there is no revision 'v9'"):
        fetch_data(place, revision="v9")


def test_hub_moved_branch_keeps_the_locked_commit(server, place):
    fetch_data(place)
    place["destination"].unlink()
    server.repos["dataset/o/d"] = {"commit": OTHER, "files": {"data/x.parquet": b"new"}}
    with pytest.raises(
        PlumblineError, match=f"lock.json pins commit {COMMIT}, but the host gives no such commit"
    ):
        fetch_data(place)
    assert not place["destination"].exists()


def test_hub_changed_bytes_against_the_lock(server, place):
    fetch_data(place)
    place["destination"].unlink()
    server.repos["dataset/o/d"]["files"] = {"data/x.parquet": b"other bytes"}
    with pytest.raises(
        PlumblineError, match=rf"not the file of the first download.*lock.json pins {digest(BYTES)}"
    ):
        fetch_data(place)
    assert not place["destination"].exists()


def test_hub_wrong_checksum(server, place):
    with pytest.raises(
        PlumblineError, match=rf"wrong checksum of data/x\.parquet of dataset o/d at 127.*expected {'0' * 64}"
    ):
        fetch_data(place, sha256="0" * 64)
    assert not place["destination"].exists()


def test_hub_missing_file_and_repository(server, place):
    with pytest.raises(sources.NotThere, match="cannot fetch none.json of model o/m at 127.*no such file"):
        sources.fetch_hub("o/m", "none.json", **place)
    with pytest.raises(
        PlumblineError, match="cannot fetch config.json of model o/q at 127.*no such repository"
    ):
        sources.fetch_hub("o/q", "config.json", **place)
    assert not place["lock"].exists()


@pytest.mark.parametrize("fault", ["truncated", 500])
def test_hub_truncated_body_and_broken_host(server, place, fault):
    server.faults["x.parquet"] = fault
    with pytest.raises(
        PlumblineError, match=r"cannot fetch data/x\.parquet of dataset o/d at 127.*HF_ENDPOINT"
    ):
        fetch_data(place)
    assert not place["destination"].exists()


def test_hub_unreachable(place, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(
        PlumblineError, match=r"cannot fetch data/x\.parquet of dataset o/d at 127.*without network"
    ):
        fetch_data(place)
    assert not place["lock"].exists()


def test_snapshot_takes_the_first_that_exists(server, tmp_path):
    wanted = ["config.json", "model.safetensors|pytorch_model.bin", "merges.txt?"]
    found = sources.fetch_snapshot("o/m", tmp_path / "m", wanted, lock=tmp_path / "lock.json")
    assert [path.name for path in found] == ["config.json", "pytorch_model.bin"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["config.json", "pytorch_model.bin"]
    with pytest.raises(PlumblineError, match="model o/m at 127.* has no a.json or b.json"):
        sources.fetch_snapshot("o/m", tmp_path / "m", ["a.json|b.json"], lock=tmp_path / "lock.json")


def test_url_download_and_lock(server, place):
    url = f"{server.url}/plain/t.tsv"
    sources.fetch_url(url, **place, sha256=digest(BYTES))
    assert place["destination"].read_bytes() == BYTES
    assert json.loads(place["lock"].read_text())["url"] == {url: digest(BYTES)}
    server.plain["t.tsv"] = b"other"
    with pytest.raises(PlumblineError, match="not the file of the first download"):
        sources.fetch_url(url, **place)
    assert place["destination"].read_bytes() == BYTES


@pytest.mark.parametrize(
    ("fault", "words"), [("truncated", "cannot fetch"), ("cut", "cannot fetch"), (404, "404"), (503, "503")]
)
def test_url_faults(server, place, fault, words):
    server.faults["t.tsv"] = fault
    with pytest.raises(
        PlumblineError, match=rf"cannot fetch t\.tsv from 127\.0\.0\.1.*{words}|{words}.*t\.tsv from 127"
    ):
        sources.fetch_url(f"{server.url}/plain/t.tsv", **place)
    assert not place["destination"].exists()


def test_url_wrong_checksum_and_unreachable(server, place):
    with pytest.raises(PlumblineError, match=r"wrong checksum of t\.tsv from 127"):
        sources.fetch_url(f"{server.url}/plain/t.tsv", **place, sha256="0" * 64)
    with pytest.raises(PlumblineError, match=r"cannot fetch t\.tsv from 127.*refused.*without network"):
        sources.fetch_url(f"http://127.0.0.1:{free_port()}/t.tsv", **place)
    assert not place["destination"].exists()


def test_downloads_at_the_same_time_share_one_lock_file(server, tmp_path):
    server.plain |= {f"{number}.txt": str(number).encode() for number in range(12)}
    threads = [
        threading.Thread(
            target=sources.fetch_url,
            args=(f"{server.url}/plain/{number}.txt", tmp_path / str(number)),
            kwargs={"lock": tmp_path / "lock.json"},
        )
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pins = json.loads((tmp_path / "lock.json").read_text())["url"]
    assert pins == {f"{server.url}/plain/{number}.txt": digest(str(number).encode()) for number in range(12)}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---------------------------------------------------------------- what `snakemake mirror` fills


@pytest.fixture
def collected(server, tmp_path, monkeypatch):
    """A mirror of one data file, one URL and one checkpoint, and no host any more; (folder, lock)."""
    items = [
        {
            "kind": "hub",
            "repo": "o/d",
            "repo_type": "dataset",
            "revision": None,
            "filename": "data/x.parquet",
            "sha256": digest(BYTES),
            "licence": "CC0",
        },
        {"kind": "url", "url": f"{server.url}/plain/t.tsv", "sha256": None, "licence": "CC0"},
    ]
    server.repos["model/o/m"]["files"] = {
        "config.json": b"{}",
        "pytorch_model.bin": b"weights",
        "vocab.txt": b"a",
    }
    folder, lock, said = tmp_path / "mirror", tmp_path / "made.json", []
    manifest = mirror_module.collect(folder, items, [("o/m", None)], lock=lock, say=said.append)
    assert said[0] == f"plumbline: 5 files to mirror, 100 kB; to fetch into {folder}: 5 files, 100 kB"
    assert manifest["bytes"] == 7 + 2 + 1 + 2 * len(BYTES)
    assert {file["licence"] for file in manifest["files"]} == {"CC0", "none stated"}
    monkeypatch.setenv("PLUMBLINE_MIRROR", str(folder))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    return folder, server.url


def test_collected_files_need_no_host(collected, place, tmp_path):
    _, url = collected
    fetch_data(place, sha256=digest(BYTES))
    assert place["destination"].read_bytes() == BYTES
    sources.fetch_url(f"{url}/plain/t.tsv", **place)
    pins = json.loads(place["lock"].read_text())
    assert pins["hub"]["dataset/o/d@main"] == {"commit": COMMIT, "files": {"data/x.parquet": digest(BYTES)}}
    assert pins["url"] == {f"{url}/plain/t.tsv": digest(BYTES)}
    found = sources.fetch_snapshot("o/m", tmp_path / "snapshot", sources.CHECKPOINT, lock=place["lock"])
    assert [path.name for path in found] == ["config.json", "pytorch_model.bin", "vocab.txt"]


def test_collected_faults(collected, place):
    folder, _ = collected
    with pytest.raises(sources.NotThere, match="lists dataset o/d without data/y"):
        sources.fetch_hub("o/d", "data/y", **place, repo_type="dataset")
    place["lock"].write_text(json.dumps({"hub": {"dataset/o/d@main": {"commit": "f" * 40, "files": {}}}}))
    with pytest.raises(PlumblineError, match=rf"has commit {COMMIT} of dataset o/d, .* pins {'f' * 40}"):
        fetch_data(place)
    place["lock"].unlink()
    (folder / "hub/dataset/o/d@main/data/x.parquet").write_bytes(BYTES[:-1])
    with pytest.raises(PlumblineError, match=r"wrong checksum of .*data/x\.parquet"):
        fetch_data(place)
    # What it does not list is asked of its own source.
    with pytest.raises(
        PlumblineError, match=r"cannot fetch x of model o/other at 127\.0\.0\.1:9.*snakemake mirror"
    ):
        sources.fetch_hub("o/other", "x", **place)


def test_collecting_follows_the_lock_file(server, tmp_path):
    """Another checkout without a lock: the same commit is not fetched again, a moved branch is."""
    item = {
        "kind": "hub",
        "repo": "o/d",
        "repo_type": "dataset",
        "revision": None,
        "filename": "data/x.parquet",
        "sha256": None,
        "licence": "CC0",
    }
    folder, say = tmp_path / "mirror", lambda line: None

    def fetched(lock):
        before = len(server.requests)
        manifest = mirror_module.collect(folder, [item], [], lock=tmp_path / lock, say=say)
        return manifest["files"][0]["commit"], sum(method == "GET" for method, _ in server.requests[before:])

    assert fetched("first") == (COMMIT, 1)
    assert fetched("first") == fetched("second") == (COMMIT, 0)
    server.repos["dataset/o/d"] = {"commit": OTHER, "files": {"data/x.parquet": b"new"}}
    assert fetched("third") == (OTHER, 1)
    assert sources.sums(folder)["hub/dataset/o/d@main/data/x.parquet"] == digest(b"new")


def test_collecting_goes_on_and_keeps_what_others_put_there(server, tmp_path, monkeypatch):
    item = {"kind": "url", "sha256": None, "licence": "CC0"}
    first, second = (item | {"url": f"{server.url}/plain/{name}"} for name in ("t.tsv", "u.tsv"))
    folder, options = tmp_path / "mirror", {"lock": tmp_path / "lock.json", "say": lambda line: None}
    folder.mkdir()
    (folder / "own.tsv").write_bytes(b"mine")
    (folder / "SHA256SUMS").write_text(f"{digest(b'mine')}  own.tsv\n")
    with pytest.raises(PlumblineError, match="404"):
        mirror_module.collect(folder, [first, second], [], **options)
    assert not (folder / "manifest.json").exists()
    server.plain["u.tsv"] = b"u"
    before = len(server.requests)
    mirror_module.collect(folder, [second], [], **options)
    manifest = mirror_module.collect(folder, [first], [], **options)
    # t.tsv came with the first call; the last one asked for its size alone.
    assert [path for method, path in server.requests[before:] if method == "GET"] == ["plain/u.tsv"]
    assert [file["path"].rpartition("/")[2] for file in manifest["files"]] == ["t.tsv", "u.tsv"]
    assert sources.sums(folder)["own.tsv"] == digest(b"mine")
    monkeypatch.setattr(mirror_module.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 0}))
    server.plain["v.tsv"] = b"v" * 2000
    with pytest.raises(PlumblineError, match=r"has room for 0 B, the mirror needs 2 kB more"):
        mirror_module.collect(folder, [item | {"url": f"{server.url}/plain/v.tsv"}], [], **options)


@pytest.mark.slow
def test_a_mirror_of_folders(tmp_path):
    for name in ("data/sst2", "data/sva", "published/multiberts"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/file.tsv").write_text(name)
    (tmp_path / "data/SHA256SUMS").write_text(
        f"{sources.sha256_of(tmp_path / 'data/sst2/deep/file.tsv')}  sst2/deep/file.tsv\n"
    )
    where = tmp_path / "mirror"
    given_folders = [
        f"{tmp_path}/data/sst2",
        f"{tmp_path}/data/sva/",
        f"{tmp_path}/published/multiberts=multiberts_sst2",
    ]
    command = [sys.executable, "-m", "plumbline.datasets.mirror", str(where), *given_folders]
    environment = {**os.environ, "PYTHONPATH": str(workflow.ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sources.mirror_file(where, "multiberts_sst2/deep/file.tsv").read_text() == "published/multiberts"
    assert len(sources.sums(where)) == 3
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 1
    assert again.stderr.splitlines() == [
        f"plumbline: error: the mirror folder {where} is not empty: remove it or name another"
    ]
    (tmp_path / "data/sst2/deep/file.tsv").write_text("changed")
    with pytest.raises(PlumblineError, match="wrong checksum of .*sst2/deep/file.tsv"):
        mirror_module.assemble(tmp_path / "other", {"sst2": tmp_path / "data/sst2"})
    with pytest.raises(PlumblineError, match="two folders are called sst2"):
        mirror_module.main([str(tmp_path / "other"), f"{tmp_path}/data/sst2", f"{tmp_path}/data/sva=sst2"])
    with pytest.raises(PlumblineError, match="no folder"):
        mirror_module.main([str(tmp_path / "third"), f"{tmp_path}/data/sst3"])
