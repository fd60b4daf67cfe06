# Plumbline: from data to figures and tables. `snakemake`: the small scale, nothing is downloaded; real data from a mirror:
# `--configfile config.local.yaml`; the published data and checkpoints: `--configfile config.paper.yaml`.
# Each file of rules/ opens with its inputs, outputs and steps; docs/dag.md draws them.
import gc
import time
from pathlib import Path

from snakemake.utils import min_version

min_version("9.12")

# A plan is made of objects that stay. Python would look for garbage among them after every 700 (docs/scaling.md).
gc.set_threshold(100_000, 50, 100)


configfile: Path(str(workflow.current_basedir)) / "config.yaml"


include: "rules/common.smk"


STARTED = time.time()


config = validated(config)
check_files(config, workflow)
say(scale_line(config))


# results/<scale>/ in the rules.
pathvars:
    scale=config["scale"],


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    model=one_of(config["models"]),
    method=one_of(registries()["methods"]),
    seed="[0-9]+",
    split=one_of(sorted({split for entry in registries()["datasets"].values() for split in entry.splits})),


localrules:
    all,


rule all:
    default_target: True
    input:
        final_output(config),


include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/attributions.smk"
include: "rules/faithfulness.smk"
include: "rules/agreement.smk"
include: "rules/isotropy.smk"
include: "rules/images.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"


# Of each study its rules, and a rule that makes all of its enabled tables and figures.
for study in studies():

    include: rules_of(study)

    rule:
        name:
            study
        input:
            final_output(config, study),
        localrule: True


stop_at_unknown_targets(config, workflow, CHECKOUT)


onstart:
    at_start(config, workflow)


onsuccess:
    at_success(config, STARTED)
