"""What resources/published.yaml holds for one model: the published numbers that may stand beside ours."""

from pathlib import Path

PUBLISHED = Path(__file__).resolve().parents[3] / "resources" / "published.yaml"


def all_entries(key):
    """Every entry of one key (a table's id), in the file's order."""
    import yaml

    return yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))[key]


def entries_of(key, dataset, metrics):
    """The entries of one key (a table's id) for a data set and a model's architecture, in the file's order.

    metrics: the model's metrics.json. `checkpoint` of each says whether the model is the published one: 'same' or
    'other'.
    """
    wanted = (dataset, metrics["architecture"])
    return [
        {**entry, "checkpoint": checkpoint(entry, metrics)}
        for entry in all_entries(key)
        if (entry["dataset"], entry["architecture"]) == wanted
    ]


def checkpoint(entry, *metrics):
    """'same' where our models are the entry's checkpoints, fetched and not trained further; else 'other'.

    metrics: the metrics.json of one model, or of as many as the entry compares.
    """
    # The hub has moved repositories between owners, so the names alone are compared.
    wanted = [name.strip().split("/")[-1] for name in entry["checkpoint"].split(";")]
    found = [str(facts.get("repo")).split("/")[-1] for facts in metrics]
    fetched = all(facts["source"] == "hub" and not facts["epochs"] for facts in metrics)
    return "same" if fetched and wanted == found else "other"


def in_print(rows):
    """The note below a table on its published numbers; rows: those that have a published_value, at least one."""
    other = " (another checkpoint than this model)" if "other" in set(rows["published_checkpoint"]) else ""
    return f"In print{other}: {rows['published_source'].iloc[0]}."
