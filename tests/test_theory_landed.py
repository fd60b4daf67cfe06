"""Rows of LIME that are landed in the repository: restored, computed again, compared."""

import hashlib
import json
import shutil

import pytest

from plumbline.artefacts import read_rows, write_rows
from plumbline.errors import PlumblineError
from plumbline.theory import landed


@pytest.fixture
def folders(xai_study, tmp_path):
    results = tmp_path / "small"
    shutil.copytree(xai_study[0], results)
    landed.main(["land", str(results), str(tmp_path / "landed")])
    return results, tmp_path / "landed"


@pytest.mark.slow
def test_land_and_restore(folders):
    results, folder = folders
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"] == {
        "gradient": {"0": 30, "1": 30},
        "lime_mask": {"0": 30, "1": 30},
        "lime_delete": {"0": 20, "1": 20},
    }
    assert manifest["versions"]["torch"] and "--configfile config.small.yaml" in manifest["command"]
    assert (folder / "xai_faithfulness.csv").is_file()
    assert [(item["experiment"], item["seed"], item["shard"]) for item in manifest["shards"]] == [
        (name, seed, 0) for name in ("gradient", "lime_mask", "lime_delete") for seed in (0, 1)
    ]
    for item in manifest["shards"]:
        assert len(read_rows(folder / item["file"])) == item["rows"] and item["seconds"] is None
        assert hashlib.sha256((folder / item["file"]).read_bytes()).hexdigest() == item["sha256"]
    assert manifest["lime"] == {"samples": 100, "repeats": 2} and manifest["scale"] == "small"
    for seed, about in manifest["classifiers"].items():
        metrics = json.loads((results / f"models/sentiment/multihead/seed{seed}/metrics.json").read_text())
        assert json.loads((folder / about["metrics"]).read_text()) == metrics
        assert (about["accuracy"], about["dataset"]) == (metrics["accuracy"], "sentiment")
    landed.main(["land", str(results), str(folder)])  # a second time, over what is there
    shard = results / "theory/sentiment/seed0/lime_mask/0.parquet"
    before = shard.read_bytes()
    shutil.rmtree(shard.parents[2])
    assert landed.main(["restore", str(results), str(folder)]).startswith("6 shards put back")
    shard.unlink()
    assert landed.main(["restore", str(results), str(folder)]).startswith("1 shards put back")
    assert shard.read_bytes() == before


@pytest.mark.slow
def test_landed_rows_can_be_computed_again(folders):
    results, folder = folders
    assert landed.main(["check", str(results), str(folder)]).startswith("24 reviews computed again")


@pytest.mark.slow
def test_landed_rows_that_differ_are_told(folders):
    """A number of a landed shard is moved, and its checksum with it: only computing it again can find that."""
    results, folder = folders
    file, manifest = folder / "lime_mask/seed1/0.parquet", json.loads((folder / "manifest.json").read_text())
    for factor, told in ((1.0005, False), (1.01, True)):
        rows = read_rows(results / "theory/sentiment/seed1/lime_mask/0.parquet")
        rows.loc[2, "lime_norm"] *= factor
        write_rows(file, rows.to_dict("list"), kind="theory")
        manifest["shards"] = [item for item in manifest["shards"] if folder / item["file"] == file]
        manifest["shards"][0]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest))
        if told:
            with pytest.raises(
                PlumblineError, match=f"review {rows['id'][2]}, lime_norm is .*, computed again"
            ):
                landed.main(["check", str(results), str(folder)])
        else:
            landed.main(["check", str(results), str(folder)])


@pytest.mark.slow
def test_seconds_of_a_landed_shard_are_its_benchmarks(folders, tmp_path):
    results, _ = folders
    benchmark = results / "benchmarks/theory/sentiment/seed1/gradient/0.json"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text('{"seconds": 12.5, "cpu_seconds": 11.0, "max_rss_mb": 99.0}')
    said = landed.main(["land", str(results), str(tmp_path / "again")])
    assert said == f"6 shards, 160 rows in {tmp_path / 'again'}"
    shards = json.loads((tmp_path / "again/manifest.json").read_text())["shards"]
    assert [item["seconds"] for item in shards] == [None, 12.5, None, None, None, None]


@pytest.mark.slow
def test_landed_faults(folders):
    results, folder = folders
    weights = results / "models/sentiment/multihead/seed0/model.safetensors"
    shutil.copyfile(results / "models/sentiment/multihead/seed1/model.safetensors", weights)
    with pytest.raises(PlumblineError, match="is another model than the one whose shards are landed"):
        landed.main(["restore", str(results), str(folder)])
    (folder / "gradient/seed0/0.parquet").write_bytes(b"x")
    with pytest.raises(PlumblineError, match="wrong checksum of .*gradient/seed0/0.parquet"):
        landed.main(["check", str(results), str(folder)])
    with pytest.raises(PlumblineError, match="usage: python -m plumbline.theory.landed"):
        landed.main(["land"])
    with pytest.raises(PlumblineError, match="has no multi-head classifier"):
        landed.main(["land", str(folder), str(folder)])
