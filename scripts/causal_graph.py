"""The causal graph of one class: results/{scale}/causal/{dataset}/{model}/seed{seed}/class{class}/graph.{json,graphml}.

Logits of the class, averages over its test images; what the JSON holds: plumbline.causal.graph.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.causal.learn import write_graphs
    from plumbline.work import measured

    label = int(snakemake.wildcards["class"])
    with measured(snakemake.output.cost):
        write_graphs(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            seed=int(snakemake.wildcards.seed),
            data=snakemake.input.data,
            outputs={label: {"json": snakemake.output.json, "graphml": snakemake.output.graphml}},
            classes=[label],
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
