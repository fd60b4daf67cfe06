# INPUTS   results/{scale}/data/{dataset}/{split}.parquet, the model's files, the modules of the run's layered methods;
#          results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet of the models that are compared;
#          the released MultiBERTs seeds from src/plumbline/published/, the mirror, or the downloads below (`released_seeds`)
# OUTPUTS  results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet, the matrices of the chosen examples;
#          results/{scale}/consistency/{dataset}/{model}.parquet, every two seeds of a model that has several;
#          results/{scale}/consistency/{dataset}/{model}-{other}.parquet, a BERT and a DistilBERT, seed by seed;
#          results/{scale}/released/multiberts_sst2.parquet, every two released seeds
# STEPS    contributions; seed_consistency, model_consistency; download_released (url alone, on the submitting machine),
#          released_seeds

from plumbline.datasets import multiberts
from plumbline.studies.alti.study import MODEL_CONSISTENCY, SEED_CONSISTENCY, released_inputs


rule contributions:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        metrics="results/<scale>/models/{dataset}/{model}/seed{seed}/metrics.json",
        data=run_data,
    output:
        "results/<scale>/contributions/{dataset}/{model}/seed{seed}.parquet",
    log:
        "results/<scale>/logs/contributions/{dataset}/{model}/seed{seed}.log",
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=lambda wc: code_of(
            "contributions", *(f"attribution.{name}" for name in layered_methods(config, run_at(wc)))
        ),
        methods=lambda wc: layered_methods(config, run_at(wc)),
        wanted=config["heatmap_examples"],
        choice=lambda wc: choice_of(config, run_at(wc)),
    script:
        "../scripts/contributions.py"


rule seed_consistency:
    input:
        attributions=lambda wc: run_in(SEED_CONSISTENCY, wc)["attributions"],
    output:
        "results/<scale>/consistency/{dataset}/{model}.parquet",
    log:
        "results/<scale>/logs/consistency/{dataset}/{model}.log",
    conda:
        "../envs/plumbline.yaml"
    params:
        code=metrics_code("consistency"),
        groups=lambda wc: run_in(SEED_CONSISTENCY, wc)["groups"],
        readouts=lambda wc: run_in(SEED_CONSISTENCY, wc)["readouts"],
        bootstrap=config["bootstrap"],
    script:
        "../scripts/consistency.py"


use rule seed_consistency as model_consistency with:
    input:
        attributions=lambda wc: run_in(MODEL_CONSISTENCY, wc)["attributions"],
    output:
        "results/<scale>/consistency/{dataset}/{model}-{other}.parquet",
    log:
        "results/<scale>/logs/consistency/{dataset}/{model}-{other}.log",
    wildcard_constraints:
        other=one_of(config["models"]),
    params:
        code=metrics_code("consistency"),
        groups=lambda wc: run_in(MODEL_CONSISTENCY, wc)["groups"],
        readouts=lambda wc: run_in(MODEL_CONSISTENCY, wc)["readouts"],
        bootstrap=config["bootstrap"],


use rule download_dataset as download_released with:
    output:
        "results/<scale>/downloads/released/multiberts_sst2/{file}",
    log:
        "results/<scale>/logs/downloads/released/{file}.log",
    wildcard_constraints:
        file=one_of(multiberts.downloads()),
    params:
        code=download_code("download_dataset"),
        item=lambda wc: multiberts.downloads()[wc.file],


rule released_seeds:
    input:
        **released_inputs(config, matrices=of_checkout(multiberts.MATRICES)),
    output:
        "results/<scale>/released/multiberts_sst2.parquet",
    log:
        "results/<scale>/logs/released/multiberts_sst2.log",
    conda:
        "../envs/plumbline.yaml"
    params:
        code=metrics_code("released_seeds"),
        source=config["released_seeds"],
        # The matrices hold means alone.
        bootstrap=None if config["released_seeds"] == "matrices" else config["bootstrap"],
    script:
        "../scripts/released_seeds.py"
