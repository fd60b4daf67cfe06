# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, the model's files
# OUTPUTS  results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts and protocols;
#          results/{scale}/benchmarks/faithfulness/...
# STEPS    faithfulness


rule faithfulness:
    input:
        unpack(model_files),
        attributions=at("attributions"),
        code=faithfulness_code,
    output:
        at("faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/{method}"),
    benchmark:
        at("benchmarks", stage="faithfulness")
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        protocols=lambda wc: protocols_of(config, run_at(wc), wc.method),
    script:
        "../scripts/faithfulness.py"
