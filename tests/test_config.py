"""The configuration: schema, defaults, cross-checks, and the blocks that jobs see."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from plumbline import config as configuration
from plumbline.errors import PlumblineError
from plumbline.workflow import outputs
from plumbline.workflow.config import validate
from plumbline.workflow.targets import final_output, targets, targets_asked
from tests import workflow
from tests.workflow import ROOT, TINY


def merged(*names):
    """config.yaml with overlays, as Snakemake merges them: dictionaries recursively, lists replaced."""

    def merge(below, above):
        for key, value in above.items():
            if isinstance(value, dict) and isinstance(below.get(key), dict):
                merge(below[key], value)
            else:
                below[key] = value
        return below

    found = {}
    for name in ("config.yaml", *names):
        merge(found, workflow.configuration(name))
    return found


@pytest.fixture
def small():
    return merged()


def fault(config, **changes):
    """The error of the configuration with some of its keys replaced."""
    config = {**copy.deepcopy(config), **changes}
    with pytest.raises(PlumblineError) as caught:
        validate(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


RUN = {"dataset": "sentiment", "model": "bert", "methods": ["alti"]}


@pytest.mark.parametrize("overlays", [(), ("config.local.yaml",), ("config.paper.yaml",), (TINY,)])
def test_shipped_configurations_are_valid(overlays):
    config = validate(merged(*overlays))
    assert final_output(config)
    assert validate(config) == config  # defaults once filled stay as they are


@pytest.mark.parametrize(("given", "meant"), [(False, False), ("false", False), ("true", True)])
def test_a_switch_of_the_command_line(given, meant):
    """Snakemake hands on `--config warm=false` as text, and `warm=False` as what it means."""
    assert validate({"warm": given})["warm"] is meant
    assert validate({})["warm"] is True
    assert "warm is 'off': it must be true or false" in fault({}, warm="off")


def test_nothing_but_defaults_is_valid():
    config = validate({})
    assert config["scale"] == "small"
    assert config["bootstrap"] == {"resamples": 1000, "level": 0.95}
    assert final_output(config) == []


def test_validation_leaves_its_argument_alone(small):
    before = copy.deepcopy(small)
    validate(small)
    assert small == before


def test_every_level_of_keys_is_checked(small):
    """A mistyped key anywhere names the place and the nearest legal key."""
    assert fault(small, modles={}).startswith("configuration: unknown key 'modles': did you mean 'models'?")
    assert "bootstrap: unknown key 'resample': did you mean 'resamples'?" in fault(
        small, bootstrap={"resample": 1}
    )
    assert "runs[0]: unknown key 'seed': did you mean 'seeds'?" in fault(small, runs=[{**RUN, "seed": [0]}])
    protocol = [{"protocol": "mask", "example": 3}]
    assert "faithfulness[0]: unknown key 'example': did you mean 'examples'?" in fault(
        small, faithfulness=protocol
    )
    model = {**small["models"]["bert"], "training": {"epoch": 3}}
    models = {**small["models"], "bert": model}
    assert "models.bert.training: unknown key 'epoch': did you mean 'epochs'?" in fault(small, models=models)
    models = {**small["models"], "bert": {**small["models"]["bert"], "layer": 4}}
    assert "models.bert: unknown key 'layer': did you mean 'layers'?" in fault(small, models=models)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": {"altii": {}}}, "methods: unknown method 'altii': did you mean 'alti'?"),
        ({"methods": {"alti": {"dof": 0}}}, "methods.alti: unknown parameter 'dof': did you mean 'ddof'?"),
        ({"methods": {"alti": {"ddof": "one"}}}, "methods.alti.ddof is 'one': expected int"),
        ({"methods": {"ig": {"steps": True}}}, "methods.ig.steps is True: expected 'auto' or a whole number, at least 1"),
        ({"methods": {"ig": {"steps": "atuo"}}}, "methods.ig.steps is 'atuo': expected 'auto' or a whole number"),
        ({"methods": {"ig": {"steps": 0}}}, "methods.ig.steps is 0: expected 'auto' or a whole number, at least 1"),
        ({"methods": {"ig": {"gap": 0}}}, "methods.ig.gap is 0: expected a number above 0"),
        ({"methods": {"ig": {"max_steps": 1.5}}}, "methods.ig.max_steps is 1.5: expected a whole number, at least 1"),
        ({"methods": {"ig_published": {"steps": "auto"}}}, "methods.ig_published.steps is 'auto': expected a whole number"),
        ({"datasets": {"sentimnt": {}}}, "datasets: unknown dataset 'sentimnt': did you mean 'sentiment'?"),
        ({"datasets": {"sentiment": {"trian": 1}}}, "unknown key of dataset 'sentiment' 'trian': did you mean 'train'?"),
        ({"datasets": {"sentiment": {"source": "hub"}}}, "unknown source of dataset 'sentiment' 'hub': did you mean 'generated'?"),
        ({"runs": [{**RUN, "dataset": "sentimnt"}]}, "runs[0]: unknown dataset 'sentimnt': did you mean 'sentiment'?"),
        ({"runs": [{**RUN, "model": "brt"}]}, "runs[0]: unknown model 'brt': did you mean 'bert'?"),
        ({"runs": [{**RUN, "split": "tets"}]}, "unknown split of dataset 'sentiment' 'tets': did you mean 'test'?"),
        ({"runs": [{**RUN, "methods": ["alti", "altii"]}]}, "runs[0].methods[1]: unknown method 'altii': did you mean 'alti'?"),
        ({"runs": [{**RUN, "readouts": ["alti_l3"]}]}, "unknown readout of its methods 'alti_l3': did you mean 'alti_l2'?"),
        ({"runs": [{**RUN, "methods": ["alti", "ig"], "readouts": ["alti"]}]}, "none of the readouts of method 'ig'"),
        ({"runs": [{"dataset": "sentiment", "methods": []}]}, "runs[0]: 'model' is missing"),
        ({"runs": [RUN, {**RUN, "seeds": [1, 0]}]}, "runs[0] and runs[1] both compute dataset 'sentiment', model 'bert', seed 0"),
        ({"faithfulness": [{"protocol": "standrd"}]}, "faithfulness[0].protocol: unknown protocol 'standrd': did you mean 'standard'?"),
        ({"faithfulness": [{"protocol": "standard_bfloat16"}]}, "runs in bfloat16, and nothing would show what that changes: add the table 'precision'"),
        ({"faithfulness": [{"protocol": "mask"}] * 2}, "protocol 'mask' is listed twice"),
        ({"faithfulness": [{"protocol": "mask", "readouts": ["altj"]}]}, "faithfulness[0].readouts[0]: unknown readout 'altj': did you mean 'alti'?"),
        ({"tables": ["comp_sufff"]}, "tables[0]: unknown table 'comp_sufff': did you mean 'comp_suff'?"),
        ({"figures": ["token_heatmaps"]}, "figures[0]: unknown figure 'token_heatmaps': did you mean 'token_heatmap'?"),
        ({"torch_threads": "two"}, "torch_threads is 'two': it must be a whole number"),
        ({"device": "gpu"}, "device: unknown value 'gpu'"),
        ({"models": None}, "models is None: it must be a mapping of keys"),
    ],
)  # fmt: skip
def test_faults(small, changes, said):
    assert said in fault(small, **changes)


def test_every_parameter_of_a_method_says_what_is_legal():
    """Where a default alone says so, any value would be taken; None is what no configuration sets."""
    for method in configuration.registries()["methods"].values():
        given = {name for name, default in method.parameters.items() if default is not None}
        assert given == set(method.legal), method.id
        for name in given:
            method.check(name, method.parameters[name], name)


def test_yaml_numbers_without_a_point(small):
    models = {"bert": {**small["models"]["bert"], "training": yaml.safe_load("{learning_rate: 5e-5}")}}
    assert "learning_rate is '5e-5': it must be a number (YAML reads a number without" in fault(
        small, models=models
    )
    models = {"bert": {**small["models"]["bert"], "training": yaml.safe_load("{learning_rate: 1.5e5}")}}
    assert "write 5.0e-5 or 5.0e+5" in fault(small, models=models)
    assert "scale is 2024: it must be text (put it in quotes)" in fault(small, scale=2024)


def test_a_number_stays_the_int_or_float_that_it_is(small):
    """Else a run of 3 epochs and one of 3.0 would be two, and 3 would be written as 3.0."""
    for given in (3, 3.0):
        models = {"bert": {**small["models"]["bert"], "training": {"epochs": given}}}
        found = validate(
            {**small, "models": models | {"distilbert": models["bert"], "roberta": models["bert"]}}
        )
        assert type(found["models"]["bert"]["training"]["epochs"]) is type(given)
    models["bert"]["training"]["epochs"] = True
    assert "training.epochs is True: it must be a number" in fault(small, models=models)


def test_several_faults_give_the_unknown_key_first(small):
    """A mistyped key that is required is missing as well, which says less."""
    run = {"dataset": "sentiment", "modle": "bert", "methods": ["alti"], "shards": 0}
    assert "runs[0]: unknown key 'modle': did you mean 'model'?" in fault(small, runs=[run])


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"source": "hubb"}, "models.m: unknown source 'hubb': did you mean 'hub'?"),
        (
            {},
            "models.m: 'source' is missing: scratch: trained on the training split. directory: a checkpoint",
        ),
        ({"source": "hub", "layers": 2}, "models.m: 'layers' is not for source 'hub'"),
        ({"source": "package"}, "models.m: 'package' is missing: Source package: the import name"),
        ({"source": "directory", "package": "x"}, "models.m: 'package' is not for source 'directory'"),
        (
            {"source": "package", "package": "p", "layers": 2},
            "models.m: 'layers' is not for source 'package'",
        ),
        ({"source": "package", "package": ""}, "models.m.package is '': it must have at least 1 character"),
        ({"source": "directory", "directory": 3}, "models.m.directory is 3: it must be text"),
        ({"source": "scratch", "training": None}, "models.m.training is None: it must be a mapping of keys"),
        ({"source": "scratch", "hidden_size": 30}, "no multiple of its heads"),
        ({"source": "hub", "checkpoints": {"sst2": {}}}, "models.m.checkpoints.sst2: 'repo' is missing"),
        (
            {"source": "hub", "checkpoints": {"sst2": {"repo": "a b"}}},
            "models.m.checkpoints.sst2.repo is 'a b': it must match pattern",
        ),
    ],
)
def test_model_blocks(small, block, said):
    assert said in fault(small, models={"m": {"architecture": "bert", **block}}, runs=[])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {2024: {}}", "models: YAML reads the key 2024 as int, not as text"),
        ("models: {no: {}}", "models: YAML reads the key False as bool"),
        (
            "models: {m: {architecture: bert, source: hub, checkpoints: {1: {repo: a/b}}}}",
            "models.m.checkpoints: YAML reads the key 1",
        ),
        ("datasets: {null: {}}", "datasets: YAML reads the key None"),
        ("methods: {1.5: {}}", "methods: YAML reads the key 1.5 as float"),
        ("runs: [{yes: 1}]", "runs[0]: YAML reads the key True"),
        ("2024: 1", "configuration: YAML reads the key 2024"),
        ("models: {'2024': {}}", "models.2024: 'source' is missing"),
    ],
)
def test_keys_that_yaml_does_not_read_as_text(small, text, said):
    assert said in fault({**small, **yaml.safe_load(text)})


def test_lists_of_the_command_line_hint_at_a_file(small):
    """`--config heatmap_examples=[0]` hands on the text '0'."""
    assert "heatmap_examples[0] is '0': it must be a whole number (--config hands on" in fault(
        small, heatmap_examples=["0"]
    )
    assert "--configfile" not in fault(small, heatmap_examples=["first"])


def test_paths_are_expanded(small, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("DATA", "/data")
    model = {"architecture": "bert", "source": "directory", "directory": "${DATA}/bert"}
    changed = {**small, "mirror": "~/m", "models": {**small["models"], "mine": model}}
    config = validate(changed)
    assert (config["mirror"], config["models"]["mine"]["directory"]) == ("/home/ada/m", "/data/bert")
    assert validate({**small, "mirror": "$HOME/m{1}"})["mirror"] == "/home/ada/m{1}"
    assert validate({**small, "mirror": "m"})["mirror"] == "m"
    assert validate({**small, "mirror": ""})["mirror"] == ""  # as null: --config mirror=
    monkeypatch.delenv("DATA")
    said = fault(changed)
    assert "models.mine.directory: the environment has no ${DATA}, which ${DATA}/bert names" in said
    assert "no home folder is known" in fault(small, mirror="~nobody_of_that_name/m")


def test_a_directory_holds_a_finished_model_unless_training_is_given(small):
    model = {"architecture": "bert", "source": "directory", "directory": "/x"}
    for given, kept in (
        ({}, None),
        ({"training": None}, None),
        ({"training": {}}, 3),
        ({"training": {"epochs": 1}}, 1),
    ):
        config = validate({**small, "models": {**small["models"], "mine": model | given}})
        training = config["models"]["mine"]["training"]
        assert (training and training["epochs"]) == kept
        assert validate(config) == config


def test_overlaying_another_source_on_a_model_is_refused(small):
    """Dictionaries merge, so a hub model under a scratch model's id would keep its layers."""
    models = {**small["models"], "bert": {**small["models"]["bert"], "source": "hub"}}
    assert "an id of its own" in fault(small, models=models)


