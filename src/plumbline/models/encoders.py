"""Encoders: how to run one without leaving a trace on it. Where each architecture keeps its parts: architectures.py."""

import contextlib
import threading
import weakref

from ..errors import PlumblineError
from .architectures import ARCHITECTURES
from .architectures import Modules as Modules  # the two are public here
from .architectures import class_of as class_of
from .packed import packed_linears

# Architectures that count positions from padding_idx + 1.
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert")


def modules_of(model):
    """Look up the `Modules` of a model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    Modules

    Raises
    ------
    PlumblineError
        For an architecture outside the table.
    """
    kind = model.config.model_type
    if kind not in ARCHITECTURES:
        raise PlumblineError(
            f"architecture '{kind}' is not known; known: {', '.join(sorted(ARCHITECTURES))}. To add it, name its "
            "layer list, embeddings, attention, value, dense, norm1 and norm2 modules in ARCHITECTURES "
            "(src/plumbline/models/architectures.py)"
        )
    return ARCHITECTURES[kind]


def load(folder, device="cpu"):
    """Load a model that the model stage wrote, or a finished checkpoint.

    Parameters
    ----------
    folder : path_like
        The model's folder.
    device : str or torch.device
        Where the model goes.

    Returns
    -------
    model : torch.nn.Module
        In evaluation mode.
    tokenizer : transformers tokeniser
        Of the same folder.

    Raises
    ------
    PlumblineError
        Where a file or a weight is missing or does not fit.
    """
    from .checkpoint import check_folder, read_config, read_model, read_tokenizer

    check_folder(folder)
    task = getattr(read_config(folder), "plumbline_task", "classification")
    model = read_model(folder, task)
    return model.to(device), read_tokenizer(folder, model)


def layers_of(model):
    """List the encoder's layer modules, each once, in the order of their first call.

    There are fewer of them than layers where layers share weights: a module is then called for several depths.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    list of torch.nn.Module
    """
    found = [model.base_model]
    for part in modules_of(model).layers.split(".*."):
        found = [layer for holder in found for layer in holder.get_submodule(part)]
    return found


def max_tokens(model):
    """Look up the longest input that the model's position embeddings allow.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    int
        Tokens, special tokens included.
    """
    limit = model.config.max_position_embeddings
    if model.config.model_type in OFFSET_POSITIONS:
        limit -= model.config.pad_token_id + 1
    return limit


def segments(model):
    """Look up how many kinds of segment the model's token types tell apart.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    int
        1 where the model has no token types.
    """
    return getattr(model.config, "type_vocab_size", 1) or 1


def is_agreement(model):
    """Say whether the model scores every position with one logit: a masked-LM class with a decoder Linear(hidden, 1).

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    bool
    """
    head = model.get_output_embeddings()
    return getattr(head, "out_features", None) == 1


def is_multi_label(model):
    """Say whether each of the model's logits is a yes or no of its own, as its configuration says.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.

    Returns
    -------
    bool
    """
    return model.config.problem_type == "multi_label_classification"


def is_quantised(model):
    """Say whether a module of the model is one of torch's quantised ones, whose weights are no parameters.

    Parameters
    ----------
    model : torch.nn.Module
        The encoder.

    Returns
    -------
    bool
    """
    return any(".quantized." in f"{type(module).__module__}." for module in model.modules())


def forward(model, input_ids, attention_mask=None, token_type_ids=None, **more):
    """Run the model. Its output has its fields by name whatever its configuration says.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The encoder.
    input_ids, attention_mask, token_type_ids : torch.Tensor, int64, shape (batch, n)
        The inputs. attention_mask None: no padding. token_type_ids None: one segment.
    **more
        Other arguments of the model.

    Returns
    -------
    transformers.utils.ModelOutput
    """
    if token_type_ids is not None:
        more["token_type_ids"] = token_type_ids
    return model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **more)


def at_position(logits, position):
    """Select the logits that are read.

    Parameters
    ----------
    logits : torch.Tensor, shape (batch, classes), or (batch, n, 1) of an agreement model
        Of the model.
    position : torch.Tensor, int64, shape (batch,)
        Of an agreement model: the position that is read.

    Returns
    -------
    torch.Tensor, shape (batch, classes) or (batch, 1)
        Of the same dtype and device.
    """
    if logits.dim() == 2:
        return logits
    import torch

    return logits[torch.arange(len(logits), device=logits.device), position]


def explained_probability(logits, target, position=None, *, multi_label=False):
    """Probability of the explained class: the one rule that everything here follows.

    One logit, of a classifier with one output or an agreement model at `position`: its sigmoid for target 1 (third person
    singular), the complement for target 0. Several: softmax over the classes, or, where each is a label of its own
    (`is_multi_label`), the sigmoid of the target's logit.

    Parameters
    ----------
    logits : torch.Tensor, shape (batch, classes), or (batch, n, 1) of an agreement model
        Of the model.
    target : torch.Tensor, int64, shape (batch,)
        The explained class.
    position : torch.Tensor, int64, shape (batch,), optional
        Of an agreement model: the position that is read.
    multi_label : bool
        Whether each class is a label of its own.

    Returns
    -------
    torch.Tensor, shape (batch,)
        In [0, 1], of the same dtype and device as the logits.
    """
    read = at_position(logits, position)
    if read.shape[1] == 1:
        # sigmoid(-x) rather than 1 - sigmoid(x): no cancellation near 1.
        return (read[:, 0] * (2 * target - 1).to(read.dtype)).sigmoid()
    values = read.sigmoid() if multi_label else read.softmax(-1)
    return values.gather(1, target[:, None])[:, 0]


