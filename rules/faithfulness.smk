# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, the model's files
# OUTPUTS  results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts and protocols;
#          results/{scale}/benchmarks/faithfulness/..., and results/{scale}/benchmarks/work/...json: passes asked
#          for and run, their tokens and padding, and seconds; outside the promise of equal bytes
# STEPS    faithfulness; of a run with several `shards`: faithfulness_shard, gather_faithfulness


rule faithfulness:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        attributions="results/<scale>/attributions/{dataset}/{model}/seed{seed}/{method}.parquet",
    output:
        curves="results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet",
        work="results/<scale>/benchmarks/work/{dataset}/{model}/seed{seed}/{method}.json",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/{method}.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/{method}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=faithfulness_code,
        protocols=lambda wc: protocols_of(config, run_at(wc), wc.method),
    script:
        "../scripts/faithfulness.py"


use rule faithfulness as faithfulness_shard with:
    output:
        curves="results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/{method}/{shard}.parquet",
        work="results/<scale>/benchmarks/work/{dataset}/{model}/seed{seed}/{method}/{shard}.json",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/{method}/{shard}.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/{method}/{shard}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), True),
        shard="[0-9]+",
    params:
        code=faithfulness_code,
        protocols=lambda wc: protocols_of(config, run_at(wc), wc.method),
        shard=lambda wc: [int(wc.shard), run_at(wc)["shards"]],


rule gather_faithfulness:
    input:
        rows=shard_files(FAITHFULNESS, "faithfulness"),
        work=shard_files(FAITHFULNESS, "work"),
        costs=shard_files(FAITHFULNESS, "faithfulness_cost"),
    output:
        rows="results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet",
        work="results/<scale>/benchmarks/work/{dataset}/{model}/seed{seed}/{method}.json",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/{method}.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/{method}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/faithfulness"),
        kinds={"rows": "faithfulness"},
    script:
        "../scripts/gather.py"
