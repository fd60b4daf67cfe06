# INPUTS   results/{scale}/data/{dataset}/{train,test}.parquet; a hub checkpoint under results/{scale}/downloads/models/, or
#          a file of the mirror
# OUTPUTS  results/{scale}/models/{dataset}/{model}/seed{seed}/{model.safetensors,config.json,metrics.json} of image models
# STEPS    download_image_model (hub alone, on the submitting machine), image_model

from plumbline.workflow.downloads import image_checkpoints, image_model_downloads
from plumbline.workflow.model_data import image_data, labels_fit


rule download_image_model:
    output:
        "results/<scale>/downloads/models/{repo}/{file}",
    log:
        "results/<scale>/logs/downloads/models/{repo}/{file}.log",
    wildcard_constraints:
        repo=one_of([repo for repo, _ in image_checkpoints(config)]),
        file=one_of([file for _, file in image_checkpoints(config)]),
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_dataset"),
        item=lambda wc: image_checkpoints(config)[wc.repo, wc.file],
    script:
        "../scripts/download_dataset.py"


rule image_model:
    input:
        unpack(lambda wc: image_data(config, wc.dataset, wc.model)),
        checkpoint=lambda wc: image_model_downloads(config, wc.model),
    output:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        cost="results/<scale>/benchmarks/models/{dataset}/{model}/seed{seed}/training.json",
    log:
        "results/<scale>/logs/models/{dataset}/{model}/seed{seed}.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=lambda wc: code_of("image_model", f"datasets.{wc.dataset}"),
        block=lambda wc: config["image_models"][wc.model],
        labels=lambda wc: labels_fit(config, wc.dataset, wc.model),
    script:
        "../scripts/image_model.py"
