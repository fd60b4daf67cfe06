"""Where files lie, and each block of the configuration as its jobs see it; what is legal in it: workflow/config.py.

No torch here: every `snakemake` call imports this module.
"""

import functools

from .errors import PlumblineError

_MODEL = "results/{scale}/models/{dataset}/{model}/seed{seed}"
PATHS = {
    "data": "results/{scale}/data/{dataset}/{split}.parquet",
    "weights": _MODEL + "/model.safetensors",
    "architecture": _MODEL + "/config.json",
    "metrics": _MODEL + "/metrics.json",
    "tokenizer": _MODEL + "/tokenizer.json",
    "tokenizer_config": _MODEL + "/tokenizer_config.json",
    "attributions": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet",
    "faithfulness": "results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet",
    "attribution_shards": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}/{shard}.parquet",
    "faithfulness_shards": "results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}/{shard}.parquet",
    "agreement": "results/{scale}/agreement/{dataset}/{model}/seed{seed}.parquet",
    "seed_consistency": "results/{scale}/consistency/{dataset}/{model}.parquet",
    "model_consistency": "results/{scale}/consistency/{dataset}/{model}-{other}.parquet",
    "released": "results/{scale}/released/multiberts_sst2.parquet",
    "isotropy": "results/{scale}/isotropy/{dataset}/{model}/seed{seed}.parquet",
    "rollouts": "results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet",
    "contributions": "results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet",
    "benchmarks": "results/{scale}/benchmarks/{stage}/{dataset}/{model}/seed{seed}/{method}.json",
    "work": "results/{scale}/benchmarks/work/{dataset}/{model}/seed{seed}/{method}.json",
    "benchmark_shards": "results/{scale}/benchmarks/{stage}/{dataset}/{model}/seed{seed}/{method}/{shard}.json",
    "work_shards": "results/{scale}/benchmarks/work/{dataset}/{model}/seed{seed}/{method}/{shard}.json",
    "tables": "results/{scale}/tables/{study}/{name}.{format}",
    "cost": "results/{scale}/benchmarks/{name}.{format}",
    "figures": "results/{scale}/figures/{study}/{name}.{format}",
    "dataset_downloads": "results/{scale}/downloads/datasets/{dataset}/{file}",
    "released_downloads": "results/{scale}/downloads/released/multiberts_sst2/{file}",
    "model_downloads": "results/{scale}/downloads/models/{repo}/{file}",
    "classifier": "results/{scale}/models/{dataset}/multihead/seed{seed}/model.safetensors",
    "vocabulary": "results/{scale}/models/{dataset}/multihead/seed{seed}/vocabulary.json",
    "classifier_metrics": "results/{scale}/models/{dataset}/multihead/seed{seed}/metrics.json",
    "theory": "results/{scale}/theory/{dataset}/seed{seed}/{experiment}/{shard}.parquet",
    "shown": "results/{scale}/theory/{dataset}/seed{seed}/shown.json",
    "theory_benchmarks": "results/{scale}/benchmarks/theory/{dataset}/seed{seed}/{experiment}/{shard}.json",
    "classifier_benchmarks": "results/{scale}/benchmarks/models/{dataset}/multihead/seed{seed}/training.json",
    "maps": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/maps.parquet",
    "spectra": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/spectra.parquet",
    "patch_faithfulness": "results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet",
    "map_benchmarks": "results/{scale}/benchmarks/{stage}/{dataset}/{model}/seed{seed}/maps.json",
    "map_shards": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/maps/{shard}.parquet",
    "spectra_shards": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/spectra/{shard}.parquet",
    "patch_shards": "results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps/{shard}.parquet",
    "map_benchmark_shards": "results/{scale}/benchmarks/{stage}/{dataset}/{model}/seed{seed}/maps/{shard}.json",
    "causal_graphs": "results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.json",
    "causal_graphml": "results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.graphml",
    "stability": "results/{scale}/causal/{dataset}/{model}/seed{seed}/stability.parquet",
    "pruning": "results/{scale}/causal/{dataset}/{model}/seed{seed}/pruning.parquet",
    "explanations": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/explanations.parquet",
    "nodes": "results/{scale}/attributions/{dataset}/{model}/seed{seed}/nodes.parquet",
    "explanation_metrics": "results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet",
    "causal_benchmarks": "results/{scale}/benchmarks/causal/{dataset}/{model}/seed{seed}/{stage}.json",
    "logs": "results/{scale}/logs/{stage}/{job}.log",
}

