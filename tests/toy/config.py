"""The study's keys of the configuration."""

from plumbline.config_types import Block, StudyKeys, check_known, number


class Toy(Block):
    dataset: str
    """Id of one of `datasets`."""
    factor: number(gt=0) = 1
    """What the number of words is multiplied with."""


class Keys(StudyKeys):
    toy: Toy | None = None
    """The study of words; null leaves it out."""

    @staticmethod
    def check(config):
        """The data set is one of the configuration's."""
        if config["toy"]:
            check_known("toy", "dataset", config["toy"]["dataset"], config["datasets"])
