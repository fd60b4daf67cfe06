"""One image model: results/{scale}/models/{dataset}/{model}/seed{seed}/model.safetensors, config.json and metrics.json
(accuracy as a share; none where the data's classes are not the model's)."""

import os

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.datasets.sources import mirror_file
    from plumbline.models.image_models import train_job
    from plumbline.models.vit import RELEASED
    from plumbline.work import measured

    block = snakemake.params.block
    checkpoint = next(iter(snakemake.input.get("checkpoint") or []), None)
    if block["source"] == "mirror":
        checkpoint = mirror_file(os.environ.get("PLUMBLINE_MIRROR"), RELEASED[block["released"]]["file"])
    with measured(snakemake.output.cost):
        train_job(
            dataset=snakemake.wildcards.dataset,
            model=snakemake.wildcards.model,
            seed=int(snakemake.wildcards.seed),
            block=block,
            labels=snakemake.params.labels,
            files={split: snakemake.input.get(split) for split in ("train", "test")},
            outputs={name: snakemake.output[name] for name in ("weights", "architecture", "metrics")},
            checkpoint=checkpoint,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
        )
