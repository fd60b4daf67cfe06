"""Published numbers: what src/plumbline/published/published.yaml says is what the references released, and how ours stand beside it."""

import csv
import functools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from plumbline import tables
from plumbline.artefacts import write_json
from plumbline.attribution import METHODS, READOUTS
from plumbline.datasets import settings
from plumbline.tables import published, published_vs_reproduced, xai_published
from plumbline.tables.published import PUBLISHED, Ours, all_entries, judge, judge_seed, same_sample
from tests.synthetic import OPTIONS, compare, make, merge

nan = float("nan")
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
    prefix = {"spearman_dense": "corr", "top_k_overlap_published": "jaccard25"}
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


TEXTS = published_vs_reproduced.JUDGED
EVERY = [key for key in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")) if key != "samples"]


@pytest.mark.slow
@pytest.mark.parametrize("key", EVERY)
def test_every_published_number_says_what_it_is(key):
    for entry in all_entries(key):
        assert entry["source"] and entry["measured"] and entry["checkpoint"] and entry["values"]
        assert set(entry["sample"]) >= {"texts", "size", "block"} and entry["sample"]["texts"]
        assert entry["digits"] >= 0 and entry["tolerance"] >= 0
        # An equivalence margin must leave room beside the rounding; a ratio has none.
        assert entry.get("margin") is None or entry["margin"] > 0.5 * 10 ** -entry["digits"]


@pytest.mark.parametrize("key", TEXTS)
def test_every_published_number_stands_beside_its_own_definition(key):
    """What the references computed otherwise than they say is set beside the definitions `as published`, never others."""
    seen = 0
    for entry in all_entries(key):
        for target in published_vs_reproduced.targets(key, entry):
            seen += 1
            where, readout = target["where"], target["readout"]
            assert readout in READOUTS or key == "isotropy"
            if f"{readout}_published" in READOUTS:
                # Released arrays of ALTI alone were made with ddof = 0.
                assert readout in ("alti", "alti_l2", "alti_ln2") and "released arrays" in entry["source"] + entry["checkpoint"] + entry["sample"]["texts"] or "arrays released" in entry["checkpoint"]  # fmt: skip
                assert readout in entry["corrected"]
            assert where.get("protocol", "published_bins") == "published_bins"
            assert where.get("metric", "spearman_dense") in ("spearman_dense", "top_k_overlap_published")
            assert where.get("definition", "published") == "published"
            assert where.get("reference", "grad_l2_published").endswith("_published")
    assert seen


@pytest.mark.slow
def test_samples_are_those_that_the_specification_names():
    """36 correlations of 500 drawn sentences (and 24 of agreement sentences), 49 ranks and consistencies; positions at random."""
    counts = {}
    for key in TEXTS:
        for entry in all_entries(key):
            numbers = sum(
                target["published"] is not None for target in published_vs_reproduced.targets(key, entry)
            )
            name = (key, entry["dataset"], entry["sample"]["texts"].split(",")[0].split(";")[0])
            counts[name] = counts.get(name, 0) + numbers
    drawn = "500 of the hub's test split"
    assert counts["agreement", "sst2", drawn] == 9 * 4
    assert counts["special_tokens", "sst2", drawn] + counts["model_consistency", "sst2", drawn] == 8 * 5 + 9
    assert counts["isotropy", "sst2", "first 500"] == 25 + 13 + 25
    assert ("agreement", "sva", "500 drawn with random.sample and seed 10") in counts
    assert all(entry["sample"]["block"] is None for entry in all_entries("isotropy"))


# ---------------------------------------------------------------------------------------------------- the rule

ENTRY = {
    "digits": 3,
    "tolerance": 0.0005,
    "margin": 0.02,
    "sample": {"texts": "t", "size": 400, "block": {}},
}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.269, "same"), (0.26999, "same"), (0.26801, "same"), (0.27001, "differs"), (0.26799, "differs"), (0.3, "differs")],
)  # fmt: skip
def test_of_the_same_texts_rounding_and_tolerance_decide_and_no_interval(value, verdict):
    for lower, upper in ((0.0, 1.0), (value, value), (np.nan, np.nan)):
        ours = Ours(value, lower, upper, 0.95, 400)
        assert judge(ours, 0.269, ENTRY, determined=True)[0] == verdict
    assert judge(ours, 0.269, ENTRY, determined=True, reasons=["r"]) == ("not comparable", "r")


@pytest.mark.parametrize(
    ("value", "verdict", "shown"),
    # 100 texts with a standard error of .005, so .0025 for 400: the difference has .00559, its 95% interval +- .01096, to which
    # the rounding adds .0005; the two one-sided tests pass up to .02 - .0005 - 1.645 * .00559 = .0103.
    [
        (0.1, "within sampling error", "equivalent"),
        (0.1102, "within sampling error", "equivalent"),
        (0.1104, "within sampling error", "not shown"),
        (0.1114, "within sampling error", "not shown"),
        (0.0886, "within sampling error", "not shown"),
        (0.1116, "differs", "not shown"),
        (0.0884, "differs", "not shown"),
    ],
)
def test_of_other_texts_the_difference_of_two_samples_decides(value, verdict, shown):
    half = 1.959964 * 0.005
    ours = Ours(value, value - half, value + half, 0.95, 100)
    found, why = judge(ours, 0.1, ENTRY, determined=False)
    assert found == verdict
    assert f", {shown}" in why and "within 0.02" in why
    # The spread in print takes the place of ours: .05 / sqrt(400) is the same .0025.
    assert judge(ours, 0.1, ENTRY, determined=False, sd=0.05)[0] == verdict
    assert judge(ours, 0.1, ENTRY, determined=False, sd=5.0)[0] == "within sampling error"