# The study of the multi-head classifier, and its key in the configuration.
XAI = "attention_meets_xai"
# The study of image models, likewise.
DIFFUSION = "network_diffusion"
# The study of selective rollout, likewise.
ROLLOUT = "selective_rollout"
# The study of causal graphs, likewise.
EXPLAINN = "explainn"
# What makes up a model; its metrics.json, for tables, has digests of what beside the weights could change.
MODEL_FILES = ("weights", "architecture", "tokenizer", "tokenizer_config")


@functools.cache
def registries():
    """The registries whose entries a configuration names, by the name of their block."""
    from .attribution import METHODS
    from .datasets import DATASETS
    from .faithfulness import PROTOCOLS
    from .figures import FIGURES
    from .tables import TABLES

    return {
        "datasets": DATASETS,
        "methods": METHODS,
        "protocols": PROTOCOLS,
        "figures": FIGURES,
        "tables": TABLES,
    }


# ------------------------------------------------------------------------------------ blocks, as jobs see them


def dataset_config(config, dataset):
    """A data set's block, its registry entry's defaults filled in; `source` is always a name."""
    from .datasets import settings

    block = config["datasets"][dataset]
    return settings(dataset, {key: value for key, value in block.items() if (key, value) != ("source", None)})


def method_config(config, method):
    """A method's parameters: the registry's defaults and the configuration's block over them."""
    return {**registries()["methods"][method].parameters, **config["methods"].get(method, {})}


def model_config(config, dataset, model, seed=0):
    """A model's block as it applies to one data set and training seed: what its source reads, `training` (None: as it
    is), no more. `{seed}` in the name of a hub repository becomes the seed."""
    block = config["models"][model]
    found = {key: block[key] for key in ("architecture", "source", "training")}
    found |= {key: value for key, value in block.items() if key != "max_tokens"}
    if block["source"] == "hub":
        found |= found.pop("checkpoints")[dataset]
        found["repo"] = found["repo"].replace("{seed}", str(seed))
    epochs = next(
        (run["epochs"] for run in config["runs"] if (run["dataset"], run["model"]) == (dataset, model)), None
    )
    if epochs is not None and found["training"]:
        found["training"] = found["training"] | {"epochs": epochs}
    return {"label_order": None} | found


def scored_split(config, run):
    """The split on which accuracy is measured: the explained one, or validation where its labels are hidden."""
    source = dataset_config(config, run["dataset"])["source"]
    hidden = registries()["datasets"][run["dataset"]].hidden.get(source, ())
    return "validation" if run["split"] in hidden else run["split"]


def run_of(config, dataset, model, seed):
    """The run that computes (dataset, model, seed)."""
    for run in config["runs"]:
        if (run["dataset"], run["model"]) == (dataset, model) and int(seed) in run["seeds"]:
            return run
    raise PlumblineError(f"no run of the configuration has dataset '{dataset}', model '{model}', seed {seed}")


def methods_of(run):
    """A run's methods in the registry's order, controls included; the oracle on known-truth data alone."""
    entries = registries()
    truth = entries["datasets"][run["dataset"]].known_truth
    return [
        method.id
        for method in entries["methods"].values()
        if method.id in run["methods"] or (method.control and (truth or not method.known_truth))
    ]


def choice_of(config, run):
    """Which examples of its split a run explains: the arguments of `plumbline.attribution.artefact.run_examples`."""
    most = config["models"][run["model"]]["max_tokens"]
    return {"max_tokens": most} | {key: run[key] for key in ("examples", "within", "longer")}


def readouts_of(run, method):
    """The readouts of a method that a run takes up, in the registry's order; all of a control's."""
    entry = registries()["methods"][method]
    wanted = run["readouts"]
    return [item.id for item in entry.readouts if wanted is None or entry.control or item.id in wanted]


def layered_methods(config, run):
    """Method -> {readouts, parameters} of a run's readouts that are products of layer matrices.

    Published definitions are left out, since matrices are large.
    """
    entries, found = registries()["methods"], {}
    for method in methods_of(run):
        wanted = readouts_of(run, method)
        readouts = [
            item.id
            for item in entries[method].readouts
            if item.layered and not item.published and item.id in wanted
        ]
        if readouts:
            found[method] = {"readouts": readouts, "parameters": method_config(config, method)}
    return found


def protocols_of(config, run, method):
    """What the faithfulness job of one method does: a list of {protocol, readouts, examples, cap}."""
    control = registries()["methods"][method].control
    found = []
    for entry in config["faithfulness"]:
        if entry["datasets"] is not None and run["dataset"] not in entry["datasets"]:
            continue
        wanted = entry["readouts"]
        readouts = [item for item in readouts_of(run, method) if wanted is None or control or item in wanted]
        if readouts:
            kept = {key: entry[key] for key in ("protocol", "examples", "cap")}
            found.append({**kept, "readouts": readouts})
    return found
