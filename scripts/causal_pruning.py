"""Accuracy of pruned networks: results/{scale}/causal/{dataset}/{model}/seed{seed}/pruning.parquet.

One class, condition and draw a row; shares in [0, 1]; columns: src/plumbline/schemas/artefacts/pruning.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.causal.pruning import write_pruning
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_pruning(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            seed=int(snakemake.wildcards.seed),
            data=snakemake.input.data,
            graphs=list(snakemake.input.graphs),
            output=snakemake.output[0],
            draws=snakemake.params.draws,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
        )
