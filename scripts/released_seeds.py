"""How alike the released MultiBERTs seeds rank SST-2's sentences: results/{scale}/released/multiberts_sst2.parquet.

One pair of seeds, readout and metric a row; no units, in [-1, 1] or [0, 1]; columns:
src/plumbline/schemas/artefacts/consistency.yaml.
"""

import os
from pathlib import Path

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.agreement.released import rows
    from plumbline.artefacts import write_rows

    downloads = snakemake.input.get("downloads")
    found = rows(
        snakemake.params.source,
        bootstrap=snakemake.params.bootstrap,
        mirror=os.environ.get("PLUMBLINE_MIRROR"),
        folder=Path(downloads[0]).parent if downloads else None,
    )
    write_rows(snakemake.output[0], found, kind="consistency")
