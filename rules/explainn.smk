# INPUTS   results/{scale}/data/{dataset}/test.parquet, the files of a convolutional network
# OUTPUTS  results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.{json,graphml}, one graph a class;
#          results/{scale}/causal/{dataset}/{model}/seed{seed}/{stability,pruning}.parquet;
#          results/{scale}/attributions/{dataset}/{model}/seed{seed}/{explanations,nodes}.parquet, one score a pixel;
#          results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet, their metrics
# STEPS    causal_graph, causal_stability, causal_pruning, explanations, explanation_metrics

from plumbline.studies.explainn.study import GRAPHS, explanations_of


rule causal_graph:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
    output:
        json="results/<scale>/causal/{dataset}/{model}/seed{seed}/class{class}/graph.json",
        graphml="results/<scale>/causal/{dataset}/{model}/seed{seed}/class{class}/graph.graphml",
        cost="results/<scale>/benchmarks/causal/{dataset}/{model}/seed{seed}/class{class}.json",
    log:
        "results/<scale>/logs/causal/{dataset}/{model}/seed{seed}/class{class}.log",
    wildcard_constraints:
        **{"class": "[0-9]+"},
        # Of runs with `learn: false` the graphs are taken as they are, and no rule makes them.
        dataset=of_runs(GRAPHS.rows(config), lambda run: run["learn"]),
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("causal_graph"),
        options=lambda wc: {
            key: run_in(GRAPHS, wc)[key]
            for key in ("samples", "held_out", "soft", "test", "correction", "cap")
        },
    script:
        "../scripts/causal_graph.py"


rule causal_stability:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
        graphs=files(GRAPHS, "causal_graphs"),
    output:
        "results/<scale>/causal/{dataset}/{model}/seed{seed}/stability.parquet",
        cost="results/<scale>/benchmarks/causal/{dataset}/{model}/seed{seed}/stability.json",
    log:
        "results/<scale>/logs/causal/{dataset}/{model}/seed{seed}/stability.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("causal_stability"),
        options=lambda wc: run_in(GRAPHS, wc)["stability"],
        cap=lambda wc: run_in(GRAPHS, wc)["cap"],
    script:
        "../scripts/causal_stability.py"


rule causal_pruning:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
        graphs=files(GRAPHS, "causal_graphs"),
    output:
        "results/<scale>/causal/{dataset}/{model}/seed{seed}/pruning.parquet",
        cost="results/<scale>/benchmarks/causal/{dataset}/{model}/seed{seed}/pruning.json",
    log:
        "results/<scale>/logs/causal/{dataset}/{model}/seed{seed}/pruning.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("causal_pruning"),
        draws=lambda wc: run_in(GRAPHS, wc)["pruning"]["draws"],
    script:
        "../scripts/causal_pruning.py"


rule explanations:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
        graphs=files(GRAPHS, "causal_graphs"),
    output:
        explanations="results/<scale>/attributions/{dataset}/{model}/seed{seed}/explanations.parquet",
        nodes="results/<scale>/attributions/{dataset}/{model}/seed{seed}/nodes.parquet",
        cost="results/<scale>/benchmarks/causal/{dataset}/{model}/seed{seed}/explanations.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/explanations.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("explanations"),
        options=lambda wc: run_in(GRAPHS, wc)["attributions"],
        methods=lambda wc: explanations_of(run_in(GRAPHS, wc)),
    script:
        "../scripts/explanations.py"


rule explanation_metrics:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
        explanations="results/<scale>/attributions/{dataset}/{model}/seed{seed}/explanations.parquet",
        graphs=files(GRAPHS, "causal_graphs"),
    output:
        "results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet",
        cost="results/<scale>/benchmarks/causal/{dataset}/{model}/seed{seed}/explanation_metrics.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/explanations.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("explanation_metrics"),
        layer=lambda wc: run_in(GRAPHS, wc)["attributions"]["layer"],
        methods=lambda wc: explanations_of(run_in(GRAPHS, wc)),
        metrics=lambda wc: run_in(GRAPHS, wc)["metrics"],
    script:
        "../scripts/explanation_metrics.py"
