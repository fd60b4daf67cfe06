"""Maps of an image model's explanations: results/{scale}/attributions/{dataset}/{model}/seed{seed}/explanations.parquet, and
nodes.parquet of the causal nodes.

One image a row, one score a pixel; columns: src/plumbline/schemas/artefacts/explanations.yaml, src/plumbline/schemas/artefacts/nodes.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.causal.explanations import write_explanations
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_explanations(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            name=f"{snakemake.wildcards.model}/seed{snakemake.wildcards.seed}",
            graphs=list(snakemake.input.graphs),
            data=snakemake.input.data,
            output=snakemake.output.explanations,
            nodes=snakemake.output.nodes,
            methods=snakemake.params.methods,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
