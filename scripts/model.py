"""A trained (or fetched) model: weights, configuration and tokeniser in transformers' layout, and metrics.json.

Accuracy in metrics.json is a share in [0, 1], measured on the split that the run explains.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.models.training import train_job
    from plumbline.work import measured

    checkpoint = snakemake.input.get("checkpoint")
    with measured(snakemake.output.cost):
        train_job(
            dataset=snakemake.wildcards.dataset,
            model=snakemake.wildcards.model,
            seed=int(snakemake.wildcards.seed),
            block=snakemake.params.block,
            label_names=snakemake.params.label_names,
            train=snakemake.input.get("train"),
            evaluation=snakemake.input.evaluation,
            split=snakemake.params.split,
            checkpoint=str(Path(checkpoint[0]).parent) if checkpoint else None,
            outputs={name: file for name, file in snakemake.output.items() if name != "cost"},
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
        )
