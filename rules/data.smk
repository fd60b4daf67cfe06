# INPUTS   a generated corpus: nothing. A mirror: the folder of `mirror:` or PLUMBLINE_MIRROR, checked against its
#          SHA256SUMS in the job. Hub and url: the downloads below.
# OUTPUTS  results/{scale}/data/{dataset}/{split}.parquet
# STEPS    download_dataset (hub and url alone, on the submitting machine), data


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
        item=lambda wc: download_items(wc.dataset)[wc.file],
    script:
        "../scripts/download_dataset.py"


rule data:
    input:
        downloads=dataset_downloads,
        code=lambda wc: modules(f"datasets.{wc.dataset}"),
    output:
        at("data"),
    log:
        log_of("data", "{dataset}/{split}"),
    conda:
        "../envs/plumbline.yaml"
    params:
        block=lambda wc: dataset_config(config, wc.dataset),
    script:
        "../scripts/data.py"
