"""What the paper's figures show of one sentence and one document: results/{scale}/theory/{dataset}/seed{seed}/shown.json.

Raw logits, attention as shares, gradients and LIME coefficients in units of the positive class's logit.
"""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.theory.shown import write_shown

    write_shown(
        files={name: snakemake.input[name] for name in ("weights", "vocabulary", "metrics")},
        data=snakemake.input.data,
        dataset=snakemake.wildcards.dataset,
        seed=int(snakemake.wildcards.seed),
        output=snakemake.output[0],
        threads=snakemake.resources.torch_threads,
        **snakemake.params.options,
    )
