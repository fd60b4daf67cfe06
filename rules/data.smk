# INPUTS   a generated corpus: nothing. A mirror: the folder of `mirror:` or PLUMBLINE_MIRROR, checked against its
#          SHA256SUMS in the job. Hub and url: the downloads below.
# OUTPUTS  results/{scale}/data/{dataset}/{split}.parquet; `snakemake mirror`: the folder of `mirror:` or PLUMBLINE_MIRROR, or
#          mirror/, with all that the configuration downloads, SHA256SUMS, and manifest.json (source, revision, licence, size)
# STEPS    download_dataset (hub and url alone, on the submitting machine), data; mirror, for runs without a network

from plumbline.datasets import schema_of
from plumbline.workflow.downloads import (
    dataset_downloads,
    dataset_items,
    hub_checkpoints,
    mirror_items,
    mirror_manifest,
)


rule download_dataset:
    output:
        "results/<scale>/downloads/datasets/{dataset}/{file}",
    log:
        "results/<scale>/logs/downloads/datasets/{dataset}/{file}.log",
    wildcard_constraints:
        file=".+",
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_dataset"),
        item=lambda wc: dataset_items(config, wc.dataset)[wc.file],
    script:
        "../scripts/download_dataset.py"


rule data:
    input:
        downloads=lambda wc: dataset_downloads(config, wc.dataset),
    output:
        "results/<scale>/data/{dataset}/{split}.parquet",
    log:
        "results/<scale>/logs/data/{dataset}/{split}.log",
    conda:
        "../envs/plumbline.yaml"
    params:
        code=lambda wc: code_of("data", f"datasets.{wc.dataset}", f"schemas/{schema_of(wc.dataset)}"),
        block=lambda wc: dataset_config(config, wc.dataset),
    script:
        "../scripts/data.py"


rule mirror:
    output:
        update(mirror_manifest()),
    log:
        "results/<scale>/logs/downloads/mirror.log",
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("mirror"),
        files=lambda wc: mirror_items(config),
        checkpoints=lambda wc: sorted(hub_checkpoints(config).values(), key=str),
    script:
        "../scripts/mirror.py"
