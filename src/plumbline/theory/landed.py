"""Finished shards of the long experiments, kept with the project: landed, put back, rechecked.

    python -m plumbline.theory.landed land results/local docs/results/attention_meets_xai
    python -m plumbline.theory.landed restore results/local docs/results/attention_meets_xai
    python -m plumbline.theory.landed check results/local docs/results/attention_meets_xai

land     copies the shards that are finished, the study's tables (CSV) and the classifiers' metrics.json, and writes
         manifest.json: command, seeds, settings, versions and what is there, with checksums.
restore  copies the landed shards into a results folder, so that a run goes on where it stopped. The classifier must be
         there and be the landed one.
check    computes some reviews of every landed shard again and compares.
"""

import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .. import __version__
from ..artefacts import about, gather_rows, read_about, read_json, read_records, write_json
from ..datasets.sources import sha256_of
from ..errors import PlumblineError, one_line_errors

# The errors; the rows of `faithfulness` are as many again, and its table says it.
LANDED = ("gradient", "lime_mask", "lime_delete")
REVIEWS = 4  # of a shard that `check` computes again
TOLERANCE = 1e-3  # relative: rounding to 12 binary digits is 2.4e-4 of it


def main(arguments):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str
        The action, the results folder, the folder of landed shards.

    Returns
    -------
    str
        What was done, a line.

    Raises
    ------
    PlumblineError
        For other arguments, and as the action.
    """
    actions = {"land": land, "restore": restore, "check": check}
    if len(arguments) != 3 or arguments[0] not in actions:
        raise PlumblineError(
            f"usage: python -m plumbline.theory.landed {'|'.join(actions)} RESULTS_FOLDER LANDED_FOLDER"
        )
    return actions[arguments[0]](Path(arguments[1]), Path(arguments[2]))


def land(results, folder):
    """Copy what is finished into `folder`, and describe it in manifest.json.

    Parameters
    ----------
    results, folder : Path
        The results folder, the folder of landed shards.

    Returns
    -------
    str
        What was done, a line.

    Raises
    ------
    PlumblineError
        Where there is no classifier, or no finished shard.
    """
    metrics = sorted(results.glob("models/*/multihead/seed*/metrics.json"))
    if not metrics:
        raise PlumblineError(
            f"{results} has no multi-head classifier: run `snakemake attention_meets_xai` first"
        )
    folder.mkdir(parents=True, exist_ok=True)
    classifiers = {}
    for file in metrics:
        facts = read_json(file)
        kept = folder / f"metrics_seed{facts['seed']}.json"
        shutil.copyfile(file, kept)
        classifiers[str(facts["seed"])] = {
            "metrics": kept.name,
            "accuracy": facts["accuracy"],
            "training": facts["training"],
            "network": facts["network"],
            "weights_sha256": sha256_of(file.with_name("model.safetensors")),
            "dataset": facts["dataset"],
        }
    shards = []
    for experiment in LANDED:
        for file in sorted(
            results.glob(f"theory/*/seed*/{experiment}/*.parquet"),
            key=lambda file: [read_about(file)[field] for field in ("seed", "shard")],
        ):
            of = read_about(file)
            kept = folder / experiment / f"seed{of['seed']}" / file.name
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, kept)
            shards.append(
                {
                    "experiment": experiment,
                    "shard": of["shard"],
                    "dataset": of["dataset"],
                    "seed": of["seed"],
                    "file": str(kept.relative_to(folder)),
                    "rows": len(read_records(file, ["id"])),
                    "sha256": sha256_of(file),
                    "seconds": _seconds(results, file),
                }
            )
    if not shards:
        raise PlumblineError(f"{results} has no finished shard of {', '.join(LANDED)}: nothing to land")
    shown = read_json(results / "theory" / shards[0]["dataset"] / f"seed{shards[0]['seed']}" / "shown.json")
    for file in sorted(results.glob("tables/attention_meets_xai/*.csv")):
        shutil.copyfile(file, folder / file.name)
    write_json(
        folder / "manifest.json",
        {
            "command": f"snakemake --cores 2 --configfile config.{results.name}.yaml -- attention_meets_xai",
            "scale": results.name,
            "commit": _commit(),
            "versions": {
                "plumbline": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy", "scipy")},
            },
            "processor": platform.processor() or platform.machine(),
            "classifiers": classifiers,
            "lime": {name: shown[name] for name in ("samples", "repeats")},
            "shards": shards,
            "rows": {
                name: {
                    seed: sum(
                        item["rows"]
                        for item in shards
                        if (item["experiment"], str(item["seed"])) == (name, seed)
                    )
                    for seed in classifiers
                }
                for name in LANDED
            },
        },
    )
    return f"{len(shards)} shards, {sum(item['rows'] for item in shards)} rows in {folder}"


def _seconds(results, file):
    """Wall-clock seconds of a shard's job; None where its benchmark file is not there."""
    benchmark = results / "benchmarks" / file.relative_to(results).with_suffix(".json")
    if not benchmark.is_file():
        return None
    return read_json(benchmark)["seconds"]


