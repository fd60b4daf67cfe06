"""The configuration: where files lie, what is legal, defaults filled in, and each block as its jobs see it.

No torch here: every `snakemake` call imports this module. Validation raises PlumblineError with one line that
names the place, what is wrong and the nearest legal name.
"""

import copy
import functools
import math
import os
import re
from collections.abc import Mapping
from importlib import resources

from .errors import PlumblineError, unknown

SCHEMA = resources.files(__package__) / "schemas" / "config.schema.yaml"

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
# Architectures of image models that causal graphs are learnt of.
CONVOLUTIONAL = ("lenet", "resnet")
# Sources of image models, an architecture each.
IMAGE_SOURCES = {
    "vim": ("scratch", "hub"),
    "vit": ("mirror",),
    "lenet": ("scratch",),
    "resnet": ("scratch",),
}
# What makes up a model; its metrics.json, for tables, has digests of what beside the weights could change.
MODEL_FILES = ("weights", "architecture", "tokenizer", "tokenizer_config")
# The keys of a model's block that only one source reads.
SOURCE_KEYS = {
    "scratch": ("layers", "hidden_size", "heads", "feed_forward", "vocabulary"),
    "directory": ("directory", "label_order"),
    "package": ("package", "subfolder", "label_order"),
    "hub": ("checkpoints",),
}


@functools.cache
def registries():
    """The registries that a configuration is checked against, by name."""
    from .attribution import METHODS
    from .causal.registry import BASELINES, METRICS
    from .datasets import DATASETS
    from .faithfulness import PROTOCOLS
    from .figures import FIGURES
    from .tables import TABLES

    return {
        "datasets": DATASETS,
        "methods": METHODS,
        "protocols": PROTOCOLS,
        "baselines": BASELINES,
        "metrics": METRICS,
        "figures": FIGURES,
        "tables": TABLES,
    }


# ---------------------------------------------------------------------------------------------- validation


@functools.cache
def schema():
    """schemas/config.schema.yaml."""
    import yaml

    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def validate(config):
    """A copy of the configuration with every default filled in; PlumblineError for the first fault."""
    import jsonschema

    if not isinstance(config, Mapping):
        raise PlumblineError(f"the configuration is a {type(config).__name__}: it must be a mapping of keys")
    _check_plain(config, ())
    config = copy.deepcopy(dict(config))
    _read_switches(config)
    faults = jsonschema.Draft202012Validator(schema()).iter_errors(config)
    for fault in sorted(
        faults, key=lambda fault: ([str(part) for part in fault.absolute_path], fault.message)
    ):
        raise _schema_error(_deepest(fault))
    for name, block in config.get("models", {}).items():
        _check_model(name, block)
        if block["source"] == "directory":
            # A folder holds a finished model, unless it is said how it is trained.
            block.setdefault("training", None)
    _fill(config, schema())
    _expand_paths(config)
    for block in config["models"].values():
        for key in _foreign(block["source"]):
            block.pop(key, None)
    _check_parameters(config)
    for index, run in enumerate(config["runs"]):
        _check_run(config, run, f"runs[{index}]")
    _check_unique(config)
    _check_protocols(config)
    _check_attention_meets_xai(config)
    _check_images(config)
    _check_explainn(config)
    for method in (config[ROLLOUT] or {}).get("compared") or ():
        _known(f"{ROLLOUT}.compared", "method", method, registries()["methods"])
    for kind in ("tables", "figures"):
        for name in config[kind]:
            _known(kind, kind[:-1], name, registries()[kind])
            study = registries()[kind][name].study
            if study in config and not config[study]:
                raise PlumblineError(f"{kind}: '{name}' belongs to the study {study}, which this configuration has not: "
                                     f"set `{study}:` or remove it")  # fmt: skip
    return config


