"""Artefacts of a made-up run, written through the schemas, for tests of tables and figures."""

import functools
import itertools
import shutil
import tempfile
from pathlib import Path

import numpy as np

from plumbline import tables
from plumbline.agreement import consistency, released, rollouts, table
from plumbline.artefacts import read_rows, write_json, write_rows
from plumbline.attribution import METHODS, READOUTS, shown_in
from plumbline.attribution.input_gradient import CORRELATIONS
from plumbline.datasets import DATASETS
from plumbline.faithfulness import PROTOCOLS
from plumbline.figures import FIGURES

SENTENCE = "the film is not a very good story but its quiet acting won me over $5 and 50% of_the crowd !"
WORDS = SENTENCE.split()
STAGES = (
    "models",
    "attributions",
    "gaps",
    "faithfulness",
    "agreement",
    "isotropy",
    "rollouts",
    "contributions",
    "models_cost",
    "attributions_cost",
    "faithfulness_cost",
    "work",
)
# Of every run; the oracle is of known-truth data alone.
CONTROLS = tuple(name for name, entry in READOUTS.items() if entry.control and not entry.known_truth)
# What figures of curves show beside the controls.
PRINCIPAL = tuple(readout for readout in shown_in("curves") if not READOUTS[readout].control)
TEN = ("attention", "norms", "alti", "gradient", "ig")
EXPLAINING = tuple(method for method in METHODS if not METHODS[method].control)
STUDY = {
    "dataset": "sentiment",
    "seeds": [0, 1],
    "network": {"max_len": 20, "d_in": 8, "d_attn": 4, "d_out": 4, "heads": 2},
    "training": {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2, "weight_decay": 0.01},
    "reviews": {"gradient": 30, "lime_mask": 30, "lime_delete": 20, "faithfulness": 20},
    "samples": 100,
    "repeats": 2,
    "shard": 256,
}
CAUSAL_RUN = {"dataset": "digits_half", "model": "lenet", "seeds": [0, 1], "classes": [0, 1, 3, 8]}
IMAGE_RUN = {"dataset": "digits", "model": "vim", "seeds": [0, 1], "gallery": 3}
OPTIONS = {
    "scale": "small",
    "attention_meets_xai": STUDY,
    "heatmap_examples": [0, 3],
    "selective_rollout": {"layer": None},
    "bootstrap": {"resamples": 200, "level": 0.95},
    "runs": [],
    "tables": ["deletion_curves"],
    "released_seeds": "matrices",
    "command": "snakemake --cores N --configfile config.paper.yaml",
}


def write_table(name, inputs, options, *paths):
    """Make a table and write its files, as scripts/table.py does."""
    tables.write(name, tables.module_of(name).rows(inputs, options), inputs, options, *paths)