def test_what_cannot_be_compared():
    nothing = Ours(0.1, np.nan, np.nan, 0.95, 100)
    assert judge(nothing, 0.1, ENTRY, determined=False)[0] == "not comparable"
    undefined = Ours(np.nan, np.nan, np.nan, 0.95, 100)
    assert judge(undefined, 0.1, ENTRY, determined=True) == ("not comparable", "ours is not defined")
    unknown = {**ENTRY, "sample": {"size": None}}
    assert judge(Ours(0.1, 0, 0.2, 0.95, 100), 0.1, unknown, determined=False)[0] == "not comparable"


@pytest.mark.slow
@pytest.mark.parametrize("printed_sd", [True, False])
@pytest.mark.parametrize(("ours", "theirs"), [(1000, 500), (200, 1000)])
def test_two_samples_of_one_population_seldom_differ(ours, theirs, printed_sd):
    """2,000 simulations of skewed scores: 'differs' in about 5%; a difference of six standard errors is nearly always found."""
    draw = np.random.default_rng(7)
    entry = {**ENTRY, "digits": 6, "sample": {"size": theirs}}
    counts = {0: 0, 6: 0}
    for _ in range(2000):
        first, second = draw.gamma(2, 0.1, ours), draw.gamma(2, 0.1, theirs)
        error = first.std(ddof=1) / ours**0.5
        for shift in counts:
            mean = first.mean() + shift * 0.1414 * (1 / ours + 1 / theirs) ** 0.5
            number = Ours(mean, mean - 1.96 * error, mean + 1.96 * error, 0.95, ours)
            sd = second.std() if printed_sd else None
            counts[shift] += judge(number, second.mean(), entry, determined=False, sd=sd)[0] == "differs"
    assert 0.035 < counts[0] / 2000 < 0.065
    assert counts[6] / 2000 > 0.99


def test_one_more_training_seed():
    # sd .01, t(2) = 4.3027: +- 4.3027 * .01 * sqrt(4 / 3) = .04968.
    seeds = [0.79, 0.80, 0.81]
    assert judge_seed(seeds, 0.8496, {"digits": 5}, level=0.95)[0] == "within sampling error"
    assert judge_seed(seeds, 0.8498, {"digits": 5}, level=0.95)[0] == "differs"
    assert judge_seed(seeds, 0.7502, {"digits": 5}, level=0.95)[0] == "differs"
    assert judge_seed(seeds[:1], 0.79, {"digits": 5}, level=0.95)[0] == "not comparable"
    # A number in print of three digits may be .0005 off, which widens the interval to either side.
    for published_one, word in ((0.8500, "within sampling error"), (0.7500, "within sampling error"), (0.8503, "differs"), (0.7497, "differs")):  # fmt: skip
        assert judge_seed(seeds, published_one, {"digits": 3}, level=0.95)[0] == word


def test_one_more_training_seed_seldom_differs():
    values = np.random.default_rng(3).normal(size=(4000, 4))
    found = [judge_seed(row[:3], row[3], {"digits": 9}, level=0.95)[0] == "differs" for row in values]
    assert 0.04 < np.mean(found) < 0.06


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "run", "same"),
    [
        ({}, {}, True),
        ({"source": "mirror"}, {}, False),
        ({"order": "shuffled"}, {}, False),
        ({"test": 1000}, {"examples": None}, True),
        ({"test": 600}, {}, False),
        ({}, {"examples": None}, False),
        ({}, {"examples": 999}, False),
        ({}, {"split": "validation"}, False),
        ({}, {"within": 1000}, False),
    ],
)
def test_which_runs_take_the_published_sample(changes, run, same):
    entry = all_entries("comp_suff")[0]
    block = settings("sst2", {"source": "hub", **changes})
    run = {"split": "test", "examples": 1000, "within": None, **run}
    assert same_sample(entry, "sst2", block, run) is same
    # The 500 drawn sentences are a data set of their own.
    drawn = all_entries("agreement")[0]
    assert not same_sample(drawn, "sst2", block, run | {"examples": 500})
    own = settings("sst2_drawn", {"source": "hub"})
    assert same_sample(drawn, "sst2_drawn", own, {"split": "test", "examples": None, "within": None})
    mirrored = settings("sst2_drawn", {"source": "mirror"})
    assert not same_sample(drawn, "sst2_drawn", mirrored, {"split": "test", "examples": None, "within": None})


# ---------------------------------------------------------------------------------------------------- the table

HUB = {"source": "hub", "repo": "textattack/roberta-base-SST-2", "epochs": 0}


@pytest.fixture
def beside(tmp_path):
    """Rows of the table for a model of 12 examples, as if these were all 1,000; `changed` may alter a table's CSV first."""

    def run(changed=None, examples=1000, dataset="sst2", **model):
        found = make(
            tmp_path, dataset=dataset, model="roberta", architecture="roberta", oracle=False, **model
        )
        options = {**OPTIONS, "tables": ["comp_suff", "special_tokens", "agreement"], "faithfulness": [],
                   "datasets": {dataset: {"source": "hub"}},
                   "runs": [{"dataset": dataset, "model": "roberta", "split": "test", "examples": examples, "within": None}]}  # fmt: skip
        for table in options["tables"]:
            paths = [tmp_path / f"{table}.{ending}" for ending in ("csv", "tex")]
            tables.write(table, found, options, *paths)
            if changed:
                changed(pd.read_csv(paths[0], dtype={"seeds": str})).to_csv(paths[0], index=False)
            found[f"tables/{table}"] = [{"path": paths[0]}]
        frame = published_vs_reproduced.rows(found, options)
        assert "Within sampling error" in published_vs_reproduced.latex(frame, options)
        return frame

    return run


