"""From a configuration to files: paths, the jobs of every run, what tables and figures read, legal targets.

No torch here: every `snakemake` call imports this module.
"""

import difflib
import re
from pathlib import Path

from .config import (
    DIFFUSION,
    EXPLAINN,
    MODEL_FILES,
    PATHS,
    ROLLOUT,
    XAI,
    methods_of,
    readouts_of,
    registries,
)
from .errors import PlumblineError

STAGES = ("data", "models", "attributions", "faithfulness", "agreement", "isotropy", "contributions",
          "seed_consistency", "model_consistency", "released", "benchmarks", "work", "tables", "gaps",
          "rollouts", "classifier", "theory_gradient", "theory_lime_mask", "theory_lime_delete", "theory_faithfulness",
          "shown", "images", "image_models", "image_architectures", "maps", "spectra", "patch_faithfulness",
          "causal_graphs", "stability", "pruning", "explanations", "nodes", "explanation_metrics")  # fmt: skip
# Kinds of the files of shards that can be asked for.
SHARDED = ("attribution_shards", "faithfulness_shards", "work_shards")
IMAGE_SHARDED = ("map_shards", "spectra_shards", "patch_shards")
# Stages of the multi-head classifier, which no run has a part in.
XAI_STAGES = STAGES[STAGES.index("classifier") : STAGES.index("images")]
# Stages of image models, which the runs of the studies of network diffusion and of causal graphs name.
IMAGE_STAGES = STAGES[STAGES.index("images") :]
# Stages of the study of causal graphs -> the key of a run that says what they do; where it is empty they are left out.
CAUSAL_STAGES = {
    "causal_graphs": "samples",
    "stability": "stability",
    "pruning": "pruning",
    "explanations": "attributions",
    "nodes": "attributions",
    "explanation_metrics": "metrics",
}
# Stages that compare the attributions of several trained models.
CONSISTENCIES = {"seed_consistency", "model_consistency"}
# Stages with one file a trained model.
PER_SEED = ("agreement", "isotropy", "contributions")
# The method that makes a run one of the study of selective rollout.
SELECTIVE = "selective"
# Architectures whose checkpoints share a vocabulary, so that both models of a pair read the same tokens.
SAME_VOCABULARY = (("bert", "distilbert"),)
PAPER_COMMAND = "snakemake --cores all --configfile config.paper.yaml"


def path(kind, **names):
    """The pattern PATHS[kind] with some of its fields filled in; the others stay wildcards."""
    return re.sub(r"\{(\w+)\}", lambda match: str(names.get(match[1], match[0])), PATHS[kind])


def describe(kind, file):
    """What a path of PATHS[kind] says: {dataset, model, seed, method, split, stage, path}, None where silent.

    A path of two models has the second one as `other`, that of a class its index as `class`.
    """
    parts = re.split(r"\{(\w+)\}", PATHS[kind])
    pattern = "".join(
        f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, str(file))
    if not found:
        raise PlumblineError(f"{file} is no path of kind '{kind}' ({PATHS[kind]})")
    keys = ("dataset", "model", "seed", "method", "split", "stage")
    names = dict.fromkeys(keys) | {
        key: value
        for key, value in found.groupdict().items()
        if key in (*keys, "other", "experiment", "class")
    }
    for key in ("seed", "class"):
        if names.get(key) is not None:
            names[key] = int(names[key])
    return names | {"path": str(file)}


def jobs(config):
    """Every trained model with its run: [({scale, dataset, model, seed}, run)], in the configuration's order."""
    return [
        ({"scale": config["scale"], "dataset": run["dataset"], "model": run["model"], "seed": seed}, run)
        for run in config["runs"]
        for seed in run["seeds"]
    ]


def image_jobs(config, study=DIFFUSION):
    """As `jobs`, of the image models in the study of network diffusion or of causal graphs."""
    block = config[study]
    return [
        ({"scale": config["scale"], "dataset": run["dataset"], "model": run["model"], "seed": seed}, run)
        for run in (block["runs"] if block else ())
        for seed in run["seeds"]
    ]