def _check_plain(node, path):
    """Text for keys and finite numbers everywhere: what a schema cannot say of YAML's integers, `no` and .nan."""
    place = _place(path) or "configuration"
    if isinstance(node, Mapping):
        for key, child in node.items():
            if not isinstance(key, str):
                raise PlumblineError(
                    f"{place}: YAML reads the key {key!r} as {type(key).__name__}, not as text: choose another name, or put it in quotes"
                )
            _check_plain(child, (*path, key))
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            _check_plain(child, (*path, index))
    elif isinstance(node, float) and not math.isfinite(node):
        raise PlumblineError(f"{place} is {node}: a number must be finite")


def _expand_paths(config):
    """Fill in `~` and environment variables in the keys that are paths."""
    places = [(config, "mirror", "mirror")]
    places += [(block, "directory", f"models.{name}.directory") for name, block in config["models"].items()]
    for block, key, place in places:
        if block[key] is not None:
            block[key] = expanded(block[key], place)


def expanded(text, place):
    """A path with `~`, `$NAME` and `${NAME}` filled in; PlumblineError for a variable or user that is not known."""
    found = os.path.expanduser(os.path.expandvars(text))
    if unset := re.search(r"\$\w+|\$\{\w+\}", found):
        raise PlumblineError(
            f"{place}: the environment has no {unset[0]}, which {text} names: set it or write the path"
        )
    if found.startswith("~"):
        raise PlumblineError(f"{place}: no home folder is known for {text}: write the path")
    return found


def _check_attention_meets_xai(config):
    block = config[XAI]
    if not block:
        return
    _known(XAI, "dataset", block["dataset"], config["datasets"])
    entry = registries()["datasets"][block["dataset"]]
    if entry.task != "classification" or len(entry.label_names) != 2:
        raise PlumblineError(f"{XAI}.dataset: '{entry.id}' is not of two classes: choose another dataset")


