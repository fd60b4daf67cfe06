# INPUTS   the artefacts that the figure's registry entry names (`needs`)
# OUTPUTS  results/{scale}/figures/{study}/{figure}.{pdf,png}, one a study, or {figure}-{dataset}-{model}.{pdf,png}
# STEPS    figure


rule figure:
    input:
        unpack(lambda wc: output_inputs(config, "figures", wc.name)),
    output:
        pdf="results/<scale>/figures/{study}/{name}.pdf",
        png=report(
            "results/<scale>/figures/{study}/{name}.png",
            caption="../captions/figure.rst",
            category="Figures",
            subcategory="{study}",
        ),
    log:
        "results/<scale>/logs/figures/{study}/{name}.log",
    wildcard_constraints:
        name=outputs_named("figures"),
        study="[a-z0-9_]+",
    conda:
        "../envs/plumbline.yaml"
    params:
        id=lambda wc: output_entry(config, "figures", wc.name).id,
        code=lambda wc: output_code("figure", f"figures.{output_entry(config, 'figures', wc.name).id}"),
        options=lambda wc: (
            output_about(config, "figures", wc.name)
            | {key: config[key] for key in output_entry(config, "figures", wc.name).options}
        ),
    script:
        "../scripts/figure.py"
