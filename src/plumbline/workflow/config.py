"""The configuration: its keys with types and defaults, how a fault is said, its documentation.

The core's keys stand here, each study's in its room (`Keys` of studies/<id>/config.py). No torch: every
`snakemake` call imports this module. `python -m plumbline.workflow.config` prints docs/configuration.md; with `--schema`,
the JSON schema that editors read.
"""

import functools
import json
import math
import re
import reprlib
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, create_model, model_validator

from ..attribution import METHODS, READOUTS
from ..config import dataset_config, methods_of, readouts_of
from ..config_types import (
    Block,
    FolderPath,
    Id,
    Positive,
    Seeds,
    Share,
    Switch,
    Whole,
    at_least,
    check_known,
    described,
    each_once,
    expanded,
    known,
    number,
)
from ..datasets import DATASETS
from ..errors import PlumblineError, unknown
from ..faithfulness import PROTOCOLS
from ..figures import FIGURES
from ..studies import rooms
from ..tables import TABLES
from .study import add_rooms


class Dataset(Block, extra="allow"):
    source: Literal["generated", "mirror", "hub", "url"] | None = None
    """Kind of source, one of the registry entry's; its first where null."""


class Steps(Block):
    batch_size: Positive = 32
    """Texts or images a step."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """AdamW, or Muon for the weights of linear layers, by which a model from scratch learns from fewer examples."""


class Training(Steps):
    epochs: number(gt=0) = 3
    """Passes over the training split."""
    learning_rate: number(gt=0) = 5.0e-5
    """Peak learning rate."""
    warmup: Share = 0.0
    """Share of the steps over which the learning rate rises from zero."""
    weight_decay: number(ge=0) = 0.0
    """Decoupled weight decay."""
    max_tokens: at_least(8) | None = None
    """Longer training texts are cut to this many tokens, special tokens included; the model's limit where null."""


class Checkpoint(Block):
    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.{}-]+)?$")]
    """The repository, owner/name; {seed} in it stands for the training seed."""
    revision: str | None = None
    """Commit, branch or tag; where null, main at the first download, which resources/lock.json then pins."""
    label_order: list[Whole] | None = None
    """The data set's class of each of the checkpoint's outputs, where they differ in order."""
    published_accuracy: Share | None = None
    """The accuracy that is published of the checkpoint as it is, a share; one that does not reach it by more than chance explains is refused."""
    training: Training | None = None
    """How the checkpoint is fine-tuned on the data set; null takes it as it is."""


class Encoder(Block):
    """A text model. Each source has keys of its own."""

    architecture: Literal["bert", "distilbert", "roberta", "electra", "albert", "xlm_roberta", "camembert"]
    """Architecture of the encoder (docs/encoders.md)."""
    max_tokens: at_least(3) | None = None
    """Examples of more tokens, special tokens included, are skipped, or cut where the run says `longer`; where null, one above the model's limit is an error."""

    @model_validator(mode="before")
    @classmethod
    def check_source(cls, given):
        """An overlay that gives a model another source leaves the first one's keys there."""
        for key in given if isinstance(given, dict) else ():
            if key not in cls.model_fields and any(key in other.model_fields for other in ENCODERS):
                raise ValueError(
                    f"'{key}' is not for source '{given['source']}': remove it, or give the model an id of its own"
                )
        return given


class Scratch(Encoder):
    source: Literal["scratch"]
    """scratch: trained on the training split."""
    layers: Positive = 4
    """Source scratch: number of layers."""
    hidden_size: at_least(2) = 64
    """Source scratch: width."""
    heads: Positive = 4
    """Source scratch: attention heads."""
    feed_forward: Positive = 128
    """Source scratch: width of the feed-forward part."""
    vocabulary: at_least(300) = 600
    """Source scratch: entries of the tokeniser that is trained on the training split."""
    training: Training = Training()
    """How the model is trained, or a checkpoint fine-tuned."""

    @model_validator(mode="after")
    def check_heads(self):
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size is no multiple of its heads")
        return self


