# Helpers of the rules: paths, parameters, the source files that a job hangs on. No rule stands here.
import atexit
import functools
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

# The code that runs is the checkout's, here and in every script job, which inherits the environment.
# The checkout: where this file lies, also when another workflow takes this one as a module.
CHECKOUT = Path(str(workflow.current_basedir)).resolve().parent
SRC = str(CHECKOUT / "src")
sys.path.insert(0, SRC)
os.environ.update(
    PYTHONPATH=os.pathsep.join([SRC, *filter(None, [os.environ.get("PYTHONPATH")])]),
    HF_HUB_OFFLINE="1",
)

from plumbline.agreement import METRICS
from plumbline.artefacts import sweep
from plumbline.causal.registry import BASELINES, EXPLANATIONS
from plumbline.config import (
    DIFFUSION,
    EXPLAINN,
    ROLLOUT,
    XAI,
    choice_of,
    dataset_config,
    layered_methods,
    method_config,
    methods_of,
    model_config,
    protocols_of,
    readouts_of,
    registries,
    run_of,
    scored_split,
)
from plumbline.config_types import expanded
from plumbline.datasets import multiberts, raw_files, schema_of
from plumbline.datasets.sources import sha256_of
from plumbline.errors import PlumblineError
from plumbline.models.checkpoint import checkpoint_folder
from plumbline.models.labels import TRAINED
from plumbline.modules import job_files, registries_of
from plumbline.plan import (
    PAPER_COMMAND,
    check_target,
    consistencies,
    datasets_of,
    final_output,
    hub_folder,
    image_jobs,
    is_cost,
    jobs,
    output_id,
    output_inputs,
    output_names,
    output_options,
    path,
    shard_files,
    targets_asked,
)
from plumbline.tables.published import PUBLISHED
from plumbline.theory.experiments import EXPERIMENTS
from plumbline.workflow import warm
from plumbline.workflow.config import validate
from plumbline.workflow.snakemake_parts import lift_rate_limit, runs_locally, uses_environments


def say(line):
    """A line of ours among Snakemake's, on standard error."""
    print(f"plumbline: {line}", file=sys.stderr, flush=True)


def scale_line():
    line = f"scale {config['scale']} (results/{config['scale']}/)"
    return line if config["scale"] == "paper" else f"{line}; the paper's scale: {PAPER_COMMAND}"


def at_start():
    """What holds for a run and not for its plan; a dry run and the jobs of a cluster do not come here.

    A local run has a warm process, whose client takes the interpreter's place; conda and containers bring their own
    interpreter, and a cluster's nodes do not see the process. Snakemake's default limit of job starts is lifted. What killed
    jobs have left is swept. The scale is named once more in the run's last line, below Snakemake's own.
    """
    lift_rate_limit(workflow)
    atexit.register(lambda: say(scale_line()))
    if config["warm"] and runs_locally(workflow) and not uses_environments(workflow):
        sys.executable = warm.start()
    if swept := sweep(os.path.join("results", config["scale"])):
        say(f"removed {len(swept)} temporary files of jobs that were killed, such as {swept[0]}")


def stop(fault):
    """End the run with one line; an exception would show its traceback."""
    say(f"error: {fault}")
    sys.exit(1)


def validated(config):
    """The configuration with its defaults."""
    try:
        config = validate(config)
    except PlumblineError as fault:
        stop(fault)
    return config


def check_folders():
    """Refuse an interpreter, a mirror or a checkpoint that no job could use, before anything runs."""
    # Snakemake writes the interpreter into a shell command as it is, but for conda environments and containers.
    if re.search(r"[\s'\"$`\\|&;<>()*?\[\]{}#~!]", sys.executable) and not uses_environments(workflow):
        stop(
            f"the path of Python, {sys.executable}, has a blank or a sign of the shell, which Snakemake does not quote: move the "
            "checkout, or make the virtual environment elsewhere (make VENV=/path/of/venv)"
        )
    try:
        if mirror := config["mirror"] or os.environ.get("PLUMBLINE_MIRROR"):
            os.environ.update(PLUMBLINE_MIRROR=str(Path(expanded(mirror)).resolve()))
    except ValueError as fault:
        stop(f"PLUMBLINE_MIRROR: {fault}")
    try:
        for name in dict.fromkeys(run["model"] for run in config["runs"]):
            if config["models"][name]["source"] == "directory":
                checkpoint_folder(config["models"][name])
    except (PlumblineError, OSError) as fault:
        stop(fault)


def is_main():
    """Whether this checkout's Snakefile is the one that was called."""
    return Path(workflow.basedir).resolve() == CHECKOUT


