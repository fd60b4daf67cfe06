"""How many words the texts of a data set have: the study of tests/test_outside.py."""

from plumbline.workflow.stage import Row, Stage
from plumbline.workflow.study import Study


def runs(config):
    """One row: the study's data set. None where the study is off."""
    block = config["toy"]
    return [Row({"dataset": block["dataset"], "seed": 0}, block)] if block else []


WORDS = Stage(id="toy_words", paths={"toy_words": "results/{scale}/toy/{dataset}.json"}, rows=runs)
STUDY = Study(id="toy", runs=runs, stages=(WORDS,))
