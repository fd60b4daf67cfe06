"""Fine-tuning, or training from scratch: AdamW, linear decay, batches of like lengths; and the model's accuracy."""

import math
import os
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from .. import __release__
from ..artefacts import read_records, temporary_prefix, write_json
from ..datasets.sources import sha256_of
from ..errors import PlumblineError
from ..seeds import seed_of
from ..stats import wilson_interval
from . import agreement_head
from .architectures import class_of
from .checkpoint import checkpoint_folder, read_config, read_model, read_tokenizer
from .encoders import at_position, forward, is_multi_label, max_tokens, predicted_class, segments
from .inference import Passes
from .published import reach_published
from .runtime import prepare, release_memory
from .tokenisation import padded, texts_of, tokenise, train_tokenizer
from .training_loop import curve, steps


def train_job(
    *,
    dataset,
    model,
    seed,
    block,
    label_names,
    train,
    evaluation,
    split,
    checkpoint,
    outputs,
    device="cpu",
    threads=1,
):
    """Make one model folder: weights, configuration, tokeniser and metrics.json.

    Parameters
    ----------
    dataset, model : str
        Ids. They are part of the seeds.
    seed : int
        The training seed.
    block : mapping
        The model's part of the configuration (`Encoder` in workflow/config.py).
    label_names : sequence of str
        Names of the data's classes, by label.
    train : path or None
        Parquet file of the training split. None takes the checkpoint as it is.
    evaluation : path
        Parquet file of the split on which accuracy is measured.
    split : str
        Name of that split.
    checkpoint : path or None
        Folder of a downloaded checkpoint, for source 'hub'.
    outputs : mapping of str to path
        weights, architecture, tokenizer, tokenizer_config, metrics -> the file to write.
    device, threads
        See `plumbline.models.runtime.prepare`.

    Raises
    ------
    PlumblineError
        For a missing checkpoint, a loss that is not finite, an accuracy far below chance (the label order contradicts the
        data), or below what is published of the checkpoint (`published.reach_published`).
    """
    device = prepare(device, threads)
    rows = read_records(train) if train else None
    held_out = read_records(evaluation)
    task = "agreement" if "mask_index" in held_out[0] else "classification"
    classes = len(label_names)
    torch.manual_seed(seed_of("initial weights", dataset, model, seed))
    network, tokenizer = initial(block, task, label_names, rows, checkpoint)
    network.to(device)
    loss_curve = []
    if train:
        if task == "classification":
            name_labels(network, label_names)
        examples = _tokenised(rows, tokenizer, network, block["training"]["max_tokens"], train)
        loss_curve = fit(
            network, examples, tokenizer, block["training"], seed_of("training", dataset, model, seed)
        )
    correct, count = accuracy(network, _tokenised(held_out, tokenizer, network, None, evaluation), tokenizer)
    lower, upper = wilson_interval(correct, count)
    # A model that distinguishes nothing is right as often as the class that it predicts is frequent.
    chance = min(
        1 / classes, *np.unique([row["label"] for row in held_out], return_counts=True)[1] / len(held_out)
    )
    if upper < chance:
        raise PlumblineError(
            f"{model} on {dataset}: accuracy {correct / count:.3f} on {count} examples of '{split}' is far below "
            f"chance ({chance:.2f}): the checkpoint's label order contradicts the data, set `label_order`"
        )
    published = None if train else block.get("published_accuracy")
    reach_published(correct, count, published, f"{model} on {dataset}")
    facts = {
        "dataset": dataset,
        "model": model,
        "architecture": network.config.model_type,
        "seed": seed,
        "task": task,
        "source": block["source"],
        "repo": block.get("repo"),
        "split": split,
        "examples": count,
        "accuracy": correct / count,
        "accuracy_lower": lower,
        "accuracy_upper": upper,
        "published_accuracy": published,
        "loss_curve": loss_curve,
        "train_examples": 0 if rows is None else len(rows),
        "epochs": block["training"]["epochs"] if train else 0,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "versions": {
            "plumbline": __release__,
            "torch": torch.__version__,
            "transformers": _version("transformers"),
        },
    }
    save(network, tokenizer, outputs)
    # Jobs that use the model have its weights and these facts as inputs. The digests show whether the rest has changed.
    others = ("architecture", "tokenizer", "tokenizer_config")
    facts["sha256"] = {Path(outputs[name]).name: sha256_of(outputs[name]) for name in others}
    write_json(outputs["metrics"], facts)


def _version(package):
    from importlib.metadata import version

    return version(package)


def _tokenised(rows, tokenizer, network, most, where):
    return tokenise(
        # Neither training nor accuracy looks at a rationale, which costs more than the tokens to bring to them.
        [{name: value for name, value in row.items() if name != "rationale"} for row in rows],
        tokenizer,
        limit=max_tokens(network),
        segments=segments(network),
        max_tokens=most,
        too_long="truncate",
        where=str(where),
    )


