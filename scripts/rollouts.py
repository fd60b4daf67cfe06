"""Rollouts against the input gradient, layer by layer: results/{scale}/rollouts/{dataset}/{model}/seed{seed}.parquet.

One example, definition, readout, threshold and layer a row; correlations, no units, in [-1, 1] (dense ranks: up to 1);
columns: src/plumbline/schemas/artefacts/rollouts.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.agreement.rollouts import write_rollouts

    names = snakemake.wildcards
    write_rollouts(
        dataset=names.dataset,
        name=f"{names.model}/seed{names.seed}",
        model=str(Path(snakemake.input.weights).parent),
        data=snakemake.input.data,
        output=snakemake.output[0],
        device=snakemake.resources.device,
        threads=snakemake.resources.torch_threads,
        **snakemake.params.options,
        **snakemake.params.choice,
    )