def test_hub_model_without_a_checkpoint_for_the_dataset(small):
    models = {"m": {"architecture": "bert", "source": "hub", "checkpoints": {"sst2": {"repo": "a/b"}}}}
    said = fault(small, models=models, runs=[{**RUN, "model": "m"}])
    assert "model 'm' has no checkpoint for dataset 'sentiment' (it has: sst2)" in said


def test_oracle_needs_known_truth(small):
    said = fault(
        small, datasets={"sst2": {}}, runs=[{**RUN, "dataset": "sst2", "readouts": ["alti", "oracle"]}]
    )
    assert "runs[0]: unknown readout of its methods 'oracle'" in said


def test_controls_always_run_and_the_oracle_on_known_truth_alone():
    config = validate(merged("config.local.yaml"))
    generated = {**config["runs"][0], "dataset": "sentiment", "methods": ["alti"]}
    assert configuration.methods_of(generated) == ["alti", "controls"]
    assert configuration.readouts_of(generated, "controls") == ["random", "position", "uniform", "oracle"]
    real = {**generated, "dataset": "sst2"}
    assert configuration.methods_of(real) == ["alti", "controls"]
    assert configuration.readouts_of(real, "controls") == ["random", "position", "uniform"]


def test_readouts_of_controls_are_never_left_out():
    config = validate(merged())
    run = config["runs"][2]
    assert configuration.readouts_of(run, "alti") == ["alti", "alti_l2"]
    controls = [readout.id for readout in configuration.registries()["methods"]["controls"].readouts]
    assert configuration.readouts_of(run, "controls") == controls
    masked = [
        entry for entry in configuration.protocols_of(config, run, "controls") if entry["protocol"] == "mask"
    ]
    examples = next(entry["examples"] for entry in config["faithfulness"] if entry["protocol"] == "mask")
    assert masked == [{"protocol": "mask", "examples": examples, "cap": 30, "readouts": controls}]


