"""Stages and studies: from a configuration to files, and that a study is one room."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from plumbline import studies
from plumbline.config import registries
from plumbline.errors import PlumblineError
from plumbline.workflow import study as rooms
from plumbline.workflow.config import validate
from plumbline.workflow.stage import Row, Stage, each, kept, models_of
from plumbline.workflow.stages import all_stages
from plumbline.workflow.targets import final_output, targets
from tests import workflow
from tests.test_config import merged

STUDIES = list(rooms.studies())
RUNS = [
    {"dataset": "a", "model": "m", "seeds": [0, 1], "shards": 2, "methods": ["x", "y"]},
    {"dataset": "b", "model": "m", "seeds": [0], "shards": 1, "methods": ["y"]},
]
TOY = Stage(
    id="toy",
    paths={"toy": "{scale}/{dataset}/{model}/seed{seed}/{method}.csv", "note": "{scale}/{dataset}/note.txt"},
    rows=each(lambda config: models_of(config["runs"]), "method", lambda run: run["methods"]),
    shards=True,
)


@pytest.fixture
def config():
    return {"scale": "s", "runs": RUNS}


@pytest.mark.parametrize(
    ("fixed", "files"),
    [
        ({"dataset": "b"}, ["s/b/m/seed0/y.csv"]),
        ({"method": "x"}, ["s/a/m/seed0/x.csv", "s/a/m/seed1/x.csv"]),
        ({"dataset": "a", "model": "m", "seed": 1}, ["s/a/m/seed1/x.csv", "s/a/m/seed1/y.csv"]),
        ({"dataset": "a", "model": "m", "seed": 1, "method": ["y"]}, ["s/a/m/seed1/y.csv"]),
        # A field that the stage has not says nothing; a value that no row has leaves none.
        ({"seed": 1, "method": ["x", "z"], "split": "test"}, ["s/a/m/seed1/x.csv"]),
        ({"dataset": "a", "model": "m", "seed": 2}, []),
        ({"method": []}, []),
    ],
)
def test_files_of_some_rows(config, fixed, files):
    assert TOY.files(config, "toy", **fixed) == files


def test_a_file_of_several_rows_is_listed_once(config):
    assert TOY.files(config, "note") == ["s/a/note.txt", "s/b/note.txt"]


def test_parts_of_the_runs_with_several_shards_alone(config):
    assert TOY.shard_files(config, "toy", method="y", seed=0) == [
        "s/a/m/seed0/y/0.csv",
        "s/a/m/seed0/y/1.csv",
    ]
    assert TOY.shard_files(config, "toy", dataset="b") == []
    assert set(TOY.all_files(config)) > {"s/a/m/seed1/x.csv", "s/a/m/seed1/x/1.csv", "s/b/note.txt"}


def test_rows_are_those_of_the_configuration_at_hand(config):
    """They are kept for the last configuration; another one has its own."""
    assert len(TOY.of(config)) == 5
    assert len(TOY.of({**config, "runs": RUNS[1:]})) == 1
    assert len(TOY.of(config)) == 5


def test_the_run_of_a_row(config):
    assert TOY.run(config, dataset="b", seed=0) is RUNS[1]
    with pytest.raises(PlumblineError, match="stage 'toy' of dataset 'b', seed '1'"):
        TOY.run(config, dataset="b", seed=1)


def test_rows_without_a_run_that_is_not_wanted(config):
    rows = kept(lambda config: models_of(config["runs"]), lambda run: "x" in run["methods"])
    assert rows(config) == [Row({"dataset": "a", "model": "m", "seed": seed}, RUNS[0]) for seed in (0, 1)]


def test_ids_of_stages_are_unique():
    ids = [stage.id for stage in all_stages()]
    assert len(ids) == len(set(ids))


def test_every_need_is_a_file_of_a_stage():
    """What an output needs is an output of a stage, a table, or the gaps of integrated gradients."""
    legal = {name for stage in all_stages() for name in stage.paths} | {"gaps"}
    legal |= {f"tables/{table}{mark}" for table in registries()["tables"] for mark in ("", "?")}
    for kind in ("tables", "figures"):
        for entry in registries()[kind].values():
            assert set(entry.needs) <= legal, entry.id


@pytest.mark.parametrize("kind", ["tables", "figures"])
def test_a_table_or_figure_lies_in_its_studys_room(kind):
    """And is imported as a module of the package of all of them."""
    for entry in registries()[kind].values():
        module = importlib.import_module(f"plumbline.{kind}.{entry.id}")
        assert Path(module.__file__).parts[-4:] == (
            "studies",
            registries()[kind].studies[entry.id],
            kind,
            f"{entry.id}.py",
        )


def output_patterns():
    """The paths behind `output:` of every rule."""
    text = "\n".join(file.read_text() for file in sorted(workflow.ROOT.glob("rules/*.smk")))
    blocks = re.findall(r"^    output:\n((?:        .*\n)+)", text, flags=re.MULTILINE)
    return {path for block in blocks for path in re.findall(r'"(results/<scale>/[^"]+)"', block)}


def test_rules_and_stages_have_the_same_paths():
    """Of shards and experiments the rule has a field where a stage has a name."""
    stages = {path.replace("{scale}", "<scale>") for stage in all_stages() for path in stage.paths.values()}
    rules = output_patterns()
    expressions = {rule: re.sub(r"\\{experiment\\}", r"[a-z_]+", re.escape(rule)) for rule in rules}
    for path in stages:
        assert [rule for rule in rules if re.fullmatch(expressions[rule], path)], path
    parts = {re.sub(r"(\.\w+)$", r"/{shard}\1", path) for path in stages}
    named = [rule for rule in rules if "/downloads/" not in rule and "{name}" not in rule]
    for rule in named:
        assert [path for path in stages | parts if re.fullmatch(expressions[rule], path)], rule
    assert len(named) > 40


# Where a study's name is that of a method, of its readouts and of a function of the Python API.
METHODS_OF_THE_NAME = {
    "attention_meets_xai": ["attribution/multihead"],  # the repository of the work
    "alti": [
        "attribution/__init__",
        "attribution/alti",
        "attribution/contributions",
        "agreement/released",
        "datasets/multiberts",
    ],
    "selective_rollout": ["attribution/__init__", "attribution/selective", "agreement/rollouts"],
}


@pytest.mark.parametrize("study", STUDIES)
def test_the_core_names_no_study_and_the_rest_at_most_twice(study):
    """Outside its room and its rules file."""
    shared = [file for file in workflow.ROOT.glob("src/plumbline/**/*.py") if "studies" not in file.parts]
    shared += workflow.ROOT.glob("src/plumbline/studies/*.py")
    shared += [file for file in workflow.ROOT.glob("rules/*.smk") if file.stem not in STUDIES]
    shared += [*workflow.ROOT.glob("scripts/*.py"), workflow.ROOT / "Snakefile"]
    methods = [f"src/plumbline/{file}.py" for file in METHODS_OF_THE_NAME.get(study, ())]
    named = [
        str(file.relative_to(workflow.ROOT))
        for file in shared
        if re.search(rf"\b{study}\b(?!\.md)", file.read_text())  # not the page of it
    ]
    assert set(methods) <= set(named)
    named = set(named) - set(methods)
    assert len(named) <= 2, named
    core = ("src/plumbline/workflow/", "src/plumbline/config", "rules/", "Snakefile")
    assert not [name for name in named if name.startswith(core)]


PLANNING = ["config", "config_types", "workflow/config", "workflow/outputs", "workflow/targets"]


def test_configuration_and_planning_stay_small():
    files = [workflow.ROOT / f"src/plumbline/{name}.py" for name in PLANNING]
    assert sum(len(file.read_text().splitlines()) for file in files) <= 1100
    assert len((workflow.ROOT / "rules/common.smk").read_text().splitlines()) <= 150


def own_keys(study):
    return set(studies.rooms("config")[study].Keys.model_fields)


def without(block, study):
    """A configuration's block without the lines of a study: its keys, its tables, its figures."""
    block = {key: value for key, value in block.items() if key not in own_keys(study)}
    for kind in ("tables", "figures"):
        if kind in block:
            block[kind] = [name for name in block[kind] if registries()[kind].studies[name] != study]
    if study == "alti":
        # Its table `precision` is what shows the effect of a protocol in bfloat16, which is refused without it.
        protocols = registries()["protocols"]
        block["faithfulness"] = [
            item
            for item in block.get("faithfulness", [])
            if protocols[item["protocol"]].precision == "float32"
        ]
    return block


