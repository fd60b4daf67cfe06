"""One split of a data set: results/{scale}/data/{dataset}/{split}.parquet.

One example a row, in the source's order; columns and units: src/plumbline/schemas/artefacts/data.yaml, of images
src/plumbline/schemas/artefacts/images.yaml.
"""

import os
from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.artefacts import write_rows
    from plumbline.datasets import load, schema_of

    downloads = snakemake.input.get("downloads") or []
    rows = load(
        snakemake.wildcards.dataset,
        snakemake.wildcards.split,
        snakemake.params.block,
        mirror=os.environ.get("PLUMBLINE_MIRROR"),
        downloads=str(Path(downloads[0]).parents[1]) if downloads else None,
    )
    write_rows(snakemake.output[0], rows, kind=schema_of(snakemake.wildcards.dataset))