def test_caps_of_the_paper():
    """published_steps stops at 30 steps, on imdb and yelp at 60; its curves are not of the drawn
    sentences, of which correlations and ranks were published."""
    config = validate(merged("config.paper.yaml"))
    caps = {}
    for run in config["runs"]:
        entries = configuration.protocols_of(config, run, "alti")
        caps[run["dataset"]] = [entry["cap"] for entry in entries if entry["protocol"] == "published_steps"]
    assert caps == {"sst2": [30], "sva": [30], "imdb": [60], "yelp": [60], "sst2_drawn": []}


def test_model_config_holds_what_the_source_reads_and_no_more():
    config = validate(merged("config.paper.yaml"))
    ready = configuration.model_config(config, "sst2", "bert_base")
    assert ready["repo"] == "textattack/bert-base-uncased-SST-2"
    assert ready["training"] is None
    assert not {"layers", "checkpoints", "max_tokens", "directory"} & set(ready)
    trained = configuration.model_config(config, "sva", "bert_base")
    assert trained["training"]["learning_rate"] == 1e-5
    seeds = [configuration.model_config(config, "sst2", "multiberts", seed)["repo"] for seed in (0, 9)]
    assert seeds == ["google/multiberts-seed_0", "google/multiberts-seed_9"]
    small = configuration.model_config(config, "sentiment", "bert")
    assert (small["layers"], small["training"]["learning_rate"]) == (3, 1e-2)


