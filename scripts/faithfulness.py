"""All curves of one method: results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet.

One curve a row; probabilities and scores in [0, 1] units of the explained class's probability; columns:
src/plumbline/schemas/artefacts/faithfulness.yaml. Beside the benchmarks: what the passes took, in counts and seconds (JSON).
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.faithfulness.artefact import write_faithfulness
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_faithfulness(
            dataset=snakemake.wildcards.dataset,
            name=f"{snakemake.wildcards.model}/seed{snakemake.wildcards.seed}",
            model=str(Path(snakemake.input.weights).parent),
            attributions=snakemake.input.attributions,
            protocols=snakemake.params.protocols,
            output=snakemake.output.curves,
            work=snakemake.output.work,
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            shard=snakemake.params.get("shard"),
        )