def make(root, *, dataset="sentiment", model="bert", architecture="bert", seeds=(0,), examples=12, methods=EXPLAINING,
         readouts=None, source="scratch", repo=None, epochs=3, oracle=True, long=False, steps=True, cut=(), layers=3):  # fmt: skip
    """Write one run's artefacts below `root`; returns the `inputs` of tables and figures. cut: ids of cut texts."""
    methods = (*methods, *(method for method in METHODS if METHODS[method].control))
    inputs = {stage: [] for stage in STAGES}
    for seed in seeds:
        about = {"dataset": dataset, "model": model, "seed": seed}
        place = f"{dataset}/{model}/seed{seed}"
        rng = np.random.default_rng([seed, 7])
        lengths = np.random.default_rng(3).integers(6, 18, size=examples)
        if long:
            lengths[0] = 90
        vectors = _scores(lengths, rng, dataset)
        facts = {"architecture": architecture, "source": source, "repo": repo, "epochs": epochs, "split": "test", "examples": 1000,
                 "accuracy": 0.97 + 0.01 * seed, "seed": seed}  # fmt: skip
        write_json(root / "models" / place / "metrics.json", facts)
        inputs["models"].append(
            {**about, "method": None, "path": root / "models" / place / "model.safetensors"}
        )
        used = {}
        for method in methods:
            item = {**about, "method": method}
            kept = [
                r.id
                for r in METHODS[method].readouts
                if (r.id in (readouts or READOUTS) or METHODS[method].control)
                and (oracle or not r.known_truth)
            ]
            used |= {readout: vectors[readout] for readout in kept}
            path = root / "attributions" / place / f"{method}.parquet"
            _write_attributions(path, lengths, {readout: vectors[readout] for readout in kept}, dataset, cut)
            inputs["attributions"].append({**item, "path": path})
            if method in ("ig", "ig_published"):
                inputs["gaps"].append({**item, "path": path})
            path = root / "faithfulness" / place / f"{method}.parquet"
            _write_faithfulness(path, kept, lengths, rng, steps, cut)
            inputs["faithfulness"].append({**item, "path": path})
            path = root / "benchmarks" / "work" / place / f"{method}.json"
            write_json(
                path,
                {"requested": 400, "rows": 300, "tokens": 2700, "padding": 300, "seconds": 0.5 * (seed + 1)},
            )
            inputs["work"].append({**item, "path": path})
            for stage in ("attributions", "faithfulness"):
                path = root / "benchmarks" / stage / place / f"{method}.json"
                write_json(path, {"seconds": 6.0 * (seed + 1), "cpu_seconds": 5.5, "max_rss_mb": 512.5})
                inputs[f"{stage}_cost"].append({**item, "path": path})
        ordered = {readout: used[readout] for readout in READOUTS if readout in used}
        path = root / "agreement" / f"{place}.parquet"
        write_rows(path, table(ordered, resamples=50, level=0.95, seed=seed), kind="agreement")
        inputs["agreement"].append({**about, "method": None, "path": path})
        layered = [r for r in used if READOUTS[r].layered and not READOUTS[r].published]
        if layered:
            path = root / "contributions" / f"{place}.parquet"
            _write_contributions(path, lengths, layered, rng, dataset)
            inputs["contributions"].append({**about, "method": None, "path": path})
        path = root / "isotropy" / f"{place}.parquet"
        _write_isotropy(path, lengths, rng, layers)
        inputs["isotropy"].append({**about, "method": None, "path": path})
        if "selective" in methods:
            path = root / "rollouts" / f"{place}.parquet"
            _write_rollouts(path, lengths, seed, layers)
            inputs["rollouts"].append({**about, "method": None, "path": path})
    if steps:
        path = root / f"tables/deletion_curves-{dataset}-{model}.csv"
        options = {**OPTIONS, "dataset": dataset, "model": model}
        write_table("deletion_curves", inputs, options, path, path.with_suffix(".tex"))
        inputs["tables/deletion_curves"] = [{"path": path}]
    return inputs


def compare(root, inputs, pair):
    """Consistency artefacts of made runs: all seeds of each model, `pair` (dataset, model, other), released matrices."""
    groups = {}
    for item in inputs["attributions"]:
        readouts = [f"scores_{readout.id}" for readout in METHODS[item["method"]].readouts]
        kept = [name for name in read_rows(item["path"]).columns if name in readouts]
        files = groups.setdefault((item["dataset"], item["model"]), {}).setdefault(item["seed"], {})
        files[item["path"]] = [name.removeprefix("scores_") for name in kept]
    settings = {"resamples": 50, "level": 0.95, "seed": 1}
    found = {"seed_consistency": [], "model_consistency": [], "released": []}
    for (dataset, model), seeds in groups.items():
        if len(seeds) > 1:
            models = [consistency.read(f"seed{seed}", files) for seed, files in seeds.items()]
            path = root / "consistency" / dataset / f"{model}.parquet"
            rows = consistency.table(models, **settings).assign(seed=None)
            write_rows(path, rows, kind="consistency")
            found["seed_consistency"].append({"dataset": dataset, "model": model, "path": path})
    dataset, *names = pair
    models = [consistency.read(name, groups[dataset, name][0]) for name in names]
    path = root / "consistency" / dataset / f"{'-'.join(names)}.parquet"
    write_rows(path, consistency.table(models, **settings).assign(seed=0), kind="consistency")
    found["model_consistency"].append(
        {"dataset": dataset, "model": names[0], "other": names[1], "path": path}
    )
    path = root / "released" / "multiberts_sst2.parquet"
    write_rows(path, released.rows("matrices"), kind="consistency")
    found["released"].append({"dataset": None, "model": None, "path": path})
    return found


def merge(*many):
    """The inputs of several runs as one."""
    return {stage: list(itertools.chain(*(inputs[stage] for inputs in many))) for stage in many[0]}


