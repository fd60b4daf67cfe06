# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files
# OUTPUTS  results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet, correlations with the input gradient by layer, of
#          the runs that have the method `selective`
# STEPS    rollouts


rule rollouts:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        data=run_data,
    output:
        "results/<scale>/rollouts/{dataset}/{model}/seed{seed}.parquet",
    log:
        "results/<scale>/logs/rollouts/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("rollouts"),
        choice=lambda wc: choice_of(config, run_at(wc)),
        options={
            key: config["selective_rollout"][key]
            for key in ("thresholds", "scaled_thresholds", "flow_examples", "flow_tokens")
            if config["selective_rollout"]
        },
    script:
        "../scripts/rollouts.py"
