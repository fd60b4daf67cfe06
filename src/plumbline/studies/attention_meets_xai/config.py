"""The study's keys of the configuration, and what they must agree with."""

from typing import Annotated

from pydantic import Field

from ...config_types import Block, Positive, Seeds, StudyKeys, at_least, check_known, number
from ...datasets import DATASETS
from ...errors import PlumblineError

# The classifier's name in paths, so that no other model may have it.
CLASSIFIER = "multihead"


class Network(Block):
    max_len: at_least(2) = 256
    """Positions, [cls] included; longer texts are cut, shorter ones padded with UNK."""
    d_in: Annotated[int, Field(ge=2, multiple_of=2)] = 128
    """Width of the embeddings."""
    d_attn: Positive = 64
    """Width of a head's queries and keys."""
    d_out: Positive = 64
    """Width of a head's values."""
    heads: Positive = 6
    """Attention heads."""


class ClassifierTraining(Block):
    epochs: Positive = 10
    """Passes over the training split; the one of best validation accuracy is kept."""
    batch_size: Positive = 16
    """Texts a step."""
    learning_rate: number(gt=0) = 1.0e-4
    """Learning rate."""
    weight_decay: number(ge=0) = 0.01
    """Decoupled weight decay."""


class Reviews(Block):
    gradient: Positive = 25000
    """Closed-form gradients against autograd, of each training seed."""
    lime_mask: Positive = 25000
    """LIME by masking against its limits, of each training seed."""
    lime_delete: Positive = 5000
    """LIME by deletion against the same limits, likewise."""
    faithfulness: Positive = 25000
    """Comprehensiveness and sufficiency of the explanations, of each training seed."""


class AttentionMeetsXai(Block):
    dataset: str
    """Id of one of `datasets`, of the task classification with two classes."""
    seeds: Seeds = [0, 1, 2]
    """Training seeds; every one's model is explained, pictures of one text show the first one's."""
    network: Network = Network()
    """Sizes of the classifier; the published ones by default."""
    training: ClassifierTraining = ClassifierTraining()
    """Training with AdamW at a fixed rate; the published values by default."""
    reviews: Reviews = Reviews()
    """Test texts of each experiment, the first of one random order; at most the split's rows."""
    samples: at_least(2) = 5000
    """Documents that LIME draws, the intact one among them."""
    repeats: at_least(2) = 5
    """LIME runs of each text."""
    shard: Annotated[int, Field(ge=256, multiple_of=256)] = 2560
    """Texts a job."""
    sentence: str | None = None
    """The sentence of figures attention_meets_xai, attention_heads and gradient_meets_attention; the first test text where null."""
    document: str | None = None
    """The document of figure lime_meets_attention; the longest test text where null."""


class Keys(StudyKeys):
    attention_meets_xai: AttentionMeetsXai | None = None
    """The study of the multi-head classifier (docs/studies/attention_meets_xai.md); null leaves it out."""

    @staticmethod
    def check(config):
        """A data set of two classes, and no other model of the classifier's name."""
        for key in ("models", "image_models"):
            if CLASSIFIER in config[key]:
                raise PlumblineError(
                    f"{key}: '{CLASSIFIER}' is the classifier of attention_meets_xai: choose another id"
                )
        if not config["attention_meets_xai"]:
            return
        name = config["attention_meets_xai"]["dataset"]
        check_known("attention_meets_xai", "dataset", name, config["datasets"])
        if DATASETS[name].task != "classification" or len(DATASETS[name].label_names) != 2:
            raise PlumblineError(
                f"attention_meets_xai.dataset: '{name}' is not of two classes: choose another dataset"
            )
