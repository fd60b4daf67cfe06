# INPUTS   results/{scale}/data/{dataset}/{train,validation,test}.parquet
# OUTPUTS  results/{scale}/models/{dataset}/multihead/seed{seed}/{model.safetensors,vocabulary.json,metrics.json};
#          results/{scale}/theory/{dataset}/seed{seed}/{experiment}/{shard}.parquet, a row a review;
#          results/{scale}/theory/{dataset}/seed{seed}/shown.json, the sentence and the document of the figures
# STEPS    multihead; theory, a job a shard of an experiment; shown


rule multihead:
    input:
        train=at("data", split="train"),
        validation=at("data", split="validation"),
        test=at("data", split="test"),
    output:
        weights=at("classifier"),
        vocabulary=at("vocabulary"),
        metrics=at("classifier_metrics"),
        cost=at("classifier_benchmarks"),
    log:
        log_of("models", "{dataset}/multihead/seed{seed}"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
    params:
        code=code_of("multihead"),
        network=lambda wc: config[XAI]["network"],
        training=lambda wc: config[XAI]["training"],
    script:
        "../scripts/multihead.py"


rule theory:
    input:
        unpack(classifier_files_of),
        data=at("data", split="test"),
    output:
        at("theory"),
        cost=at("theory_benchmarks"),
    log:
        log_of("theory", "{dataset}/seed{seed}/{experiment}/{shard}"),
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
        options=experiment_options,
    script:
        "../scripts/theory.py"


rule shown:
    input:
        unpack(classifier_files_of),
        data=at("data", split="test"),
    output:
        at("shown"),
    log:
        log_of("theory", "{dataset}/seed{seed}/shown"),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
    params:
        code=code_of("shown"),
        options=lambda wc: {
            "sentence": config[XAI]["sentence"],
            "document_text": config[XAI]["document"],
            "samples": config[XAI]["samples"],
            "repeats": config[XAI]["repeats"],
        },
    script:
        "../scripts/shown.py"
