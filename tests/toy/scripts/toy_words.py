"""The mean number of words of a data set's texts: results/{scale}/toy/{dataset}.json."""

from plumbline.workflow.job import job

with job(snakemake):
    from plumbline.studies.toy.words import mean_words

    from plumbline.artefacts import read_records, write_json

    texts = [row["text"] for row in read_records(snakemake.input[0], ["text"])]
    write_json(snakemake.output[0], {"words": mean_words(texts, snakemake.params.factor)})
