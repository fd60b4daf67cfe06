"""The tiny run from data to report: sound artefacts, and what readers are told."""

import json
import os
import re

import pandas as pd
import pytest

from plumbline.artefacts import check_file, write_json
from plumbline.workflow.config import validate
from plumbline.workflow.run import at_success
from tests import workflow

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow")]


def results(folder):
    return folder / "results" / "tiny"


def test_every_parquet_file_has_its_schema(finished):
    found = sorted(results(finished).rglob("*.parquet"))
    # data, attributions, maps and spectra, faithfulness of texts and of images, agreement, contributions, isotropy, rollouts,
    # released seeds, experiments of two training seeds; of causal graphs data, stability, pruning, explanations, nodes, metrics
    assert len(found) == 5 + 7 + 2 + 7 + 1 + 1 + 1 + 1 + 1 + 1 + 2 * 4 + 2 + 5
    assert {str(path): check_file(path) for path in found} == {str(path): [] for path in found}


def test_nothing_half_written_or_pickled(finished):
    left = [
        path
        for path in results(finished).rglob("*")
        if path.name.startswith(".") or path.suffix in (".pt", ".bin", ".pkl")
    ]
    assert left == []


def test_model_facts(finished):
    facts = json.loads((results(finished) / "models/sentiment/tiny/seed0/metrics.json").read_text())
    assert facts["examples"] == 50
    assert facts["accuracy_lower"] <= facts["accuracy"] <= facts["accuracy_upper"]
    steps = [point["step"] for point in facts["loss_curve"]]
    assert steps[-1] == 2 * 19  # 600 sentences in batches of 32, twice
    assert steps == sorted(steps)


def test_tables_name_the_scale_and_hold_every_readout(finished):
    for path in sorted(results(finished).glob("tables/*/*.csv")):
        frame = pd.read_csv(path)
        assert set(frame["scale"]) == {"tiny"}, path
        assert "config.paper.yaml" in path.with_suffix(".tex").read_text(), path
    frame = pd.read_csv(results(finished) / "tables/alti/comp_suff.csv")
    assert {
        "alti",
        "alti_l2",
        "rollout",
        "grad_l2",
        "blankout",
        "random",
        "position",
        "uniform",
        "oracle",
    } <= set(frame["readout"])
    assert set(frame["protocol"]) == {"published_bins", "standard", "standard_bfloat16", "mask"}


def test_limits_of_a_protocol(finished):
    frame = pd.read_parquet(results(finished) / "faithfulness/sentiment/tiny/seed0/attention.parquet")
    masked, whole = frame[frame["protocol"] == "mask"], frame[frame["protocol"] == "standard"]
    assert set(masked["readout"]) == {"rollout"}
    assert masked["id"].nunique() == 6
    assert set(whole["readout"]) == {"raw_attention", "rollout"}
    assert whole["id"].nunique() == 12


def test_cost_covers_every_job(finished):
    frame = pd.read_csv(results(finished) / "benchmarks/cost.csv")
    assert frame["stage"].value_counts().to_dict() == {"attributions": 7, "faithfulness": 7, "models": 1}
    assert (frame["seconds"] > 0).all()
    for column in ("rows_per_second", "padding_share", "duplicates_share"):
        assert set(frame.loc[frame[column].notna(), "stage"]) == {"faithfulness"}


def test_passes_are_counted(finished):
    """Comp and suff of several readouts and protocols share inputs, the full text first of all."""
    found = sorted(results(finished).glob("benchmarks/work/sentiment/tiny/seed0/*.json"))
    assert len(found) == 7
    for path in found:
        facts = json.loads(path.read_text())
        assert facts.pop("about")["method"] == path.stem
        assert sorted(facts) == ["padding", "requested", "rows", "seconds", "tokens"]
        assert 12 < facts["rows"] < facts["requested"]
        assert facts["tokens"] > 2 * facts["rows"]


def test_first_and_last_lines_name_the_scale(fresh):
    (results(fresh) / "benchmarks/cost.csv").unlink()
    done = workflow.snakemake(fresh, "--cores", "1", "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("plumbline: scale tiny")]
    assert len(told) == 2
    assert done.stdout.splitlines()[-1] == told[-1]
    assert "--configfile config.paper.yaml" in told[0]


def test_the_end_of_a_run_says_what_its_stages_took(fresh):
    """Of this run alone: one job is made again."""
    file = results(fresh) / "attributions/sentiment/tiny/seed0/controls.parquet"
    file.unlink()
    done = workflow.snakemake(
        fresh, "--cores", "1", "--configfile", workflow.TINY, "--", str(file.relative_to(fresh))
    )
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "CPU-seconds" in line]
    assert re.fullmatch(r"plumbline: attributions: 1 job, \d+ CPU-seconds, at most \d+ MB", line)