def test_a_methods_block_lies_over_its_defaults():
    methods = configuration.registries()["methods"]
    found = validate({"methods": {"ig": {"steps": 7}}})["methods"]
    assert found["ig"] == {**methods["ig"].parameters, "steps": 7}
    assert {name: found[name] for name in found if name != "ig"} == {
        name: entry.parameters for name, entry in methods.items() if name != "ig"
    }


def test_targets_are_made_of_the_paths(small):
    config = validate(small)
    found = targets(config)
    assert len(found) == len(set(found))
    assert set(final_output(config)) <= set(found)
    assert all(re.fullmatch(r"results/small/[\w/.-]+", file) for file in found)


def test_outputs_are_told_of_their_own_run(small):
    about = outputs.output_about(validate(small), "figures", "token_heatmap-agreement-bert")
    assert (about["dataset"], about["model"]) == ("agreement", "bert")
    assert len(about["runs"]) == 1


def test_compared_methods_are_those_that_the_table_reads(small):
    """Beside the study's own and the controls; of the other tables of attributions every method."""
    small["selective_rollout"]["compared"] = ["flow"]
    found = outputs.output_inputs(validate(small), "tables", "gradient_vs_comprehensiveness")
    read = {Path(file).stem for file in found["attributions"]}
    assert read == {"selective", "input_gradient", "flow", "controls"}
    assert {Path(file).stem for file in found["faithfulness"]} == read
    small["selective_rollout"]["compared"] = None
    found = outputs.output_inputs(validate(small), "tables", "gradient_vs_comprehensiveness")
    assert {"alti", "ig", "blankout"} < {Path(file).stem for file in found["attributions"]}
    small["selective_rollout"]["compared"] = ["flows"]
    with pytest.raises(PlumblineError, match="selective_rollout.compared.*'flow'"):
        validate(small)