def _jobs_of(config, entry):
    """The jobs that an output may show."""
    if entry.study == DIFFUSION:
        return image_jobs(config)
    if entry.study == EXPLAINN:
        keys = _causal_keys(entry)
        return [(job, run) for job, run in image_jobs(config, EXPLAINN) if all(run[key] for key in keys)]
    if entry.study == ROLLOUT and not config[ROLLOUT]:
        return []
    return [(job, run) for job, run in jobs(config) if set(entry.methods) <= set(run["methods"])]


def _causal_keys(entry):
    """The keys of a run in the study of causal graphs without which it has no part in an output."""
    keys = []
    for need in entry.needs:
        stage, _, table = need.partition("/")
        keys += _causal_keys(registries()["tables"][table.removesuffix("?")]) if table else []
        keys += [CAUSAL_STAGES[stage]] if stage in CAUSAL_STAGES else []
    return keys


def datasets_of(config):
    """The ids of the data sets that some job reads, in the order of the configuration."""
    found = [*jobs(config), *image_jobs(config), *image_jobs(config, EXPLAINN)]
    names = {job["dataset"] for job, _ in found} | ({config[XAI]["dataset"]} if config[XAI] else set())
    return [name for name in config["datasets"] if name in names]


def rollout_jobs(config):
    """As `jobs`, of the runs in the study of selective rollout."""
    return [(job, run) for job, run in jobs(config) if config[ROLLOUT] and SELECTIVE in run["methods"]]


def hub_folder(repo, revision):
    """A hub checkpoint's folder among the downloads: owner--name, @revision where one is pinned."""
    return "@".join(part.replace("/", "--") for part in (repo, revision) if part)


# --------------------------------------------------------------------------------------------- consistency


def consistencies(config, kind):
    """Every file of PATHS[kind], seed_consistency or model_consistency, with what its job compares.

    file -> {groups: [{seed, names}], readouts: method -> readouts, attributions: [file, ...]}: the models `names` of
    a group are compared with each other by the readouts that all models of the file have; attributions are in the
    order of groups, names and methods.
    """
    return {
        file: _compared(groups)
        for file, groups in (_seeds(config) if kind == "seed_consistency" else _pairs(config))
    }


def _by_model(config):
    """(dataset, model) -> seed -> (job, run)."""
    found = {}
    for job, run in jobs(config):
        found.setdefault((job["dataset"], job["model"]), {})[job["seed"]] = (job, run)
    return found


def _seeds(config):
    """All seeds of each model that has two or more: file, [(None, name -> (job, run))]."""
    for (dataset, model), seeds in _by_model(config).items():
        if len(seeds) > 1:
            file = path("seed_consistency", scale=config["scale"], dataset=dataset, model=model)
            yield file, [(None, {f"seed{seed}": seeds[seed] for seed in sorted(seeds)})]


def _pairs(config):
    """Every two models of SAME_VOCABULARY on one data set, seed by seed: file, [(seed, name -> (job, run))]."""
    models = _by_model(config)
    for (dataset, model), seeds in models.items():
        for (place, other), others in models.items():
            kinds = tuple(config["models"][name]["architecture"] for name in (model, other))
            shared = sorted(set(seeds) & set(others))
            if place == dataset and kinds in SAME_VOCABULARY and shared:
                file = path(
                    "model_consistency", scale=config["scale"], dataset=dataset, model=model, other=other
                )
                yield file, [(seed, {model: seeds[seed], other: others[seed]}) for seed in shared]


def _compared(groups):
    runs = [run for _, members in groups for _, run in members.values()]
    readouts = {
        method: [
            name
            for name in readouts_of(runs[0], method)
            if all(name in readouts_of(run, method) for run in runs)
        ]
        for method in methods_of(runs[0])
        if all(method in methods_of(run) for run in runs)
    }
    readouts = {method: names for method, names in readouts.items() if names}
    return {
        "groups": [{"seed": seed, "names": list(members)} for seed, members in groups],
        "readouts": readouts,
        "attributions": [
            path("attributions", method=method, **job)
            for _, members in groups
            for job, _ in members.values()
            for method in readouts
        ],
    }


# ---------------------------------------------------------------------------------------- tables and figures


def _name_of(entry, job):
    """The name, without ending, of the file of a table or figure that a job goes into."""
    parts = {"study": "", "model": "-{dataset}-{model}", "seed": "-{dataset}-{model}-seed{seed}"}
    return entry.id + parts[entry.per].format(**job)