class Directory(Encoder):
    source: Literal["directory"]
    """directory: a checkpoint in a folder."""
    directory: Annotated[str, Field(min_length=1), AfterValidator(expanded)]
    """Source directory: the folder, in the layout of transformers' save_pretrained; `~` and $NAME are filled in."""
    label_order: list[Whole] | None = None
    """Sources directory and package, used as they are: the data set's class of each of the checkpoint's outputs."""
    training: Training | None = None
    """Source directory: null, the default, takes the checkpoint as it is."""


class Package(Encoder):
    source: Literal["package"]
    """package: one in an installed Python package."""
    package: Annotated[str, Field(min_length=1)]
    """Source package: the import name of the installed package that carries the checkpoint."""
    subfolder: str = ""
    """Source package: the checkpoint's folder inside the package."""
    label_order: list[Whole] | None = None
    """Sources directory and package, used as they are: the data set's class of each of the checkpoint's outputs."""
    training: Training | None = Training()
    """Source package: null takes the checkpoint as it is."""


class Hub(Encoder):
    source: Literal["hub"]
    """hub: one on the hub for each data set."""
    checkpoints: dict[str, Checkpoint] = {}
    """Source hub: the checkpoint of each data set, by its id."""
    training: Training | None = Training()
    """Source hub: not read, each checkpoint says how it is trained."""


ENCODERS = (Scratch, Directory, Package, Hub)


class ImageTraining(Steps):
    epochs: number(gt=0) = 8
    """Passes over the training split."""
    learning_rate: number(gt=0) = 3.0e-3
    """Peak learning rate."""
    weight_decay: number(ge=0) = 0.05
    """Decoupled weight decay."""
    warmup: number(gt=0, lt=1) = 0.2
    """Share of the steps over which the learning rate rises."""


class ImageModel(Block):
    architecture: Literal["vim", "vit", "lenet", "resnet"]
    """Vision Mamba, Vision Transformer, LeNet or a small residual network."""
    source: Literal["scratch", "mirror", "hub"]
    """Trained from scratch (vim, lenet, resnet), a small released checkpoint of the mirror (vit), or a checkpoint on the hub (vim)."""
    released: Literal["vit_mnist", "vit_cifar10"] | None = None
    """Source mirror: the checkpoint; it brings its own sizes."""
    repo: str | None = None
    """Source hub: the repository, owner/name."""
    revision: str | None = None
    """Source hub: commit, branch or tag; where null, main at the first download, which resources/lock.json then pins."""
    file: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]+$")] | None = None
    """Source hub: the checkpoint's file."""
    published_accuracy: Share | None = None
    """Source hub: the accuracy that is published of the checkpoint, a share; one that does not reach it by more than chance explains is refused."""
    image_size: at_least(2) = 224
    """Pixels of a side that the model reads."""
    resize: at_least(2) | None = None
    """Of photographs: pixels that the shorter side is resized to before the middle is cut out, as torchvision's Resize and CenterCrop do it; where null, images are square and scaled to image_size (bilinear)."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How `resize` interpolates, with antialiasing."""
    patch_size: Positive = 16
    """Pixels of a patch's side."""
    channels: Literal[1, 3] = 3
    """1 (grey) or 3."""
    classes: at_least(2) = 1000
    """Number of classes."""
    depth: Positive = 24
    """Number of layers."""
    embed_dim: at_least(2) = 192
    """Width."""
    d_state: Positive = 16
    """States of each channel of the scan."""
    training: ImageTraining = ImageTraining()
    """Source scratch: training with one cycle of the learning rate."""

    @model_validator(mode="after")
    def check_source(self):
        """What the source and the architecture ask of each other and of the other keys."""
        legal = {"vim": ("scratch", "hub"), "vit": ("mirror",)}.get(self.architecture, ("scratch",))
        needed = {"mirror": ("released",), "hub": ("repo", "file"), "scratch": ()}[self.source]
        if missing := [key for key in needed if getattr(self, key) is None]:
            raise ValueError(f"source '{self.source}' needs the key '{missing[0]}'")
        if self.source not in legal:
            sources = " or ".join(map(repr, legal))
            raise ValueError(f"a {self.architecture} comes from source {sources}, not '{self.source}'")
        if self.resize is not None and self.source != "mirror" and self.resize < self.image_size:
            raise ValueError("resize is smaller than image_size, which is cut out of it")
        if self.published_accuracy is not None and self.source != "hub":
            raise ValueError(f"published_accuracy is not for source '{self.source}': remove it")
        if self.architecture == "vim" and self.image_size % self.patch_size:
            raise ValueError("image_size is no multiple of its patch_size")
        return self


