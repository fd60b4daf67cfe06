# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the method's module
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet, all readouts of the method;
#          results/{scale}/benchmarks/attributions/...
# STEPS    attributions; of a run with several `shards`: attributions_shard, gather_attributions


rule attributions:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        data=run_data,
    output:
        "results/<scale>/attributions/{dataset}/{model}/seed{seed}/{method}.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/{method}.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/{method}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=lambda wc: code_of("attributions", f"attribution.{wc.method}"),
        parameters=lambda wc: config["methods"][wc.method],
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/attributions.py"


use rule attributions as attributions_shard with:
    output:
        "results/<scale>/attributions/{dataset}/{model}/seed{seed}/{method}/{shard}.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/{method}/{shard}.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/{method}/{shard}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), True),
        shard="[0-9]+",
    params:
        code=lambda wc: code_of("attributions", f"attribution.{wc.method}"),
        parameters=lambda wc: config["methods"][wc.method],
        choice=lambda wc: choice_of(config, run_at(wc)),
        shard=lambda wc: [int(wc.shard), run_at(wc)["shards"]],


rule gather_attributions:
    input:
        rows=shard_files(ATTRIBUTIONS, "attributions"),
        costs=shard_files(ATTRIBUTIONS, "attributions_cost"),
    output:
        rows="results/<scale>/attributions/{dataset}/{model}/seed{seed}/{method}.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/{method}.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/{method}.log",
    wildcard_constraints:
        dataset=runs_in_shards(text_models(config), True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/attributions"),
        kinds={"rows": "attributions"},
    script:
        "../scripts/gather.py"
