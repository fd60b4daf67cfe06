# INPUTS   every enabled table and figure of a study
# OUTPUTS  none: a target a study, `snakemake alti`
# STEPS    one rule a study


localrules:
    alti,


rule alti:
    input:
        final_output(config, "alti"),
