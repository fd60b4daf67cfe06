"""How alike readouts rank tokens: results/{scale}/agreement/{dataset}/{model}/seed{seed}.parquet.

One pair of readouts and metric a row; no units, in [-1, 1] or [0, 1]; columns: src/plumbline/schemas/artefacts/agreement.yaml.
"""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.agreement import table
    from plumbline.artefacts import write_rows
    from plumbline.collect import whole_texts
    from plumbline.seeds import seed_of

    vectors = {}
    for (_method, readouts), path in zip(
        snakemake.params.readouts.items(), snakemake.input.attributions, strict=True
    ):
        rows = whole_texts(path, [f"scores_{readout}" for readout in readouts])
        vectors |= {readout: list(rows[f"scores_{readout}"]) for readout in readouts}
    names = snakemake.wildcards
    seed = seed_of("agreement", names.dataset, names.model, names.seed)
    rows = table(vectors, **snakemake.params.bootstrap, seed=seed)
    write_rows(snakemake.output[0], rows, kind="agreement")
