"""How long Snakemake plans a large grid: jobs, seconds, CPU-seconds and peak memory of a dry run, written by nobody.

    python benchmarks/bench_plan.py [--seeds 16]

Five data sets, twelve models, every method of the registry, so many training seeds: 16 seeds are 15,000 attribution files
and as many of curves, 31,000 jobs. docs/scaling.md has the numbers.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from plumbline.attribution import METHODS  # noqa: E402

DATASETS = {"sentiment": "generated", "reviews": "generated", "sst2": "hub", "imdb": "hub", "yelp": "hub"}
MODEL = {
    "architecture": "bert",
    "source": "scratch",
    "layers": 2,
    "hidden_size": 32,
    "heads": 2,
    "feed_forward": 64,
    "vocabulary": 400,
    "training": {"epochs": 1, "batch_size": 32, "learning_rate": 3.0e-3},
}


def grid(seeds):
    """The configuration; controls and the oracle come by themselves."""
    methods = [name for name, entry in METHODS.items() if not entry.control]
    models = [f"m{number}" for number in range(12)]
    run = {"seeds": list(range(seeds)), "split": "test", "examples": 100, "methods": methods}
    studies = ("attention_meets_xai", "network_diffusion", "explainn", "selective_rollout", "released_seeds")
    return {
        "scale": "grid",
        "datasets": {name: {"source": source} for name, source in DATASETS.items()},
        "models": dict.fromkeys(models, MODEL),
        "runs": [run | {"dataset": dataset, "model": model} for dataset in DATASETS for model in models],
        "tables": ["comp_suff", "agreement", "accuracy"],
        "figures": ["readout_correlation"],
        **dict.fromkeys(studies),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16)
    seeds = parser.parse_args().seeds
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "grid.yaml"
        config.write_text(yaml.safe_dump(grid(seeds)))
        call = [sys.executable, "-m", "snakemake", "-n", "--nocolor", "--configfile", str(config)]
        start = time.perf_counter()
        with open(Path(folder) / "out", "w+") as out:
            process = subprocess.Popen(call, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            out.seek(0)
            text = out.read()
    if status:
        sys.exit(text[-2000:])
    jobs = re.search(r"^total +(\d+)$", text, flags=re.MULTILINE)[1]
    print(
        f"{jobs} jobs planned in {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} CPU-s, {used.ru_maxrss / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    main()
