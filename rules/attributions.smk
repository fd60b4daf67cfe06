# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the method's module
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts of the method;
#          results/{scale}/benchmarks/attributions/...
# STEPS    attributions


rule attributions:
    input:
        unpack(model_files),
        data=run_data,
        code=attribution_code,
    output:
        at("attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/{method}"),
    benchmark:
        at("benchmarks", stage="attributions")
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        parameters=lambda wc: method_config(config, wc.method),
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/attributions.py"
