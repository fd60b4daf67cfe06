"""Training of the multi-head classifier as published (Lopardo et al. 2024, Section 6): AdamW, fixed learning rate,
the epoch with the best validation accuracy is kept.
"""

from itertools import islice

import numpy as np
import torch

from .. import __release__
from ..artefacts import atomic, load_weights, read_json, read_records, write_json
from ..errors import PlumblineError
from ..seeds import seed_of
from ..stats import wilson_interval
from .multihead import MultiHeadClassifier
from .runtime import prepare
from .training_loop import steps
from .vocabulary import Vocabulary, tokens_of


def train_job(*, dataset, seed, network, training, files, outputs, threads=1):
    """Train one classifier.

    Parameters
    ----------
    dataset : str
        Id of the data set.
    seed : int
        The training seed.
    network : mapping
        d_in, d_attn, d_out, heads, max_len.
    training : mapping
        epochs, batch_size, learning_rate, weight_decay.
    files : mapping of str to path
        train, validation, test -> Parquet file. The vocabulary is of train and validation texts, as published.
    outputs : mapping of str to path
        weights (safetensors), vocabulary (JSON) and metrics (JSON) -> the file to write.
    threads : int
        See `plumbline.models.runtime.prepare`.

    Raises
    ------
    PlumblineError
        For a loss that is not finite.
    """
    prepare("cpu", threads)
    rows = {split: read_records(file, ["text", "label"]) for split, file in files.items()}
    vocabulary = Vocabulary.of(row["text"] for split in ("train", "validation") for row in rows[split])
    data = {split: encoded(rows[split], vocabulary, network["max_len"]) for split in rows}
    torch.manual_seed(seed_of("initial weights", dataset, "multihead", seed))
    model = MultiHeadClassifier(len(vocabulary), **network)
    epochs = fit(
        model, data["train"], data["validation"], training, seed_of("training", dataset, "multihead", seed)
    )
    correct, count = correct_of(model, *data["test"]), len(data["test"][1])
    lower, upper = wilson_interval(correct, count)
    save(model, vocabulary, outputs)
    write_json(
        outputs["metrics"],
        {
            "dataset": dataset,
            "model": "multihead",
            "seed": seed,
            "network": network,
            "training": training,
            "vocabulary": len(vocabulary),
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "split": "test",
            "examples": count,
            "accuracy": correct / count,
            "accuracy_lower": lower,
            "accuracy_upper": upper,
            "epochs": epochs,
            "train_examples": len(data["train"][1]),
            "validation_examples": len(data["validation"][1]),
            "versions": {"plumbline": __release__, "torch": torch.__version__},
        },
    )


def encoded(rows, vocabulary, max_len):
    """Encode rows with text and label.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of data.
    vocabulary : Vocabulary
        Of the classifier.
    max_len : int
        T.

    Returns
    -------
    ids : torch.Tensor, int64, shape (rows, max_len)
        Token ids.
    labels : torch.Tensor, int64, shape (rows,)
        Classes.
    """
    ids = np.stack([vocabulary.ids(tokens_of(row["text"]), max_len) for row in rows])
    return torch.from_numpy(ids), torch.tensor([row["label"] for row in rows])


def fit(model, train, validation, training, seed):
    """Train in place. What is kept is the first epoch of best validation accuracy.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    train, validation : tuple of torch.Tensor
        (ids, labels), see `encoded`.
    training : mapping
        epochs, batch_size, learning_rate, weight_decay.
    seed : int
        Of the order of the texts.

    Returns
    -------
    list of dict
        {epoch, loss, validation_accuracy}.

    Raises
    ------
    PlumblineError
        For fewer texts than a batch.
    """
    draw, size = np.random.default_rng(seed), training["batch_size"]
    # The last, smaller batch of an epoch is left out, as published.
    count = len(train[1]) // size
    if not count:
        raise PlumblineError(
            f"{len(train[1])} training texts do not fill a batch of {size}: lower batch_size"
        )

    def batches():
        for _ in range(training["epochs"]):
            order = torch.from_numpy(draw.permutation(len(train[1])))
            yield from order[: count * size].split(size)

    def losses(batch):
        yield torch.nn.functional.cross_entropy(model(train[0][batch]), train[1][batch])

    done, found, best = steps(model, batches(), losses, training), [], None
    for epoch in range(1, training["epochs"] + 1):
        mean = float(np.mean(list(islice(done, count))))
        accuracy = correct_of(model, *validation) / len(validation[1])
        found.append({"epoch": epoch, "loss": mean, "validation_accuracy": accuracy})
        if best is None or accuracy > best[0]:
            best = accuracy, {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(best[1])
    return found


@torch.no_grad()
def correct_of(model, ids, labels):
    """Count the texts that are classified rightly.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    ids, labels
        See `encoded`.

    Returns
    -------
    int
    """
    return sum(
        int((model(part).argmax(1) == label).sum())
        for part, label in zip(ids.split(256), labels.split(256), strict=True)
    )


def save(model, vocabulary, outputs):
    """Write weights (safetensors) and vocabulary (JSON), each moved into place when complete.

    Parameters
    ----------
    model : MultiHeadClassifier
        The classifier.
    vocabulary : Vocabulary
        Its vocabulary.
    outputs : mapping of str to path
        weights, vocabulary -> the file to write.
    """
    from safetensors.torch import save_file

    with atomic(outputs["weights"]) as temporary:
        save_file(model.state_dict(), temporary, metadata={"format": "pt"})
    write_json(outputs["vocabulary"], vocabulary.tokens)


def load(weights, vocabulary, metrics):
    """Load a trained classifier from its three files.

    Parameters
    ----------
    weights, vocabulary, metrics : path
        As `train_job` writes them.

    Returns
    -------
    model : MultiHeadClassifier
        In evaluation mode, frozen.
    words : Vocabulary
        Its vocabulary.
    max_len : int
        T.
    """
    words, network = Vocabulary(read_json(vocabulary)), read_json(metrics)["network"]
    model = MultiHeadClassifier(len(words), **network).requires_grad_(False).eval()
    load_weights(model, weights)
    return model, words, network["max_len"]
