# INPUTS   results/{scale}/data/{dataset}/{train,test}.parquet; a hub checkpoint under results/{scale}/downloads/models/, or
#          a file of the mirror
# OUTPUTS  results/{scale}/models/{dataset}/{model}/seed{seed}/{model.safetensors,config.json,metrics.json} of image models
# STEPS    download_image_model (hub alone, on the submitting machine), image_model


rule download_image_model:
    output:
        at("model_downloads"),
    log:
        log_of("downloads", "models/{repo}/{file}"),
    wildcard_constraints:
        repo=one_of([repo for repo, _ in image_checkpoints()]),
        file=one_of([file for _, file in image_checkpoints()]),
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_dataset"),
        item=lambda wc: image_checkpoints()[wc.repo, wc.file],
    script:
        "../scripts/download_dataset.py"


rule image_model:
    input:
        unpack(image_data),
        checkpoint=image_downloads,
    output:
        weights=at("weights"),
        architecture=at("architecture"),
        metrics=at("metrics"),
        cost=at("benchmarks", stage="models", method="training"),
    log:
        log_of("models", "{dataset}/{model}/seed{seed}"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=lambda wc: code_of("image_model", f"datasets.{wc.dataset}"),
        block=lambda wc: config["image_models"][wc.model],
        labels=lambda wc: labels_fit(wc),
    script:
        "../scripts/image_model.py"
