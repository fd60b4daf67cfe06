"""One shard of an experiment: results/{scale}/theory/{dataset}/seed{seed}/{experiment}/{shard}.parquet, a row a review.

Columns and units: src/plumbline/schemas/artefacts/theory.yaml.
"""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.theory.experiments import run_shard
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        run_shard(
            snakemake.wildcards.experiment,
            files={name: snakemake.input[name] for name in ("weights", "vocabulary", "metrics")},
            data=snakemake.input.data,
            shard=int(snakemake.wildcards.shard),
            dataset=snakemake.wildcards.dataset,
            seed=int(snakemake.wildcards.seed),
            output=snakemake.output[0],
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
