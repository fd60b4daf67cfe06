# INPUTS   results/{scale}/data/{dataset}/test.parquet, an image model's files
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{maps,spectra}.parquet, one score a patch and map;
#          results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet, perturbation curves and ink metrics
# STEPS    maps, patch_faithfulness; of a run with several `shards`: maps_shard, gather_maps, patch_faithfulness_shard,
#          gather_patch_faithfulness

from plumbline.studies.network_diffusion.study import MAPS, PATCH_FAITHFULNESS, map_options, patch_options


rule maps:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        data="results/<scale>/data/{dataset}/test.parquet",
    output:
        maps="results/<scale>/attributions/{dataset}/{model}/seed{seed}/maps.parquet",
        spectra="results/<scale>/attributions/{dataset}/{model}/seed{seed}/spectra.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/maps.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/maps.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=runs_in_shards(MAPS.rows(config), False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("maps"),
        options=lambda wc: map_options(config, run_in(MAPS, wc)),
    script:
        "../scripts/maps.py"


use rule maps as maps_shard with:
    output:
        maps="results/<scale>/attributions/{dataset}/{model}/seed{seed}/maps/{shard}.parquet",
        spectra="results/<scale>/attributions/{dataset}/{model}/seed{seed}/spectra/{shard}.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/maps/{shard}.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/maps/{shard}.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=runs_in_shards(MAPS.rows(config), True),
        shard="[0-9]+",
    params:
        code=code_of("maps"),
        options=lambda wc: map_options(config, run_in(MAPS, wc))
        | {"shard": [int(wc.shard), run_in(MAPS, wc)["shards"]]},


rule gather_maps:
    input:
        maps=shard_files(MAPS, "maps"),
        spectra=shard_files(MAPS, "spectra"),
        costs=shard_files(MAPS, "cost"),
    output:
        maps="results/<scale>/attributions/{dataset}/{model}/seed{seed}/maps.parquet",
        spectra="results/<scale>/attributions/{dataset}/{model}/seed{seed}/spectra.parquet",
        cost="results/<scale>/benchmarks/attributions/{dataset}/{model}/seed{seed}/maps.json",
    log:
        "results/<scale>/logs/attributions/{dataset}/{model}/seed{seed}/maps.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=runs_in_shards(MAPS.rows(config), True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/maps", "schemas/spectra"),
        kinds={"maps": "maps", "spectra": "spectra"},
    script:
        "../scripts/gather.py"


rule patch_faithfulness:
    input:
        weights="results/<scale>/models/{dataset}/{model}/seed{seed}/model.safetensors",
        architecture="results/<scale>/models/{dataset}/{model}/seed{seed}/config.json",
        maps="results/<scale>/attributions/{dataset}/{model}/seed{seed}/maps.parquet",
        data="results/<scale>/data/{dataset}/test.parquet",
    output:
        "results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/maps.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/maps.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=runs_in_shards(MAPS.rows(config), False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        **model_job(),
    params:
        code=code_of("patch_faithfulness"),
        options=lambda wc: patch_options(run_in(MAPS, wc)),
    script:
        "../scripts/patch_faithfulness.py"


use rule patch_faithfulness as patch_faithfulness_shard with:
    output:
        "results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/maps/{shard}.parquet",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/maps/{shard}.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/maps/{shard}.log",
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=runs_in_shards(MAPS.rows(config), True),
        shard="[0-9]+",
    params:
        code=code_of("patch_faithfulness"),
        options=lambda wc: patch_options(run_in(MAPS, wc))
        | {"shard": [int(wc.shard), run_in(MAPS, wc)["shards"]]},


use rule gather_maps as gather_patch_faithfulness with:
    input:
        rows=shard_files(PATCH_FAITHFULNESS, "patch_faithfulness"),
        costs=shard_files(PATCH_FAITHFULNESS, "cost"),
    output:
        rows="results/<scale>/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet",
        cost="results/<scale>/benchmarks/faithfulness/{dataset}/{model}/seed{seed}/maps.json",
    log:
        "results/<scale>/logs/faithfulness/{dataset}/{model}/seed{seed}/maps.log",
    params:
        code=code_of("gather", "schemas/patch_faithfulness"),
        kinds={"rows": "patch_faithfulness"},
