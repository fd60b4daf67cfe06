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

    return {
        "datasets": DATASETS,
        "methods": METHODS,
        "protocols": PROTOCOLS,
        "figures": FIGURES,
        "tables": TABLES,
    }


# ------------------------------------------------------------------------------------ blocks, as jobs see them


def dataset_config(config, dataset):
    """A data set's block, with the defaults of its registry entry.

    Parameters
    ----------
    config : dict
        The validated configuration.
    dataset : str
        Id of the data set.

    Returns
    -------
    dict
        Every key of the data set; `source` is always a name.
    """
    from .datasets import settings

    block = config["datasets"][dataset]
    return settings(dataset, {key: value for key, value in block.items() if (key, value) != ("source", None)})


def model_config(config, dataset, model, seed=0):
    """A model's block as it applies to one data set and training seed.

    Parameters
    ----------
    config : dict
        The validated configuration.
    dataset, model : str
        Ids of the data set and the model.
    seed : int
        The training seed. `{seed}` in the name of a hub repository becomes this number.

    Returns
    -------
    dict
        What the model's source reads, and `training` (None: the model is taken as it is).
    """
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
    """The split on which accuracy is measured.

    Parameters
    ----------
    config : dict
        The validated configuration.
    run : dict
        One of `runs`.

    Returns
    -------
    str
        The explained split, or validation where the labels of that split are hidden.
    """
    source = dataset_config(config, run["dataset"])["source"]
    hidden = registries()["datasets"][run["dataset"]].hidden.get(source, ())
    return "validation" if run["split"] in hidden else run["split"]


def methods_of(run):
    """The methods of a run, controls included.

    Parameters
    ----------
    run : dict
        One of `runs`.

    Returns
    -------
    list of str
        Ids of methods, in the registry's order.
    """
    methods = registries()["methods"]
    return [name for name, method in methods.items() if name in run["methods"] or method.control]


def choice_of(config, run):
    """Which examples of its split a run explains.

    Parameters
    ----------
    config : dict
        The validated configuration.
    run : dict
        One of `runs`.

    Returns
    -------
    dict
        Arguments of `plumbline.attribution.artefact.run_examples`.
    """
    most = config["models"][run["model"]]["max_tokens"]
    return {"max_tokens": most} | {key: run[key] for key in ("examples", "within", "longer")}


def readouts_of(run, method):
    """The readouts of a method that a run computes.

    Parameters
    ----------
    run : dict
        One of `runs`.
    method : str
        Id of the method.

    Returns
    -------
    list of str
        Ids of readouts, in the registry's order. All controls are among them; the oracle is on known-truth data alone.
    """
    entries = registries()
    entry, wanted = entries["methods"][method], run["readouts"]
    truth = entries["datasets"][run["dataset"]].known_truth
    return [
        item.id
        for item in entry.readouts
        if (truth or not item.known_truth) and (wanted is None or entry.control or item.id in wanted)
    ]


def layered_methods(config, run):
    """The readouts of a run that are products of layer matrices.

    Published definitions are left out, since matrices are large.

    Parameters
    ----------
    config : dict
        The validated configuration.
    run : dict
        One of `runs`.

    Returns
    -------
    dict of str to dict
        Method -> {readouts, parameters}.
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
    """What the faithfulness job of one method computes.

    Parameters
    ----------
    config : dict
        The validated configuration.
    run : dict
        One of `runs`.
    method : str
        Id of the method.

    Returns
    -------
    list of dict
        {protocol, readouts, examples, cap}, in the configuration's order.
    """
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
