# INPUTS   every enabled table and figure of a study
# OUTPUTS  none: a target a study, `snakemake alti`
# STEPS    one rule a study, with its name


for study in studies():

    rule:
        name:
            study
        input:
            final_output(config, study),
        localrule: True
