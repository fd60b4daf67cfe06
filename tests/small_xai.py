"""The small study of attention_meets_xai: its files and a shard's options."""

from tests.synthetic import STUDY, study


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
