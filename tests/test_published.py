"""Published numbers: what resources/published.yaml says is what the references released, and how ours stand beside it."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from plumbline import tables
from plumbline.attribution import READOUTS
from plumbline.tables import published_vs_reproduced
from plumbline.tables.published import all_entries
from tests.synthetic import OPTIONS, make

RELEASED = Path(__file__).resolve().parents[2] / "shared" / "published"
needs_released = pytest.mark.skipif(
    not RELEASED.is_dir(), reason=f"the references' released numbers are not in {RELEASED}"
)
# The reference's key of a readout, where it is not a golden key; `grad` against itself is left out.
KEYS = {"raw": "raw_attention", "rollout": "rollout", "rollout_norm": "norm_rollout", "norm": "norm_rollout",
        "our": "alti_published", "ours": "alti_published", "grad": "grad_l2_published"}  # fmt: skip


@needs_released
@pytest.mark.parametrize("key", ["agreement", "special_tokens"])
def test_json_files_are_copied_right(key):
    for entry in all_entries(key):
        found = re.match(r"data/(.*)\.json@(\w+)$", entry["source"])
        if not found:
            continue  # recomputed from released arrays
        released = json.loads((RELEASED / f"{found[1]}@{found[2]}.json").read_text())
        wanted = {KEYS[name]: pair for name, pair in released.items()}
        if key == "agreement":
            wanted.pop("grad_l2_published", None)
        assert set(entry["values"]) == set(wanted), entry["source"]
        for readout, pair in wanted.items():
            assert entry["values"][readout] == pytest.approx(pair, abs=1e-6), (entry["source"], readout)


@needs_released
def test_isotropy_is_copied_right():
    for entry in all_entries("isotropy"):
        path = RELEASED / entry["source"].removeprefix("data/")
        # A commit stands behind the ending here, before it in the released files' names.
        name, _, commit = path.name.partition("@")
        stem = name.removesuffix(".json") + (f"@{commit}" if commit else "")
        released = json.loads(path.with_name(f"{stem}.json").read_text())
        for name, kind in [("transformed vectors", "transformed"), ("embeddings", "embeddings")]:
            wanted = [float(value) for value in released[f"mean cosine similarity {name}"].values()]
            assert entry["values"][kind] == pytest.approx(wanted, abs=1e-6), entry["source"]


@needs_released
def test_seed_consistency_and_curve_are_copied_right():
    released = json.loads((RELEASED / "robustness_recomputed.json").read_text())
    keys = {readout: entry.reference for readout, entry in READOUTS.items()}
    prefix = {"spearman_dense": "corr", "top_k_overlap": "jaccard25"}
    seen = 0
    for entry in all_entries("seed_consistency"):
        for readout, values in entry["values"].items():
            for statistic, value in values.items():
                wanted = released[keys[readout]][f"{prefix[entry['metric']]}_{statistic}"]
                assert value == pytest.approx(wanted, abs=1e-9), (readout, statistic)
                seen += 1
    assert seen == 2 * 2 * 13
    (entry,) = all_entries("deletion_curves")
    with (RELEASED / "roberta_yelp_comp_one_by_one_mean_curve.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    names = {"ours": "alti_published", "ours_l2": "alti_l2_published", "norm2": "globenc_published", "norm": "norm_rollout",
             "rollout": "rollout", "grad": "grad_l2_published", "ig_l2": "ig_l2_published",
             "ig_abs_mean": "ig_mean_abs_published", "grad_input_l2": "gxi_l2_published",
             "grad_input_mean_abs_mean": "gxi_mean_abs_published"}  # fmt: skip
    assert set(entry["values"]) == set(names.values())
    for name, readout in names.items():
        assert entry["values"][readout] == pytest.approx([float(row[name]) for row in rows], abs=1e-9)


def test_every_published_number_has_its_definition_and_source():
    for table in published_vs_reproduced.TABLES:
        for entry in all_entries(table):
            assert entry["source"] and entry["measured"] and entry["checkpoint"]
            for target in published_vs_reproduced.targets(table, entry):
                assert target["readout"] in READOUTS or table == "isotropy"


@pytest.fixture
def beside(tmp_path):
    """(rows of the table for a model that is the published checkpoint, the tables it read)."""

    def run(**model):
        found = make(tmp_path, dataset="sst2", model="roberta", architecture="roberta", oracle=False, **model)
        found["tables"] = []
        for table in ("comp_suff", "special_tokens"):
            paths = [tmp_path / f"{table}.{ending}" for ending in ("csv", "tex")]
            tables.write(table, found, OPTIONS, *paths)
            found["tables"].append({"dataset": None, "model": None, "path": paths[0]})
        options = {**OPTIONS, "tables": ["comp_suff", "special_tokens"],
                   "runs": [{"dataset": "sst2", "model": "roberta", "split": "test"}]}  # fmt: skip
        return published_vs_reproduced.rows(found, options), pd.read_csv(tmp_path / "comp_suff.csv")

    return run


def test_published_beside_reproduced(beside):
    frame, ours = beside(source="hub", repo="textattack/roberta-base-SST-2", epochs=0)
    total = sum(len(published_vs_reproduced.targets(table, entry)) for table in published_vs_reproduced.TABLES
                for entry in all_entries(table))  # fmt: skip
    assert len(frame) == total
    here = frame[
        (frame["table"] == "comp_suff") & (frame["dataset"] == "sst2") & (frame["architecture"] == "roberta")
    ]
    assert set(here["verdict"]) <= {"same", "differs"}
    row = here[(here["readout"] == "alti_published") & here["quantity"].str.startswith("comp")].iloc[0]
    wanted = ours.query(
        "readout == 'alti_published' and protocol == 'published_bins' and kind == 'comp'"
    ).iloc[0]
    assert row["published"] == 0.269
    assert (row["ours"], row["lower"], row["upper"]) == (wanted["mean"], wanted["lower"], wanted["upper"])
    inside = (here["lower"] <= here["published"]) & (here["published"] <= here["upper"])
    assert (here["verdict"] == "same").tolist() == inside.tolist()
    why = frame[frame["verdict"] == "not run"].groupby("table")["why"].unique()
    assert any("this scale has no IMDb" in reason for reason in why["comp_suff"])
    assert why["isotropy"].tolist() == ["table isotropy is not in `tables` of this configuration"]
    assert frame["published_source"].notna().all()


def test_another_checkpoint_is_not_compared(beside):
    frame, _ = beside(source="package", repo=None, epochs=1)
    here = frame[
        (frame["table"] == "comp_suff") & (frame["dataset"] == "sst2") & (frame["architecture"] == "roberta")
    ]
    assert set(here["verdict"]) == {"not comparable"}
    assert here["ours"].notna().all()
    assert here["why"].iloc[0] == "another checkpoint (source package, trained here for 1 epochs)"
