"""How alike the vectors of two positions point: results/{scale}/isotropy/{dataset}/{model}/seed{seed}.parquet.

One example, kind of vectors and layer a row; cosines, no units, in [-1, 1]; columns: src/plumbline/schemas/artefacts/isotropy.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.attribution.isotropy import write_isotropy

    write_isotropy(
        dataset=snakemake.wildcards.dataset,
        model=str(Path(snakemake.input.weights).parent),
        data=snakemake.input.data,
        output=snakemake.output[0],
        device=snakemake.resources.device,
        threads=snakemake.resources.torch_threads,
        **snakemake.params.choice,
    )