def initial(block, task, label_names, rows, checkpoint):
    """Make model and tokeniser before training.

    They are fresh, or a checkpoint's. A checkpoint has a fresh head where it is trained and has none.

    Parameters
    ----------
    block : mapping
        The model's part of the configuration.
    task : {'classification', 'agreement'}
        Of the data.
    label_names : sequence of str
        Names of the data's classes, by label.
    rows : list of dict or None
        The training split, for source 'scratch'.
    checkpoint : path or None
        Folder of a downloaded checkpoint.

    Returns
    -------
    model : transformers.PreTrainedModel
        The model.
    tokenizer : transformers.PreTrainedTokenizerFast
        Its tokeniser.

    Raises
    ------
    PlumblineError
        For a checkpoint of another architecture, and as `checkpoint.read_model` and `check_labels` do.
    """
    if block["source"] == "scratch":
        return _scratch(block, task, len(label_names), rows)
    folder = checkpoint_folder(block, checkpoint)
    kind, expected = read_config(folder).model_type, block["architecture"].replace("_", "-")
    if kind != expected:
        raise PlumblineError(f"the checkpoint in {folder} is a '{kind}', the config says '{expected}'")
    trained = bool(block["training"])
    network = read_model(folder, task, classes=len(label_names), trained=trained)
    if task == "classification" and not trained:
        if block.get("label_order"):
            reorder_labels(network, block["label_order"])
        check_labels(network, label_names, folder)
    return network, read_tokenizer(folder, network)


def check_labels(network, label_names, folder):
    """Check the order of a checkpoint's classes.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    label_names : sequence of str
        Names of the data's classes, by label.
    folder : path
        The checkpoint's, named in the message.

    Raises
    ------
    PlumblineError
        Where a checkpoint calls its classes by the data's names, and in another order.
    """
    own = [network.config.id2label[label].lower() for label in range(network.config.num_labels)]
    names = [name.lower() for name in label_names]
    if own != names and sorted(own) == sorted(names):
        order = [names.index(name) for name in own]
        raise PlumblineError(
            f"the checkpoint in {folder} has the classes {', '.join(own)}, the data has them as {', '.join(names)}: set "
            f"`label_order: {order}`"
        )


def _scratch(block, task, classes, rows):
    """A small model with fresh weights, and a tokeniser trained on the training texts."""
    import transformers

    kind = block["architecture"].replace("_", "-")
    tokenizer = train_tokenizer(kind, [text for row in rows for text in texts_of(row)], block["vocabulary"])
    made = class_of(kind, task)
    names = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "num_labels": classes}
    names["max_position_embeddings"] = POSITIONS
    size = {
        "layers": block["layers"],
        "width": block["hidden_size"],
        "heads": block["heads"],
        "ffn": block["feed_forward"],
    }
    if kind == "distilbert":
        names |= {
            "n_layers": size["layers"],
            "dim": size["width"],
            "n_heads": size["heads"],
            "hidden_dim": size["ffn"],
        }
    else:
        names |= {
            "num_hidden_layers": size["layers"],
            "hidden_size": size["width"],
            "num_attention_heads": size["heads"],
            "intermediate_size": size["ffn"],
            "embedding_size": size["width"],
        }
    # Small models trained on plenty of data underfit before they overfit: no dropout.
    # With the usual 0.02, so narrow a model passes next to nothing through attention at first and stands still.
    names["initializer_range"] = 0.05
    names |= dict.fromkeys(
        [
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "dropout",
            "attention_dropout",
            "seq_classif_dropout",
            "classifier_dropout_prob",
        ],
        0.0,
    )
    config = getattr(transformers, made.config_class.__name__)(**names)
    network = made(config)
    return (agreement_head.attach(network) if task == "agreement" else network), tokenizer


# Positions of a model from scratch; RoBERTa's first is padding_idx + 1.
POSITIONS = 130


def reorder_labels(network, order):
    """Permute the classifier's outputs and their names, in place.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    order : sequence of int
        Output i of the checkpoint is class order[i] of the data.

    Raises
    ------
    PlumblineError
        For what is no order of the checkpoint's classes.
    """
    base = {id(module) for module in network.base_model.modules()}
    heads = [m for m in network.modules() if isinstance(m, torch.nn.Linear) and id(m) not in base]
    head = heads[-1]
    if sorted(order) != list(range(head.out_features)):
        raise PlumblineError(
            f"label_order {order} is no order of the checkpoint's {head.out_features} classes"
        )
    inverse = [order.index(label) for label in range(len(order))]
    with torch.no_grad():
        head.weight.copy_(head.weight[inverse])
        if head.bias is not None:
            head.bias.copy_(head.bias[inverse])
    names = network.config.id2label
    name_labels(network, [names[old] for old in inverse])


def name_labels(network, names):
    """Write the classes' names into the model's configuration, where pipelines of transformers read them.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    names : sequence of str
        By label.
    """
    network.config.id2label = dict(enumerate(names))
    network.config.label2id = {name: label for label, name in enumerate(names)}


