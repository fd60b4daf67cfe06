"""The study alti: which seeds and models it compares, and the jobs that do it."""

import pandas as pd
import pytest
import yaml

from plumbline.artefacts import check_file, read_rows
from plumbline.studies.alti import study as alti
from plumbline.workflow import outputs
from plumbline.workflow.config import validate
from plumbline.workflow.targets import targets
from tests import workflow
from tests.synthetic import make


def planned_config(*runs, **changes):
    return validate({**workflow.configuration(), "runs": list(runs), **changes})


def comparisons(stage, config):
    """The files of a stage, and what the job of each compares."""
    return stage.files(config, stage.id), [row.run for row in stage.rows(config)]


RUN = {"dataset": "sentiment", "model": "bert", "methods": ["alti", "attention"]}


def test_seeds_of_several_runs_are_compared_by_what_they_share():
    config = planned_config(
        {**RUN, "seeds": [0]},
        {**RUN, "seeds": [2, 1], "methods": ["alti"], "readouts": ["alti", "alti_l2"]},
        {**RUN, "dataset": "agreement"},
    )
    (file,), (found,) = comparisons(alti.SEED_CONSISTENCY, config)
    assert file == "results/small/consistency/sentiment/bert.parquet"
    assert found["groups"] == [{"seed": None, "names": ["seed0", "seed1", "seed2"]}]
    assert found["readouts"]["alti"] == ["alti", "alti_l2"]
    assert set(found["readouts"]) == {"alti", "controls"}
    assert len(found["attributions"]) == 3 * 2
    assert file in targets(config)
    assert outputs.output_inputs(config, "tables", "seed_consistency") == {
        "seed_consistency": [file],
        "released": ["results/small/released/multiberts_sst2.parquet"],
        "gaps": [],
    }


@pytest.mark.parametrize(
    "table", ["seed_consistency", "model_consistency", "comp_suff", "deletion_curves-sentiment-bert"]
)
def test_gaps_are_read_of_the_models_that_a_table_shows(table):
    """Of seeds 0 to 2 of a BERT and of seed 0 of the others; the random method has none."""
    run = {"dataset": "sentiment", "methods": ["ig", "alti"]}
    config = planned_config(
        {**run, "model": "bert", "seeds": [0, 1, 2]},
        {**run, "model": "distilbert", "seeds": [0]},
        {**run, "model": "roberta", "seeds": [0]},
    )
    every = [("bert", 0), ("bert", 1), ("bert", 2), ("distilbert", 0), ("roberta", 0)]
    shown = {
        "seed_consistency": every[:3],
        "model_consistency": [("bert", 0), ("distilbert", 0)],
        "comp_suff": every,
    }
    wanted = {
        f"results/small/attributions/sentiment/{model}/seed{seed}/ig.parquet"
        for model, seed in shown.get(table, every[:3])
    }
    assert set(outputs.output_inputs(config, "tables", table)["gaps"]) == wanted


def test_a_bert_is_compared_with_a_distilbert_of_the_same_data_and_seed():
    config = planned_config(
        {**RUN, "seeds": [0, 1, 2]},
        {**RUN, "model": "distilbert", "seeds": [1, 2, 3]},
        {**RUN, "model": "roberta"},
        {**RUN, "model": "distilbert", "dataset": "agreement"},
        released_seeds=None,
    )
    (file,), (found,) = comparisons(alti.MODEL_CONSISTENCY, config)
    assert file == "results/small/consistency/sentiment/bert-distilbert.parquet"
    assert found["groups"] == [{"seed": seed, "names": ["bert", "distilbert"]} for seed in (1, 2)]
    assert outputs.output_inputs(config, "figures", "seed_consistency_extended") == {"released": []}


@pytest.mark.slow
@pytest.mark.xdist_group("workflow")
def test_jobs_compare_what_runs_wrote(tmp_path):
    """Rules, scripts, tables and figures on made attributions: nothing is trained and nothing explained."""
    folder = workflow.checkout(tmp_path / "checkout")
    root = folder / "results/made"
    root.mkdir(parents=True)
    make(root, seeds=(0, 1), methods=("alti",), examples=10)
    make(root, model="distilbert", architecture="distilbert", seeds=(1,), methods=("alti",), examples=10)
    runs = [
        {**RUN, "methods": ["alti"], "seeds": [0, 1]},
        {**RUN, "methods": ["alti"], "model": "distilbert", "seeds": [1]},
    ]
    (folder / "overlay.yaml").write_text(
        yaml.safe_dump({"scale": "made", "runs": runs, "bootstrap": {"resamples": 100}})
    )
    targets = [
        "results/made/tables/alti/seed_consistency.csv",
        "results/made/figures/alti/model_consistency.png",
    ]
    rules = ["seed_consistency", "model_consistency", "released_seeds", "table", "figure"]
    call = ("--cores", "2", "--configfile", "overlay.yaml", "--allowed-rules", *rules, "--", *targets)
    done = workflow.snakemake(folder, *call)
    assert done.returncode == 0, done.stdout
    made = sorted(root.glob("consistency/*/*.parquet")) + [root / "released/multiberts_sst2.parquet"]
    assert [path.stem for path in made] == ["bert-distilbert", "bert", "multiberts_sst2"]
    assert {str(path): check_file(path) for path in made} == {str(path): [] for path in made}
    rows = read_rows(made[1])
    assert set(rows["first"]) == {"seed0"}
    assert {"alti", "alti_published", "random", "oracle"} <= set(rows["readout"])
    assert set(read_rows(made[0])["seed"]) == {1}
    frame = pd.read_csv(folder / targets[0])
    assert set(frame["source"]) == {"trained", "released (matrices)"}


@pytest.mark.slow
@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize(
    ("source", "jobs"), [("matrices", {}), ("mirror", {}), ("url", {"download_released": 11}), (None, None)]
)
def test_each_source_of_the_released_seeds_is_planned(plain, source, jobs, tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({"released_seeds": source}))
    target = "results/small/figures/alti/seed_consistency_extended.png"
    found = workflow.counts(plain, "--configfile", str(overlay), "--", target)
    expected = {"figure": 1} if source is None else {"figure": 1, "released_seeds": 1, **jobs}
    assert {name: count for name, count in found.items() if name != "total"} == expected


@pytest.mark.slow
@pytest.mark.xdist_group("workflow")
def test_the_files_can_be_asked_for_and_a_mistyped_one_is_named(plain):
    done = workflow.snakemake(plain, "-n", "results/small/consistency/sentiment/distilbert-bert.parquet")
    assert done.returncode != 0
    (line,) = workflow.error_lines(done.stdout)
    assert "bert-distilbert.parquet" in line
