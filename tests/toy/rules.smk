# INPUTS   results/{scale}/data/{dataset}/test.parquet
# OUTPUTS  results/{scale}/toy/{dataset}.json
# STEPS    toy_words

from plumbline.studies import folders


rule toy_words:
    input:
        "results/<scale>/data/{dataset}/test.parquet",
    output:
        "results/<scale>/toy/{dataset}.json",
    log:
        "results/<scale>/logs/toy/{dataset}.log",
    conda:
        f"{CHECKOUT}/envs/plumbline.yaml"
    params:
        code=code_of(str(folders()["toy"] / "scripts/toy_words")),
        factor=lambda wc: config["toy"]["factor"],
    script:
        "scripts/toy_words.py"
