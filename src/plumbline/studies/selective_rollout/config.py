"""The study's keys of the configuration."""

from ...attribution import METHODS
from ...config_types import Block, Share, StudyKeys, Whole, at_least, each_once, known, number


class SelectiveRollout(Block):
    thresholds: each_once(number(ge=0), min_length=1) = [0.1, 0.3, 0.5, 0.9, 1.0, 1.5]
    """Thresholds of selective rollout, Frobenius distances; 1 is the published one."""
    scaled_thresholds: each_once(Share, min_length=1) = [0.05, 0.1, 0.2, 0.3, 0.5]
    """Thresholds as shares of the largest distance that a text's number of tokens n allows, sqrt(n / 2)."""
    compared: each_once(known("method", METHODS)) | None = None
    """Methods that table gradient_vs_comprehensiveness reads beside `selective`, `input_gradient` and the controls; every method of the run where null."""
    layer: Whole | None = None
    """The layer of which the summary speaks; the last but one where null, which is the published one of 12."""
    flow_examples: Whole = 100
    """Examples that have attention flow in every layer, the first ones of at most flow_tokens tokens."""
    flow_tokens: at_least(2) = 64
    """Longer texts have no attention flow in every layer; its cost rises with the fourth power."""


class Keys(StudyKeys):
    selective_rollout: SelectiveRollout | None = None
    """The study of selective rollout, of the runs that have the method `selective` (docs/studies/selective_rollout.md); null leaves it out."""