def with_tables(root, inputs, options=OPTIONS, studies=None):
    """The inputs with the tables of one file a study that figures read, made of them and written below `root`.

    studies: whose figures; None: of all but explainn.
    """
    wanted = studies or {study for study in FIGURES.studies.values() if study != "explainn"}
    figures = [figure for figure in FIGURES.values() if FIGURES.studies[figure.id] in wanted]
    needs = {need.removeprefix("tables/") for figure in figures for need in figure.needs if "/" in need}
    found = {}
    for name in sorted(name for name in needs if tables.TABLES[name].per == "study"):
        paths = [root / "tables" / f"{name}.{ending}" for ending in ("csv", "tex")]
        write_table(name, inputs, options, *paths)
        found[f"tables/{name}"] = [{"path": paths[0]}]
    return inputs | found


def _scores(lengths, rng, dataset):
    """readout -> one vector an example: a common truth plus noise, so that readouts correlate as real ones do."""
    truth = [np.zeros(n) for n in lengths]
    for index, n in enumerate(lengths):
        truth[index][[2, 3] if index % 2 else [n - 3]] = 1
    found = {}
    for number, (readout, entry) in enumerate(READOUTS.items()):
        noise = 0.3 + 0.05 * number
        values = [t + noise * rng.normal(size=len(t)) for t in truth]
        found[readout] = [v if entry.signed else np.abs(v) for v in values]
    found["oracle"] = truth
    found["uniform"] = [np.full(n, 1 / n) for n in lengths]
    found["position"] = [1 / (1 + np.arange(n)) for n in lengths]
    return {readout: [v.astype(np.float32) for v in vectors] for readout, vectors in found.items()}


def _classes(dataset):
    return len(DATASETS[dataset].label_names) if dataset in DATASETS else 2


def _tokens(n):
    return ["[CLS]", *[WORDS[i % len(WORDS)] for i in range(n - 2)], "[SEP]"]


def _write_contributions(path, lengths, readouts, rng, dataset, layers=3):
    """The matrices of OPTIONS' examples: the diagonal and noise, multiplied over the layers."""
    rows = []
    for number, readout in itertools.product(OPTIONS["heatmap_examples"], readouts):
        n = int(lengths[number])
        product = np.eye(n)
        for layer in range(1, layers + 1):
            matrix = np.eye(n) + rng.uniform(size=(n, n))
            matrix /= matrix.sum(1, keepdims=True)
            product = matrix @ product
            found = (part.astype(np.float32).ravel() for part in (product, matrix))
            position = 4 if dataset == "agreement" else 0
            rows.append(
                (number, readout, layer, _tokens(n), position, number % _classes(dataset), 0.9125, *found)
            )
    names = (
        "id",
        "readout",
        "layer",
        "tokens",
        "position",
        "target",
        "probability",
        "matrix",
        "layer_matrix",
    )
    write_rows(path, dict(zip(names, zip(*rows, strict=True), strict=True)), kind="contributions")


def _write_attributions(path, lengths, vectors, dataset, cut):
    columns = {
        "id": np.arange(len(lengths)),
        "tokens": [_tokens(n) for n in lengths],
        "input_ids": [np.arange(n, dtype=np.int32) for n in lengths],
        "target": np.arange(len(lengths)) % _classes(dataset),
        "probability": np.full(len(lengths), 0.9125, dtype=np.float32),
        "position": np.full(len(lengths), 4 if dataset == "agreement" else 0),
        "cut": [50 * (index in cut) for index in range(len(lengths))],
    }
    if any(readout.startswith("ig_") for readout in vectors):
        # The first example is the worst one.
        columns["completeness_gap"] = [0.3 / (1 + index) ** 2 for index in range(len(lengths))]
        columns["steps"] = [800 if index == 0 else 50 for index in range(len(lengths))]
    write_rows(path, columns | {f"scores_{r}": v for r, v in vectors.items()}, kind="attributions")


def _write_faithfulness(path, readouts, lengths, rng, steps, cut):
    rows = []
    for readout, protocol, kind in itertools.product(readouts, PROTOCOLS, ("comp", "suff")):
        if protocol == "published_steps" and (readout not in (*PRINCIPAL, *CONTROLS) or not steps):
            continue
        for index, n in enumerate(lengths):
            points = min(int(n) - 1, 30) if protocol == "published_steps" else 6
            fall = np.cumprod(rng.uniform(0.8, 1.0, size=points))
            curve = fall if kind == "comp" else 1 - fall
            score = (
                None if protocol == "published_steps" else float(1 - curve[1:].mean() + rng.normal() * 0.1)
            )
            rows.append(
                (
                    index,
                    50 * (index in cut),
                    readout,
                    protocol,
                    kind,
                    np.arange(points),
                    curve,
                    score,
                    index / 64,
                )
            )
    names = ("id", "cut", "readout", "protocol", "kind", "removed", "probability", "score", "tied")
    write_rows(path, dict(zip(names, zip(*rows, strict=True), strict=True)), kind="faithfulness")