@pytest.mark.slow
@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_removed_with_its_room_its_rules_and_its_lines(study, tmp_path):
    """The rest is planned as before, and linted; the study's name and keys are unknown."""
    whole = merged(workflow.TINY)
    kept_files = final_output(validate(without(whole, study)))
    folder = workflow.checkout(tmp_path)
    shutil.rmtree(folder / "src/plumbline/studies" / study)
    (folder / "rules" / f"{study}.smk").unlink()
    for name in ("config.yaml", workflow.TINY):
        block = yaml.safe_load((folder / name).read_text())
        (folder / name).write_text(yaml.safe_dump(without(block, study), sort_keys=False))
    done = workflow.snakemake(folder, "-n", "--configfile", workflow.TINY)
    assert done.returncode == 0, done.stdout
    made = {
        word.rstrip(",") for line in done.stdout.splitlines() if "output: " in line for word in line.split()
    }
    assert set(kept_files) <= made
    assert f"/{study}/" not in done.stdout
    done = workflow.snakemake(folder, "--lint", "--configfile", workflow.TINY)
    assert "Congratulations" in done.stdout, done.stdout
    done = workflow.snakemake(folder, "-n", "--configfile", workflow.TINY, "--", study)
    assert f"no rule makes '{study}'" in workflow.error_lines(done.stdout)[0]


def test_a_room_outside_the_package_is_a_study(tmp_path, monkeypatch):
    """Its stage's files are legal targets beside those of the others."""
    config = validate(merged(workflow.TINY))
    before = targets(config)
    (tmp_path / "sixth").mkdir()
    (tmp_path / "sixth/__init__.py").write_text("")
    (tmp_path / "sixth/study.py").write_text(
        "from plumbline.workflow.stage import Stage\n"
        "from plumbline.workflow.stages import text_models\n"
        "from plumbline.workflow.study import Study\n"
        "TOYS = Stage(id='toys', paths={'toys': 'results/{scale}/toys/{dataset}/{model}/seed{seed}.csv'}, rows=text_models)\n"
        "STUDY = Study(id='sixth', runs=text_models, stages=(TOYS,))\n"
    )
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(tmp_path)])
    rooms.studies.cache_clear()
    try:
        more = set(targets(config)) - set(before)
    finally:
        rooms.studies.cache_clear()
        for name in [name for name in sys.modules if name.startswith("plumbline.studies.sixth")]:
            del sys.modules[name]
    wanted = {
        f"results/tiny/toys/{run['dataset']}/{run['model']}/seed{seed}.csv"
        for run in config["runs"]
        for seed in run["seeds"]
    }
    assert more == wanted