def output_names(config, kind, output):
    """The names, without ending, of one table's or figure's files: one a study, a model or a seed."""
    entry = registries()[kind][output]
    if entry.study == XAI:
        return [entry.id] if config[XAI] else []
    return list(dict.fromkeys(_name_of(entry, job) for job, _ in _jobs_of(config, entry)))


def output_id(name):
    """The registry id in the name of a table's or figure's file."""
    return name.split("-")[0]


def is_cost(entry):
    """Whether an output shows times, and so lies among the benchmarks."""
    return "benchmarks" in entry.needs


def output_paths(config, kind, name):
    """The files of one name of a table or figure."""
    entry = registries()[kind][output_id(name)]
    where = "cost" if is_cost(entry) else kind
    return [
        path(where, scale=config["scale"], study=entry.study, name=name, format=ending)
        for ending in entry.formats
    ]


def output_inputs(config, kind, name):
    """Stage -> the files that a table or figure reads."""
    entry = registries()[kind][output_id(name)]
    chosen = [(job, run) for job, run in _jobs_of(config, entry) if _name_of(entry, job) == name]
    files = {}
    for need in entry.needs:
        stage, _, table = need.partition("/")
        if table.endswith("?") and not (
            table[:-1] in config["tables"] and output_names(config, "tables", table[:-1])
        ):
            continue
        if table := table.removesuffix("?"):
            other = registries()["tables"][table]
            # Of a table with one file a model or seed, those that this output shows.
            names = dict.fromkeys(_name_of(other, job) for job, _ in chosen)
            found = [output_paths(config, "tables", name)[0] for name in names]
        elif stage in CONSISTENCIES:
            found = list(consistencies(config, stage))
        elif stage == "gaps" and set(entry.needs) & CONSISTENCIES:
            (kind,) = set(entry.needs) & CONSISTENCIES
            compared = [
                file for about in consistencies(config, kind).values() for file in about["attributions"]
            ]
            found = [file for file in compared if _integral(describe("attributions", file)["method"])]
        elif stage == "released":
            found = _released(config)
        elif stage in XAI_STAGES:
            found = classifier_files(config, stage, entry.seeds)
        else:
            found = [
                file
                for job, run in (_lowest_seeds(chosen) if entry.seeds == "lowest" else chosen)
                for file in _stage_files(stage, job, run, _methods_read(config, entry, run))
            ]
        files[stage] = files.get(stage, []) + list(dict.fromkeys(found))
    return files


def _methods_read(config, entry, run):
    """The methods of a run that an output reads: those of its study's `compared`, those with a readout that it shows.

    Runs of image models name none.
    """
    if "methods" not in run:
        return []
    named = config[entry.study]["compared"] if entry.compared else None
    if named is not None:
        run = {**run, "methods": [name for name in run["methods"] if name in (*named, *entry.methods)]}
    methods = methods_of(run)
    shown = entry.readouts
    if isinstance(shown, dict):
        shown = shown[registries()["datasets"][run["dataset"]].task]
    return [name for name in methods if set(readouts_of(run, name)) & set(shown)] or methods


def _lowest_seeds(chosen):
    """Of each data set and model, the job of its lowest seed."""
    lowest = {}
    for job, run in sorted(chosen, key=lambda pair: pair[0]["seed"]):
        lowest.setdefault((job["dataset"], job["model"]), (job, run))
    return lowest.values()


def _stage_files(stage, job, run, methods):
    if stage == "data":
        return [path("data", split=run["split"], **job)]
    if stage == "models":
        return [path("metrics", **job)]
    if stage in IMAGE_STAGES:
        return _image_files(stage, job, run)
    if stage in PER_SEED or stage == "rollouts":
        return [path(stage, **job)]
    if stage == "benchmarks":
        return _benchmarks(job, run)
    if stage == "gaps":
        return [path("attributions", method=method, **job) for method in methods if _integral(method)]
    return [path(stage, method=method, **job) for method in methods]


def _integral(method):
    return registries()["methods"][method].integral