def _check_images(config):
    """Image models, and the runs of the study of network diffusion."""
    from .attribution.image_maps import BLOCK

    for name, block in config["image_models"].items():
        place = f"image_models.{name}"
        if not re.fullmatch(r"[a-z0-9_]+", name) or name == "multihead" or name in config["models"]:
            raise PlumblineError(
                f"image_models: '{name}' is taken or no id: use lower-case letters, digits and _"
            )
        for source, key in (("mirror", "released"), ("hub", "repo"), ("hub", "file")):
            if block["source"] == source and block[key] is None:
                raise PlumblineError(f"{place} has source '{source}' but no '{key}'")
        legal = IMAGE_SOURCES[block["architecture"]]
        if block["source"] not in legal:
            raise PlumblineError(
                f"{place}: a {block['architecture']} comes from source {' or '.join(map(repr, legal))}, not '{block['source']}'"
            )
        if (
            block["resize"] is not None
            and block["source"] != "mirror"
            and block["resize"] < block["image_size"]
        ):
            raise PlumblineError(f"{place}.resize is smaller than its image_size, which is cut out of it")
        if block["published_accuracy"] is not None and block["source"] != "hub":
            raise PlumblineError(
                f"{place}.published_accuracy is not for source '{block['source']}': remove it"
            )
        if block["architecture"] == "vim" and block["image_size"] % block["patch_size"]:
            raise PlumblineError(f"{place}.image_size is no multiple of its patch_size")
    if not config[DIFFUSION]:
        return
    seen = set()
    for index, run in enumerate(config[DIFFUSION]["runs"]):
        place = f"{DIFFUSION}.runs[{index}]"
        _check_image_run(config, run, place, seen)
        if config["image_models"][run["model"]]["architecture"] in CONVOLUTIONAL:
            raise PlumblineError(
                f"{place}: model '{run['model']}' has no tokens: its run belongs to {EXPLAINN}.runs"
            )
        if run["perturbed"] > run["images"] or run["gallery"] > run["images"]:
            raise PlumblineError(f"{place}: `perturbed` and `gallery` are among `images` ({run['images']})")
        blocks = -(-(run["perturbed"] or run["images"]) // BLOCK)
        if run["shards"] > blocks:
            raise PlumblineError(
                f"{place}: {run['shards']} shards of {blocks} blocks of {BLOCK} images: set `shards` to {blocks} or less"
            )


def _check_image_run(config, run, place, seen):
    """What the runs of all image models have; seen: (dataset, model, seed) of the runs before, which it adds to."""
    _known(place, "dataset", run["dataset"], config["datasets"])
    _known(place, "image model", run["model"], config["image_models"])
    entry = registries()["datasets"][run["dataset"]]
    if entry.task != "images":
        raise PlumblineError(f"{place}: dataset '{entry.id}' has no images: choose another dataset")
    if config["image_models"][run["model"]]["source"] == "scratch" and "train" not in entry.splits:
        raise PlumblineError(f"{place}: dataset '{entry.id}' has no split to train '{run['model']}' on")
    for seed in run["seeds"]:
        key = (run["dataset"], run["model"], seed)
        if key in seen:
            raise PlumblineError(
                f"{place}: dataset '{key[0]}', model '{key[1]}', seed {seed} are listed twice"
            )
        seen.add(key)


def _check_explainn(config):
    """The runs of the study of causal graphs; `classes` become a list."""
    seen = set()
    for index, run in enumerate((config[EXPLAINN] or {"runs": ()})["runs"]):
        place = f"{EXPLAINN}.runs[{index}]"
        _check_image_run(config, run, place, seen)
        block = config["image_models"][run["model"]]
        if block["architecture"] not in CONVOLUTIONAL:
            raise PlumblineError(
                f"{place}: model '{run['model']}' is no convolutional network: causal graphs need the architecture "
                f"{' or '.join(CONVOLUTIONAL)}"
            )
        for label in run["classes"] or ():
            if label >= block["classes"]:
                raise PlumblineError(
                    f"{place}.classes: there is no class {label}; legal: 0 to {block['classes'] - 1}"
                )
        if run["classes"] is None:
            run["classes"] = list(range(block["classes"]))
        for key in ("baselines", "metrics"):
            for name in run[key]:
                _known(f"{place}.{key}", key[:-1], name, registries()[key])
        if run["metrics"] and not run["attributions"]:
            raise PlumblineError(
                f"{place}: `metrics` are of attributions, which are null: set `metrics: []` as well"
            )


def _unknown(place, kind, name, legal):
    return PlumblineError(f"{place}: {unknown(kind, name, legal)}")


def _known(place, kind, name, legal):
    if name not in legal:
        raise _unknown(place, kind, name, legal)


def _deepest(fault):
    """Inside a oneOf, the fault of the alternative that comes closest."""
    while fault.context:
        fault = max(fault.context, key=lambda inner: (len(inner.absolute_path), inner.validator != "type"))
    return fault


def _place(path):
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _schema_error(fault):
    place = _place(fault.absolute_path) or "configuration"
    if fault.validator == "additionalProperties":
        legal = fault.schema["properties"]
        return _unknown(place, "key", next(key for key in fault.instance if key not in legal), legal)
    if fault.validator == "enum":
        return _unknown(place, "value", fault.instance, [item for item in fault.validator_value if item])
    if fault.validator == "required":
        missing = next(key for key in fault.validator_value if key not in fault.instance)
        about = fault.schema["properties"][missing]["description"]
        return PlumblineError(f"{place}: '{missing}' is missing: {about}")
    if fault.validator == "type":
        kinds = fault.validator_value if isinstance(fault.validator_value, list) else [fault.validator_value]
        hint = ""
        if isinstance(fault.instance, str) and re.fullmatch(r"[0-9]+[eE][-+]?[0-9]+", fault.instance):
            hint = " (YAML reads 5e-5 as text: write 5.0e-5)"
        elif isinstance(fault.instance, str) and _meant(fault.instance, kinds):
            hint = " (--config hands on what stands inside brackets as text: write it into a file for --configfile)"
        return PlumblineError(f"{place}: {fault.instance!r} is not of type {' or '.join(kinds)}{hint}")
    return PlumblineError(f"{place}: {fault.message}")


def _read_switches(config):
    """Turn true and false into what they mean: of --config, Snakemake reads True and False alone."""
    for name, about in schema()["properties"].items():
        if about.get("type") == "boolean" and config.get(name) in ("true", "false"):
            config[name] = config[name] == "true"


def _meant(text, kinds):
    """Whether YAML reads a text as one of these JSON types."""
    import jsonschema
    import yaml

    try:
        return jsonschema.Draft202012Validator({"type": kinds}).is_valid(yaml.safe_load(text))
    except yaml.YAMLError:
        return False


def _resolve(node):
    while "$ref" in node:
        node = schema()["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node


def _fill(instance, node):
    """Fill defaults in place, as the schema gives them."""
    node = _resolve(node)
    if "oneOf" in node:
        node = _resolve(node["oneOf"][0])
    if isinstance(instance, dict):
        given = dict(instance)
        instance.clear()  # in the schema's order: another order of the same keys must make nothing stale
        for name, child in node.get("properties", {}).items():
            instance[name] = given.pop(name) if name in given else copy.deepcopy(child["default"])
            _fill(instance[name], child)
        instance.update(given)
        for name in instance.keys() - node.get("properties", {}).keys():
            if isinstance(node.get("additionalProperties"), dict):
                _fill(instance[name], node["additionalProperties"])
    elif isinstance(instance, list) and "items" in node:
        for item in instance:
            _fill(item, node["items"])


def _foreign(source):
    """The keys of a model's block that another source reads."""
    return {key for keys in SOURCE_KEYS.values() for key in keys} - set(SOURCE_KEYS[source])


def _check_model(name, block):
    place = f"models.{name}"
    if not re.fullmatch(r"[a-z0-9_]+", name):
        raise PlumblineError(f"models: '{name}' is no id: use lower-case letters, digits and _")
    if name == "multihead":
        raise PlumblineError(f"models: 'multihead' is the classifier of {XAI}: choose another id")
    source = block["source"]
    for key in block:
        if key in _foreign(source):
            raise PlumblineError(
                f"{place}.{key} is not for source '{source}': remove it, or give the model an id of its own"
            )
    for key in ("directory", "package"):
        if source == key and not block.get(key):
            raise PlumblineError(f"{place} has source '{source}' but no '{key}'")
    if source == "scratch" and block.get("training", {}) is None:
        raise PlumblineError(f"{place}.training is empty: a model from scratch has to be trained")
    if source == "scratch" and block.get("hidden_size", 64) % block.get("heads", 4):
        raise PlumblineError(f"{place}.hidden_size is no multiple of its heads")


def _check_parameters(config):
    """Parameters of datasets and methods against their registry entries."""
    for key in ("datasets", "methods"):
        registry = registries()[key]
        for name, block in config[key].items():
            _known(key, key[:-1], name, registry)
            place, entry = f"{key}.{name}", registry[name]
            given = dict(block)
            if key == "datasets" and given.pop("source") is not None:
                _known(place, "source", block["source"], entry.sources)
            for parameter, value in given.items():
                _known(place, "parameter", parameter, entry.parameters)
                default = entry.parameters[parameter]
                if parameter in getattr(entry, "legal", ()):
                    entry.check(parameter, value, f"{place}.{parameter}")
                elif default is not None and not _same_type(value, default):
                    expected = type(default).__name__
                    raise PlumblineError(
                        f"{place}.{parameter} is {value!r}: expected {expected}, such as {default!r}"
                    )
            if key == "datasets":
                dataset_config(config, name)  # checks choices and numbers of rows


def _same_type(value, default):
    if isinstance(default, float) and not isinstance(value, bool):
        return isinstance(value, int | float)
    return type(value) is type(default)


def _check_run(config, run, place):
    entries = registries()
    _known(place, "dataset", run["dataset"], config["datasets"])
    _known(place, "model", run["model"], config["models"])
    dataset, block = entries["datasets"][run["dataset"]], config["models"][run["model"]]
    if dataset.task == "images":
        raise PlumblineError(
            f"{place}: dataset '{dataset.id}' has images, its run belongs to {DIFFUSION}.runs"
        )
    _known(place, f"split of dataset '{dataset.id}'", run["split"], dataset.splits)
    if block["max_tokens"] is None:
        for key, default in (("within", None), ("longer", 0)):
            if run[key] != default:
                raise PlumblineError(
                    f"{place}.{key} is about max_tokens, which models.{run['model']} has not: set it there"
                )
    if block["source"] == "hub" and dataset.id not in block["checkpoints"]:
        have = ", ".join(sorted(block["checkpoints"])) or "none"
        raise PlumblineError(
            f"{place}: model '{run['model']}' has no checkpoint for dataset '{dataset.id}' (it has: {have})"
        )
    for method in run["methods"]:
        _known(place, "method", method, entries["methods"])
        if entries["methods"][method].known_truth and not dataset.known_truth:
            raise PlumblineError(
                f"{place}: method '{method}' needs a known-truth dataset, and '{dataset.id}' is none"
            )
    if run["readouts"] is None:
        return
    legal = {
        readout.id: method for method in methods_of(run) for readout in entries["methods"][method].readouts
    }
    for readout in run["readouts"]:
        _known(place, "readout of its methods", readout, legal)
    for method in run["methods"]:
        if not readouts_of(run, method):
            raise PlumblineError(
                f"{place}: none of the readouts of method '{method}' is in its readouts list"
            )


def _check_unique(config):
    seen = {}
    for index, run in enumerate(config["runs"]):
        for seed in run["seeds"]:
            key = (run["dataset"], run["model"], seed)
            if key in seen:
                where = f"runs[{seen[key]}] and runs[{index}]"
                raise PlumblineError(
                    f"{where} both compute dataset '{key[0]}', model '{key[1]}', seed {seed}: keep one"
                )
            seen[key] = index


def _check_protocols(config):
    seen = set()
    for index, entry in enumerate(config["faithfulness"]):
        place = f"faithfulness[{index}]"
        _known(place, "protocol", entry["protocol"], registries()["protocols"])
        for dataset in entry["datasets"] or ():
            _known(place, "dataset", dataset, config["datasets"])
        legal = {readout.id for method in registries()["methods"].values() for readout in method.readouts}
        for readout in entry["readouts"] or ():
            _known(place, "readout", readout, legal)
        for dataset in entry["datasets"] or config["datasets"]:
            if (entry["protocol"], dataset) in seen:
                raise PlumblineError(
                    f"{place}: protocol '{entry['protocol']}' is listed twice for dataset '{dataset}'"
                )
            seen.add((entry["protocol"], dataset))
    for entry in config["faithfulness"]:
        precision = registries()["protocols"][entry["protocol"]].precision
        if precision != "float32" and "precision" not in config["tables"]:
            raise PlumblineError(f"faithfulness: protocol '{entry['protocol']}' runs in {precision}, and nothing would show what "
                                 "that changes: add the table 'precision' to `tables`")  # fmt: skip


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
    found = {key: block[key] for key in ("architecture", "source", "training", *SOURCE_KEYS[block["source"]])}
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


def documentation():
    """docs/configuration.md: one row a key."""
    lines = [
        "# Configuration",
        "",
        "Made from src/plumbline/schemas/config.schema.yaml by `python -m plumbline.config`; do not edit.",
        "",
    ]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]

    def walk(node, place):
        if "$ref" in node:
            node = _resolve(node)
        for name, child in node.get("properties", {}).items():
            child = {**_resolve(child), **{key: value for key, value in child.items() if key != "$ref"}}
            kinds = child["type"] if isinstance(child["type"], list) else [child["type"]]
            kind = " or ".join(str(item) for item in child.get("enum", kinds) if item is not None)
            default = "" if child["default"] is None else f"`{child['default']}`"
            lines.append(f"| `{place}{name}` | {kind} | {default} | {child['description']} |")
            walk(_resolve(child["oneOf"][0]) if "oneOf" in child else child, f"{place}{name}.")
        if isinstance(node.get("additionalProperties"), dict):
            walk(node["additionalProperties"], f"{place}<id>.")
        if "items" in node:
            walk(node["items"], f"{place[:-1]}[].")

    walk(schema(), "")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(documentation(), end="")