def of(frame, table="comp_suff"):
    """Rows of RoBERTa on SST-2."""
    return frame[
        (frame["table"] == table) & (frame["dataset"] == "sst2") & (frame["architecture"] == "roberta")
    ]


def as_if_printed(monkeypatch, ours):
    """Our own numbers of a comp_suff CSV in print, rounded to three digits; returns the entries."""
    entries = {key: all_entries(key) for key in EVERY}
    cells = ours[(ours["protocol"] == "published_bins") & (ours["texts"] == "whole")]
    cells = cells.set_index(["readout", "kind"])["mean"]
    (entry,) = (e for e in entries["comp_suff"] if (e["dataset"], e["architecture"]) == ("sst2", "roberta"))
    entry["values"] = {
        readout: [round(cells[readout, kind], 3) for kind in ("comp", "suff")] for readout in entry["values"]
    }
    monkeypatch.setattr(published_vs_reproduced, "all_entries", lambda key: entries[key])
    return entry


@pytest.mark.slow
def test_published_beside_reproduced(beside, tmp_path):
    frame = beside(**HUB)
    ours = pd.read_csv(tmp_path / "comp_suff.csv")
    numbers = sum(len(published_vs_reproduced.targets(key, entry)) for key in published_vs_reproduced.TABLES for entry in all_entries(key))  # fmt: skip
    classifier = 1 + 2 + 7 * 7 + 5 + 10 * 2
    assert len(frame) == numbers + classifier
    assert set(frame["verdict"]) <= set(published.VERDICTS)
    here = of(frame)
    row = here[(here["readout"] == "alti_published") & here["quantity"].str.startswith("comp")].iloc[0]
    wanted = ours.query(
        "readout == 'alti_published' and protocol == 'published_bins' and kind == 'comp'"
    ).iloc[0]
    assert row["published"] == 0.269
    assert (row["ours"], row["lower"], row["upper"]) == (wanted["mean"], wanted["lower"], wanted["upper"])
    assert (
        row["sample"].startswith("first 1,000") and row["our_sample"] == "SST-2: first 1000 of the test split"
    )
    assert (row["published_checkpoint"], row["published_model"]) == ("same", "textattack/roberta-base-SST-2")
    # Made-up scores are far from the published ones, and within wide intervals of 12 examples all the same.
    assert set(here["verdict"]) == {"differs"}
    assert set(of(frame, "agreement")["verdict"]) <= {"within sampling error", "differs"}
    why = frame[frame["verdict"] == "not run"].groupby("table")["why"].unique()
    assert any("this scale has no IMDb" in reason for reason in why["comp_suff"])
    for table in ("isotropy", "network_diffusion", "causal_graphs", "xai_published"):
        assert why[table].tolist() == [f"table {table} is not in `tables` of this configuration"]
    assert frame[["published_source", "sample", "why"]].notna().all(axis=None)


@pytest.mark.slow
def test_our_own_numbers_in_print_are_the_same(beside, monkeypatch, tmp_path):
    beside(**HUB)
    as_if_printed(monkeypatch, pd.read_csv(tmp_path / "comp_suff.csv"))
    assert of(beside(**HUB))["verdict"].eq("same").all()
    # Fewer texts, or texts of another source, are another sample.
    assert of(beside(examples=900, **HUB))["verdict"].eq("within sampling error").all()


TWINS = ["grad_l2", "ig_l2", "ig_mean_abs", "gxi_l2", "gxi_mean_abs", "globenc", "alti_l2", "alti"]


@pytest.mark.slow
def test_a_corrected_number_in_the_published_ones_place_is_never_the_same(beside, monkeypatch, tmp_path):
    """Every case: the number of each corrected readout, and of the corrected score, where the published one belongs."""
    beside(**HUB)
    entry = as_if_printed(monkeypatch, pd.read_csv(tmp_path / "comp_suff.csv"))
    twins = [readout for readout in entry["values"] if readout.removesuffix("_published") in TWINS]
    assert len(twins) == len(TWINS)

    def readouts(frame):
        """Each published twin gets the corrected readout's numbers."""
        if "protocol" not in frame:
            return frame
        names = frame["readout"].where(~frame["readout"].isin(TWINS), frame["readout"] + "_published")
        return frame[~frame["readout"].isin(twins)].assign(readout=names)

    verdicts = of(beside(changed=readouts, **HUB)).set_index(["readout", "quantity"])["verdict"]
    assert len(verdicts.loc[twins]) == 2 * len(TWINS)
    assert verdicts.loc[twins].eq("differs").all()
    assert verdicts.drop(twins, level="readout").eq("same").all()

    def scores(frame):
        """The raw probabilities' mean over five bins under the name of the published score."""
        if "protocol" not in frame:
            return frame
        kept = frame[frame["protocol"] == "standard"]
        return kept.assign(protocol="published_bins")

    assert of(beside(changed=scores, **HUB))["verdict"].eq("differs").all()


@pytest.mark.slow
def test_a_corrected_readout_is_not_compared_however_near_its_number(beside, monkeypatch, tmp_path):
    """As the code would have it if it looked up the corrected readout: the definition alone decides."""
    beside(**HUB)
    entry = as_if_printed(monkeypatch, pd.read_csv(tmp_path / "comp_suff.csv"))
    ours = pd.read_csv(tmp_path / "comp_suff.csv").query("protocol == 'published_bins'").set_index(["readout", "kind"])["mean"]  # fmt: skip
    entry["values"] = {readout: [ours[readout, kind] for kind in ("comp", "suff")] for readout in TWINS}
    here = of(beside(**HUB))
    assert here["verdict"].eq("not comparable").all()
    assert here["why"].eq("the corrected definition, in print another").all()
    entry["corrected"] = TWINS
    assert of(beside(**HUB))["verdict"].eq("same").all()


