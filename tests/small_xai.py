"""The small study of attention_meets_xai: its files and a shard's options."""

from tests.synthetic import OPTIONS, STUDY, WORDS, once, write_table


@once
def study(results):
    """The artefacts of the multi-head classifier's study below `results`, by the jobs themselves; returns `inputs`."""
    import numpy as np

    from plumbline import artefacts
    from plumbline.artefacts import write_rows
    from plumbline.models.multihead_training import train_job
    from plumbline.theory.experiments import run_shard
    from plumbline.theory.shown import write_shown

    dataset, draw = "sentiment", np.random.default_rng(5)
    files = {split: results / f"data/{dataset}/{split}.parquet" for split in ("train", "validation", "test")}
    for split, file in files.items():
        labels = draw.integers(0, 2, 64 if split == "train" else 30)
        texts = [f"the {draw.choice(WORDS)} film was {'good' if label else 'bad'} {draw.choice(WORDS)} story" for label in labels]  # fmt: skip
        write_rows(file, {"id": range(len(labels)), "text": texts, "label": labels}, kind="data")
    inputs = {"classifier": []}
    for seed in STUDY["seeds"]:
        folder = results / f"models/{dataset}/multihead/seed{seed}"
        outputs = {"weights": folder / "model.safetensors", "vocabulary": folder / "vocabulary.json", "metrics": folder / "metrics.json"}  # fmt: skip
        train_job(dataset=dataset, seed=seed, network=STUDY["network"], training=STUDY["training"], files=files, outputs=outputs)  # fmt: skip
        about = {"dataset": dataset, "seed": seed}
        inputs["classifier"].append({**about, "path": outputs["metrics"]})
        common = {
            **about, "files": outputs, "data": files["test"], "samples": STUDY["samples"], "repeats": STUDY["repeats"],
        }  # fmt: skip
        for experiment, reviews in STUDY["reviews"].items():
            path = results / f"theory/{dataset}/seed{seed}/{experiment}/0.parquet"
            with artefacts.about({**about, "experiment": experiment, "shard": 0}):
                run_shard(experiment, shard=0, size=STUDY["shard"], reviews=reviews, output=path, **common)
            inputs.setdefault(f"theory_{experiment}", []).append({**about, "path": path})
        path = results / f"theory/{dataset}/seed{seed}/shown.json"
        write_shown(sentence=None, document_text=None, output=path, **common)
        inputs.setdefault("shown", []).append({**about, "path": path})
    table = results / "tables/attention_meets_xai/xai_faithfulness.csv"
    write_table("xai_faithfulness", inputs, OPTIONS, table, table.with_suffix(".tex"))
    return inputs


def files_of(root):
    folder = root / "models/sentiment/multihead/seed0"
    names = {"weights": "model.safetensors", "vocabulary": "vocabulary.json", "metrics": "metrics.json"}
    return {name: folder / file for name, file in names.items()}


def shard_options(root, **changes):
    return {
        "files": files_of(root),
        "data": root / "data/sentiment/test.parquet",
        "dataset": "sentiment",
        "seed": 0,
        "samples": STUDY["samples"],
        "repeats": STUDY["repeats"],
        "shard": 0,
        "size": 256,
        "reviews": 20,
        **changes,
    }


def xai_study(root):
    """A folder with the study of attention_meets_xai, and its artefacts."""
    return root, study(root)
