"""One table, as CSV, as LaTeX (booktabs) and, where it has that format, as HTML; its columns' units are in the table's module."""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.collect import read_inputs
    from plumbline.tables import TABLES, module_of, write

    table, options = snakemake.params.id, snakemake.params.options
    inputs = read_inputs(TABLES[table], snakemake.input)
    write(
        table,
        module_of(table).rows(inputs, options),
        inputs,
        options,
        snakemake.output.csv,
        snakemake.output.tex,
        snakemake.output.get("html"),
    )