@pytest.mark.slow
def test_the_drawn_sentences_are_a_sample_of_their_own(beside):
    frame = beside(dataset="sst2_drawn", examples=None, **HUB)
    here = of(frame, "special_tokens")
    assert len(here) == 3 * 5
    assert here["our_sample"].eq("SST-2 (500 drawn): all of the test split").all()
    assert here["verdict"].eq("differs").all() and here["why"].str.startswith("the same texts").all()
    assert of(beside(examples=1000, **HUB), "special_tokens")["why"].str.startswith("other texts").all()


@pytest.mark.slow
def test_another_checkpoint_is_not_compared(beside):
    here = of(beside(source="package", repo=None, epochs=1))
    assert set(here["verdict"]) == {"not comparable"} and set(here["published_checkpoint"]) == {"other"}
    assert here["ours"].notna().all()
    assert here["why"].iloc[0] == "another checkpoint (source package, trained here for 1 epochs)"


# ------------------------------------------------------------------------------- which of our numbers is judged

MODELS = {  # (data set, model) -> metrics.json
    **{(dataset, "one"): {"architecture": "roberta", "source": "hub", "repo": "x/one", "epochs": 0}
       for dataset in ("sst2", "sst2_drawn", "imdb")},
    ("sst2", "two"): {"architecture": "bert", "source": "hub", "repo": "y/two", "epochs": 0},
}  # fmt: skip


def printed_entry(values, **more):
    """An entry of RoBERTa on 400 drawn sentences of SST-2, which are a data set of their own."""
    sample = {"texts": "t", "size": 400, "block": {}, "dataset": "sst2_drawn"}
    return {"dataset": "sst2", "architecture": "roberta", "checkpoint": "x/one", "digits": 3, "tolerance": 0.0005, "margin": 0.02,
            "sample": sample, "source": "s", "measured": "m", "values": values, **more}  # fmt: skip


def number_of_ours(mean=0.1, dataset="sst2", model="one", **more):
    """A row of a table: 400 examples, a 95% interval of .0196 to either side, so a standard error of .01."""
    return {"dataset": dataset, "model": model, "mean": mean, "lower": mean - 0.0196, "upper": mean + 0.0196, "examples": 400,
            "seeds": "0", "interval": "i", **more}  # fmt: skip


def judged(table, entry, rows, *, split="test", examples=400, faithfulness=()):
    """What is said of each row beside each number of the entry: [(place of the row, columns)]."""
    options = {
        **OPTIONS, "faithfulness": faithfulness, "datasets": {name: {"source": "hub"} for name in ("sst2", "sst2_drawn", "imdb")},
        "runs": [{"dataset": dataset, "model": model, "split": split, "examples": examples, "within": None} for dataset, model in MODELS],
    }  # fmt: skip
    found = []
    for target in published.targets(table, entry):
        found += published.judged(target, entry, pd.DataFrame(rows), MODELS, options)
    return found


def test_numbers_are_judged_beside_those_of_their_data_set_and_architecture():
    rows = [number_of_ours(dataset=dataset, model=model, readout=readout, reference="r", metric="kendall")
            for dataset, model, readout in (("imdb", "one", "rollout"), ("sst2", "two", "rollout"), ("sst2", "one", "rollout"),
                                            ("sst2_drawn", "one", "rollout"), ("sst2", "one", "random"))]  # fmt: skip
    entry = printed_entry({"rollout": [0.1032, None]}, reference="r", metric="kendall")
    # Of the drawn sentences the number is determined: .0032 is more than .001. Of others it is within sampling error.
    assert [(place, row["model"], row["verdict"], row["our_sample"]) for place, row in judged("agreement", entry, rows)] == [
        (2, "one", "within sampling error", "SST-2: first 400 of the test split"),
        (3, "one", "differs", "SST-2 (500 drawn): first 400 of the test split"),
    ]  # fmt: skip
    (_, first), (_, second) = judged("agreement", entry, rows, split="validation")
    assert first["why"] == second["why"] == "other examples (validation split)"
    assert first["difference"] == pytest.approx(-0.0032) and first["verdict"] == "not comparable"


def test_two_models_are_judged_in_the_order_of_the_entry():
    about = {"checkpoint": "x/one ; y/two", "other_architecture": "bert", "metric": "kendall"}
    entry = printed_entry({"rollout": [0.1, None]}, **about)
    rows = [number_of_ours(model=model, other=other, readout="rollout", metric="kendall")
            for model, other in (("one", "two"), ("two", "one"), ("one", "one"))]  # fmt: skip
    ((place, row),) = judged("model_consistency", entry, rows)
    assert (place, row["verdict"], row["published_checkpoint"]) == (0, "within sampling error", "same")
    ((_, row),) = judged("model_consistency", entry | {"checkpoint": "y/two ; x/one"}, rows)
    assert (row["verdict"], row["published_checkpoint"]) == ("not comparable", "other")
    assert row["why"] == "another checkpoint (x/one); another checkpoint (y/two)"


@pytest.mark.parametrize(("depth", "count"), [(2, 3), (1, 0), (3, 0)])
def test_layers_are_judged_between_models_of_equal_depth(depth, count):
    """Two layers of transformed vectors in print; embeddings have one layer more and do not count."""
    rows = [number_of_ours(vectors=vectors, layer=layer, definition="published")
            for vectors, last in (("transformed", depth), ("embeddings", 3)) for layer in range(last)]  # fmt: skip
    rows += [number_of_ours(model="two", vectors="transformed", layer=layer, definition="published") for layer in range(2)]  # fmt: skip
    entry = printed_entry({"transformed": [0.1, 0.1], "embeddings": [0.1]})
    assert len(judged("isotropy", entry, rows)) == count


