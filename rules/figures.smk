# INPUTS   the artefacts that the figure's registry entry names (`needs`)
# OUTPUTS  results/{scale}/figures/{study}/{figure}.{pdf,png}, one a study, or {figure}-{dataset}-{model}.{pdf,png}
# STEPS    figure


rule figure:
    input:
        unpack(lambda wc: output_inputs(config, "figures", wc.name)),
    output:
        pdf=at("figures", format="pdf"),
        png=report(
            at("figures", format="png"),
            caption="../captions/figure.rst",
            category="Figures",
            subcategory="{study}",
        ),
    log:
        log_of("figures", "{study}/{name}"),
    wildcard_constraints:
        name=outputs_named("figures"),
        study="[a-z0-9_]+",
    conda:
        "../envs/plumbline.yaml"
    params:
        code=lambda wc: output_code("figure", f"figures.{output_id(wc.name)}"),
        options=lambda wc: output_options(config, "figures", wc.name),
    script:
        "../scripts/figure.py"
