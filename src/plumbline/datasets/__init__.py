"""The data sets: one module each, whose ENTRY says what it is and where it comes from.

A config block (`config["datasets"][id]`) has `source` (the first of ENTRY.sources by default) and the keys
of ENTRY.parameters. Every data set of texts has the splits train, validation and test.

A module's `rows(split, block, files)` returns the columns of the data set's schema (`schema_of`) but `id`, as a list of
dicts or a DataFrame in the source's order; `files(name)` is the path of the raw file that ENTRY.sources names, or of a
file of the mirror by its own path.
"""

import importlib
from pathlib import Path

from ..errors import PlumblineError, unknown
from ..registry import discover
from .sources import mirror_file

DATASETS = discover("plumbline.datasets", "dataset")

HIDDEN = -1  # the label of a row whose source hides it (GLUE's SST-2 test split on the hub)


CHOICES = {
    "order": ("source", "shuffled"),
    "train_on": ("sentences", "phrases"),
    "labels": ("corrected", "published"),
}


def settings(dataset, block):
    """The block of a data set in the configuration, completed with defaults.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    block : dict
        Keys and values of the configuration.

    Returns
    -------
    dict
        Every key of the data set; `source` is always a name.

    Raises
    ------
    PlumblineError
        For an unknown key, source or choice, or a number of rows that is none.
    """
    entry = DATASETS[dataset]
    defaults = {"source": next(iter(entry.sources)), **entry.parameters}
    for key in block:
        if key not in defaults:
            raise unknown(f"key of dataset '{dataset}'", key, defaults)
    block = {**defaults, **block, "source": block.get("source") or defaults["source"]}
    if block["source"] not in entry.sources:
        raise unknown(f"source of dataset '{dataset}'", block["source"], entry.sources)
    for key, value in block.items():
        if value is None and defaults[key] is None:
            continue
        if key in CHOICES and value not in CHOICES[key]:
            raise unknown(f"{key} of dataset '{dataset}'", value, CHOICES[key])
        if key in (*entry.splits, "seed", "size") and (type(value) is not int or value < (key != "seed")):
            raise PlumblineError(
                f"datasets.{dataset}.{key} is {value!r}: expected a whole number"
                f", {int(key != 'seed')} or more"
            )
    return block


def raw_files(dataset, block):
    """The raw files of a data set that are downloaded.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    block : dict
        See `settings`.

    Returns
    -------
    list of dict
        What `sources.fetch` takes: `name` (of the file in the data set's download folder), `kind` and `sha256` (None where only
        the lock file knows it); of kind 'hub' also repo, repo_type, filename and revision; of kind 'url' also url. Empty for
        generated and mirrored data.
    """
    block = settings(dataset, block)
    if block["source"] not in ("hub", "url"):
        return []
    items = []
    for name, item in sorted(DATASETS[dataset].sources[block["source"]].items()):
        item = {"name": name, "kind": "url" if "url" in item else "hub", "sha256": None, **item}
        # The known checksums belong to the known place.
        if item["kind"] == "url" and block["url"]:
            # Of one such file its address, of several their folder's.
            several = sum("url" in other for other in DATASETS[dataset].sources["url"].values()) > 1
            item |= {"url": f"{block['url'].rstrip('/')}/{name}" if several else block["url"], "sha256": None}
        if item.get("repo_type") == "dataset" and block["revision"]:
            item |= {"revision": block["revision"], "sha256": None}
        items.append(item)
    return items


def schema_of(dataset):
    """The artefact schema of a data set's rows.

    Parameters
    ----------
    dataset : str
        Id of the data set.

    Returns
    -------
    {'data', 'images'}
        images for image data sets.
    """
    return "images" if DATASETS[dataset].task == "images" else "data"


def load(dataset, split, block, *, mirror=None, downloads=None):
    """Read one split of a data set.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    split : str
        One of the data set's splits.
    block : dict
        config["datasets"][dataset]. Missing keys have their defaults.
    mirror : path_like, optional
        The mirror folder of `source: mirror`. None: PLUMBLINE_MIRROR.
    downloads : path_like, optional
        Of hub and url sources: the folder that holds `<dataset>/<name>` for each of `raw_files`.

    Returns
    -------
    pandas.DataFrame
        One row an example, in the source's order, with the columns of `schema_of`. `id` counts the rows from 0. Labels are indices
        of ENTRY.label_names, or -1 where the source hides them.

    Raises
    ------
    PlumblineError
        For an unknown split, key or source, a missing, damaged or altered file, and an empty text.
    """
    import pandas as pd

    entry, block = DATASETS[dataset], settings(dataset, block)
    if split not in entry.splits:
        raise unknown(f"split of dataset '{dataset}'", split, entry.splits)
    source = entry.sources[block["source"]]

    def files(name):
        if block["source"] == "mirror":
            return mirror_file(mirror, source.get(name, name))
        if downloads is None:
            raise PlumblineError(f"no download folder for {name} of dataset '{dataset}'")
        path = Path(downloads) / dataset / name
        if not path.is_file():
            raise PlumblineError(f"missing download {path}: make it with `snakemake {path}`")
        return path

    module = importlib.import_module(f"{__name__}.{dataset}")
    frame = pd.DataFrame(module.rows(split, block, files)).reset_index(drop=True)
    hidden = split in entry.hidden.get(block["source"], ())
    _check(frame, f"{split} split of dataset '{dataset}' ({block['source']})", entry, hidden)
    frame.insert(0, "id", range(len(frame)))
    return frame


def _check(frame, what, entry, hidden):
    if not len(frame):
        raise PlumblineError(f"the {what} has no rows")
    for column in [name for name in ("text", "text_pair") if name in frame]:
        empty = frame.index[frame[column].fillna("").str.strip() == ""]
        if len(empty):
            raise PlumblineError(f"row {empty[0]} of the {what} has an empty {column}: correct the source")
    if not entry.label_names:
        return
    legal = [*range(len(entry.label_names)), *([HIDDEN] if hidden else [])]
    wrong = frame.index[~frame["label"].isin(legal)]
    if len(wrong):
        raise PlumblineError(
            f"row {wrong[0]} of the {what} has the label {frame['label'][wrong[0]]}; "
            f"legal: 0 to {len(entry.label_names) - 1}"
        )
