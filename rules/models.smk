# INPUTS   results/{scale}/data/{dataset}/{split}.parquet: the split that the run explains and, where the model is
#          trained, train; a hub checkpoint under results/{scale}/downloads/models/
# OUTPUTS  results/{scale}/models/{dataset}/{model}/seed{seed}/{model.safetensors,config.json,tokenizer.json,
#          tokenizer_config.json,metrics.json}; results/{scale}/benchmarks/models/...
# STEPS    download_model (hub alone, on the submitting machine), model


rule download_model:
    output:
        weights=at("model_downloads", file="model.safetensors"),
        architecture=at("model_downloads", file="config.json"),
        files=at("model_downloads", file="files.json"),
    log:
        log_of("downloads", "models/{repo}"),
    wildcard_constraints:
        repo=one_of(hub_checkpoints()),
    retries: 3
    localrule: True
    conda:
        "../envs/plumbline.yaml"
    params:
        code=download_code("download_model"),
        repo=lambda wc: hub_checkpoints()[wc.repo][0],
        revision=lambda wc: hub_checkpoints()[wc.repo][1],
    script:
        "../scripts/download_model.py"


rule model:
    input:
        unpack(training_data),
        checkpoint=model_downloads,
    output:
        weights=at("weights"),
        architecture=at("architecture"),
        tokenizer=at("tokenizer"),
        tokenizer_config=at("tokenizer_config"),
        metrics=at("metrics"),
        cost=at("benchmarks", stage="models", method="training"),
    log:
        log_of("models", "{dataset}/{model}/seed{seed}"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("model"),
        block=lambda wc: model_config(config, wc.dataset, wc.model, wc.seed),
        split=lambda wc: scored_split(config, run_at(wc)),
        label_names=lambda wc: list(registries()["datasets"][wc.dataset].label_names),
    script:
        "../scripts/model.py"
