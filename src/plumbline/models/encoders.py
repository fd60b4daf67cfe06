"""Encoders: where each architecture keeps its parts, and how to run one without leaving a trace on it.

A new post-LayerNorm architecture of transformers is one line of `ARCHITECTURES` (docs/encoders.md).
"""

import contextlib
from dataclasses import dataclass, replace

from ..artefacts import load_weights
from ..errors import PlumblineError, unknown
from .packed import packed_linears


@dataclass(frozen=True)
class Modules:
    """Names of a layer's parts, seen from the layer; `layers` and `embeddings` seen from the base model.

    classes    prefix of transformers' class names.
    layers     the list of layers; a * stands for every module of a list on the way there.
    attention  returns (output, attention weights (batch, heads, n, n)).
    value      the value projection: input X (batch, n, D), output V (batch, n, D).
    dense      W_O and b_O, the projection of the concatenated heads.
    norm1      the LayerNorm after attention and residual; norm2 the one after feed-forward and residual.
    bypass     whether the reference (transformers 4.17) handed `inputs_embeds` past the embedding block.
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
# Architectures that count positions from padding_idx + 1.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert")


def modules_of(model):
    """The `Modules` of a model; PlumblineError for an architecture outside the table."""
    kind = model.config.model_type
    if kind not in ARCHITECTURES:
        raise PlumblineError(
            f"architecture '{kind}' is not known; known: {', '.join(sorted(ARCHITECTURES))}. To add it, name its "
            "layer list, embeddings, attention, value, dense, norm1 and norm2 modules in ARCHITECTURES "
            "(src/plumbline/models/encoders.py)"
        )
    return ARCHITECTURES[kind]


def class_of(model_type, task):
    """The transformers class for a task: sequence classification, or the masked-LM class for agreement."""
    import transformers

    if model_type not in ARCHITECTURES:
        raise unknown("architecture", model_type, ARCHITECTURES)
    head = "ForMaskedLM" if task == "agreement" else "ForSequenceClassification"
    return getattr(transformers, ARCHITECTURES[model_type].classes + head)


def load(folder, device="cpu"):
    """(model in evaluation mode, tokeniser) of a folder that the model stage wrote."""
    from transformers import AutoConfig, AutoTokenizer

    from .agreement_head import attach

    config = AutoConfig.from_pretrained(folder)
    task = getattr(config, "plumbline_task", "classification")
    model = class_of(config.model_type, task)(config)
    if task == "agreement":
        attach(model)
    load_weights(model, f"{folder}/model.safetensors")
    return model.to(device).eval(), AutoTokenizer.from_pretrained(folder)


def layers_of(model):
    """The encoder's layer modules, each once, in the order of their first call.

    There are fewer of them than layers where layers share weights: a module is then called for several depths.
    """
    found = [model.base_model]
    for part in modules_of(model).layers.split(".*."):
        found = [layer for holder in found for layer in holder.get_submodule(part)]
    return found


def max_tokens(model):
    """The longest input the model's position embeddings allow, special tokens included."""
    limit = model.config.max_position_embeddings
    if model.config.model_type in OFFSET_POSITIONS:
        limit -= model.config.pad_token_id + 1
    return limit


def is_agreement(model):
    """Whether the model scores every position with one logit: a masked-LM class with a decoder Linear(hidden, 1)."""
    head = model.get_output_embeddings()
    return getattr(head, "out_features", None) == 1


def explained_probability(logits, target, position):
    """Probability of the explained class.

    logits: (batch, classes), softmax over classes; or (batch, n, 1) of an agreement model, sigmoid of the
    logit at `position` for target 1 (third person singular), its complement for target 0.
    target, position: int64 (batch,). Returns (batch,), same dtype and device as the logits.
    """
    if logits.dim() == 3:
        import torch

        at = logits[torch.arange(len(logits), device=logits.device), position, 0]
        # sigmoid(-x) rather than 1 - sigmoid(x): no cancellation near 1.
        return (at * (2 * target - 1).to(at.dtype)).sigmoid()
    return logits.softmax(-1).gather(1, target[:, None])[:, 0]


def predicted_class(logits, position):
    """The predicted class, int64 (batch,): argmax of the logits; agreement: 1 when sigmoid(logit) >= 0.5."""
    if logits.dim() == 3:
        import torch

        at = logits[torch.arange(len(logits), device=logits.device), position, 0]
        return (at >= 0).long()
    return logits.argmax(-1)


@contextlib.contextmanager
def undisturbed(model, attention="eager", packed=True):
    """Run a model in evaluation mode, with the given attention implementation, frozen and (for float32) packed weights.

    Training flags of every module, requires_grad of every weight and the attention implementation are as
    before afterwards, also when the block raises.
    """
    training = {module: module.training for module in model.modules()}
    frozen = [weight for weight in model.parameters() if weight.requires_grad]
    implementation = model.config._attn_implementation
    try:
        model.eval()
        for weight in frozen:
            weight.requires_grad_(False)
        if implementation != attention:
            model.set_attn_implementation(attention)
        with packed_linears(model) if packed else contextlib.nullcontext():
            yield model
    finally:
        if implementation != attention:
            model.set_attn_implementation(implementation)
        for weight in frozen:
            weight.requires_grad_(True)
        for module, flag in training.items():
            module.training = flag


@contextlib.contextmanager
def replaced_output(module, tensor):
    """Within the block, `module` returns `tensor` whatever it computes."""
    handle = module.register_forward_hook(lambda *_: tensor)
    try:
        yield
    finally:
        handle.remove()