class Run(Block):
    dataset: str
    """Id of one of `datasets`."""
    model: str
    """Id of one of `models`."""
    seeds: Seeds = [0]
    """Training seeds; every seed is a model of its own."""
    epochs: number(gt=0) | None = None
    """Passes over the training split, where this data set needs others than the model's block says."""
    split: str = "test"
    """The split that is explained, and on which accuracy is measured (validation where its labels are hidden)."""
    examples: Positive | None = None
    """Number of examples, the split's first; all where null."""
    within: Positive | None = None
    """Of these, so many of at most the model's max_tokens, the first ones; all where null."""
    longer: Whole | None = 0
    """Of these, so many of the longer ones, the first ones, cut to max_tokens and shown apart; all where null, none where 0 (as published)."""
    shards: Positive = 1
    """Jobs that each method's attributions are split into, and its curves too, by whole blocks of 256 examples; changes no byte of a result."""
    methods: each_once(known("method", METHODS))
    """Attribution methods, by registry id."""
    readouts: each_once(str) | None = None
    """The readouts that faithfulness, agreement, tables and figures take up; all those of the methods where null."""


class Protocol(Block):
    protocol: known("protocol", PROTOCOLS)
    """The protocol, by registry id."""
    datasets: each_once(str) | None = None
    """Limits the entry to runs on these data sets; all where null."""
    readouts: each_once(known("readout", READOUTS)) | None = None
    """Limits the entry to these of a run's readouts, controls aside; all where null."""
    examples: Positive | None = None
    """Limits the entry to the run's first examples within max_tokens; all, cut ones too, where null."""
    cap: Positive = 30
    """The step at which published_steps stops; the other protocols have none."""


class Bootstrap(Block):
    resamples: at_least(100) = 1000
    """Number of resamples."""
    level: number(gt=0, lt=1) = 0.95
    """Coverage of the interval."""


class Core(Block):
    studies: each_once(FolderPath) = []
    """Rooms of studies outside the package: folders with study.py, and with config.py, rules.smk, tables/ and figures/ as far as a study has them (docs/architecture.md). `~` and $NAME are filled in; seen from the working directory."""
    scale: Id = "small"
    """Name of the folder under results/ and of the scale in every table and figure."""
    torch_threads: Positive = 1
    """Threads of every job that computes; part of what makes bytes reproducible, so not taken from --cores."""
    warm: Switch = True
    """Whether a local run on Linux forks its jobs from one process that has imported the libraries, which spares most of a small job's time (docs/performance.md). false: a new interpreter for every job. The results are the same to the byte."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where models run; auto: on a GPU where the job sees one. Results agree across devices within the stated tolerances (docs/performance.md), not to the byte."""
    mirror: FolderPath | None = None
    """Folder with a SHA256SUMS file that datasets of source 'mirror' are read from; the environment variable PLUMBLINE_MIRROR where null. `~` and $NAME are filled in."""
    datasets: dict[known("dataset", DATASETS), Dataset] = {}
    """The data sets, by registry id, with the parameters that the registry entry names."""
    models: dict[Id, Annotated[Scratch | Directory | Package | Hub, Field(discriminator="source")]] = {}
    """The models, by an id of your choice ([a-z0-9_]+)."""
    methods: dict[known("method", METHODS), dict[str, Any]] = {}
    """Parameters of attribution methods, by registry id; what is not named keeps the registry's default."""
    runs: list[Run] = []
    """What is computed, a (dataset, model, seed) at most once. Method `controls` is added to every run."""
    faithfulness: list[Protocol] = []
    """Perturbation protocols."""
    bootstrap: Bootstrap = Bootstrap()
    """The bootstrap over examples behind every interval."""
    image_models: dict[Id, ImageModel] = {}
    """Image classifiers, by an id of your choice ([a-z0-9_]+) that no text model has."""
    tables: each_once(known("table", TABLES)) = []
    """The tables that the default target makes."""
    figures: each_once(known("figure", FIGURES)) = []
    """The figures that the default target makes."""


