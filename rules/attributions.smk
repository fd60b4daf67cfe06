# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the method's module
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts of the method;
#          results/{scale}/benchmarks/attributions/...
# STEPS    attributions; of a run with several `shards`: attributions_shard, gather_attributions


rule attributions:
    input:
        unpack(model_files),
        data=run_data,
    output:
        at("attributions"),
        cost=at("benchmarks", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/{method}"),
    wildcard_constraints:
        dataset=runs_in_shards(False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=attribution_code,
        parameters=lambda wc: method_config(config, wc.method),
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/attributions.py"


use rule attributions as attributions_shard with:
    output:
        at("attribution_shards"),
        cost=at("benchmark_shards", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/{method}/{shard}"),
    wildcard_constraints:
        dataset=runs_in_shards(True),
        shard="[0-9]+",
    params:
        code=attribution_code,
        parameters=lambda wc: method_config(config, wc.method),
        choice=lambda wc: choice_of(config, run_at(wc)),
        shard=shard,


rule gather_attributions:
    input:
        rows=shards("attribution_shards"),
        costs=shards("benchmark_shards", stage="attributions"),
    output:
        rows=at("attributions"),
        cost=at("benchmarks", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/{method}"),
    wildcard_constraints:
        dataset=runs_in_shards(True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/attributions"),
        kinds={"rows": "attributions"},
    script:
        "../scripts/gather.py"