def _image_files(stage, job, run):
    if stage == "images":
        return [path("data", split="test", **job)]
    if stage == "image_models":
        return [path("metrics", **job)]
    if stage == "image_architectures":
        return [path("architecture", **job)]
    if stage == "causal_graphs":
        return [path(stage, **{"class": label}, **job) for label in run["classes"]]
    # Of a run without perturbation there are maps alone.
    return [path(stage, **job)] if stage != "patch_faithfulness" or run["perturbed"] else []


def _released(config):
    return [path("released", scale=config["scale"])] if config["released_seeds"] else []


def shard_files(kind, run, **names):
    """The files of a run's shards, in their order."""
    return [path(kind, shard=shard, **names) for shard in range(run["shards"])]


def _benchmarks(job, run):
    stages = [("attributions", method) for method in methods_of(run)] + [
        ("faithfulness", method) for method in methods_of(run)
    ]
    return [
        path("benchmarks", stage=stage, method=method, **job)
        for stage, method in [("models", "training"), *stages]
    ]


def inputs_by_stage(files):
    """The inputs of a table's or figure's job as its module takes them: stage -> [describe(...) of each file].

    files: `snakemake.input`, whose lists bear the stages' names; other names (published) are left out.
    """
    kinds = {
        "models": "metrics",
        "classifier": "classifier_metrics",
        "image_models": "metrics",
        "image_architectures": "architecture",
        "images": "data",
        "gaps": "attributions",
    }
    kinds |= {stage: "theory" for stage in STAGES if stage.startswith("theory_")}
    found = {}
    for stage in STAGES:
        if (paths := files.get(stage)) is not None:
            paths = [paths] if isinstance(paths, str) else paths
            found[stage] = [describe(kinds.get(stage, stage), file) for file in paths]
    return found


def output_options(config, kind, name):
    """What a table or figure is told beside its inputs; a change in it makes the output again."""
    entry = registries()[kind][output_id(name)]
    chosen = [(job, run) for job, run in _jobs_of(config, entry) if _name_of(entry, job) == name]
    options = {"scale": config["scale"], "command": PAPER_COMMAND}
    if entry.study != XAI:
        runs = {id(run): run for _, run in chosen}.values()
        # In how many jobs a result was computed is no part of it.
        options["runs"] = [{key: run[key] for key in run if key != "shards"} for run in runs]
    if entry.per != "study":
        options |= {key: chosen[0][0][key] for key in ("dataset", "model")}
    if entry.per == "seed":
        options["seed"] = chosen[0][0]["seed"]
    return options | {key: config[key] for key in entry.options}


# --------------------------------------------------------------------------------------- multi-head classifier


