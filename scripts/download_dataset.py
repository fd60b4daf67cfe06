"""One raw file of a data set, from the hub or a url, checked against the registry and resources/lock.json."""

import os

# The one stage that may reach the network.
os.environ["HF_HUB_OFFLINE"] = "0"

from plumbline.errors import one_line_errors  # noqa: E402

with one_line_errors(snakemake.log[0]):
    from plumbline.datasets.sources import fetch

    fetch(snakemake.params.item, snakemake.output[0])
