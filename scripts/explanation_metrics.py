"""Metrics of an image model's explanations: results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/explanations.parquet.

One image, method and metric a row; columns: src/plumbline/schemas/artefacts/explanation_metrics.yaml; units: plumbline.causal.metrics.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.causal.evaluation import write_metrics
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_metrics(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            name=f"{snakemake.wildcards.model}/seed{snakemake.wildcards.seed}",
            graphs=list(snakemake.input.graphs),
            data=snakemake.input.data,
            explanations=snakemake.input.explanations,
            output=snakemake.output[0],
            layer=snakemake.params.layer,
            methods=snakemake.params.methods,
            metrics=snakemake.params.metrics,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
        )