def test_released_seeds_are_determined_and_ours_are_not_judged_beside_them():
    entry = printed_entry({"rollout": {"mean": 0.1009, "median": 0.0989}}, metric="kendall")
    rows = [number_of_ours(source=source, readout="rollout", metric="kendall", median=0.1, model="one")
            for source in ("seeds 0 1", "released scores")]  # fmt: skip
    (place, mean), (_, median) = judged("seed_consistency", entry, rows)
    assert (place, mean["verdict"], median["verdict"]) == (1, "same", "differs")
    assert (mean["our_sample"], mean["published_checkpoint"]) == ("the released arrays", "same")
    assert (mean["interval"], median["interval"]) == ("i", "none")


@pytest.mark.parametrize(
    ("examples", "protocols", "verdict"),
    [
        (None, [("published_bins", 400, None)], "same"),
        (900, [("published_bins", 400, None)], "same"),
        (400, [("published_bins", 900, None)], "same"),
        (400, [("published_bins", None, None)], "same"),
        (None, [("published_bins", 400, ["sst2_drawn"])], "same"),
        (None, [("published_bins", 400, ["imdb"])], "within sampling error"),
        (None, [("mask", 400, None)], "within sampling error"),
        (300, [("published_bins", 400, None)], "within sampling error"),
        (None, [("published_bins", 399, None)], "within sampling error"),
    ],
)
def test_a_protocol_of_fewer_examples_is_of_these(examples, protocols, verdict):
    """The very sample is the first 400 of the drawn sentences, as far as the run and its protocol take them."""
    where = {"dataset": "sst2_drawn", "readout": "rollout", "texts": "whole", "protocol": "published_bins"}
    rows = [number_of_ours(kind=kind, **where) for kind in ("comp", "suff")]
    blocks = [dict(zip(("protocol", "examples", "datasets"), block, strict=True)) for block in protocols]
    entry = printed_entry({"rollout": [0.1, 0.1]}, protocol="published_bins")
    found = judged("comp_suff", entry, rows, examples=examples, faithfulness=blocks)
    assert [(place, row["verdict"]) for place, row in found] == [(0, verdict), (1, verdict)]


def test_a_spread_in_print_is_that_of_texts_or_of_values():
    """Off by .2: twenty of our standard errors, but well within those of texts whose spread is 5."""
    entry = printed_entry({"rollout": [0.3, 5.0]}, reference="r", metric="kendall")
    ours = number_of_ours(
        readout="rollout", reference="r", metric="kendall", token="all", definition="published"
    )
    ((_, row),) = judged("agreement", entry, [ours])
    assert row["verdict"] == "within sampling error"
    ((_, row),) = judged("special_tokens", entry, [ours])  # the spread of ranks over tokens, not over texts
    assert row["verdict"] == "differs"


@pytest.mark.parametrize(
    ("table", "entry"),
    [
        ("comp_suff", {"protocol": "p", "values": {"a": [0.1]}}),
        ("selective_rollout", {"metric": "m", "statistic": "ratio", "depth": 6, "threshold": None, "layers": [1, 2], "values": {"a": [[0.1]]}}),
        ("network_diffusion", {"protocol": "p", "values": {"raw": [17.0]}}),
    ],
)  # fmt: skip
def test_an_entry_that_lacks_a_number_is_refused(table, entry):
    with pytest.raises(ValueError, match="zip"):
        published.targets(table, entry)


def test_the_first_of_two_entries_counts_and_each_statistic_has_its_verdict(monkeypatch, tmp_path):
    values = {"rollout": {"mean": 0.1, "median": 0.3}}
    first = printed_entry(values, metric="kendall")
    later = first | {"source": "later", "values": {"rollout": {"mean": 0.9, "median": 0.9}}}
    monkeypatch.setattr(published, "all_entries", lambda key: [first, later])
    rows = [number_of_ours(source=source, readout="rollout", metric="kendall", median=0.1)
            for source in ("released scores", "seeds 0 1")]  # fmt: skip
    frame = published.beside(
        pd.DataFrame(rows), "seed_consistency", {**OPTIONS, "runs": []}, statistics=[("mean", "mean"), ("median", "median")]
    )  # fmt: skip
    names = [
        f"published_{name}"
        for name in ("mean", "median", "verdict", "median_verdict", "source", "checkpoint")
    ]
    assert frame.loc[0, names].tolist() == [0.1, 0.3, "same", "differs", "s", "same"]
    assert frame.loc[1, names].isna().all()
    assert "off by 0.2," in frame.loc[0, "published_median_why"]
    one = published.beside(pd.DataFrame(rows), "seed_consistency", {**OPTIONS, "runs": []}, statistics=[("median", "value")])  # fmt: skip
    assert one["published_value"][0] == 0.3 and "published_mean" not in one