def fit(network, examples, tokenizer, training, seed):
    """Train in place.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    examples : sequence of tokenisation.Tokenised
        The training split.
    tokenizer : transformers.PreTrainedTokenizerFast
        The model's tokeniser.
    training : mapping
        epochs, batch_size, warmup, and what `training_loop.steps` takes.
    seed : int
        Of the order of the examples and of dropout.

    Returns
    -------
    list of dict
        The loss curve (`training_loop.curve`).
    """
    from transformers import get_linear_schedule_with_warmup

    device = next(network.parameters()).device
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    size = training["batch_size"]
    count = max(1, math.ceil(training["epochs"] * math.ceil(len(examples) / size)))
    batches = (batch for _ in range(math.ceil(training["epochs"])) for batch in epoch(examples, size, draw))

    def losses(batch):
        pieces = parts(batch)
        for part in pieces:
            yield batch_loss(network, part, tokenizer.pad_token_id, device) * (len(part) / len(batch))
        if len(pieces) > 1:  # long texts
            release_memory()

    def schedule(optimiser):
        return get_linear_schedule_with_warmup(optimiser, round(training["warmup"] * count), count)

    return curve(list(steps(network, islice(batches, count), losses, training, schedule=schedule, clip=1.0)))


def epoch(examples, size, draw):
    """Pass over the examples in random order, in batches of like lengths: sorted inside windows of 50 batches.

    Parameters
    ----------
    examples : sequence of tokenisation.Tokenised
        The training split.
    size : int
        Examples of a batch.
    draw : numpy.random.Generator
        Of the order.

    Yields
    ------
    list of tokenisation.Tokenised
    """
    order = draw.permutation(len(examples))
    found = []
    for start in range(0, len(order), 50 * size):
        window = sorted(order[start : start + 50 * size], key=lambda index: len(examples[index].ids))
        found += [window[begin : begin + size] for begin in range(0, len(window), size)]
    for index in draw.permutation(len(found)):
        yield [examples[number] for number in found[index]]


# Padded tokens whose activations are held at once: of a MiniLM, in texts of 256, they take 1.7 GB.
TOKENS = 2048


def parts(batch):
    """Split a batch into equal parts of at most `TOKENS` padded tokens (or one text). Their gradients add up to the batch's.

    Parameters
    ----------
    batch : list of tokenisation.Tokenised
        Examples.

    Returns
    -------
    list of list of tokenisation.Tokenised
    """
    count = math.ceil(len(batch) * max(len(example.ids) for example in batch) / TOKENS)
    size = math.ceil(len(batch) / count)
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def batch_loss(network, batch, pad_id, device):
    """Compute the loss of `explained_probability`.

    It is cross-entropy over classes, binary where the probability is a sigmoid (one logit, or several labels).

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    batch : sequence of tokenisation.Tokenised
        Examples.
    pad_id : int
        Id of padding.
    device : torch.device
        The model's.

    Returns
    -------
    torch.Tensor, float32, shape ()
        The mean over the batch.
    """
    inputs = {name: tensor.to(device) for name, tensor in padded(batch, pad_id).items()}
    labels, positions = (
        torch.tensor([getattr(example, name) for example in batch], device=device)
        for name in ("label", "position")
    )
    logits = at_position(forward(network, **inputs).logits, positions)
    if logits.shape[1] == 1:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels.float())
    if is_multi_label(network):
        wanted = torch.nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
    return torch.nn.functional.cross_entropy(logits, labels)


def accuracy(network, examples, tokenizer):
    """Count the examples that are classified rightly.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    examples : sequence of tokenisation.Tokenised
        Examples.
    tokenizer : transformers.PreTrainedTokenizerFast
        The model's tokeniser.

    Returns
    -------
    correct, count : int
        The number right, and the number of examples.
    """
    passes = Passes()
    numbers = [passes.add(example.ids, example.position, example.types) for example in examples]
    logits = passes.run(network, tokenizer.pad_token_id)[numbers]
    labels = torch.tensor([example.label for example in examples])
    return int((predicted_class(logits) == labels).sum()), len(examples)


def save(network, tokenizer, outputs):
    """Write weights (safetensors), config.json and the tokeniser's files, each moved into place when complete.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        The model.
    tokenizer : transformers.PreTrainedTokenizerFast
        Its tokeniser.
    outputs : mapping of str to path
        weights, architecture, tokenizer, tokenizer_config -> the file to write.
    """
    from safetensors.torch import save_file

    folder = Path(outputs["weights"]).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=temporary_prefix("saving")) as made:
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, f"{made}/model.safetensors", metadata={"format": "pt"})
        network.config.architectures = [type(network).__name__]
        network.config.save_pretrained(made)
        tokenizer.save_pretrained(made)
        for key in ("weights", "architecture", "tokenizer", "tokenizer_config"):
            os.replace(f"{made}/{Path(outputs[key]).name}", outputs[key])
