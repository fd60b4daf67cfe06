# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files
# OUTPUTS  results/{scale}/isotropy/{dataset}/{model}/seed{seed}.parquet, cosines of two positions' vectors by layer
# STEPS    isotropy


rule isotropy:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        data=run_data,
    output:
        "results/<scale>/isotropy/{dataset}/{model}/seed{seed}.parquet",
    log:
        "results/<scale>/logs/isotropy/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("isotropy"),
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/isotropy.py"
