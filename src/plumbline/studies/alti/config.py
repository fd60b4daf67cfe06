"""The study's keys of the configuration; its runs are the `runs` of text models."""

from typing import Literal

from ...config_types import StudyKeys, Whole


class Keys(StudyKeys):
    released_seeds: Literal["matrices", "mirror", "url"] | None = None
    """Where the released MultiBERTs seeds come from (docs/datasets.md). matrices, the published result in src/plumbline/published/; mirror or url, the released scores of all readouts; null leaves them out."""
    heatmap_examples: list[Whole] = [0, 1, 2]
    """Ids of the examples that are shown one by one: token heat maps, saliency tables; contribution matrices of the first."""
