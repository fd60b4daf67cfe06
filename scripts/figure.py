"""One figure, as PDF and as PNG; its axes' units are in the figure's module."""

from plumbline.errors import one_line_errors

with one_line_errors(snakemake.log[0]):
    from plumbline.figures import write
    from plumbline.plan import inputs_by_stage, output_id

    write(
        output_id(snakemake.wildcards.name),
        inputs_by_stage(snakemake.input),
        snakemake.params.options,
        list(snakemake.output),
    )
