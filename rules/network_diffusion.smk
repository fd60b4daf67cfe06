# INPUTS   results/{scale}/data/{dataset}/test.parquet, an image model's files
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{maps,spectra}.parquet, one score a patch and map;
#          results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet, perturbation curves and ink metrics
# STEPS    maps, patch_faithfulness; of a run with several `shards`: maps_shard, gather_maps, patch_faithfulness_shard,
#          gather_patch_faithfulness


rule maps:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
    output:
        maps=at("maps"),
        spectra=at("spectra"),
        cost=at("map_benchmarks", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/maps"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=image_runs_in_shards(False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("maps"),
        options=map_options,
    script:
        "../scripts/maps.py"


use rule maps as maps_shard with:
    output:
        maps=at("map_shards"),
        spectra=at("spectra_shards"),
        cost=at("map_benchmark_shards", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/maps/{shard}"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=image_runs_in_shards(True),
        shard="[0-9]+",
    params:
        code=code_of("maps"),
        options=lambda wc: map_options(wc) | {"shard": shard(wc, image_run)},


rule gather_maps:
    input:
        maps=shards("map_shards", image_run),
        spectra=shards("spectra_shards", image_run),
        costs=shards("map_benchmark_shards", image_run, stage="attributions"),
    output:
        maps=at("maps"),
        spectra=at("spectra"),
        cost=at("map_benchmarks", stage="attributions"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/maps"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=image_runs_in_shards(True),
    conda:
        "../envs/plumbline.yaml"
    params:
        code=code_of("gather", "schemas/maps", "schemas/spectra"),
        kinds={"maps": "maps", "spectra": "spectra"},
    script:
        "../scripts/gather.py"


rule patch_faithfulness:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        maps=at("maps"),
        data=at("data", split="test"),
    output:
        at("patch_faithfulness"),
        cost=at("map_benchmarks", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/maps"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=image_runs_in_shards(False),
    conda:
        "../envs/plumbline.yaml"
    threads: config["torch_threads"]
    resources:
        torch_threads=config["torch_threads"],
        device=config["device"],
        gpu=gpus(),
    params:
        code=code_of("patch_faithfulness"),
        options=patch_options,
    script:
        "../scripts/patch_faithfulness.py"


use rule patch_faithfulness as patch_faithfulness_shard with:
    output:
        at("patch_shards"),
        cost=at("map_benchmark_shards", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/maps/{shard}"),
    wildcard_constraints:
        model=one_of(config["image_models"]),
        dataset=image_runs_in_shards(True),
        shard="[0-9]+",
    params:
        code=code_of("patch_faithfulness"),
        options=lambda wc: patch_options(wc) | {"shard": shard(wc, image_run)},


use rule gather_maps as gather_patch_faithfulness with:
    input:
        rows=shards("patch_shards", image_run),
        costs=shards("map_benchmark_shards", image_run, stage="faithfulness"),
    output:
        rows=at("patch_faithfulness"),
        cost=at("map_benchmarks", stage="faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/maps"),
    params:
        code=code_of("gather", "schemas/patch_faithfulness"),
        kinds={"rows": "patch_faithfulness"},
