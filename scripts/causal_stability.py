"""Stability of the causal graphs: results/{scale}/causal/{dataset}/{model}/seed{seed}/stability.parquet.

One class, kind, strength, repetition and layer a row; columns: src/plumbline/schemas/artefacts/stability.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.causal.stability import write_stability
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_stability(
            model=str(Path(snakemake.input.weights).parent),
            data=snakemake.input.data,
            graphs=list(snakemake.input.graphs),
            output=snakemake.output[0],
            cap=snakemake.params.cap,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
