"""Published numbers: numbers.csv and measurements.yaml hold what the references released, and no nonsense."""

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from plumbline.attribution import READOUTS
from plumbline.errors import PlumblineError
from plumbline.tables import published_vs_reproduced
from plumbline.tables.published import MEASUREMENTS, NUMBERS, read
from tests.printed import shipped, shipped_of

RELEASED = Path(__file__).resolve().parents[2] / "shared" / "published"
needs_released = pytest.mark.skipif(
    not RELEASED.is_dir(), reason=f"the references' released numbers are not in {RELEASED}"
)
# The reference's key of a readout, where it is not a golden key; `grad` against itself is left out.
KEYS = {
    "raw": "raw_attention",
    "rollout": "rollout",
    "rollout_norm": "norm_rollout",
    "norm": "norm_rollout",
    "our": "alti_published",
    "ours": "alti_published",
    "grad": "grad_l2_published",
}
# The readout of a row of the notebooks' tables.
NOTEBOOK = {
    "ours": "alti_published",
    "ours_l2": "alti_l2_published",
    "norm2": "globenc_published",
    "norm": "norm_rollout",
    "rollout": "rollout",
    "grad": "grad_l2_published",
    "ig_l2": "ig_l2_published",
    "ig_abs_mean": "ig_mean_abs_published",
    "grad_input_l2": "gxi_l2_published",
    "grad_input_mean_abs_mean": "gxi_mean_abs_published",
}


@pytest.fixture(scope="module")
def numbers():
    return shipped()


def measurements(table):
    """[(what the measurement says, its numbers)] of one of our tables."""
    return [(part["about"].iloc[0], part) for _, part in shipped_of(table).groupby("measurement", sort=False)]


@needs_released
@pytest.mark.parametrize("table", ["agreement", "special_tokens"])
def test_json_files_are_copied_right(table):
    files = set(
        RELEASED.glob(f"*_{'correlations' if table == 'agreement' else 'rank_special_tokens'}@*.json")
    )
    for about, part in measurements(table):
        found = re.match(r"data/(.*)\.json@(\w+)$", about["source"])
        if not found:
            continue  # recomputed from released arrays
        path = RELEASED / f"{found[1]}@{found[2]}.json"
        wanted = {KEYS[name]: pair for name, pair in json.loads(path.read_text()).items()}
        if table == "agreement":
            wanted.pop("grad_l2_published", None)
        assert part["readout"].tolist() == list(dict.fromkeys(part["readout"])) and set(
            part["readout"]
        ) == set(wanted)
        for row in part.itertuples():
            assert (row.value, row.sd) == pytest.approx(wanted[row.readout], abs=1e-6), (path, row.readout)
        files.remove(path)
    assert not files, "released, and not here"


@needs_released
def test_isotropy_is_copied_right():
    files = set(RELEASED.glob("*_cos_results*.json"))
    for about, part in measurements("isotropy"):
        path = RELEASED / about["source"].removeprefix("data/")
        # A commit stands behind the ending here, before it in the released files' names.
        name, _, commit = path.name.partition("@")
        stem = name.removesuffix(".json") + (f"@{commit}" if commit else "")
        path = path.with_name(f"{stem}.json")
        released = json.loads(path.read_text())
        for name, kind in [("transformed vectors", "transformed"), ("embeddings", "embeddings")]:
            wanted = [float(value) for value in released[f"mean cosine similarity {name}"].values()]
            own = part[part["vectors"] == kind]
            assert own["value"].tolist() == pytest.approx(wanted, abs=1e-6), about["source"]
            assert own["layer"].tolist() == [str(layer) for layer in range(len(wanted))]
        files.remove(path)
    assert not files, "released, and not here"