def stop_at_unknown_targets():
    """Refuse what no rule makes, with the legal names; the targets of a workflow that takes this one as a module are its own."""
    if Path(sys.argv[0]).name not in ("snakemake", "__main__.py") or not is_main():
        return
    rules = {rule.name for rule in workflow.rules}
    try:
        for target in targets_asked(sys.argv[1:]):
            check_target(config, target, rules)
            if target == "mirror" and re.search("[{}]", mirror_folder()):
                stop(
                    f"Snakemake reads the braces of {mirror_folder()} as wildcards: name another folder in PLUMBLINE_MIRROR"
                )
    except PlumblineError as fault:
        stop(fault)


def one_of(names):
    """A wildcard's pattern: one of these names; one that nothing matches where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def all_splits():
    return sorted({split for entry in registries()["datasets"].values() for split in entry.splits})


def at(kind, **names):
    """A path of PATHS at this scale; what is not named stays a wildcard."""
    return path(kind, scale=config["scale"], **names)


def log_of(stage, job):
    return at("logs", stage=stage, job=job)


@functools.cache
def code_of(script, *names):
    """A job's code: its script and each source file of the package that it hangs on, with a digest of its content.

    names: what a name known at run time alone stands for, see plumbline.modules.job_files.
    A parameter, not inputs: every input of every job is a node to be looked at, and a dozen of them a job cost half as much
    again as all else in planning a large grid (docs/scaling.md). Relative paths: moving the checkout makes nothing stale.
    The script too: Snakemake would compare its time stamp, which every checkout sets anew (profiles/default).
    """
    return [
        f"{os.path.relpath(file, SRC)} {digest_of(file)}" for file in job_files(script_file(script), *names)
    ]


@functools.cache
def output_code(script, *names):
    """As `code_of`, of a table or figure: with the registries that it looks into, whose order decides on colours and rows."""
    looked_into = registries_of(script_file(script), *names)
    return code_of(script, *names) + [
        f"registry {package} {entries_digest(package)}" for package in looked_into
    ]


@functools.cache
def entries_digest(package):
    """A digest of the entries of a package's registry in their order."""
    kind = {"attribution": "methods", "faithfulness": "protocols"}.get(package, package)
    entries = METRICS if package == "agreement" else registries()[kind]
    return hashlib.sha256(repr(list(entries.values())).encode()).hexdigest()[:16]


def download_code(script):
    """The code of a job that fetches: its script alone, as a checksum says what it has to bring."""
    return [f"{script}.py {digest_of(script_file(script))}"]


def script_file(script):
    return os.path.join(CHECKOUT, "scripts", f"{script}.py")


@functools.cache
def digest_of(file):
    return sha256_of(file)[:16]


def run_at(wc):
    return run_of(config, wc.dataset, wc.model, wc.seed)


def model_files(wc):
    """A model's files, as far as they say whether any of them has changed: metrics.json has digests of the others."""
    return {
        kind: at(kind, dataset=wc.dataset, model=wc.model, seed=wc.seed) for kind in ("weights", "metrics")
    }


def run_data(wc):
    return at("data", dataset=wc.dataset, split=run_at(wc)["split"])


def method_files(stage, wc):
    """The stage's file of every method of a run."""
    return [
        at(stage, dataset=wc.dataset, model=wc.model, seed=wc.seed, method=name)
        for name in methods_of(run_at(wc))
    ]


def training_data(wc):
    """The split on which accuracy is measured, and the training split where the model is trained."""
    splits = {"evaluation": scored_split(config, run_at(wc))}
    if model_config(config, wc.dataset, wc.model, wc.seed)["training"]:
        splits["train"] = "train"
    return {name: at("data", dataset=wc.dataset, split=split) for name, split in splits.items()}


def hub_checkpoints():
    """Folder -> (repo, revision) of every hub checkpoint that a run starts from."""
    blocks = [
        model_config(config, job["dataset"], job["model"], job["seed"])
        for job, _ in jobs(config)
        if config["models"][job["model"]]["source"] == "hub"
    ]
    return {
        hub_folder(block["repo"], block["revision"]): (block["repo"], block["revision"]) for block in blocks
    }


def model_downloads(wc):
    """The files of the hub checkpoint that a model starts from; none for another source."""
    block = model_config(config, wc.dataset, wc.model, wc.seed)
    if block["source"] != "hub":
        return []
    folder = hub_folder(block["repo"], block["revision"])
    return [
        at("model_downloads", repo=folder, file=name)
        for name in ("model.safetensors", "config.json", "files.json")
    ]


