# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files
# OUTPUTS  results/{scale}/isotropy/{dataset}/{model}/seed{seed}.parquet, cosines of two positions' vectors by layer
# STEPS    isotropy


rule isotropy:
    input:
        unpack(model_files),
        data=run_data,
    output:
        at("isotropy"),
    log:
        log_of("isotropy", "{dataset}/{model}/seed{seed}"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("isotropy"),
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/isotropy.py"
