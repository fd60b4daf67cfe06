"""The mirror folder of a configuration: every file that it downloads, SHA256SUMS, manifest.json."""

import os
import sys
from functools import partial
from pathlib import Path

# The one stage beside the downloads that may reach the network.
os.environ["HF_HUB_OFFLINE"] = "0"

from plumbline.errors import one_line_errors  # noqa: E402

with one_line_errors(snakemake.log[0]):
    from plumbline.datasets.mirror import collect

    collect(
        Path(snakemake.output[0]).parent,
        snakemake.params.files,
        snakemake.params.checkpoints,
        say=partial(print, file=sys.stderr, flush=True),
    )