def test_what_a_stage_took_is_the_sum_of_this_runs_costs(tmp_path, monkeypatch, capsys):
    """By hand: 1.25 + 2.5 CPU-seconds, the larger memory; an older cost and a file without CPU-seconds do not count."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results/x/benchmarks"
    config = {**workflow.tiny_config(), "scale": "x"}
    model = "models/{dataset}/{model}".format(**config["runs"][0])
    config["runs"] = [{**config["runs"][0], "seeds": [0, 1, 2]}]
    for seed, (seconds, memory) in enumerate([(1.25, 300.0), (2.5, 200.0), (64.0, 900.0)]):
        cost = {"seconds": 1.0, "cpu_seconds": seconds, "max_rss_mb": memory}
        write_json(folder / f"{model}/seed{seed}/training.json", cost)
    os.utime(folder / f"{model}/seed2/training.json", (1000, 1000))
    write_json(folder / "work/d/m/seed0/alti.json", {"seconds": 7.0, "rows": 3})
    at_success(config, since=2000)
    assert capsys.readouterr().err == "plumbline: models: 2 jobs, 4 CPU-seconds, at most 300 MB\n"


def test_only_a_limit_of_job_starts_that_the_user_sets_is_kept(tmp_path):
    """Snakemake's default makes its main process busier with every job that ends; see workflow/snakemake_parts.py."""
    folder = workflow.checkout(tmp_path / "checkout")
    (folder / "probe.smk").write_text(
        'include: "Snakefile"\nonsuccess:\n    print("limiter:", workflow.scheduler.job_rate_limiter)\n'
    )
    for split, options, kept in [("test", [], False), ("train", ["--max-jobs-per-timespan", "7/1s"], True)]:
        target = f"results/small/data/digits/{split}.parquet"
        done = workflow.snakemake(folder, "--cores", "1", "-s", "probe.smk", *options, "--", target)
        assert done.returncode == 0, done.stdout
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("limiter: ")]
        assert (line != "limiter: None") == kept


def test_report(fresh):
    """The report holds every table and figure."""
    target = "results/tiny/report.zip"
    done = workflow.snakemake(fresh, "--report", target, "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    assert (fresh / target).stat().st_size > 100_000


def test_the_tiny_config_is_complete(plain):
    """What the tiny run covers: every registered table and figure but those that need a BERT and a DistilBERT.

    Another model would take half of its minute; tests/test_alti_study.py runs the jobs of those two.
    """
    import yaml

    from plumbline.config import registries

    config = yaml.safe_load((plain / "config.yaml").read_text()) | yaml.safe_load(
        (plain / workflow.TINY).read_text()
    )
    config = validate(config)
    assert {*config["tables"], "model_consistency"} == set(registries()["tables"])
    assert {*config["figures"], "model_consistency"} == set(registries()["figures"])


def test_the_results_are_the_same_with_interpreters_of_their_own(fresh):
    """One job of most kinds of the tiny run, made again without the warm process: equal to the byte."""
    results = fresh / "results/tiny"
    before = workflow.files(results)
    # In two calls: a model that is made again would have all that depends on it made again.
    model = ["models/sentiment/tiny/seed0/model.safetensors"]
    others = [
        "data/digits/test.parquet",
        "attributions/sentiment/tiny/seed0/alti.parquet",
        "faithfulness/sentiment/tiny/seed0/alti.parquet",
        "agreement/sentiment/tiny/seed0.parquet",
        "models/digits_half/tiny_lenet/seed0/model.safetensors",
        "tables/alti/comp_suff.csv",
        "figures/alti/seed_matrices.png",
    ]
    options = ("--configfile", workflow.TINY, "--config", "warm=false", "--rerun-triggers", "input")
    for again in (model, others):
        for name in again:
            (results / name).unlink()
        targets = [f"results/tiny/{name}" for name in again]
        done = workflow.snakemake(fresh, "--cores", "2", *options, "--", *targets)
        assert done.returncode == 0, done.stdout
        assert f"{len(again)} of {len(again)} steps (100%) done" in done.stdout
    assert workflow.files(results) == before


@pytest.mark.skipif(
    not os.environ.get("CI"), reason="the full default run takes a quarter of an hour; CI=true runs it"
)
@pytest.mark.timeout(3000)  # a quarter of an hour; other tests and slow machines share its cores
@pytest.mark.xdist_group("default")  # beside the other runs of Snakemake, which take as long together
def test_default_reproduction(tmp_path):
    """Known truth, at the small scale: the models learn it, and the oracle beats every control."""
    folder = workflow.checkout(tmp_path / "checkout")
    done = workflow.snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout
    small = folder / "results/small"
    found = sorted(small.rglob("*.parquet"))
    assert {str(path): check_file(path) for path in found} == {str(path): [] for path in found}
    accuracy = pd.read_csv(small / "tables/alti/accuracy.csv")
    assert accuracy.groupby("dataset").size().to_dict() == {
        "agreement": 6,
        "reviews": 3,
        "sentiment": 3,
    }  # 3 seeds, a mean
    assert (accuracy["accuracy"] >= 0.97).all(), accuracy[["dataset", "model", "accuracy"]]
    images = pd.read_csv(small / "tables/network_diffusion/image_accuracy.csv")
    assert (images["accuracy"] >= 0.93).all(), images[["dataset", "model", "accuracy"]]
    scores = pd.read_csv(small / "tables/alti/comp_suff.csv").query("protocol != 'mask'")
    controls, within = ["random", "position", "uniform"], []
    for (*_, protocol, kind), part in scores.groupby(["dataset", "model", "texts", "protocol", "kind"]):
        cells = part.set_index("readout")
        if (protocol, kind) == ("published_bins", "suff"):
            # A running maximum, as published, which few tokens of any kind can bring near its end: how the oracle and the
            # controls lie there is a matter of the model, which is another one on another processor.
            within.append(cells["lower"]["oracle"] <= cells["upper"][controls].min())
        else:
            means = cells["mean"] * (1 if kind == "comp" else -1)
            assert means["oracle"] > means[controls].max()
    assert sum(within) >= 0.75 * len(within) > 0
    assert set(scores["texts"]) == {"whole", "cut"}
    beside = pd.read_csv(small / "tables/alti/published_vs_reproduced.csv")
    released = beside[(beside["table"] == "seed_consistency") & (beside["verdict"] != "not run")]
    assert set(released["verdict"]) == {"same"}
    assert len(released) == 12  # mean and median of the six published matrices
    assert workflow.planned(folder) == []