def test_an_output_of_some_runs_is_not_made_without_them(small):
    """Whoever puts runs of their own into an overlay need not list the tables anew."""
    files = final_output(validate(small), "selective_rollout")
    assert "results/small/tables/selective_rollout/selective_rollout.csv" in files
    small["runs"] = [{"dataset": "sentiment", "model": "bert", "methods": ["alti"]}]
    config = validate(small)
    assert final_output(config, "selective_rollout") == []
    read = outputs.output_inputs(config, "tables", "published_vs_reproduced")
    assert read and not any("selective_rollout" in file for file in read)


def test_image_runs_are_checked(small):
    block, run = small["network_diffusion"], small["network_diffusion"]["runs"][0]
    for changes, said in [
        ({"dataset": "sentiment"}, "has no images"),
        ({"model": "bert"}, "unknown image model 'bert'"),
        ({"perturbed": 200}, r"`perturbed` and `gallery` are among `images` \(100\)"),
        ({"shards": 9}, "9 shards of 8 blocks of 8 images: set `shards` to 8 or less"),
        ({"seeds": [0, 0]}, "seeds: 0 is listed twice"),
    ]:
        assert re.search(said, fault(small, network_diffusion=block | {"runs": [run | changes]}))
    model = small["image_models"]["vim"]
    for changes, said in [
        ({"resize": 16}, "image_models.vim: resize is smaller than image_size"),
        ({"published_accuracy": 0.9}, "published_accuracy is not for source 'scratch'"),
        ({"patch_size": 5}, "no multiple of its patch_size"),
        ({"source": "hub"}, "image_models.vim: source 'hub' needs the key 'repo'"),
        ({"architecture": "vit"}, "a vit comes from source 'mirror'"),
    ]:
        assert said in fault(small, image_models={"vim": model | changes})
    assert "the id 'bert' is taken by one of `models`" in fault(small, image_models={"bert": model})
    images = small["runs"] + [{"dataset": "digits", "model": "bert", "methods": ["alti"]}]
    assert "dataset 'digits' has images" in fault(small, runs=images)


