# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files
# OUTPUTS  results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet, correlations with the input gradient by layer, of
#          the runs that have the method `selective`
# STEPS    rollouts


rule rollouts:
    input:
        unpack(model_files),
        data=run_data,
    output:
        at("rollouts"),
    log:
        log_of("rollouts", "{dataset}/{model}/seed{seed}"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("rollouts"),
        choice=lambda wc: choice_of(config, run_at(wc)),
        options=rollouts_options(),
    script:
        "../scripts/rollouts.py"
