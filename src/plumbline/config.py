"""Each block of the configuration as its jobs see it; what is legal in it: workflow/config.py.

No torch here: every `snakemake` call imports this module.
"""

import functools


@functools.cache
def registries():
    """The registries whose entries a configuration names, by the name of their block."""
    from .attribution import METHODS
    from .datasets import DATASETS
    from .faithfulness import PROTOCOLS
    from .figures import FIGURES
    from .tables import TABLES

    computed = {"datasets": DATASETS, "methods": METHODS, "protocols": PROTOCOLS}
    return computed | {"figures": FIGURES, "tables": TABLES}


# ------------------------------------------------------------------------------------ blocks, as jobs see them


def dataset_config(config, dataset):
    """A data set's block, its registry entry's defaults filled in; `source` is always a name."""
    from .datasets import settings

    block = config["datasets"][dataset]
    return settings(dataset, {key: value for key, value in block.items() if (key, value) != ("source", None)})


def model_config(config, dataset, model, seed=0):
    """A model's block as it applies to one data set and training seed: what its source reads, `training` (None: as it
    is), no more. `{seed}` in the name of a hub repository becomes the seed."""
    block = config["models"][model]
    found = {key: block[key] for key in ("architecture", "source", "training")}
    found |= {key: value for key, value in block.items() if key != "max_tokens"}
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


def methods_of(run):
    """A run's methods in the registry's order, controls included."""
    methods = registries()["methods"]
    return [name for name, method in methods.items() if name in run["methods"] or method.control]


def choice_of(config, run):
    """Which examples of its split a run explains: the arguments of `plumbline.attribution.artefact.run_examples`."""
    most = config["models"][run["model"]]["max_tokens"]
    return {"max_tokens": most} | {key: run[key] for key in ("examples", "within", "longer")}


def readouts_of(run, method):
    """The readouts of a method that a run takes up, in the registry's order; all controls, the oracle on known-truth data alone."""
    entries = registries()
    entry, wanted = entries["methods"][method], run["readouts"]
    truth = entries["datasets"][run["dataset"]].known_truth
    return [
        item.id
        for item in entry.readouts
        if (truth or not item.known_truth) and (wanted is None or entry.control or item.id in wanted)
    ]


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
            found[method] = {"readouts": readouts, "parameters": config["methods"][method]}
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
