# Helpers of the rules: inputs, patterns of wildcards, resources. No rule stands here.
import os
import re
import shutil
import sys
from pathlib import Path

# The code that runs is the checkout's, here and in every script job, which inherits the environment.
# The checkout: where this file lies, also when another workflow takes this one as a module.
CHECKOUT = Path(str(workflow.current_basedir)).resolve().parent
SRC = str(CHECKOUT / "src")
sys.path.insert(0, SRC)
os.environ.update(
    PYTHONPATH=os.pathsep.join([SRC, *filter(None, [os.environ.get("PYTHONPATH")])]),
    HF_HUB_OFFLINE="1",
)

from plumbline.config import (
    choice_of,
    dataset_config,
    layered_methods,
    methods_of,
    model_config,
    protocols_of,
    readouts_of,
    registries,
    scored_split,
)
from plumbline.workflow.code_digest import code_of, download_code, metrics_code, output_code
from plumbline.workflow.job import fields_of
from plumbline.workflow.model_data import data_of
from plumbline.workflow.outputs import is_cost, output_about, output_entry, output_inputs, output_names
from plumbline.workflow.run import (
    at_start,
    at_success,
    check_files,
    say,
    scale_line,
    stop_at_unknown_targets,
    validated,
)
from plumbline.workflow.stages import ATTRIBUTIONS, FAITHFULNESS, MODELS, text_models
from plumbline.workflow.study import rules_of, studies
from plumbline.workflow.targets import final_output


def files(stage, name):
    """A function of wildcards: the files of one output of a stage, of the rows with these wildcards."""
    return lambda wc: stage.files(config, name, **fields_of(wc))


def shard_files(stage, name):
    """A function of wildcards: the parts of one output, of a run that is computed in parts."""
    return lambda wc: stage.shard_files(config, name, **fields_of(wc))


def run_at(wc):
    """The run of a text model."""
    return run_in(MODELS, wc)


def run_data(wc):
    """The split that the run of a text model explains."""
    return data_of(config, wc.dataset, run_at(wc)["split"])


def run_in(stage, wc):
    """The run behind the files of a stage with these wildcards."""
    return stage.run(config, **fields_of(wc))


def faithfulness_code(wc):
    """The code of the run's protocols for a method."""
    names = sorted({entry["protocol"] for entry in protocols_of(config, run_at(wc), wc.method)})
    return code_of("faithfulness", *(f"faithfulness.{name}" for name in names))


def one_of(names):
    """A wildcard's pattern: one of these names; one that nothing matches where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def runs_in_shards(rows, sharded):
    """A pattern for the wildcard `dataset` that matches in paths of the models that are computed in parts, or are not."""
    return of_runs(rows, lambda run: (run["shards"] > 1) == sharded)


def of_runs(rows, wanted):
    """A pattern for the wildcard `dataset` that matches in paths of those models of `rows` whose run is wanted."""
    kept = [row for row in rows if wanted(row.run)]
    if len(kept) == len(rows):
        return one_of(config["datasets"])
    models = ["{dataset}(?=/{model}/seed{seed}/)".format(**row.fields) for row in kept]
    return "|".join(dict.fromkeys(models)) or one_of([])


def outputs_named(kind, cost=False, html=False):
    """A wildcard's pattern: every name of a table or figure, enabled or not."""
    entries = [
        entry
        for entry in registries()[kind].values()
        if (is_cost(entry), "html" in entry.formats) == (cost, html)
    ]
    return one_of(name for entry in entries for name in output_names(config, kind, entry.id))


def of_checkout(file):
    """A file of the checkout, seen from the working directory: as it is in the usual one, so that moving both changes nothing."""
    return os.path.relpath(os.path.join(CHECKOUT, file))


def model_job():
    """The resources of a job that runs a model. Cluster nodes may have GPUs that this machine has not: `device: cuda`."""
    here = shutil.which("nvidia-smi") is not None
    gpus = int(config["device"] == "cuda" or (config["device"] == "auto" and here))
    return {"torch_threads": config["torch_threads"], "device": config["device"], "gpu": gpus}
