# INPUTS   every enabled table and figure of a study
# OUTPUTS  none: a target a study, `snakemake alti`
# STEPS    one rule a study


localrules:
    alti,
    attention_meets_xai,
    explainn,
    network_diffusion,
    selective_rollout,


rule alti:
    input:
        final_output(config, "alti"),


rule attention_meets_xai:
    input:
        final_output(config, "attention_meets_xai"),


rule explainn:
    input:
        final_output(config, "explainn"),


rule network_diffusion:
    input:
        final_output(config, "network_diffusion"),


rule selective_rollout:
    input:
        final_output(config, "selective_rollout"),