@pytest.fixture
def side_by_side(monkeypatch, tmp_path):
    """published_vs_reproduced of one entry of three tables: judged here, judged by its own table, not in this configuration."""
    entries = {
        "comp_suff": [printed_entry({"rollout": [0.1008, 0.3]}, protocol="published_bins")],
        "network_diffusion": [printed_entry({"raw": [17.0, 40.0]}, dataset="imagenet", architecture="vim", protocol="chefer")],
        "isotropy": [printed_entry({"embeddings": [0.5]})],
    }  # fmt: skip
    monkeypatch.setattr(published_vs_reproduced, "all_entries", lambda key: entries.get(key, []))
    common = {"dataset": "sst2_drawn", "readout": "rollout", "texts": "whole", "protocol": "published_bins"}
    frames = {
        "comp_suff": [number_of_ours(kind=kind, **common) for kind in ("comp", "suff")],
        "network_diffusion": [
            number_of_ours(0.2, "imagenet", "vim", map="raw", metric="positive_auc", protocol="chefer", published_value=0.17,
                           published_source="s", published_verdict="differs", published_why="w", published_checkpoint="same"),
            number_of_ours(0.3, "imagenet", "vim", map="raw", metric="negative_auc", protocol="chefer", published_value=nan),
        ],
    }  # fmt: skip
    found = {"models": []}
    for name, rows in frames.items():
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
        found[f"tables/{name}"] = [{"path": tmp_path / f"{name}.csv"}]
    for (dataset, model), facts in MODELS.items():
        write_json(tmp_path / dataset / model / "metrics.json", facts)
        path = tmp_path / dataset / model / "model.safetensors"
        found["models"].append({"dataset": dataset, "model": model, "path": path})
    run = {"dataset": "sst2_drawn", "model": "one", "split": "test", "examples": 400, "within": None}
    options = {**OPTIONS, "tables": list(frames), "faithfulness": [], "datasets": {"sst2_drawn": {"source": "hub"}}, "runs": [run]}  # fmt: skip
    return published_vs_reproduced.rows(found, options)


def test_numbers_stand_beside_ours_with_their_verdicts(side_by_side):
    first = side_by_side[side_by_side["table"] != "xai_published"]
    names = ["table", "quantity", "published", "ours", "verdict", "model", "examples"]
    assert first[names].astype(object).where(first[names].notna(), None).to_numpy().tolist() == [
        ["comp_suff", "comp, published_bins", 0.1008, 0.1, "same", "one", 400],
        ["comp_suff", "suff, published_bins", 0.3, 0.1, "differs", "one", 400],
        ["isotropy", "embeddings, layer 0", 0.5, None, "not run", "", None],
        ["network_diffusion", "positive_auc", 0.17, 0.2, "differs", "vim", 400],
        ["network_diffusion", "negative_auc", 0.4, None, "not run", "", None],
    ]  # fmt: skip
    assert first["difference"].tolist() == pytest.approx([-0.0008, -0.2, nan, 0.03, nan], nan_ok=True)
    for end, shift in (("lower", -0.0196), ("upper", 0.0196)):
        assert (first[end] - first["ours"]).tolist() == pytest.approx(
            [shift, shift, nan, shift, nan], nan_ok=True
        )
    assert first["why"].tolist()[2:] == [
        "table isotropy is not in `tables` of this configuration", "w", "this scale has no such vim on ImageNet, or not this number of it",
    ]  # fmt: skip
    rest = side_by_side[side_by_side["table"] == "xai_published"]
    assert set(rest["verdict"]) == {"not run"} and rest["ours"].isna().all()
    assert rest["quantity"].tolist() == [name for name, _, _ in xai_published.published_numbers()]
    assert set(side_by_side["scale"]) == {"small"}


# ------------------------------------------------------------------------------------ the multi-head classifier

WORDS_OF_DOCUMENT = ["awful", "amazing", "nothing", "it", "many", "except", "sequel", "not", "only", "is"]


@pytest.fixture
def classifiers(monkeypatch, tmp_path):
    """Inputs of three seeds: accuracies, and for seed s logits (s, 10 + s), weights s, LIME 2 + s times half the formula."""

    monkeypatch.setattr(xai_published, "all_entries", functools.cache(all_entries))

    def run(accuracies=(0.79, 0.80, 0.81), dataset="imdb_25k", tokens=None, words=71):
        inputs = {"classifier": [], "shown": []}
        (entry,) = xai_published.all_entries("sentence")
        document = (WORDS_OF_DOCUMENT + [f"w{number}" for number in range(100)])[:words]
        formula = np.arange(1.0, words + 1)
        for seed, accuracy in enumerate(accuracies):
            weights = {name: [seed + place / 8 for place in range(7)] for name in entry["values"]}
            facts = {"dataset": dataset, "seed": seed, "accuracy": accuracy, "examples": 1000}
            shown = {
                "dataset": dataset, "seed": seed,
                "sentence": {"tokens": tokens or entry["words"], "logits": [seed, 10 + seed], "weights": weights},
                "document": {
                    "words": document, "limits": {"published": list(formula)},
                    "lime_delete": [list(formula * (2 + seed) / 2 + shift) for shift in (-0.25, 0.25)],
                },
            }  # fmt: skip
            for stage, content in (("classifier", facts), ("shown", shown)):
                path = tmp_path / f"{stage}{seed}.json"
                write_json(path, content)
                inputs[stage].append({"dataset": dataset, "seed": seed, "path": path})
        return xai_published.rows(inputs, OPTIONS).set_index("quantity")

    return run