def test_causal_runs_are_checked(small):
    block, run = small["explainn"], small["explainn"]["runs"][0]
    for changes, said in [
        ({"dataset": "sentiment"}, "has no images"),
        ({"model": "lenett"}, "unknown image model 'lenett'.*'lenet'"),
        ({"model": "vim"}, "'vim' is a vim: the study needs architecture lenet or resnet"),
        ({"classes": [3, 10]}, "no class 10; legal: 0 to 9"),
        ({"baselines": ["salience"]}, "unknown baseline 'salience'.*'saliency'"),
        ({"baselines": ["causal"]}, "unknown baseline 'causal'"),
        ({"metrics": ["lipshitz"]}, "unknown metric 'lipshitz'.*'lipschitz'"),
        ({"attributions": None}, "`metrics` are of attributions, which are null"),
        ({"samples": 1}, "samples"),
        ({"seeds": [0, 0]}, "seeds: 0 is listed twice"),
    ]:
        assert re.search(said, fault(small, explainn=block | {"runs": [run | changes]}))
    assert "are listed twice" in fault(small, explainn=block | {"runs": [run, run]})
    images = small["network_diffusion"]
    runs = [{**images["runs"][0], "model": "lenet"}]
    assert "model 'lenet' is a lenet: the study needs architecture vim or vit" in fault(
        small, network_diffusion=images | {"runs": runs}
    )


def test_all_classes_where_none_are_named(small):
    assert validate(small)["explainn"]["runs"][0]["classes"] == list(range(10))


def test_what_a_causal_run_leaves_out_no_output_reads(small):
    """Without stability, pruning and attributions: the graphs' own outputs alone."""
    small["explainn"]["runs"][0] |= {"stability": None, "pruning": None, "attributions": None, "metrics": []}
    config = validate(small)
    made = {Path(file).stem for file in final_output(config, "explainn")}
    assert {"causal_graphs", "causal_accuracy"} <= made
    assert not made & {"causal_stability", "causal_pruning", "explanation_metrics", "node_maps", "pruning"}
    assert not [file for file in targets(config) if file.endswith("stability.parquet")]


@pytest.mark.slow
def test_imports_of_the_plan_are_light():
    """Every snakemake call imports the configuration and the registries: no torch, transformers or pandas there."""
    import subprocess
    import sys

    # What the rules' helpers import, which every job's process does once more.
    helpers = re.findall(
        r"^from (plumbline[\w.]*) import",
        "".join(file.read_text() for file in ROOT.glob("rules/*.smk")),
        flags=re.MULTILINE,
    )
    assert "plumbline.workflow.outputs" in helpers
    code = f"import sys; sys.path.insert(0, 'src'); import {', '.join(helpers)}; plumbline.config.registries(); print([m for m in ('torch', 'transformers', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_profiles_differ_in_what_a_cluster_does_alone():
    """A profile of --workflow-profile takes the place of profiles/default, so it repeats what holds everywhere."""
    default, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/config.yaml").read_text()) for name in ("default", "slurm")
    )
    of_one_machine = {"cores", "resources"}
    assert default["resources"] == ["gpu=1"]
    shared = {key: value for key, value in default.items() if key not in of_one_machine}
    assert {"max-checksum-file-size", "rerun-triggers", "rerun-incomplete", "scheduler"} <= set(shared)
    assert {key: slurm.get(key) for key in shared} == shared


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("alti", ["alti"]),
        ("-n alti", ["alti"]),
        ("--cores 2 alti", ["alti"]),
        ("-c2 alti explainn", ["alti", "explainn"]),
        ("--cores=2 -k results/a.csv", ["results/a.csv"]),
        ("-s Snakefile -d elsewhere alti", ["alti"]),
        ("--config torch_threads=2 -n -- alti", ["alti"]),
        ("--configfile a.yaml b.yaml -- results/a.csv results/b.csv", ["results/a.csv", "results/b.csv"]),
        # What an option takes is no target, also where the option is not known here.
        ("--report results/report.zip", []),
        ("--configfile a.yaml b.yaml", []),
        ("--until table", []),
        ("--cores 2", []),
        ("", []),
    ],
)
def test_targets_of_the_command_line(line, asked):
    assert targets_asked(line.split()) == asked
