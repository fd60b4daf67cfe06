"""One figure, as PDF and as PNG; its axes' units are in the figure's module."""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.collect import read_inputs
    from plumbline.figures import FIGURES, write

    figure = snakemake.params.id
    write(
        figure,
        read_inputs(FIGURES[figure], snakemake.input),
        snakemake.params.options,
        list(snakemake.output),
    )
