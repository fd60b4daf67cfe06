# INPUTS   results/{scale}/data/{dataset}/{train,validation,test}.parquet
# OUTPUTS  results/{scale}/models/{dataset}/multihead/seed{seed}/{model.safetensors,vocabulary.json,metrics.json};
#          results/{scale}/theory/{dataset}/seed{seed}/{experiment}/{shard}.parquet, a row a review;
#          results/{scale}/theory/{dataset}/seed{seed}/shown.json, the sentence and the document of the figures
# STEPS    multihead; theory, a job a shard of an experiment; shown

from plumbline.studies.attention_meets_xai.study import experiment_options
from plumbline.theory.experiments import EXPERIMENTS


rule multihead:
    input:
        train="results/<scale>/data/{dataset}/train.parquet",
        validation="results/<scale>/data/{dataset}/validation.parquet",
        test="results/<scale>/data/{dataset}/test.parquet",
    output:
        weights="results/<scale>/models/{dataset}/multihead/seed{seed}/model.safetensors",
        vocabulary="results/<scale>/models/{dataset}/multihead/seed{seed}/vocabulary.json",
        metrics="results/<scale>/models/{dataset}/multihead/seed{seed}/metrics.json",
        cost="results/<scale>/benchmarks/models/{dataset}/multihead/seed{seed}/training.json",
    log:
        "results/<scale>/logs/models/{dataset}/multihead/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
    params:
        code=code_of("multihead"),
        network=lambda wc: config["attention_meets_xai"]["network"],
        training=lambda wc: config["attention_meets_xai"]["training"],
    script:
        "../scripts/multihead.py"


rule theory:
    input:
        weights="results/<scale>/models/{dataset}/multihead/seed{seed}/model.safetensors",
        vocabulary="results/<scale>/models/{dataset}/multihead/seed{seed}/vocabulary.json",
        metrics="results/<scale>/models/{dataset}/multihead/seed{seed}/metrics.json",
        data="results/<scale>/data/{dataset}/test.parquet",
    output:
        "results/<scale>/theory/{dataset}/seed{seed}/{experiment}/{shard}.parquet",
        cost="results/<scale>/benchmarks/theory/{dataset}/seed{seed}/{experiment}/{shard}.json",
    log:
        "results/<scale>/logs/theory/{dataset}/seed{seed}/{experiment}/{shard}.log",
    wildcard_constraints:
        experiment=one_of(EXPERIMENTS),
        shard="[0-9]+",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
    params:
        code=lambda wc: code_of("theory", f"theory.{EXPERIMENTS[wc.experiment]}"),
        options=lambda wc: experiment_options(config, wc.experiment),
    script:
        "../scripts/theory.py"


rule shown:
    input:
        weights="results/<scale>/models/{dataset}/multihead/seed{seed}/model.safetensors",
        vocabulary="results/<scale>/models/{dataset}/multihead/seed{seed}/vocabulary.json",
        metrics="results/<scale>/models/{dataset}/multihead/seed{seed}/metrics.json",
        data="results/<scale>/data/{dataset}/test.parquet",
    output:
        "results/<scale>/theory/{dataset}/seed{seed}/shown.json",
    log:
        "results/<scale>/logs/theory/{dataset}/seed{seed}/shown.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
    params:
        code=code_of("shown"),
        options=lambda wc: {
            "sentence": config["attention_meets_xai"]["sentence"],
            "document_text": config["attention_meets_xai"]["document"],
            "samples": config["attention_meets_xai"]["samples"],
            "repeats": config["attention_meets_xai"]["repeats"],
        },
    script:
        "../scripts/shown.py"
