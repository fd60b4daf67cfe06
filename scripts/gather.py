"""The shards of one method as one file: the same bytes as if the run had not been split; their costs added up.

Rows: columns of schemas/artefacts/{attributions,faithfulness}.yaml. Beside the benchmarks: seconds and MB of all shards.
"""

from plumbline.errors import one_line_errors

with one_line_errors(snakemake.log[0]):
    from plumbline.artefacts import gather_rows
    from plumbline.work import add_benchmarks, add_works

    gather_rows(snakemake.output.rows, snakemake.input.rows, kind=snakemake.params.kind)
    add_benchmarks(snakemake.output.benchmark, snakemake.input.benchmarks)
    if snakemake.params.kind == "faithfulness":
        add_works(snakemake.output.work, snakemake.input.work)
