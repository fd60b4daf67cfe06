"""Artefacts of a made-up run, written through the schemas, for tests of tables and figures."""

import itertools

import numpy as np

from plumbline.agreement import table
from plumbline.artefacts import write_json, write_rows
from plumbline.attribution import METHODS, READOUTS
from plumbline.collect import PRINCIPAL
from plumbline.faithfulness import PROTOCOLS

WORDS = [
    "the",
    "film",
    "is",
    "not",
    "a",
    "very",
    "good",
    "story",
    "but",
    "its",
    "quiet",
    "acting",
    "won",
    "me",
    "over",
    "$5",
    "and",
    "50%",
    "of_the",
    "crowd",
    "!",
]
CONTROLS = ("random", "position", "uniform")
TEN = ("attention", "norms", "alti", "gradient", "ig")
EXPLAINING = tuple(method for method in METHODS if not METHODS[method].control)
OPTIONS = {
    "scale": "small",
    "heatmap_examples": [0, 3],
    "bootstrap": {"resamples": 200, "level": 0.95},
    "runs": [],
    "command": "snakemake --cores N --configfile config.paper.yaml",
}


def make(root, *, dataset="sentiment", model="bert", architecture="bert", seeds=(0,), examples=12, methods=EXPLAINING,
         readouts=None, source="scratch", repo=None, epochs=3, oracle=True, long=False, steps=True):  # fmt: skip
    """Write one run's artefacts below `root`; returns the `inputs` of tables and figures."""
    methods = (*methods, *CONTROLS, *(("oracle",) if oracle else ()))
    inputs = {
        stage: [] for stage in ("models", "attributions", "faithfulness", "agreement", "benchmarks", "work")
    }
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
                if r.id in (readouts or READOUTS) or METHODS[method].control
            ]
            used |= {readout: vectors[readout] for readout in kept}
            path = root / "attributions" / place / f"{method}.parquet"
            _write_attributions(path, lengths, {readout: vectors[readout] for readout in kept}, dataset)
            inputs["attributions"].append({**item, "path": path})
            path = root / "faithfulness" / place / f"{method}.parquet"
            _write_faithfulness(path, kept, lengths, rng, steps)
            inputs["faithfulness"].append({**item, "path": path})
            path = root / "benchmarks" / "work" / place / f"{method}.json"
            write_json(
                path,
                {"requested": 400, "rows": 300, "tokens": 2700, "padding": 300, "seconds": 0.5 * (seed + 1)},
            )
            inputs["work"].append({**item, "path": path})
            for stage in ("attributions", "faithfulness"):
                path = root / "benchmarks" / stage / place / f"{method}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                memory = "-" if method == "uniform" else "512.5"
                path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{6 * (seed + 1)}\t0:00:06\t{memory}\t5.5\n")
                inputs["benchmarks"].append({**item, "stage": stage, "path": path})
        ordered = {readout: used[readout] for readout in READOUTS if readout in used}
        path = root / "agreement" / f"{place}.parquet"
        write_rows(path, table(ordered, resamples=50, level=0.95, seed=seed), kind="agreement")
        inputs["agreement"].append({**about, "method": None, "path": path})
    return inputs


def merge(*many):
    """The inputs of several runs as one."""
    return {stage: list(itertools.chain(*(inputs[stage] for inputs in many))) for stage in many[0]}


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


def _write_attributions(path, lengths, vectors, dataset):
    words = [[WORDS[i % len(WORDS)] for i in range(n - 2)] for n in lengths]
    columns = {
        "id": np.arange(len(lengths)),
        "tokens": [["[CLS]", *row, "[SEP]"] for row in words],
        "input_ids": [np.arange(n, dtype=np.int32) for n in lengths],
        "target": np.arange(len(lengths)) % 2,
        "probability": np.full(len(lengths), 0.9125, dtype=np.float32),
        "position": np.full(len(lengths), 4 if dataset == "agreement" else 0),
    }
    write_rows(path, columns | {f"scores_{r}": v for r, v in vectors.items()}, kind="attributions")


def _write_faithfulness(path, readouts, lengths, rng, steps):
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
            rows.append((index, readout, protocol, kind, np.arange(points), curve, score))
    names = ("id", "readout", "protocol", "kind", "removed", "probability", "score")
    write_rows(path, dict(zip(names, zip(*rows, strict=True), strict=True)), kind="faithfulness")
