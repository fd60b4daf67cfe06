# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the modules of the run's layered methods
# OUTPUTS  results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet, the matrices of the chosen examples
# STEPS    contributions


rule contributions:
    input:
        unpack(model_files),
        data=run_data,
    output:
        at("contributions"),
    log:
        log_of("contributions", "{dataset}/{model}/seed{seed}"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=contributions_code,
        methods=lambda wc: layered_methods(config, run_at(wc)),
        wanted=config["heatmap_examples"],
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/contributions.py"
