# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, the model's files
# OUTPUTS  results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts and protocols;
#          results/{scale}/benchmarks/faithfulness/..., and results/{scale}/benchmarks/work/...json: passes asked
#          for and run, their tokens and padding, and seconds; outside the promise of equal bytes
# STEPS    faithfulness


rule faithfulness:
    input:
        unpack(model_files),
        attributions=at("attributions"),
        code=faithfulness_code,
    output:
        curves=at("faithfulness"),
        work=at("work"),
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