def _write_isotropy(path, lengths, rng, layers):
    """Embeddings that crowd together layer by layer, and transformed vectors that do so less."""
    rows = []
    for index, n in enumerate(lengths):
        for vectors, depths, height in (("embeddings", layers + 1, 0.9), ("transformed", layers, 0.4)):
            for depth in range(depths):
                value = np.clip(height * (depth + 1) / (layers + 1) + 0.1 * rng.normal(), -1, 1)
                rows.append((index, vectors, depth, value, 1 if vectors == "embeddings" else n))
    names = ("id", "vectors", "layer", "cosine", "values")
    write_rows(path, dict(zip(names, zip(*rows, strict=True), strict=True)), kind="isotropy")


def _write_rollouts(path, lengths, seed, layers):
    """The stage's own rows, of random attention that is peaked enough for layers to be selected."""
    import torch

    rng, columns = np.random.default_rng([seed, 11]), []
    for number, n in enumerate(int(length) for length in lengths):
        attention = torch.from_numpy(rng.normal(size=(layers, 2, n, n)) * 4).softmax(-1)
        for definition in rollouts.DEFINITIONS:
            scores = rollouts.readouts(
                attention, 0, (0.5, 1.0), (0.2, 0.4), flow=definition == "corrected" and n < 8
            )
            left = 0.03 if definition == "corrected" else 1e-8
            gradients = {name: rng.random(n) for _, name in CORRELATIONS.values()}
            columns += rollouts.rows(number, definition, scores, gradients, left, seed)
    write_rows(path, dict(zip(rollouts.COLUMNS, zip(*columns, strict=True), strict=True)), kind="rollouts")


def once(make):
    """Decorate a maker of artefacts: it makes them once a process, and copies them wherever they are asked for again."""

    @functools.cache
    def made():
        folder = tempfile.TemporaryDirectory()
        return folder, make(Path(folder.name))

    @functools.wraps(make)
    def copied(results):
        folder, inputs = made()
        shutil.copytree(folder.name, results, dirs_exist_ok=True)
        return {
            stage: [{**item, "path": results / item["path"].relative_to(folder.name)} for item in items]
            for stage, items in inputs.items()
        }

    return copied


@once
def vision(results):
    """The artefacts of the study of network diffusion below `results`, by the jobs themselves; returns `inputs`."""
    from plumbline.attribution.image_maps import write_maps
    from plumbline.datasets import load
    from plumbline.faithfulness.patches import write_patch_faithfulness
    from plumbline.models.image_models import train_job

    files = {split: results / f"data/digits/{split}.parquet" for split in ("train", "test")}
    for split, file in files.items():
        write_rows(file, load("digits", split, {"train": 96, "test": 16}), kind="images")
    block = {
        "architecture": "vim", "source": "scratch", "repo": None, "image_size": 16, "patch_size": 4, "channels": 1,
        "classes": 10, "depth": 2, "embed_dim": 8, "d_state": 2,
        "training": {"epochs": 2, "batch_size": 32, "learning_rate": 1e-2, "weight_decay": 0.0, "warmup": 0.2},
    }  # fmt: skip
    stages = ("image_models", "image_architectures", "maps", "spectra", "patch_faithfulness")
    inputs = {stage: [] for stage in stages}
    inputs["images"] = [{"dataset": "digits", "model": None, "seed": None, "path": files["test"]}]
    for seed in IMAGE_RUN["seeds"]:
        about = {"dataset": "digits", "model": "vim", "seed": seed}
        model = results / f"models/digits/vim/seed{seed}"
        names = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
        outputs = {key: model / name for key, name in names.items()}
        train_job(**about, block=block, labels=True, files=files, outputs=outputs)
        paths = {
            "image_models": outputs["metrics"],
            "image_architectures": outputs["architecture"],
            "maps": results / f"attributions/digits/vim/seed{seed}/maps.parquet",
            "spectra": results / f"attributions/digits/vim/seed{seed}/spectra.parquet",
            "patch_faithfulness": results / f"faithfulness/digits/vim/seed{seed}/maps.parquet",
        }
        write_maps(
            dataset="digits", model=model, data=files["test"], output=paths["maps"], spectra=paths["spectra"],
            images=8, gallery=3, start_layer=None, alpha=0.9, name=f"vim/seed{seed}",
        )  # fmt: skip
        write_patch_faithfulness(
            model=model, maps=paths["maps"], data=files["test"], output=paths["patch_faithfulness"], images=8,
            fills=["black"], ink=True,
        )  # fmt: skip
        for stage, path in paths.items():
            inputs[stage].append({**about, "method": None, "path": path})
    return inputs


