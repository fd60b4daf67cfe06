# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet of every method of the run
# OUTPUTS  results/{scale}/agreement/{dataset}/{model}/seed{seed}.parquet, every pair of the run's readouts
# STEPS    agreement


rule agreement:
    input:
        attributions=files(ATTRIBUTIONS, "attributions"),
    output:
        "results/<scale>/agreement/{dataset}/{model}/seed{seed}.parquet",
    log:
        "results/<scale>/logs/agreement/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    params:
        code=metrics_code("agreement"),
        readouts=lambda wc: {name: readouts_of(run_at(wc), name) for name in methods_of(run_at(wc))},
        bootstrap=config["bootstrap"],
    script:
        "../scripts/agreement.py"
