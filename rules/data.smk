# INPUTS   a generated corpus: nothing. A mirror: the folder of `mirror:` or PLUMBLINE_MIRROR, checked against its
#          SHA256SUMS in the job. Hub and url: the downloads below.
# OUTPUTS  results/{scale}/data/{dataset}/{split}.parquet; `snakemake mirror`: the folder of `mirror:` or PLUMBLINE_MIRROR, or
#          mirror/, with all that the configuration downloads, SHA256SUMS, and manifest.json (source, revision, licence, size)
# STEPS    download_dataset (hub and url alone, on the submitting machine), data; mirror, for runs without a network


rule download_dataset:
    output:
        at("dataset_downloads"),
    log:
        log_of("downloads", "datasets/{dataset}/{file}"),
    wildcard_constraints:
        file=".+",
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_dataset"),
        item=lambda wc: download_items(wc.dataset)[wc.file],
    script:
        "../scripts/download_dataset.py"


rule data:
    input:
        downloads=dataset_downloads,
    output:
        at("data"),
    log:
        log_of("data", "{dataset}/{split}"),
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
        log_of("downloads", "mirror"),
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("mirror"),
        files=mirror_items(),
        checkpoints=sorted(hub_checkpoints().values(), key=str),
    script:
        "../scripts/mirror.py"
