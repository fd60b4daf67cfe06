"""The shards of one method, or of an image model's maps, as one file: the same bytes as if the run had not been split; their
costs added up.

params.kinds: name of an output and of the input whose shards it is -> its schema in src/plumbline/schemas/artefacts/. Beside them,
among the benchmarks: seconds and MB of all shards.
"""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.artefacts import gather_rows
    from plumbline.work import add_costs, add_works

    for name, kind in snakemake.params.kinds.items():
        gather_rows(snakemake.output[name], snakemake.input[name], kind=kind)
    add_costs(snakemake.output.cost, snakemake.input.costs)
    if snakemake.output.get("work"):
        add_works(snakemake.output.work, snakemake.input.work)
