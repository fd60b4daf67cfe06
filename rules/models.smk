# INPUTS   results/{scale}/data/{dataset}/{split}.parquet: the split that the run explains and, where the model is
#          trained, train; a hub checkpoint under results/{scale}/downloads/models/
# OUTPUTS  results/{scale}/models/{dataset}/{model}/seed{seed}/{model.safetensors,config.json,tokenizer.json,
#          tokenizer_config.json,metrics.json}; results/{scale}/benchmarks/models/...
# STEPS    download_model (hub alone, on the submitting machine), model

from plumbline.workflow.downloads import hub_checkpoints, model_downloads
from plumbline.workflow.model_data import training_data


rule download_model:
    output:
        weights="results/<scale>/downloads/models/{repo}/model.safetensors",
        architecture="results/<scale>/downloads/models/{repo}/config.json",
        files="results/<scale>/downloads/models/{repo}/files.json",
    log:
        "results/<scale>/logs/downloads/models/{repo}.log",
    wildcard_constraints:
        repo=one_of(hub_checkpoints(config)),
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_model"),
        repo=lambda wc: hub_checkpoints(config)[wc.repo][0],
        revision=lambda wc: hub_checkpoints(config)[wc.repo][1],
    script:
        "../scripts/download_model.py"


rule model:
    input:
        unpack(lambda wc: training_data(config, wc.dataset, wc.model, wc.seed)),
        checkpoint=lambda wc: model_downloads(config, wc.dataset, wc.model, wc.seed),
    output:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        tokenizer="results/<scale>/models/{dataset}/{model}/seed{seed}/tokenizer.json",
        tokenizer_config="results/<scale>/models/{dataset}/{model}/seed{seed}/tokenizer_config.json",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        cost="results/<scale>/benchmarks/models/{dataset}/{model}/seed{seed}/training.json",
    log:
        "results/<scale>/logs/models/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("model"),
        block=lambda wc: model_config(config, wc.dataset, wc.model, wc.seed),
        split=lambda wc: scored_split(config, run_at(wc)),
        label_names=lambda wc: list(registries()["datasets"][wc.dataset].label_names),
    script:
        "../scripts/model.py"
