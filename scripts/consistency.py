"""How alike models rank the same sentences: results/{scale}/consistency/{dataset}/{model}.parquet (seeds of a model)
or {model}-{other}.parquet (two models, seed by seed).

One pair of models, readout and metric a row; no units, in [-1, 1] or [0, 1]; columns:
src/plumbline/schemas/artefacts/consistency.yaml.
"""

from plumbline.workflow.job import job

with job(snakemake):
    import pandas as pd

    from plumbline.agreement.consistency import read, table
    from plumbline.artefacts import write_rows
    from plumbline.seeds import seed_of

    names = snakemake.wildcards
    seed = seed_of("consistency", names.dataset, names.model)
    paths = iter(snakemake.input.attributions)
    found = []
    for group in snakemake.params.groups:
        models = [
            read(name, {next(paths): readouts for readouts in snakemake.params.readouts.values()})
            for name in group["names"]
        ]
        found.append(table(models, **snakemake.params.bootstrap, seed=seed).assign(seed=group["seed"]))
    write_rows(snakemake.output[0], pd.concat(found, ignore_index=True), kind="consistency")