@needs_released
def test_seed_consistency_is_copied_right(numbers):
    released = json.loads((RELEASED / "robustness_recomputed.json").read_text())
    keys = {readout: entry.reference for readout, entry in READOUTS.items()}
    prefix = {"spearman_dense": "corr", "top_k_overlap_published": "jaccard25"}
    rows = numbers[numbers["table"] == "seed_consistency"]
    for row in rows.itertuples():
        wanted = released[keys[row.readout]][f"{prefix[row.about['where']['metric']]}_{row.column}"]
        assert row.value == pytest.approx(wanted, abs=1e-9), (row.readout, row.column)
    assert len(rows) == 2 * 2 * len(set(rows["readout"]))


@needs_released
def test_the_deletion_curve_is_copied_right(numbers):
    with (RELEASED / "roberta_yelp_comp_one_by_one_mean_curve.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    curves = numbers[numbers["table"] == "deletion_curves"].pivot(
        index="step", columns="readout", values="value"
    )
    curves = curves.loc[[str(step) for step in range(len(rows))]]
    assert set(curves) == set(NOTEBOOK.values())
    for name, readout in NOTEBOOK.items():
        assert curves[readout].tolist() == pytest.approx([float(row[name]) for row in rows], abs=1e-9)


@needs_released
@pytest.mark.parametrize("name", ["roberta_all_datasets", "roberta_distilbert_sst2"])
def test_comprehensiveness_and_sufficiency_are_copied_right(name):
    with (RELEASED / f"{name}_comp_suff.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    found = {}
    for about, part in measurements("comp_suff"):
        # A column is named by its data set, or by its architecture on SST-2.
        names = [about["dataset"]] * (about["architecture"] == "roberta") + [about["architecture"]] * (
            about["dataset"] == "sst2"
        )
        found |= {
            (row.readout, f"{name}{row.kind}"): row.value for name in names for row in part.itertuples()
        }
    for row in rows:
        readout = NOTEBOOK[row.pop("method")]
        for column, value in row.items():
            assert found[readout, column] == float(value), (readout, column)


@pytest.mark.parametrize(
    ("work", "count"),
    [
        # Comp and suff of ten readouts on four data sets, of eight of DistilBERT. Correlations: 16 files of 4 readouts, and 12
        # recomputed. Ranks: 8 files of 5 readouts. Cosines: 25 and 13 layers of three models, twice. Seeds: mean and median of
        # 13 readouts by two metrics. Two models: 7 in the final figure, one in each of two earlier ones. A curve of 49 steps of
        # 10 readouts.
        (
            "Ferrando",
            2 * (4 * 10 + 8) + 16 * 4 + 12 + 8 * 5 + 2 * (25 + 13 + 25) + 2 * 2 * 13 + 7 + 1 + 1 + 49 * 10,
        ),
        # Accuracy; two logits and seven weights of seven words; five statistics and two weights of ten words.
        ("Lopardo", 1 + 2 + 7 * 7 + 5 + 10 * 2),
        # Two orders of three maps of two models.
        ("Ali", 2 * 3 * 2),
        # The README's two ratios.
        ("Improving", 2),
        # Three readouts at four layers, in two logs.
        ("Abnar", 2 * 3 * 4),
        # Sizes at four layers of three graphs; stability at 9, 6 and 6 strengths; five methods, and one.
        ("Ahmad", 3 * 4 + 9 + 6 + 6 + 5 + 1),
    ],
)
def test_every_number_of_a_work_is_here(numbers, work, count):
    assert sum(about["work"].startswith(work) for about in numbers["about"]) == count


def test_every_published_number_says_what_it_is(numbers):
    assert set(numbers["table"]) == set(published_vs_reproduced.TABLES)
    for about in {id(about): about for about in numbers["about"]}.values():
        assert all(
            about[key] for key in ("work", "source", "measured", "checkpoint", "dataset", "architecture")
        )
        assert set(about["sample"]) >= {"texts", "size", "block"} and about["sample"]["texts"]
        assert about["digits"] >= 0 and about["tolerance"] >= 0
        # An equivalence margin must leave room beside the rounding; a ratio has none.
        assert about.get("margin") is None or about["margin"] > 0.5 * 10 ** -about["digits"]


@pytest.mark.parametrize("table", published_vs_reproduced.JUDGED)
def test_every_published_number_stands_beside_its_own_definition(table):
    """What the references computed otherwise than they say is set beside the definitions `as published`, never others."""
    seen = 0
    for about, part in measurements(table):
        where = about["where"]
        assert where.get("protocol", "published_bins") == "published_bins"
        assert where.get("metric", "spearman_dense") in ("spearman_dense", "top_k_overlap_published")
        assert where.get("definition", "published") == "published"
        assert where.get("reference", "grad_l2_published").endswith("_published")
        for readout in part["readout"]:
            seen += 1
            assert readout in READOUTS or table == "isotropy"
            if f"{readout}_published" in READOUTS:
                # Released arrays of ALTI alone were made with ddof = 0.
                assert readout in ("alti", "alti_l2", "alti_ln2") and readout in about["corrected"]
                said = " ".join((about["source"], about["checkpoint"], about["sample"]["texts"]))
                assert "released arrays" in said or "arrays released" in said
    assert seen


def test_samples_are_those_that_the_specification_names(numbers):
    """36 correlations of 500 drawn sentences (and 24 of agreement sentences), 49 ranks and consistencies; positions at random."""
    texts = [about["sample"]["texts"].split(",")[0].split(";")[0] for about in numbers["about"]]
    datasets = [about["dataset"] for about in numbers["about"]]
    counts = pd.DataFrame({"table": numbers["table"], "dataset": datasets, "texts": texts}).value_counts()
    drawn = "500 of the hub's test split"
    assert counts["agreement", "sst2", drawn] == 9 * 4
    assert counts["special_tokens", "sst2", drawn] + counts["model_consistency", "sst2", drawn] == 8 * 5 + 9
    assert counts["isotropy", "sst2", "first 500"] == 25 + 13 + 25
    assert ("agreement", "sva", "500 drawn with random.sample and seed 10") in counts
    assert all(about["sample"]["block"] is None for about, _ in measurements("isotropy"))


# ------------------------------------------------------------------------------------------------------ their form


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            ("quantity,column", "quantity,colum"),
            "unknown column of numbers.csv 'colum': did you mean 'column'?",
        ),
        (("quantity,column,", "quantity,"), "numbers.csv: column 'column' is missing"),
        (("0.190", "0.19O"), "numbers.csv, line 2: value '0.19O' is no number"),
        (("0.190", ""), "numbers.csv, line 2: value '' is no number"),
        (("0.190", "nan"), "numbers.csv, line 2: value 'nan' is no number"),
        (("0.190", "inf"), "numbers.csv, line 2: value 'inf' is no number"),
        (
            ("comp_suff_sst2_roberta,grad", "comp_suff_sst_roberta,grad"),
            "unknown measurement in numbers.csv, line 2, 'comp_suff_sst_roberta': did you mean 'comp_suff_sst2_roberta'?",
        ),
        (('"suff, published_bins",mean,suff', '"comp, published_bins",mean,comp'), "numbers.csv, line 3: "),
    ],
)
def test_a_fault_of_the_numbers_is_one_line(tmp_path, changes, said):
    old, new = changes
    text = NUMBERS.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "numbers.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PlumblineError) as fault:
        read(tmp_path / "numbers.csv")
    assert said in str(fault.value) and "\n" not in str(fault.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            ("    digits: 3\n", "    digit: 3\n"),
            "unknown field of measurement comp_suff_sst2_roberta 'digit'",
        ),
        (("    digits: 3\n", ""), "measurement comp_suff_sst2_roberta has no 'digits'"),
        (
            ("    sample: first\n", "    sample: frst\n"),
            "unknown sample of measurement comp_suff_sst2_roberta 'frst'",
        ),
    ],
)
def test_a_fault_of_the_measurements_is_one_line(tmp_path, changes, said):
    old, new = changes
    text = MEASUREMENTS.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "measurements.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PlumblineError) as fault:
        read(measurements=tmp_path / "measurements.yaml")
    assert said in str(fault.value) and "\n" not in str(fault.value)
