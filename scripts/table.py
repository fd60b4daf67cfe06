"""One table, as CSV, as LaTeX (booktabs) and, where it has that format, as HTML; its columns' units are in the table's module."""

from plumbline.errors import one_line_errors

with one_line_errors(snakemake.log[0]):
    from plumbline.plan import inputs_by_stage, output_id
    from plumbline.tables import write

    write(
        output_id(snakemake.wildcards.name),
        inputs_by_stage(snakemake.input),
        snakemake.params.options,
        snakemake.output.csv,
        snakemake.output.tex,
        snakemake.output.get("html"),
    )