@functools.cache
def model():
    """The model of the whole configuration: the core's keys, and those of every study's room."""
    return create_model("Configuration", __base__=(*reversed(_keys()), Core))


def _keys():
    """The keys of every study."""
    return [room.Keys for room in rooms("config").values()]


# ---------------------------------------------------------------------------------------------------- validation


def validate(config):
    """The configuration as a dictionary of its own, every default filled in.

    Raises
    ------
    PlumblineError
        For the first fault, in one line: the place, what is wrong, and what to do or the nearest legal name.
    """
    if not isinstance(config, Mapping):
        raise PlumblineError(f"the configuration is a {type(config).__name__}: it must be a mapping of keys")
    _check_plain(config, ())
    if config.get("studies"):
        _add_rooms(config["studies"])
    try:
        found = model().model_validate(dict(config)).model_dump()
    except ValidationError as faults:
        raise PlumblineError(_line(faults.errors(include_url=False)[0], config)) from None
    for check in (_check_parameters, _check_runs, _check_protocols, _check_outputs):
        check(found)
    for keys in _keys():
        keys.check(found)
    return found


def _add_rooms(places):
    """Take up the studies outside the package before their keys, tables and figures are checked."""
    if not isinstance(places, list) or not all(isinstance(place, str) for place in places):
        raise PlumblineError(f"studies is {reprlib.repr(places)}: it must be a list of folders")
    try:
        add_rooms([expanded(place) for place in places])
    except ValueError as fault:
        raise PlumblineError(f"studies: {fault}") from None
    model.cache_clear()


def _check_plain(node, path):
    """Refuse keys that YAML does not read as text, and numbers that are not finite, free-form parameters among them."""
    place = _place(path)
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


def _place(path):
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".") or "configuration"


# What pydantic says, in plainer words.
PLAIN = {
    "a valid dictionary": "a mapping of keys",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid list": "a list",
    "a valid boolean": "true or false",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}


def _line(fault, config):
    """A fault that pydantic has found, in one line: the place, what is wrong, what to do."""
    path, node, tagged = [], config, False
    for part in fault["loc"]:
        if isinstance(node, Mapping) and part == node.get("source") and not tagged:
            tagged = True  # no key, but which source's model pydantic has looked at
        elif part in node if isinstance(node, Mapping) else isinstance(node, list):
            path, node = [*path, part], node[part]
    if fault["loc"][-1:] == ("[key]",):
        path.pop()
    place, kind, given = _place(path), fault["type"], fault["input"]
    about = fault.get("ctx", {})
    legal = re.findall(r"'([^']*)'", about.get("expected", about.get("expected_tags", "")))
    if kind == "value_error":
        return f"{place}: {about['error']}"
    if kind == "literal_error" and legal:
        return f"{place}: {unknown('value', given, legal)}"
    if kind == "union_tag_not_found":
        return f"{place}: 'source' is missing: {' '.join(described(kind)['source'] for kind in ENCODERS)}"
    if kind == "union_tag_invalid":
        return f"{place}: {unknown('source', about['tag'], legal)}"
    wanted = re.sub(r"^\w+ should", "it must", fault["msg"])
    wanted = re.sub(r" or (instance|object) .*| after validation", "", wanted)
    for said, plain in PLAIN.items():
        wanted = wanted.replace(said, plain)
    return f"{place} is {reprlib.repr(given)}: {wanted}{_hint(given, wanted)}"


