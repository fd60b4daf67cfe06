"""All readouts of one method: results/{scale}/attributions/{dataset}/{model}/seed{seed}/{method}.parquet.

One example a row, one score a token (specials included); columns: src/plumbline/schemas/artefacts/attributions.yaml.
"""

from functools import partial
from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.attribution import explain
    from plumbline.attribution.artefact import write_attributions
    from plumbline.work import measured

    method = snakemake.wildcards.method
    with measured(snakemake.output.cost):
        write_attributions(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            name=f"{snakemake.wildcards.model}/seed{snakemake.wildcards.seed}",
            method=method,
            explain=partial(explain, method, **snakemake.params.parameters),
            data=snakemake.input.data,
            output=snakemake.output[0],
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            shard=snakemake.params.get("shard"),
            **snakemake.params.choice,
        )