def test_numbers_of_the_classifier_are_means_over_seeds(classifiers):
    frame = classifiers()
    # t(2) = 4.3027: of the numbers 0, 1 and 2 the standard error is .57735.
    row = frame.loc["sentence, negative logit"]
    assert (row["ours"], row["published"], row["seeds"], row["examples"]) == (1, -0.64168686, "0 1 2", 1)
    assert row["difference"] == pytest.approx(1.64168686)
    assert (row["lower"], row["upper"]) == pytest.approx((1 - 2.48414, 1 + 2.48414), rel=1e-5)
    assert row["interval"] == "95% Student's t, over 3 seeds"
    assert frame.loc["sentence, positive logit", "ours"] == 11
    assert frame.loc["sentence, lime, based", "ours"] == 1.125
    # LIME of the third word: halves of the formula, 3, twice, thrice and four times.
    assert frame.loc["document, LIME, nothing", ["ours", "published"]].tolist() == [4.5, -0.8870]
    assert frame.loc["document, 3/2 formula, nothing", ["ours", "published"]].tolist() == [3.0, -0.5689]
    assert frame.loc["document, LIME, awful", "ours"] == 1.5
    assert frame.loc["document, LIME against the 3/2 formula, slope", "ours"] == pytest.approx(1.5, abs=0.01)
    assert frame.loc["document, LIME against the 3/2 formula, pearson", "ours"] == pytest.approx(1.0)
    # The error over LIME's norm: 0 / 1, .5 / 1.5 and 1 / 2.
    assert frame.loc["document, LIME against the 3/2 formula, relative", "ours"] == pytest.approx(5 / 18)
    assert set(frame["verdict"][1:]) == {"not comparable"} and set(frame["published_checkpoint"]) == {"other"}
    one = classifiers([0.8]).loc["sentence, negative logit"]
    assert one["ours"] == 0 and np.isnan(one["lower"]) and one["interval"] == "none"
    text = xai_published.latex(frame.reset_index(), {**OPTIONS})
    assert (
        r"sentence, negative logit & $-0.642$ & $1.000_{-1.484}^{3.484}$ & $1.642$ & not comparable" in text
    )
    assert "not comparable: " in text and f"has all {len(frame)} numbers" in text


@pytest.mark.parametrize(
    ("accuracies", "verdict", "difference"),
    [
        ((0.79, 0.80, 0.81), "within sampling error", -0.0019),
        ((0.69, 0.70, 0.71), "differs", -0.1019),
        ((0.89, 0.90, 0.91), "differs", 0.0981),
        ((0.8019,), "not comparable", 0.0),
    ],
)
def test_the_accuracy_of_the_classifier_is_that_of_one_more_seed(
    classifiers, accuracies, verdict, difference
):
    row = classifiers(accuracies).loc["test accuracy"]
    assert (row["verdict"], row["published"], row["examples"]) == (verdict, 0.8019, 1000)
    assert row["difference"] == pytest.approx(difference)


def test_another_data_set_sentence_or_document_of_the_classifier_is_no_comparison(classifiers):
    frame = classifiers(dataset="sentiment")
    assert frame["verdict"].tolist() == ["not comparable"] + ["not run"] * (len(frame) - 1)
    assert frame["why"].iloc[0] == "another data set (sentiment)"
    assert frame["why"].iloc[1] == "this scale has another data set (sentiment)"
    kind = [name.split(",")[0] for name in frame.index]
    for changes, other, same in (
        ({"tokens": ["x"]}, "sentence", "document"),
        ({"words": 70}, "document", "sentence"),
    ):
        frame = classifiers(**changes).assign(kind=kind)
        apart, alike = (frame[frame["kind"] == name] for name in (other, same))
        assert (
            set(apart["why"]) == {f"this configuration shows another {other}"} and apart["ours"].isna().all()
        )
        assert set(alike["verdict"]) == {"not comparable"} and alike["ours"].notna().all()


# ------------------------------------------------------------------------------------------- the studies' own tables


def scores(**more):
    """Two rows of table comp_suff and one that is never in print: comp .269 and suff .06, 95% intervals of +- .0098."""
    rows = [
        ("alti_published", "comp", 0.269),
        ("alti_published", "suff", 0.06),
        ("alti", "comp", 0.269),
    ]
    frame = pd.DataFrame(rows, columns=["readout", "kind", "mean"])
    about = {
        "dataset": "sst2",
        "model": "m",
        "texts": "whole",
        "protocol": "published_bins",
        "examples": 1000,
        "seeds": "0",
    }
    return frame.assign(lower=frame["mean"] - 0.0098, upper=frame["mean"] + 0.0098, interval="i", **(about | more))  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "facts", "run", "verdicts"),
    [
        ([0.269, 0.06], {}, {}, ["same", "same"]),
        # Rounding and tolerance are .001: .0609 is .0009 off, .0611 is .0011.
        ([0.2681, 0.0609], {}, {}, ["same", "same"]),
        ([0.2679, 0.0611], {}, {}, ["differs", "differs"]),
        # Fewer texts: the difference has a standard error of .005 * sqrt(1 + .9), so an interval of +- .0135, and .0005 for rounding.
        ([0.256, 0.073], {}, {"examples": 900}, ["within sampling error"] * 2),
        ([0.254, 0.075], {}, {"examples": 900}, ["differs"] * 2),
        ([0.269, 0.06], {"epochs": 1}, {}, ["not comparable"] * 2),
        ([0.269, 0.06], {"repo": "someone/else"}, {}, ["not comparable"] * 2),
        ([0.269, 0.06], {}, {"split": "validation"}, ["not comparable"] * 2),
    ],
)
def test_verdicts_beside_our_numbers(monkeypatch, tmp_path, values, facts, run, verdicts):
    entry = all_entries("comp_suff")[0] | {"values": {"alti_published": values}}
    monkeypatch.setattr(published, "all_entries", lambda key: [entry])
    facts = {"architecture": "roberta", **HUB, **facts}
    (tmp_path / "metrics.json").write_text(json.dumps(facts))
    model = [{"dataset": "sst2", "model": "m", "path": tmp_path / "model.safetensors"}]
    run = {"dataset": "sst2", "model": "m", "split": "test", "examples": 1000, "within": None, **run}
    options = {**OPTIONS, "runs": [run], "datasets": {"sst2": {"source": "hub"}}, "faithfulness": []}
    frame = published.beside(scores(examples=run["examples"]), "comp_suff", options, models=model)
    assert frame["published_verdict"].tolist() == [*verdicts, None]
    assert frame["published_value"].tolist()[:2] == values
    assert (
        frame.loc[2, ["published_value", "published_checkpoint", "published_why", "published_source"]]
        .isna()
        .all()
    )
    assert frame["published_checkpoint"][0] == ("same" if facts.items() >= HUB.items() else "other")
    # Of texts that nobody named nothing is said.
    frame = published.beside(scores(), "comp_suff", options | {"runs": []}, models=model)
    assert frame["published_verdict"].tolist() == ["not comparable"] * 2 + [None]