def image_run(wc):
    """The run of the study of network diffusion that an image model belongs to."""
    about = (wc.dataset, wc.model, int(wc.seed))
    return next(
        run for job, run in image_jobs(config) if (job["dataset"], job["model"], job["seed"]) == about
    )


def causal_run(wc):
    """The run of the study of causal graphs that an image model belongs to."""
    about = (wc.dataset, wc.model, int(wc.seed))
    return next(
        run
        for job, run in image_jobs(config, EXPLAINN)
        if (job["dataset"], job["model"], job["seed"]) == about
    )


def causal_runs(learn):
    """A pattern for the wildcard `dataset` that matches in paths of the runs with this `learn` alone."""
    return of_runs(image_jobs(config, EXPLAINN), lambda run: run["learn"] == learn)


def runs_in_shards(sharded):
    """A pattern for the wildcard `dataset` that matches in paths of the runs that are split into shards, or are not."""
    return of_runs(jobs(config), lambda run: (run["shards"] > 1) == sharded)


def image_runs_in_shards(sharded):
    """As `runs_in_shards`, of the runs of the study of network diffusion."""
    return of_runs(image_jobs(config), lambda run: (run["shards"] > 1) == sharded)


def of_runs(found, wanted):
    """A pattern for the wildcard `dataset` that matches in paths of those of `found` (job, run) whose run is wanted."""
    chosen = [job for job, run in found if wanted(run)]
    if len(chosen) == len(found):
        return one_of(config["datasets"])
    return "|".join(f"{job['dataset']}(?=/{job['model']}/seed{job['seed']}/)" for job in chosen) or one_of([])


def shards(kind, of=run_at, **names):
    """A function of wildcards: the files of all shards of a method, or of an image model's maps (of=image_run)."""
    return lambda wc: shard_files(kind, of(wc), **names, **dict(wc.items()), scale=config["scale"])


def shard(wc, of=run_at):
    """(number, number of shards) of a job."""
    return [int(wc.shard), of(wc)["shards"]]


def causal_graphs(wc):
    """The graph of every class of a run, as JSON."""
    about = {key: wc[key] for key in ("dataset", "model", "seed")}
    return [at("causal_graphs", **{"class": label}, **about) for label in causal_run(wc)["classes"]]


def explanations_of(wc):
    """Ids of the explanations of a run, in the registry's order: the graph's, its baselines, the controls."""
    return [name for name in EXPLANATIONS if name not in BASELINES or name in causal_run(wc)["baselines"]]


def stop_at_missing_graphs():
    """Refuse a run with `learn: false` whose graphs are not there, before anything runs."""
    for job, run in image_jobs(config, EXPLAINN):
        for label in () if run["learn"] else run["classes"]:
            file = path("causal_graphs", **{"class": label}, **job)
            if not Path(file).is_file():
                stop(
                    f"{EXPLAINN}: {file} is not there, and `learn: false` of dataset '{job['dataset']}', model "
                    f"'{job['model']}' forbids to make it: put the file there or set `learn: true`"
                )


def image_checkpoints():
    """(folder, file) -> what `plumbline.datasets.sources.fetch` takes, of the image models that come from the hub."""
    blocks = [block for block in config["image_models"].values() if block["source"] == "hub"]
    return {
        (hub_folder(block["repo"], block["revision"]), block["file"]): {
            "kind": "hub",
            "repo": block["repo"],
            "repo_type": "model",
            "revision": block["revision"],
            "filename": block["file"],
            "sha256": None,
        }
        for block in blocks
    }


def image_downloads(wc):
    """The file of the hub checkpoint that an image model is; none for another source."""
    block = config["image_models"][wc.model]
    if block["source"] != "hub":
        return []
    return [at("model_downloads", repo=hub_folder(block["repo"], block["revision"]), file=block["file"])]


def map_options(wc):
    """What the maps of an image model are told of its run."""
    return {key: image_run(wc)[key] for key in ("images", "gallery", "start_layer")} | {
        "alpha": config[DIFFUSION]["alpha"]
    }


def patch_options(wc):
    """What the perturbation curves of an image model are told of its run."""
    return {"images": image_run(wc)["perturbed"]} | {
        key: image_run(wc)[key] for key in ("protocols", "fills", "ink")
    }


def labels_fit(wc):
    """Whether a data set's classes are those that the model knows."""
    classes = registries()["datasets"][wc.dataset].label_names
    block = config["image_models"][wc.model]
    if block["source"] == "mirror":
        return TRAINED[block["released"]][0] == wc.dataset
    return not classes or len(classes) == block["classes"]


