"""One figure, as PDF and as PNG; its axes' units are in the figure's module."""

from plumbline.errors import one_line_errors

with one_line_errors(snakemake.log[0]):
    from plumbline.collect import read_inputs
    from plumbline.figures import FIGURES, write
    from plumbline.plan import output_id

    figure = output_id(snakemake.wildcards.name)
    write(
        figure,
        read_inputs(FIGURES[figure], snakemake.input),
        snakemake.params.options,
        list(snakemake.output),
    )
