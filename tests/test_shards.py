"""Runs split into shards, and artefacts written row group by row group: no byte of a result shows how."""

import json
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.artefacts import (
    ROW_GROUP,
    gather_rows,
    open_rows,
    read_rows,
    rows_writer,
    stream_records,
    write_rows,
)
from plumbline.errors import PlumblineError
from plumbline.models.tokenisation import BLOCK, block_range, blocks
from plumbline.work import add_costs, measured
from tests import workflow

pytestmark = pytest.mark.slow


def curves(count):
    """Columns of the schema `faithfulness`, of lists of several lengths."""
    return {
        "id": range(count),
        "cut": [0] * count,
        "readout": ["alti"] * count,
        "protocol": [("standard", "mask")[number % 2] for number in range(count)],
        "kind": ["comp"] * count,
        "removed": [list(range(number % 7)) for number in range(count)],
        "probability": [[0.5] * (number % 5 + 1) for number in range(count)],
        "score": [None if number % 2 else number / count for number in range(count)],
        "tied": [number / count for number in range(count)],
    }


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=4))
def test_sizes_in_which_rows_come_change_no_byte(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("rows")
    columns = curves(sum(sizes))
    write_rows(folder / "whole.parquet", columns, kind="faithfulness")
    start = 0
    with rows_writer(folder / "pieces.parquet", kind="faithfulness") as write:
        for number, size in enumerate(sizes):
            piece = {name: list(values)[start : start + size] for name, values in columns.items()}
            write(piece)
            write_rows(folder / f"{number}.parquet", piece, kind="faithfulness")
            start += size
    gather_rows(
        folder / "gathered.parquet",
        [folder / f"{number}.parquet" for number in range(len(sizes))],
        kind="faithfulness",
    )
    whole = (folder / "whole.parquet").read_bytes()
    assert (folder / "pieces.parquet").read_bytes() == whole
    assert (folder / "gathered.parquet").read_bytes() == whole
    read = open_rows(folder / "whole.parquet").metadata
    assert read.num_rows == sum(sizes)
    assert all(read.row_group(group).num_rows <= ROW_GROUP for group in range(read.num_row_groups))


def test_a_part_of_the_rows_is_read(tmp_path):
    count = 2 * ROW_GROUP + 3
    write_rows(tmp_path / "rows.parquet", curves(count), kind="faithfulness")
    for start, stop in (
        (0, None),
        (0, 1),
        (ROW_GROUP - 1, ROW_GROUP + 1),
        (ROW_GROUP, count),
        (count, count),
    ):
        found = [
            row["id"] for row in stream_records(tmp_path / "rows.parquet", ["id"], start=start, stop=stop)
        ]
        assert found == list(range(count))[start:stop]


def test_a_fault_while_rows_are_written_leaves_nothing(tmp_path):
    with (
        pytest.raises(PlumblineError, match="not finite"),
        rows_writer(tmp_path / "x.parquet", kind="faithfulness") as write,
    ):
        write(curves(ROW_GROUP))
        write(curves(1) | {"score": [float("nan")]})
    assert list(tmp_path.iterdir()) == []


@given(st.integers(0, 5000), st.integers(1, 20))
def test_shards_are_whole_blocks_and_all_of_them(examples, count):
    if count > max(1, -(-examples // BLOCK)):
        with pytest.raises(PlumblineError, match=f"too few for {count} shards: set the run's `shards` to"):
            block_range(examples, (0, count), "x")
        return
    ranges = [block_range(examples, (number, count), "x") for number in range(count)]
    assert [number for first, last in ranges for number in range(first, last)] == list(range(examples))
    assert all(first % BLOCK == 0 for first, _ in ranges)
    sizes = [len(list(blocks(range(first, last)))) for first, last in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_costs_of_shards_add_up(tmp_path):
    for shard, numbers in enumerate(((60.0, 50.5, 500.0), (20.0, 19.5, 700.0))):
        found = dict(zip(("seconds", "cpu_seconds", "max_rss_mb"), numbers, strict=True))
        (tmp_path / f"{shard}.json").write_text(json.dumps(found))
    add_costs(tmp_path / "all.json", [tmp_path / "0.json", tmp_path / "1.json"])
    found = json.loads((tmp_path / "all.json").read_text())
    assert found == {"seconds": 80.0, "cpu_seconds": 70.0, "max_rss_mb": 700.0}


def test_a_job_measures_what_it_and_its_children_compute(tmp_path):
    """A job that waits takes time and no CPU; what a child computes counts; what was computed before does not."""
    spin = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    exec(spin, {})
    with measured(tmp_path / "waits.json"):
        time.sleep(0.3)
    with measured(tmp_path / "computes.json"):
        subprocess.run([sys.executable, "-c", spin], check=True)
    waits, computes = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("waits", "computes"))
    assert waits["seconds"] >= 0.3 > 0.2 > waits["cpu_seconds"]
    assert computes["cpu_seconds"] >= 0.3
    assert 10 < waits["max_rss_mb"] < 10_000
    with pytest.raises(ValueError), measured(tmp_path / "fails.json"):
        raise ValueError
    assert not (tmp_path / "fails.json").exists()


STEM = "results/tiny/faithfulness/sentiment/tiny/seed0/gradient"


@pytest.fixture(scope="module")
def split(plain, tmp_path_factory):
    """shards -> the folder of a cut-down run of over 512 examples, three blocks, 20 of them cut."""
    found = {}
    run = {"dataset": "sentiment", "model": "tiny", "examples": 640, "methods": ["gradient"], "longer": 20}
    tiny = workflow.configuration(workflow.TINY)["models"]["tiny"]
    for count in (1, 3):
        folder = workflow.copy(plain, tmp_path_factory.mktemp("split") / str(count))
        if found:  # the same model
            for name in (
                "results/tiny/data",
                "results/tiny/models",
                "results/tiny/benchmarks/models",
                ".snakemake",
            ):
                shutil.copytree(found[1] / name, folder / name, dirs_exist_ok=True)
        overlay = {
            "datasets": {"sentiment": {"test": 640}},
            "models": {"tiny": tiny | {"max_tokens": 40}},
            "runs": [run | {"shards": count}],
            "faithfulness": [
                {"protocol": "published_bins", "readouts": ["grad_l2"]},
                {"protocol": "published_steps", "readouts": ["grad_l2"], "examples": 300, "cap": 4},
            ],
            "selective_rollout": None,
            "tables": ["comp_suff", "cost"],
            "figures": [],
        }
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        done = workflow.snakemake(
            folder, "--cores", "2", "--configfile", workflow.TINY, "overlay.yaml", "--", f"{STEM}.parquet"
        )
        assert done.returncode == 0, done.stdout
        found[count] = folder
    return found


@pytest.mark.xdist_group("workflow")
def test_the_number_of_shards_changes_no_byte(split):
    one, three = (workflow.files(split[count] / "results/tiny") for count in (1, 3))
    parts = {name for name in three if "/gradient/" in name}
    assert len(parts) == 2 * 3
    assert {name: data for name, data in three.items() if name not in parts} == one
    method = split[3] / "results/tiny/attributions/sentiment/tiny/seed0/gradient"
    sizes = [len(read_rows(method / f"{shard}.parquet")) for shard in range(3)]
    whole = read_rows(method.with_suffix(".parquet"))
    assert sizes[:2] == [BLOCK, BLOCK] and sum(sizes) == len(whole) > 2 * BLOCK
    assert whole["cut"].astype(bool).sum() == 20
    curves = read_rows(split[3] / f"{STEM}.parquet")
    assert curves[curves["protocol"] == "published_steps"]["id"].nunique() == 300


@pytest.mark.xdist_group("workflow")
def test_shards_together_did_the_same_work(split):
    benchmarks = [split[count] / "results/tiny/benchmarks" for count in (1, 3)]
    works = [
        json.loads((folder / "work/sentiment/tiny/seed0/gradient.json").read_text()) for folder in benchmarks
    ]
    for facts in works:
        assert facts.pop("seconds") > 0
    assert works[0] == works[1] and works[0]["rows"] > 500
    for folder in benchmarks:
        cost = json.loads((folder / "faithfulness/sentiment/tiny/seed0/gradient.json").read_text())
        assert cost.pop("about")["method"] == "gradient"
        assert sorted(cost) == ["cpu_seconds", "max_rss_mb", "seconds"] and min(cost.values()) > 0


@pytest.mark.xdist_group("workflow")
def test_a_lost_shard_is_made_again_alone(split):
    folder = split[3]
    for file in (f"{STEM}.parquet", f"{STEM}/1.parquet"):
        (folder / file).unlink()
    again = workflow.planned(folder, "--configfile", workflow.TINY, "overlay.yaml", "--", f"{STEM}.parquet")
    assert again == [f"{STEM}.parquet", f"{STEM}/1.parquet"]
