"""One multi-head classifier: results/{scale}/models/{dataset}/multihead/seed{seed}/model.safetensors, vocabulary.json and
metrics.json (accuracy as a share)."""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.models.multihead_training import train_job
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        train_job(
            dataset=snakemake.wildcards.dataset,
            seed=int(snakemake.wildcards.seed),
            network=snakemake.params.network,
            training=snakemake.params.training,
            files={split: snakemake.input[split] for split in ("train", "validation", "test")},
            outputs={name: snakemake.output[name] for name in ("weights", "vocabulary", "metrics")},
            threads=snakemake.resources.torch_threads,
        )
