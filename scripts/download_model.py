"""A checkpoint from the hub: weights (safetensors), configuration, tokeniser, and files.json with what came.

Files are checked against resources/lock.json, which pins the commit and each sha256 at the first download.
"""

import os
from pathlib import Path

# The one stage that may reach the network.
os.environ["HF_HUB_OFFLINE"] = "0"

from plumbline.errors import one_line_errors  # noqa: E402

with one_line_errors(snakemake.log[0]):
    from plumbline.artefacts import write_json
    from plumbline.datasets.sources import CHECKPOINT, fetch_snapshot, sha256_of
    from plumbline.models.checkpoint import to_safetensors

    folder = Path(snakemake.output.weights).parent
    found = fetch_snapshot(snakemake.params.repo, folder, CHECKPOINT, revision=snakemake.params.revision)
    facts = {"repo": snakemake.params.repo, "revision": snakemake.params.revision}
    write_json(snakemake.output.files, {**facts, "files": {path.name: sha256_of(path) for path in found}})
    to_safetensors(folder)
