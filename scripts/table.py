"""One table, as CSV, as LaTeX (booktabs) and, where it has that format, as HTML; its columns' units are in the table's module."""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.collect import read_inputs
    from plumbline.tables import TABLES, write

    table = snakemake.params.id
    write(
        table,
        read_inputs(TABLES[table], snakemake.input),
        snakemake.params.options,
        snakemake.output.csv,
        snakemake.output.tex,
        snakemake.output.get("html"),
    )