def classifier_files(config, stage, seeds="all"):
    """The files of a stage of XAI_STAGES, of every training seed or of the lowest; of an experiment, one a shard."""
    block = config[XAI]
    chosen = [min(block["seeds"])] if seeds == "lowest" else block["seeds"]
    about = {"scale": config["scale"], "dataset": block["dataset"]}
    if stage in ("classifier", "shown"):
        kind = "classifier_metrics" if stage == "classifier" else "shown"
        return [path(kind, seed=seed, **about) for seed in chosen]
    experiment = stage.removeprefix("theory_")
    shards = range(-(-block["reviews"][experiment] // block["shard"]))
    return [
        path("theory", experiment=experiment, seed=seed, shard=shard, **about)
        for seed in chosen
        for shard in shards
    ]


# ----------------------------------------------------------------------------------------------------- targets


def final_output(config, study=None):
    """What `snakemake` makes by default, or for one study: every file of every enabled table and figure."""
    return [
        file
        for kind in ("tables", "figures")
        for output in config[kind]
        if study in (None, registries()[kind][output].study)
        for name in output_names(config, kind, output)
        for file in output_paths(config, kind, name)
    ]


def targets(config):
    """Every file that can be asked for by name under this configuration, downloads aside."""
    found = []
    for dataset in config["datasets"]:
        splits = registries()["datasets"][dataset].splits
        found += [path("data", scale=config["scale"], dataset=dataset, split=split) for split in splits]
    for job, run in jobs(config):
        found += [path(kind, **job) for kind in (*MODEL_FILES, "metrics", *PER_SEED)]
        found += [
            path(stage, method=method, **job)
            for stage in ("attributions", "faithfulness", "work")
            for method in methods_of(run)
        ]
        found += _benchmarks(job, run)
        if run["shards"] > 1:
            found += [
                file
                for method in methods_of(run)
                for kind in SHARDED
                for file in shard_files(kind, run, method=method, **job)
            ]
    found += [
        file for kind in ("seed_consistency", "model_consistency") for file in consistencies(config, kind)
    ]
    found += _released(config)
    if config[XAI]:
        found += [file for stage in XAI_STAGES for file in classifier_files(config, stage)]
        about = {"scale": config["scale"], "dataset": config[XAI]["dataset"]}
        found += [
            path(kind, seed=seed, **about)
            for seed in config[XAI]["seeds"]
            for kind in ("classifier", "vocabulary")
        ]
    found += [path("rollouts", **job) for job, _ in rollout_jobs(config)]
    for job, run in image_jobs(config):
        found.append(path("weights", **job))
        stages = [stage for stage in IMAGE_STAGES[1:] if stage not in CAUSAL_STAGES]
        found += [file for stage in stages for file in _image_files(stage, job, run)]
        if run["shards"] > 1:
            kinds = IMAGE_SHARDED if run["perturbed"] else IMAGE_SHARDED[:2]
            found += [file for kind in kinds for file in shard_files(kind, run, **job)]
    for job, run in image_jobs(config, EXPLAINN):
        found += [path(kind, **job) for kind in ("weights", "architecture", "metrics")]
        found += [
            file for stage, key in CAUSAL_STAGES.items() if run[key] for file in _image_files(stage, job, run)
        ]
        found += [path("causal_graphml", **{"class": label}, **job) for label in run["classes"]]
    everything = {kind: dict.fromkeys(registries()[kind], None) for kind in ("tables", "figures")}
    return found + final_output({**config, **everything})


# Options of Snakemake that take no value, and those that take one; what others take is left to Snakemake.
FLAGS = frozenset(
    [
        "-n",
        "--dry-run",
        "--dryrun",
        "-k",
        "--keep-going",
        "-F",
        "--forceall",
        "-f",
        "--force",
        "-p",
        "--printshellcmds",
        "-t",
        "--touch",
        "--nolock",
        "--nocolor",
        "--rerun-incomplete",
        "--ri",
    ]
)
WITH_ONE_VALUE = frozenset(
    [
        "-c",
        "--cores",
        "-j",
        "--jobs",
        "-d",
        "--directory",
        "-s",
        "--snakefile",
        "--profile",
        "--workflow-profile",
        "--executor",
        "-e",
    ]
)


def targets_asked(words):
    """The targets among the words behind `snakemake` on the command line, which Snakemake does not tell a Snakefile.

    A word is a target behind `--`, at the front, behind an option without a value, or behind the value of one that takes one.
    """
    asked, expected = [], 0  # how many values may follow
    for place, word in enumerate(words):
        if word == "--":
            return asked + words[place + 1 :]
        if word.startswith("-"):
            name, _, value = word.partition("=")
            alone = name in FLAGS or value or re.fullmatch("-[cj][0-9]+", word)
            expected = 0 if alone else 1 if name in WITH_ONE_VALUE else len(words)
        elif expected:
            expected -= 1
        else:
            asked.append(word)
    return asked


def check_target(config, target, rules):
    """PlumblineError for a target that is neither one of `rules` (names) nor a file that a rule makes."""
    folder = f"results/{config['scale']}/"
    legal = targets(config)
    if target in rules or target in legal or target.startswith((f"{folder}downloads/", f"{folder}logs/")):
        return
    if target.startswith("results/") and not target.startswith(folder):
        raise PlumblineError(
            f"no rule makes '{target}': the scale of this configuration is '{config['scale']}', and another scale "
            "needs its --configfile"
        )
    near = difflib.get_close_matches(target, [*legal, *rules], n=1, cutoff=0.0)[0]
    stage = "/".join(target.split("/")[:3]) + "/"
    siblings = sorted({Path(item).stem for item in legal if item.startswith(stage)})
    names = siblings or sorted({item.split("/")[2] for item in legal})
    raise PlumblineError(
        f"no rule makes '{target}': did you mean '{near}'? legal under {stage if siblings else folder}: {', '.join(names)}"
    )
