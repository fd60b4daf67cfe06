"""Matrices of a few chosen examples: results/{scale}/contributions/{dataset}/{model}/seed{seed}.parquet.

One example, readout and layer a row; shares of a row's sum, no unit; columns: src/plumbline/schemas/artefacts/contributions.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.attribution.contributions import write_contributions

    write_contributions(
        model=str(Path(snakemake.input.weights).parent),
        methods=snakemake.params.methods,
        data=snakemake.input.data,
        wanted=snakemake.params.wanted,
        output=snakemake.output[0],
        device=snakemake.resources.device,
        threads=snakemake.resources.torch_threads,
        **snakemake.params.choice,
    )