def _commit():
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return found.stdout.strip() or None


def _checked(results, folder):
    """The manifest's shards whose classifier is the one in `results`; PlumblineError where it is another."""
    manifest = read_json(folder / "manifest.json")
    for item in manifest["shards"]:
        kept = folder / item["file"]
        if not kept.is_file() or sha256_of(kept) != item["sha256"]:
            raise PlumblineError(f"wrong checksum of {kept}: it is not what {folder}/manifest.json lists")
        weights = (
            results / "models" / item["dataset"] / "multihead" / f"seed{item['seed']}" / "model.safetensors"
        )
        if not weights.is_file():
            raise PlumblineError(f"missing file {weights}: make it with `snakemake` first")
        if sha256_of(weights) != manifest["classifiers"][str(item["seed"])]["weights_sha256"]:
            raise PlumblineError(
                f"{weights} is another model than the one whose shards are landed (its weights differ, as they may on "
                "another machine): run all shards again"
            )
        yield item, kept, weights


def restore(results, folder):
    """Copy landed shards to their places in `results`, where they are missing.

    Parameters
    ----------
    results, folder : Path
        The results folder, the folder of landed shards.

    Returns
    -------
    str
        What was done, a line.

    Raises
    ------
    PlumblineError
        For a wrong checksum, and where the classifier is missing or another one.
    """
    done = 0
    for item, kept, _ in _checked(results, folder):
        goal = results / "theory" / item["dataset"] / f"seed{item['seed']}" / item["experiment"] / kept.name
        if not goal.exists():
            # Shards that were landed earlier do not say what they are of.
            with about({key: item[key] for key in ("dataset", "seed", "experiment", "shard")}):
                gather_rows(goal, [kept], kind="theory")
            done += 1
    return f"{done} shards put back into {results}"


def check(results, folder):
    """Compute REVIEWS reviews of every landed shard again, and compare.

    Parameters
    ----------
    results, folder : Path
        The results folder, the folder of landed shards.

    Returns
    -------
    str
        What was done, a line.

    Raises
    ------
    PlumblineError
        For the first number that differs, and as `restore`.
    """
    import tempfile

    from .experiments import order, run_shard

    count, settings = 0, read_json(folder / "manifest.json")["lime"]
    for item, kept, weights in _checked(results, folder):
        data = results / "data" / item["dataset"] / "test.parquet"
        rows = read_records(kept)
        places = order(item["dataset"], len(read_records(data, ["id"])))
        first = int(np.flatnonzero(places == rows[0]["id"])[0])
        with tempfile.TemporaryDirectory() as made:
            again = f"{made}/again.parquet"
            # A shard of REVIEWS reviews that begins where the landed one does: the rows depend on no neighbour.
            run_shard(
                item["experiment"],
                files={
                    "weights": weights,
                    "vocabulary": weights.with_name("vocabulary.json"),
                    "metrics": weights.with_name("metrics.json"),
                },
                data=data,
                shard=0,
                start=first,
                size=REVIEWS,
                reviews=first + REVIEWS,
                dataset=item["dataset"],
                seed=item["seed"],
                output=again,
                **settings,
            )
            for one, other in zip(read_records(again), rows, strict=False):
                for name, value in one.items():
                    if not np.isclose(value, other[name], rtol=TOLERANCE, atol=1e-6):
                        raise PlumblineError(
                            f"{kept}: review {other['id']}, {name} is {other[name]}, computed again {value}"
                        )
                count += 1
    return f"{count} reviews computed again: all numbers agree to {TOLERANCE:g}"


if __name__ == "__main__":
    with one_line_errors():
        print(main(sys.argv[1:]))
