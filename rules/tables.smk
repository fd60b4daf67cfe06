# INPUTS   the artefacts that the table's registry entry names (`needs`), and the published numbers where it reads them
# OUTPUTS  results/{scale}/tables/{study}/{table}.{csv,tex}, or {table}-{dataset}-{model}.{csv,tex}; of a table that is a
#          page too, .html; results/{scale}/benchmarks/cost.{csv,tex}, which holds times and so stands outside the
#          promise of equal bytes
# STEPS    table, html_table, cost

from plumbline.tables.published import PUBLISHED


rule table:
    input:
        unpack(lambda wc: output_inputs(config, "tables", wc.name)),
        published=lambda wc: (
            [of_checkout(file) for file in PUBLISHED]
            if output_entry(config, "tables", wc.name).published
            else []
        ),
    output:
        csv=report(
            "results/<scale>/tables/{study}/{name}.csv",
            caption="../captions/table.rst",
            category="Tables",
            subcategory="{study}",
        ),
        tex="results/<scale>/tables/{study}/{name}.tex",
    log:
        "results/<scale>/logs/tables/{study}/{name}.log",
    wildcard_constraints:
        name=outputs_named("tables"),
        study="[a-z0-9_]+",
    conda:
        "../envs/plumbline.yaml"
    params:
        id=lambda wc: output_entry(config, "tables", wc.name).id,
        code=lambda wc: output_code("table", f"tables.{output_entry(config, 'tables', wc.name).id}"),
        options=lambda wc: (
            output_about(config, "tables", wc.name)
            | {key: config[key] for key in output_entry(config, "tables", wc.name).options}
        ),
    script:
        "../scripts/table.py"


use rule table as html_table with:
    output:
        csv="results/<scale>/tables/{study}/{name}.csv",
        tex="results/<scale>/tables/{study}/{name}.tex",
        html=report(
            "results/<scale>/tables/{study}/{name}.html",
            caption="../captions/table.rst",
            category="Tables",
            subcategory="{study}",
        ),
    wildcard_constraints:
        name=outputs_named("tables", html=True),
        study="[a-z0-9_]+",


use rule table as cost with:
    output:
        csv=report(
            "results/<scale>/benchmarks/{name}.csv",
            caption="../captions/table.rst",
            category="Tables",
            subcategory="cost",
        ),
        tex="results/<scale>/benchmarks/{name}.tex",
    log:
        "results/<scale>/logs/tables/{name}.log",
    wildcard_constraints:
        name=outputs_named("tables", cost=True),
