# INPUTS   results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet of the models that are compared;
#          the released MultiBERTs seeds from src/plumbline/published/, the mirror, or the downloads below (`released_seeds`)
# OUTPUTS  results/{scale}/consistency/{dataset}/{model}.parquet, every two seeds of a model that has several;
#          results/{scale}/consistency/{dataset}/{model}-{other}.parquet, a BERT and a DistilBERT, seed by seed;
#          results/{scale}/released/multiberts_sst2.parquet, every two released seeds
# STEPS    seed_consistency, model_consistency; download_released (url alone, on the submitting machine),
#          released_seeds


rule seed_consistency:
    input:
        attributions=lambda wc: compared("seed_consistency", wc)["attributions"],
    output:
        at("seed_consistency"),
    log:
        log_of("consistency", "{dataset}/{model}"),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=metrics_code("consistency"),
        groups=lambda wc: compared("seed_consistency", wc)["groups"],
        readouts=lambda wc: compared("seed_consistency", wc)["readouts"],
        bootstrap=config["bootstrap"],
    script:
        "../scripts/consistency.py"


use rule seed_consistency as model_consistency with:
    input:
        attributions=lambda wc: compared("model_consistency", wc)["attributions"],
    output:
        at("model_consistency"),
    log:
        log_of("consistency", "{dataset}/{model}-{other}"),
    wildcard_constraints:
        other=one_of(config["models"]),
    params:
        code=metrics_code("consistency"),
        groups=lambda wc: compared("model_consistency", wc)["groups"],
        readouts=lambda wc: compared("model_consistency", wc)["readouts"],
        bootstrap=config["bootstrap"],


use rule download_dataset as download_released with:
    output:
        at("released_downloads"),
    log:
        log_of("downloads", "released/{file}"),
    wildcard_constraints:
        file=one_of(multiberts.downloads()),
    params:
        code=download_code("download_dataset"),
        item=lambda wc: multiberts.downloads()[wc.file],


rule released_seeds:
    input:
        **released_inputs(),
    output:
        at("released"),
    log:
        log_of("released", "multiberts_sst2"),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=metrics_code("released_seeds"),
        source=config["released_seeds"],
        # The matrices hold means alone.
        bootstrap=None if config["released_seeds"] == "matrices" else config["bootstrap"],
    script:
        "../scripts/released_seeds.py"
