# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, the model's files
# OUTPUTS  results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts and protocols;
#          results/{scale}/benchmarks/faithfulness/..., and results/{scale}/benchmarks/work/...json: passes asked
#          for and run, their tokens and padding, and seconds; outside the promise of equal bytes
# STEPS    faithfulness; of a run with several `shards`: faithfulness_shard, gather_faithfulness


rule faithfulness:
    input:
        unpack(model_files),
        attributions=at("attributions"),
    output:
        curves=at("faithfulness"),
        work=at("work"),
        cost=at("benchmarks", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/{method}"),
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
        code=faithfulness_code,
        protocols=lambda wc: protocols_of(config, run_at(wc), wc.method),
    script:
        "../scripts/faithfulness.py"


use rule faithfulness as faithfulness_shard with:
    output:
        curves=at("faithfulness_shards"),
        work=at("work_shards"),
        cost=at("benchmark_shards", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/{method}/{shard}"),
    wildcard_constraints:
        dataset=runs_in_shards(True),
        shard="[0-9]+",
    params:
        code=faithfulness_code,
        protocols=lambda wc: protocols_of(config, run_at(wc), wc.method),
        shard=shard,


rule gather_faithfulness:
    input:
        rows=shards("faithfulness_shards"),
        work=shards("work_shards"),
        costs=shards("benchmark_shards", stage="faithfulness"),
    output:
        rows=at("faithfulness"),
        work=at("work"),
        cost=at("benchmarks", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/{method}"),
    wildcard_constraints:
        dataset=runs_in_shards(True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/faithfulness"),
        kinds={"rows": "faithfulness"},
    script:
        "../scripts/gather.py"