PRINTED = {
    # table -> column of the number in print, of its verdict
    "comp_suff": ["value"],
    "special_tokens": ["value"],
    "isotropy": ["value"],
    "selective_rollout": ["value"],
    "model_consistency": ["mean"],
    "seed_consistency": ["mean", "median"],
}
BERT = "textattack/bert-base-uncased-SST-2"
DISTILBERT = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


@pytest.mark.slow
def test_verdicts_of_the_studies_tables_are_those_of_published_vs_reproduced(tmp_path):
    """Number for number, looked up by readout, quantity and source alone; every mark in LaTeX has its meaning in the caption."""
    # The readouts that are in print, and one that is not.
    readouts = {name for table in PRINTED for entry in all_entries(table) for name in entry["values"]} | {
        "alti"
    }
    methods = [name for name in METHODS if {readout.id for readout in METHODS[name].readouts} & readouts]
    hub = {"dataset": "sst2", "source": "hub", "epochs": 0, "oracle": False, "examples": 4, "steps": False,
           "readouts": readouts, "methods": [name for name in methods if name != "selective"]}  # fmt: skip
    found = merge(
        make(tmp_path, model="bert", repo=BERT, layers=12, **hub | {"methods": methods}),
        make(tmp_path, architecture="distilbert", model="distilbert", repo=DISTILBERT, layers=6, **hub),
        make(tmp_path, architecture="roberta", model="roberta", layers=12, **{**hub, **HUB}),
    )
    found |= compare(tmp_path, found, ("sst2", "bert", "distilbert"))
    runs = [{"dataset": "sst2", "model": model, "split": "test", "examples": size, "within": None}
            for model, size in (("bert", 1000), ("distilbert", None), ("roberta", 1000))]  # fmt: skip
    options = {**OPTIONS, "bootstrap": {"resamples": 20, "level": 0.95}, "tables": list(PRINTED), "faithfulness": [], "datasets": {"sst2": {"source": "hub"}}, "runs": runs}  # fmt: skip
    for table in PRINTED:
        paths = [tmp_path / f"{table}.{ending}" for ending in ("csv", "tex")]
        tables.write(table, found, options, *paths)
        found[f"tables/{table}"] = [{"path": paths[0]}]
    judged = published_vs_reproduced.rows(found, options)
    seen = {}
    for table, names in PRINTED.items():
        own = pd.read_csv(tmp_path / f"{table}.csv")
        text = (tmp_path / f"{table}.tex").read_text()
        for place, name in enumerate(names):
            prefix = f"published_{name}_" * bool(place) or "published_"
            shown = own.dropna(subset=f"published_{name}")
            assert shown[[f"{prefix}verdict", f"{prefix}why", "published_source", "published_checkpoint"]].notna().all(axis=None)  # fmt: skip
            for row in shown.to_dict("records"):
                fitting = judged[
                    (judged["table"] == table)
                    & (judged["published_source"] == row["published_source"])
                    & (judged["model"] == row["model"])
                    & (judged["readout"] == row.get("readout", ""))
                    & judged["quantity"].str.contains(quantity_of(table, name, row), regex=False)
                    & np.isclose(judged["published"], row[f"published_{name}"], rtol=1e-5)
                ]
                assert len(fitting) == 1, (table, row)
                for ours, theirs in (("verdict", "verdict"), ("why", "why")):
                    assert row[f"{prefix}{ours}"] == fitting[theirs].iloc[0], (table, row["readout"])
                assert row["published_checkpoint"] == fitting["published_checkpoint"].iloc[0]
                if "gap_max" in row:
                    gap = fitting["gap_max"].astype(float).iloc[0]
                    assert gap == row["gap_max"] or (np.isnan(gap) and np.isnan(row["gap_max"]))
                seen.setdefault(table, []).append(row[f"{prefix}verdict"])
        if table == "selective_rollout":
            assert "Verdict on ours: " in text
        else:
            assert published.MARKED in text and re.search(r"\$\^\{[swdn]\}\$", text)
    assert set(seen) == set(PRINTED)
    assert set(seen["seed_consistency"]) == {"same"}  # recomputed from the released matrices
    assert len(seen["isotropy"]) == 2 * 25 + 13 and len(seen["comp_suff"]) == 2 * (10 + 8)


def quantity_of(table, name, row):
    """A part of published_vs_reproduced's `quantity` that tells a row of a table from its others."""
    return {
        "comp_suff": f"{row.get('kind')}, published_bins",
        "special_tokens": "all tokens",
        "isotropy": f"{row.get('vectors')}, layer {row.get('layer')}",
        "selective_rollout": "ratio",
        "model_consistency": f"{row.get('metric')} with distilbert",
        "seed_consistency": f"{row.get('metric')}, {name} over pairs",
    }[table]


def test_the_exponent_of_a_number_in_print():
    assert published.printed(0.269, "same") == "$0.269$$^{s}$"
    assert published.printed(0.269, "within sampling error", "more") == "$0.269$ more$^{w}$"
    assert set(published.MARKS) == set(published.VERDICTS) - {"not run"}
    for verdict, mark in published.MARKS.items():
        assert f"{mark}, {verdict}" in published.MARKED
