# INPUTS   results/{scale}/data/{dataset}/test.parquet, the files of a convolutional network
# OUTPUTS  results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.{json,graphml}, one graph a class;
#          results/{scale}/causal/{dataset}/{model}/seed{seed}/{stability,pruning}.parquet;
#          results/{scale}/attributions/{dataset}/{model}/seed{seed}/{explanations,nodes}.parquet, one score a pixel;
#          results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet, their metrics
# STEPS    causal_graph, causal_stability, causal_pruning, explanations, explanation_metrics


stop_at_missing_graphs()


rule causal_graph:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
    output:
        json=at("causal_graphs"),
        graphml=at("causal_graphml"),
        cost=at("causal_benchmarks", stage="class{class}"),
    log:
        log_of("causal", "{dataset}/{model}/seed{seed}/class{class}"),
    wildcard_constraints:
        **{"class": "[0-9]+"},
        # Of runs with `learn: false` the graphs are taken as they are, and no rule makes them.
        dataset=causal_runs(learn=True),
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("causal_graph"),
        options=lambda wc: {
            key: causal_run(wc)[key] for key in ("samples", "held_out", "soft", "test", "correction", "cap")
        },
    script:
        "../scripts/causal_graph.py"


rule causal_stability:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
        graphs=causal_graphs,
    output:
        at("stability"),
        cost=at("causal_benchmarks", stage="stability"),
    log:
        log_of("causal", "{dataset}/{model}/seed{seed}/stability"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("causal_stability"),
        options=lambda wc: causal_run(wc)["stability"],
        cap=lambda wc: causal_run(wc)["cap"],
    script:
        "../scripts/causal_stability.py"


rule causal_pruning:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
        graphs=causal_graphs,
    output:
        at("pruning"),
        cost=at("causal_benchmarks", stage="pruning"),
    log:
        log_of("causal", "{dataset}/{model}/seed{seed}/pruning"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("causal_pruning"),
        draws=lambda wc: causal_run(wc)["pruning"]["draws"],
    script:
        "../scripts/causal_pruning.py"


rule explanations:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
        graphs=causal_graphs,
    output:
        explanations=at("explanations"),
        nodes=at("nodes"),
        cost=at("causal_benchmarks", stage="explanations"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/explanations"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("explanations"),
        options=lambda wc: causal_run(wc)["attributions"],
        methods=lambda wc: explanations_of(wc),
    script:
        "../scripts/explanations.py"


rule explanation_metrics:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
        explanations=at("explanations"),
        graphs=causal_graphs,
    output:
        at("explanation_metrics"),
        cost=at("causal_benchmarks", stage="explanation_metrics"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/explanations"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("explanation_metrics"),
        layer=lambda wc: causal_run(wc)["attributions"]["layer"],
        methods=lambda wc: explanations_of(wc),
        metrics=lambda wc: causal_run(wc)["metrics"],
    script:
        "../scripts/explanation_metrics.py"
