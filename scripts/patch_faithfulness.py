"""Perturbation curves and ink metrics of maps: results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/maps.parquet.

One image, map and fill a row; shares in [0, 1]; columns: src/plumbline/schemas/artefacts/patch_faithfulness.yaml.
"""

from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.faithfulness.patches import write_patch_faithfulness
    from plumbline.work import measured

    with measured(snakemake.output.cost):
        write_patch_faithfulness(
            model=str(Path(snakemake.input.weights).parent),
            maps=snakemake.input.maps,
            data=snakemake.input.data,
            output=snakemake.output[0],
            device=snakemake.resources.device,
            threads=snakemake.resources.torch_threads,
            **snakemake.params.options,
        )
