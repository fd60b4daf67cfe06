"""Where each architecture keeps its parts.

A new post-LayerNorm architecture of transformers is one line of `ARCHITECTURES` (docs/encoders.md).
"""

from dataclasses import dataclass, replace

from ..errors import unknown


@dataclass(frozen=True)
class Modules:
    """Names of a layer's parts, seen from the layer. `layers` and `embeddings` are seen from the base model.

    Attributes
    ----------
    classes : str
        Prefix of transformers' class names.
    layers : str
        The list of layers. A * stands for every module of a list on the way there.
    embeddings : str
        The embedding block.
    attention : str
        Returns (output, attention weights (batch, heads, n, n)).
    value : str
        The value projection: input X (batch, n, D), output V (batch, n, D).
    dense : str
        W_O and b_O, the projection of the concatenated heads.
    norm1 : str
        The LayerNorm after attention and residual.
    norm2 : str
        The LayerNorm after feed-forward and residual.
    bypass : bool
        Whether the reference (transformers 4.17) handed `inputs_embeds` past the embedding block.
    """

    classes: str
    layers: str
    embeddings: str
    attention: str
    value: str
    dense: str
    norm1: str
    norm2: str
    bypass: bool = False


_BERT = Modules(
    classes="Bert",
    layers="encoder.layer",
    embeddings="embeddings",
    attention="attention.self",
    value="attention.self.value",
    dense="attention.output.dense",
    norm1="attention.output.LayerNorm",
    norm2="output.LayerNorm",
)

# By `config.model_type` of transformers.
ARCHITECTURES = {
    "bert": _BERT,
    "roberta": replace(_BERT, classes="Roberta"),
    "xlm-roberta": replace(_BERT, classes="XLMRoberta"),
    "camembert": replace(_BERT, classes="Camembert"),
    "electra": replace(_BERT, classes="Electra"),
    "distilbert": Modules(
        classes="DistilBert",
        layers="transformer.layer",
        embeddings="embeddings",
        attention="attention",
        value="attention.v_lin",
        dense="attention.out_lin",
        norm1="sa_layer_norm",
        norm2="output_layer_norm",
        bypass=True,
    ),
    # Layers share their weights: each module of the list is called for several depths.
    "albert": Modules(
        classes="Albert",
        layers="encoder.albert_layer_groups.*.albert_layers",
        embeddings="embeddings",
        attention="attention",
        value="attention.value",
        dense="attention.dense",
        norm1="attention.LayerNorm",
        norm2="full_layer_layer_norm",
    ),
}


def class_of(model_type, task):
    """Find the transformers class for a task.

    Parameters
    ----------
    model_type : str
        A key of `ARCHITECTURES`.
    task : {'classification', 'agreement'}
        Agreement has the masked-LM class, classification the class for sequence classification.

    Returns
    -------
    type

    Raises
    ------
    PlumblineError
        For an unknown architecture.
    """
    import transformers

    if model_type not in ARCHITECTURES:
        raise unknown("architecture", model_type, ARCHITECTURES)
    head = "ForMaskedLM" if task == "agreement" else "ForSequenceClassification"
    return getattr(transformers, ARCHITECTURES[model_type].classes + head)