def _hint(given, wanted):
    """What to do about a text where something else is meant, or the other way round."""
    if isinstance(given, int | float) and wanted == "it must be text":
        return " (put it in quotes)"
    if not isinstance(given, str):
        return ""
    if re.fullmatch(r"[0-9.]+[eE][-+]?[0-9]+", given):
        return " (YAML reads a number without point or sign as text: write 5.0e-5 or 5.0e+5)"
    try:
        meant = yaml.safe_load(given)
    except yaml.YAMLError:
        return ""
    if isinstance(meant, str | None):
        return ""
    return " (--config hands on what stands inside brackets as text: write it into a file for --configfile)"


# What keys of different blocks must agree on; a study's keys: `check` of its room.


def _check_parameters(config):
    """Parameters of data sets and methods are those of their registry entries; every method's are filled in."""
    for name in config["datasets"]:
        dataset_config(config, name)
    for name, block in config["methods"].items():
        for parameter, value in block.items():
            check_known(f"methods.{name}", "parameter", parameter, METHODS[name].parameters)
            METHODS[name].check(parameter, value, f"methods.{name}.{parameter}")
    blocks = config["methods"]
    config["methods"] = {name: entry.parameters | blocks.get(name, {}) for name, entry in METHODS.items()}


def _check_runs(config):
    """What each run names exists and fits the others, and no (dataset, model, seed) stands twice."""
    if both := sorted(config["models"].keys() & config["image_models"]):
        raise PlumblineError(f"image_models: the id '{both[0]}' is taken by one of `models`: choose another")
    seen = {}
    for index, run in enumerate(config["runs"]):
        _check_run(config, run, f"runs[{index}]")
        for seed in run["seeds"]:
            key = (run["dataset"], run["model"], seed)
            if key in seen:
                raise PlumblineError(
                    f"runs[{seen[key]}] and runs[{index}] both compute dataset '{key[0]}', model '{key[1]}', seed {seed}: keep one"
                )
            seen[key] = index


def _check_run(config, run, place):
    check_known(place, "dataset", run["dataset"], config["datasets"])
    check_known(place, "model", run["model"], config["models"])
    dataset, block = DATASETS[run["dataset"]], config["models"][run["model"]]
    if dataset.task == "images":
        raise PlumblineError(
            f"{place}: dataset '{dataset.id}' has images, and `runs` are of texts: name it in a study of images"
        )
    check_known(place, f"split of dataset '{dataset.id}'", run["split"], dataset.splits)
    if block["max_tokens"] is None:
        for key in ("within", "longer"):
            if run[key] != Run.model_fields[key].default:
                raise PlumblineError(
                    f"{place}.{key} is about max_tokens, which models.{run['model']} has not: set it there"
                )
    if block["source"] == "hub" and dataset.id not in block["checkpoints"]:
        have = ", ".join(sorted(block["checkpoints"])) or "none"
        raise PlumblineError(
            f"{place}: model '{run['model']}' has no checkpoint for dataset '{dataset.id}' (it has: {have})"
        )
    for method in run["methods"]:
        if not dataset.known_truth and all(readout.known_truth for readout in METHODS[method].readouts):
            raise PlumblineError(
                f"{place}: method '{method}' needs a known-truth dataset, and '{dataset.id}' is none"
            )
    if run["readouts"] is None:
        return
    legal = [name for method in methods_of(run) for name in readouts_of({**run, "readouts": None}, method)]
    for readout in run["readouts"]:
        check_known(place, "readout of its methods", readout, legal)
    for method in run["methods"]:
        if not readouts_of(run, method):
            raise PlumblineError(
                f"{place}: none of the readouts of method '{method}' is in its readouts list"
            )