def image_data(wc):
    """The test split where an accuracy can be measured, and the training split where the model is trained."""
    splits = ["test"] if labels_fit(wc) else []
    if config["image_models"][wc.model]["source"] == "scratch":
        splits.append("train")
    return {split: at("data", dataset=wc.dataset, split=split) for split in splits}


def download_items(dataset):
    """File name -> what `plumbline.datasets.sources.fetch` takes; empty for data that is not downloaded."""
    return {item["name"]: item for item in raw_files(dataset, dataset_config(config, dataset))}


def dataset_downloads(wc):
    """The raw files of a dataset from the hub or a url; none for another source."""
    return [at("dataset_downloads", dataset=wc.dataset, file=name) for name in download_items(wc.dataset)]


def mirror_folder():
    """The folder that `snakemake mirror` fills."""
    return os.environ.get("PLUMBLINE_MIRROR", "mirror").rstrip("/")


def mirror_manifest():
    """What `snakemake mirror` makes; of a folder with braces, which are wildcards to Snakemake, a name that nobody asks for."""
    return f"{re.sub('[{}]', '_', mirror_folder())}/manifest.json"


def of_checkout(file):
    """A file of the checkout, seen from the working directory: as it is in the usual one, so that moving both changes nothing."""
    return os.path.relpath(os.path.join(CHECKOUT, file))


def mirror_items():
    """What `plumbline.datasets.sources.fetch` takes, with its licence, of every file that this configuration downloads."""
    items = []
    for dataset in datasets_of(config):
        licence = registries()["datasets"][dataset].licence
        items += [item | {"licence": licence} for item in download_items(dataset).values()]
    items += [item | {"licence": None} for item in image_checkpoints().values()]
    if config["released_seeds"] == "url":
        items += [item | {"licence": multiberts.LICENCE} for item in multiberts.downloads().values()]
    return items


def attribution_code(wc):
    return code_of("attributions", f"attribution.{wc.method}")


def contributions_code(wc):
    names = layered_methods(config, run_at(wc))
    return code_of("contributions", *(f"attribution.{name}" for name in names))


def faithfulness_code(wc):
    names = sorted({entry["protocol"] for entry in protocols_of(config, run_at(wc), wc.method)})
    return code_of("faithfulness", *(f"faithfulness.{name}" for name in names))


def metrics_code(script):
    """The code of a job that goes through all agreement metrics."""
    return code_of(script, *(f"agreement.{name}" for name in METRICS))


def compared(kind, wc):
    """What a job of seed_consistency or model_consistency compares; see plumbline.plan.consistencies."""
    return consistencies(config, kind)[at(kind, **dict(wc.items()))]


def released_inputs():
    """What the released seeds are read from, as far as it lies in the checkout or is downloaded."""
    if config["released_seeds"] == "url":
        return {"downloads": [at("released_downloads", file=name) for name in multiberts.downloads()]}
    return {"matrices": of_checkout(multiberts.MATRICES)} if config["released_seeds"] == "matrices" else {}


def published_numbers(wc):
    """The file of the published numbers, of a table that reads it."""
    if registries()["tables"][output_id(wc.name)].published:
        return [of_checkout(PUBLISHED)]
    return []


def rollouts_options():
    """What a job of the stage `rollouts` is told of the study's block; nothing where the study is off."""
    keys = ("thresholds", "scaled_thresholds", "flow_examples", "flow_tokens")
    return {key: config[ROLLOUT][key] for key in keys} if config[ROLLOUT] else {}


def outputs_named(kind, cost=False, html=False):
    """Every name of a table or figure, enabled or not, as a wildcard's pattern."""
    entries = [
        entry
        for entry in registries()[kind].values()
        if (is_cost(entry), "html" in entry.formats) == (cost, html)
    ]
    return one_of(name for entry in entries for name in output_names(config, kind, entry.id))


def classifier_files_of(wc):
    """The three files of a trained multi-head classifier."""
    kinds = {"weights": "classifier", "vocabulary": "vocabulary", "metrics": "classifier_metrics"}
    return {name: at(kind, dataset=wc.dataset, seed=wc.seed) for name, kind in kinds.items()}


def experiment_options(wc):
    """What an experiment's shard is told of the study's block."""
    block = config[XAI]
    options = {"size": block["shard"], "reviews": block["reviews"][wc.experiment]}
    return options | {key: block[key] for key in ("samples", "repeats")}


def gpus():
    """GPUs that a job which runs a model asks for. Cluster nodes may have GPUs that this machine has not: `device: cuda`."""
    here = shutil.which("nvidia-smi") is not None
    return int(config["device"] == "cuda" or (config["device"] == "auto" and here))