def explained_logit(logits, target, position=None):
    """Select the logit behind `explained_probability`. One logit is that of both of its classes, without a sign.

    Parameters
    ----------
    logits, target, position
        See `explained_probability`.

    Returns
    -------
    torch.Tensor, shape (batch,)
        Of the same dtype and device as the logits.
    """
    read = at_position(logits, position)
    return read[:, 0] if read.shape[1] == 1 else read.gather(1, target[:, None])[:, 0]


def predicted_class(logits, position=None):
    """Compute the predicted class.

    Parameters
    ----------
    logits, position
        See `explained_probability`.

    Returns
    -------
    torch.Tensor, int64, shape (batch,)
        argmax of the logits; of one logit, 1 when its sigmoid is at least 0.5.
    """
    read = at_position(logits, position)
    return (read[:, 0] >= 0).long() if read.shape[1] == 1 else read.argmax(-1)


# Model -> (the identities of its modules, since heads may be exchanged; the number of its logits).
_WIDTHS = weakref.WeakKeyDictionary()


def classes_of(model):
    """Look up the number of classes that the model distinguishes.

    Parameters
    ----------
    model : torch.nn.Module
        A transformers model.

    Returns
    -------
    int
        2 for one logit.

    Raises
    ------
    PlumblineError
        For what is neither a classifier of whole texts nor an agreement model: no transformers encoder, a regression, or logits
        of another shape than (batch, classes) and, for agreement, (batch, n, 1).
    """
    if not hasattr(model, "config") or not hasattr(model, "base_model"):
        raise PlumblineError(
            f"the model is a {type(model).__name__}: give a transformers encoder for sequence classification"
        )
    modules_of(model)
    if any(weight.is_inference() for weight in model.parameters()):
        raise PlumblineError(
            "the model was made inside torch.inference_mode, so its weights are frozen for good: load it outside"
        )
    if getattr(model.config, "problem_type", None) == "regression":
        raise PlumblineError(
            "the model is a regression (config.problem_type), which has no class to explain; where its one logit is a class's, "
            "set config.problem_type to None"
        )
    parts = [id(module) for module in model.modules()]
    if _WIDTHS.get(model, (None,))[0] != parts:
        _WIDTHS[model] = parts, _logits_width(model)
    return max(2, _WIDTHS[model][1])


def _logits_width(model):
    """The number of the model's logits at the place that is read, from two passes of one and of two tokens."""
    import torch

    token = model.config.vocab_size // 2  # any but padding
    device = _device(model)
    shapes = []
    for tokens in (1, 2):
        ids = torch.full((1, tokens), token, device=device)
        try:
            with undisturbed(model, "sdpa", packed=False), torch.no_grad():
                logits = forward(model, ids).logits
        except torch.OutOfMemoryError:
            raise
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as fault:
            raise PlumblineError(
                f"a {type(model).__name__} gives no logits for token ids alone ({fault}): give a classifier of whole texts"
            ) from None
        shapes.append(tuple(logits.shape))
    expected = [(1, 1, 1), (1, 2, 1)] if is_agreement(model) else [(1, shapes[0][-1])] * 2
    if shapes != expected:
        raise PlumblineError(
            f"the logits of a {type(model).__name__} are of shape {shapes[1]} for one text of two tokens: give a classifier of "
            "whole texts, (batch, classes), or an agreement model, (batch, tokens, 1)"
        )
    return shapes[0][-1]


_LOCKS = weakref.WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


def lock_of(model):
    """Find the lock of a model's modules, shared by models around one encoder. A thread may take it several times.

    Parameters
    ----------
    model : torch.nn.Module
        The encoder.

    Returns
    -------
    threading.RLock
    """
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(getattr(model, "base_model", model), threading.RLock())


@contextlib.contextmanager
def undisturbed(model, attention="eager", packed=True):
    """Run a model in evaluation mode, frozen, within the block. It is as before afterwards, also when the block raises.

    Training flags of every module, requires_grad of every weight and the attention implementation are as before afterwards. One
    thread at a time has the model. Neither autocast nor inference mode around the block reaches into it.

    Parameters
    ----------
    model : torch.nn.Module
        A transformers model.
    attention : str
        The attention implementation, e.g. 'eager'.
    packed : bool
        Whether weights are packed (for float32).
    """
    import torch

    with lock_of(model), torch.inference_mode(False), torch.autocast(_device(model).type, enabled=False):
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


def _device(model):
    return next(model.parameters()).device


@contextlib.contextmanager
def replaced_output(module, tensor):
    """Make `module` return `tensor` within the block, whatever it computes.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    tensor : torch.Tensor
        What it returns.
    """
    handle = module.register_forward_hook(lambda *_: tensor)
    try:
        yield
    finally:
        handle.remove()