def causal(results):
    """The artefacts of the study of causal graphs below `results`, by the jobs themselves; returns `inputs`."""
    from plumbline.causal.evaluation import write_metrics
    from plumbline.causal.explanations import write_explanations
    from plumbline.causal.learn import write_graphs
    from plumbline.causal.pruning import write_pruning
    from plumbline.causal.registry import EXPLANATIONS
    from plumbline.causal.registry import METRICS as METRICS_OF_MAPS
    from plumbline.causal.stability import write_stability
    from plumbline.datasets import load
    from plumbline.models.image_models import train_job

    files = {split: results / f"data/digits_half/{split}.parquet" for split in ("train", "test")}
    for split, file in files.items():
        write_rows(file, load("digits_half", split, {"train": None, "test": 300}), kind="images")
    block = {
        "architecture": "lenet", "source": "scratch", "repo": None, "image_size": 32, "channels": 1, "classes": 10,
        "training": {"epochs": 6, "batch_size": 32, "learning_rate": 2e-3, "weight_decay": 0.0, "warmup": 0.1},
    }  # fmt: skip
    stages = (
        "image_models",
        "causal_graphs",
        "stability",
        "pruning",
        "explanations",
        "nodes",
        "explanation_metrics",
    )
    inputs = {stage: [] for stage in stages}
    inputs["images"] = [{"dataset": "digits_half", "model": None, "seed": None, "path": files["test"]}]
    for seed in CAUSAL_RUN["seeds"]:
        about = {"dataset": "digits_half", "model": "lenet", "seed": seed}
        model = results / f"models/digits_half/lenet/seed{seed}"
        names = {"weights": "model.safetensors", "architecture": "config.json", "metrics": "metrics.json"}
        outputs = {key: model / name for key, name in names.items()}
        train_job(**about, block=block, labels=True, files=files, outputs=outputs)
        folder = results / f"causal/digits_half/lenet/seed{seed}"
        graphs = {
            label: {kind: folder / f"class{label}/graph.{kind}" for kind in ("json", "graphml")}
            for label in CAUSAL_RUN["classes"]
        }
        shared = {"model": model, "data": files["test"]}
        write_graphs(
            dataset="digits_half",
            seed=seed,
            outputs=graphs,
            classes=list(graphs),
            samples=30,
            soft=True,
            test="welch",
            correction="none",
            cap=600,
            held_out=0.5,
            **shared,
        )
        learnt = [files["json"] for files in graphs.values()]
        paths = {stage: folder / f"{stage}.parquet" for stage in ("stability", "pruning")}
        write_stability(
            graphs=learnt,
            output=paths["stability"],
            layer=None,
            strengths={"most": 0.5, "step": 0.05},
            repetitions=4,
            resample=True,
            samples=15,
            noise=[0.05, 0.1, 0.2],
            subsample=[10],
            cap=600,
            **shared,
        )
        write_pruning(
            dataset="digits_half", seed=seed, graphs=learnt, output=paths["pruning"], draws=3, **shared
        )
        paths |= {
            "image_models": outputs["metrics"],
            "explanations": results / f"attributions/digits_half/lenet/seed{seed}/explanations.parquet",
            "nodes": results / f"attributions/digits_half/lenet/seed{seed}/nodes.parquet",
            "explanation_metrics": results
            / f"faithfulness/digits_half/lenet/seed{seed}/explanations.parquet",
        }
        methods = list(EXPLANATIONS)
        shared |= {
            "dataset": "digits_half",
            "name": f"lenet/seed{seed}",
            "graphs": learnt,
            "layer": None,
            "methods": methods,
        }
        write_explanations(output=paths["explanations"], nodes=paths["nodes"], images=1, gallery=1, **shared)
        write_metrics(
            explanations=paths["explanations"],
            output=paths["explanation_metrics"],
            metrics=list(METRICS_OF_MAPS),
            **shared,
        )
        for stage, path in paths.items():
            inputs[stage].append({**about, "method": None, "path": path})
        inputs["causal_graphs"] += [
            {**about, "method": None, "class": label, "path": files["json"]}
            for label, files in graphs.items()
        ]
    return with_tables(results, inputs, studies=("explainn",))
