# INPUTS   results/{scale}/data/{dataset}/test.parquet, an image model's files
# OUTPUTS  results/{scale}/attributions/{dataset}/{model}/seed{seed}/{maps,spectra}.parquet, one score a patch and map;
#          results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet, perturbation curves and ink metrics
# STEPS    maps, patch_faithfulness


rule maps:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        data=at("data", split="test"),
    output:
        maps=at("maps"),
        spectra=at("spectra"),
    log:
        log_of("attributions", "{dataset}/{model}/seed{seed}/maps"),
    benchmark:
        at("map_benchmarks", stage="attributions")
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
        code=code_of("maps", "attribution.image_maps"),
        options=lambda wc: {key: image_run(wc)[key] for key in ("images", "gallery", "start_layer")}
        | {"alpha": config[DIFFUSION]["alpha"]},
    script:
        "../scripts/maps.py"


rule patch_faithfulness:
    input:
        weights=at("weights"),
        architecture=at("architecture"),
        maps=at("maps"),
        data=at("data", split="test"),
    output:
        at("patch_faithfulness"),
    log:
        log_of("faithfulness", "{dataset}/{model}/seed{seed}/maps"),
    benchmark:
        at("map_benchmarks", stage="faithfulness")
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
        code=code_of("patch_faithfulness", "faithfulness.patches"),
        options=lambda wc: {"images": image_run(wc)["perturbed"]}
        | {key: image_run(wc)[key] for key in ("fills", "ink")},
    script:
        "../scripts/patch_faithfulness.py"
