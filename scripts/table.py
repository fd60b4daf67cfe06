"""One table, as CSV, as LaTeX (booktabs) and, where it has that format, as HTML; its columns' units are in the table's module."""

from plumbline.errors import one_line_errors

with one_line_errors(snakemake.log[0]):
    from plumbline.collect import read_inputs
    from plumbline.plan import output_id
    from plumbline.tables import TABLES, write

    table = output_id(snakemake.wildcards.name)
    write(
        table,
        read_inputs(TABLES[table], snakemake.input),
        snakemake.params.options,
        snakemake.output.csv,
        snakemake.output.tex,
        snakemake.output.get("html"),
    )
