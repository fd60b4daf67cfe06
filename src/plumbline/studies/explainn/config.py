"""The study's keys of the configuration, and what they must agree with."""

from typing import Literal

from ...causal.registry import BASELINES, METRICS
from ...config_types import (
    Block,
    Positive,
    Seeds,
    StudyKeys,
    Whole,
    at_least,
    each_once,
    known,
    number,
)
from ...errors import PlumblineError
from ..image_runs import check_image_runs


class Strengths(Block):
    most: number(ge=0) = 0.5
    """The largest one."""
    step: number(gt=0) = 0.01
    """The step from one to the next."""


class Stability(Block):
    layer: str | None = None
    """The layer that is tested anew under intervention strength; the last one where null."""
    strengths: Strengths = Strengths()
    """Strengths beta from 0 on."""
    repetitions: Positive = 10
    """Repetitions of each."""
    resample: bool = True
    """Whether images are drawn anew in each repetition, as published, or the graph's own are kept."""
    samples: at_least(2) | None = None
    """Images of a repetition; as many as the graph is learnt from where null."""
    noise: each_once(number(gt=0)) = [0.05, 0.1, 0.2]
    """Standard deviations of Gaussian noise on the pixels, which lie in [0, 1]."""
    subsample: each_once(at_least(2)) = [30]
    """Numbers of images from which the graph is learnt anew."""


class Attributions(Block):
    layer: str | None = None
    """The convolution at whose nodes the maps are; the second from the input where null, which is conv2 of LeNet."""
    images: Positive = 2
    """Rightly classified test images of each class, the first ones."""
    gallery: Positive = 1
    """Images of each class, among these, whose maps are kept node by node."""


class Pruning(Block):
    draws: Positive = 20
    """Random draws of as many nodes as are causal."""


class CausalRun(Block):
    dataset: str
    """Id of one of `datasets`, of images."""
    model: str
    """Id of one of `image_models`, of architecture lenet or resnet."""
    seeds: Seeds = [0]
    """Training seeds."""
    classes: each_once(Whole, min_length=1) | None = None
    """The classes whose graphs are learnt; all where null."""
    learn: bool = True
    """Whether graphs are learnt; if not, the files graph.json must exist, and are taken as they are."""
    samples: at_least(2) = 100
    """Rightly classified test images of a class from which its graph is learnt; all where there are fewer."""
    held_out: number(ge=0, lt=1) = 0.5
    """Share of each class's test images from which no graph is learnt, so that pruning and explanations are scored on them; 0 as published, on the images of the graphs too."""
    soft: bool = True
    """Soft interventions (small positive weights) instead of hard ones (0)."""
    test: Literal["welch", "paired"] = "welch"
    """Test of an effect, of two samples (as published) or of the differences of pairs."""
    correction: Literal["none", "bh"] = "none"
    """Correction for many tests; none (as published) or Benjamini-Hochberg."""
    cap: Positive = 600
    """Candidates of a layer that are tested, those of the largest weights; the released code has 600."""
    stability: Stability | None = Stability()
    """Stability of the graphs under intervention strength, input noise and sample size; null leaves it out."""
    attributions: Attributions | None = Attributions()
    """Maps of the graphs at a layer, and those of the baselines; null leaves them out."""
    baselines: each_once(known("baseline", BASELINES)) = list(BASELINES)
    """Explanations beside those of the graph; the controls are always there."""
    metrics: each_once(known("metric", METRICS)) = list(METRICS)
    """Metrics of all explanations; empty leaves them out."""
    pruning: Pruning | None = Pruning()
    """Pruning of causal and other components; null leaves it out."""


class Explainn(Block):
    shown: Whole = 3
    """The class that figures of one class show; where a run has not learnt it, its first one."""
    runs: list[CausalRun] = []
    """What is computed, a (dataset, model, seed) at most once; test images are explained."""


class Keys(StudyKeys):
    explainn: Explainn | None = None
    """The study ExplainNN, causal graphs of image classifiers by path interventions (docs/studies/explainn.md); null leaves it out."""

    @staticmethod
    def check(config):
        """Runs of convolutional networks, of classes that these have; `classes` become a list."""
        if not config["explainn"]:
            return
        check_image_runs(config, "explainn", ("lenet", "resnet"))
        for index, run in enumerate(config["explainn"]["runs"]):
            place = f"explainn.runs[{index}]"
            number_of_classes = config["image_models"][run["model"]]["classes"]
            for label in run["classes"] or ():
                if label >= number_of_classes:
                    raise PlumblineError(
                        f"{place}.classes: there is no class {label}; legal: 0 to {number_of_classes - 1}"
                    )
            run["classes"] = run["classes"] or list(range(number_of_classes))
            if run["metrics"] and not run["attributions"]:
                raise PlumblineError(
                    f"{place}: `metrics` are of attributions, which are null: set `metrics: []` as well"
                )
