"""What every job of the workflow does around its own work. Scripts open with `with job(snakemake):`."""

import contextlib

from ..artefacts import about
from ..errors import one_line_errors
from .study import add_rooms


@contextlib.contextmanager
def job(snakemake):
    """End with one line where a fault is the user's to mend; know the configuration's rooms; say in artefacts what they are of.

    Parameters
    ----------
    snakemake : snakemake.script.Snakemake
        What Snakemake hands to a script: log, configuration, and wildcards, which are what the job's files are of.
    """
    with one_line_errors(snakemake.log[0]), about(fields_of(snakemake.wildcards)):
        add_rooms(snakemake.config.get("studies"))
        yield


def fields_of(wildcards):
    """Convert the wildcards of a job to a dict, with numbers as such.

    Parameters
    ----------
    wildcards : snakemake.io.Wildcards
        Name -> text.

    Returns
    -------
    dict
        Name -> text; of seed, class and shard int.
    """
    return {
        name: int(value) if name in ("seed", "class", "shard") else value for name, value in wildcards.items()
    }
