# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the modules of the run's layered methods
# OUTPUTS  results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet, the matrices of the chosen examples
# STEPS    contributions


rule contributions:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        data=run_data,
    output:
        "results/<scale>/contributions/{dataset}/{model}/seed{seed}.parquet",
    log:
        "results/<scale>/logs/contributions/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=lambda wc: code_of(
            "contributions", *(f"attribution.{name}" for name in layered_methods(config, run_at(wc)))
        ),
        methods=lambda wc: layered_methods(config, run_at(wc)),
        wanted=config["heatmap_examples"],
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/contributions.py"