def _check_protocols(config):
    """Each protocol once a data set; what one in another precision changes is shown."""
    seen = set()
    for index, entry in enumerate(config["faithfulness"]):
        place = f"faithfulness[{index}]"
        for dataset in entry["datasets"] or ():
            check_known(place, "dataset", dataset, config["datasets"])
        for dataset in entry["datasets"] or config["datasets"]:
            if (entry["protocol"], dataset) in seen:
                raise PlumblineError(
                    f"{place}: protocol '{entry['protocol']}' is listed twice for dataset '{dataset}'"
                )
            seen.add((entry["protocol"], dataset))
        precision = PROTOCOLS[entry["protocol"]].precision
        if precision != "float32" and "precision" not in config["tables"]:
            raise PlumblineError(
                f"{place}: protocol '{entry['protocol']}' runs in {precision}, and nothing would show what that changes: "
                "add the table 'precision' to `tables`"
            )


def _check_outputs(config):
    """Tables and figures belong to studies that the configuration has."""
    for kind, registry in (("tables", TABLES), ("figures", FIGURES)):
        for name in config[kind]:
            study = registry.studies[name]
            if study in config and not config[study]:
                raise PlumblineError(
                    f"{kind}: '{name}' belongs to the study {study}, which this configuration has not: set `{study}:` or remove it"
                )


# ------------------------------------------------------------------------------------------------- documentation


def schema():
    """The JSON schema of the configuration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model().model_json_schema()


def documentation():
    """docs/configuration.md: one row a key."""
    merged = {}
    for place, *row in _rows(schema(), schema()["$defs"], ""):
        # The sources of a model share keys: what each says of one stands in one row.
        for words, said in zip(row, merged.setdefault(place, ([], [], [])), strict=True):
            said += [word for word in words if word not in said]
    rows = [
        f"| `{place}` | {' or '.join(kinds)} | {default[0]} | {' '.join(descriptions)} |"
        for place, (kinds, default, descriptions) in merged.items()
    ]
    made = "Made from the models of the configuration by `python -m plumbline.workflow.config`; do not edit."
    head = ["# Configuration", "", made, "", "| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _rows(node, definitions, place):
    """(place, types, default, description), each in a list, of every key below a place of the schema."""
    node = definitions[node["$ref"].rsplit("/", 1)[1]] if "$ref" in node else node
    for member in node.get("anyOf", node.get("oneOf", ())):
        yield from _rows(member, definitions, place)
    for key, child in node.get("properties", {}).items():
        default = child.get("default", "required")
        if default is None or isinstance(default, dict):
            default = "" if default is None else {}
        shown = default if default in ("", "required") else f"`{default}`"
        yield f"{place}{key}", _kinds(child), [shown], [child["description"]]
        yield from _rows(child, definitions, f"{place}{key}.")
    for child in (node.get("additionalProperties"), *node.get("patternProperties", {}).values()):
        if isinstance(child, dict):
            yield from _rows(child, definitions, f"{place}<id>.")
    if "items" in node:
        yield from _rows(node["items"], definitions, f"{place[:-1]}[].")


def _kinds(node):
    """The types of a key, in words."""
    if "anyOf" in node:
        return [kind for member in node["anyOf"] for kind in _kinds(member)]
    if "items" in node:
        return [f"list of {' or '.join(_kinds(node['items']))}"]
    if "format" in node:
        return [f"{node['format']} id"]
    if "const" in node or "enum" in node:
        return [str(item) for item in node.get("enum", [node.get("const")])]
    return [node.get("type", "object")]


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2) + "\n" if "--schema" in sys.argv else documentation(), end="")
