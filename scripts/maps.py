"""Maps of an image model: results/{scale}/attributions/{dataset}/{model}/seed{seed}/maps.parquet and spectra.parquet.

One image a row, one score a patch; columns: src/plumbline/schemas/artefacts/maps.yaml, src/plumbline/schemas/artefacts/spectra.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.attribution.image_maps import write_maps
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_maps(
            dataset=snakemake.wildcards.dataset,
            model=str(Path(snakemake.input.weights).parent),
            data=snakemake.input.data,
            output=snakemake.output.maps,
            spectra=snakemake.output.spectra,
            name=f"{snakemake.wildcards.model}/seed{snakemake.wildcards.seed}",
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
