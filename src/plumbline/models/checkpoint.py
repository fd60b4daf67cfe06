"""Checkpoints in the layout of transformers' `save_pretrained`: what has to be there, read without running code.

Weights are read from safetensors, or with torch.load(weights_only=True), which builds tensors and runs no code. Whatever
would leave a weight random, drop a layer or misread every word is an error. No torch at the top: the plan looks at folders.
"""

import importlib.util
import json
from pathlib import Path

from ..errors import PlumblineError

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
# One of these holds the vocabulary; the patterns are SentencePiece files under any name.
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
POINTER = b"version https://git-lfs.github.com/spec/"
# Names under which training scripts put a model's weights beside their own state.
NESTED = ("state_dict", "model_state_dict", "model")
# Of the encoder itself, what heads use or leave out: it may be missing where the head may, and left over where it has no use.
POOLER = "pooler"
# Numbers 0, 1, 2, ... that old versions of transformers wrote down.
BUFFERS = ("position_ids", "token_type_ids")
# A tokeniser of fewer entries than this share of the embedding's rows belongs to another model.
LEAST_VOCABULARY = 0.9


def check_folder(folder):
    """Check that a folder holds a configuration, weights and a tokeniser.

    Parameters
    ----------
    folder : path
        The checkpoint's.

    Raises
    ------
    PlumblineError
        Where one of them is missing, or a Git LFS pointer stands in its place.
    """
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise PlumblineError(f"no checkpoint in {folder}: config.json is missing there")
    if (folder / "vocab.json").is_file() and not (
        (folder / "tokenizer.json").is_file() or (folder / "merges.txt").is_file()
    ):
        raise PlumblineError(
            f"the tokeniser in {folder} is incomplete: vocab.json needs merges.txt beside it: copy the file there"
        )
    for what, names in (("weights", WEIGHTS), ("tokeniser", VOCABULARIES)):
        if not any(found.is_file() for name in names for found in folder.glob(name)):
            raise PlumblineError(
                f"the checkpoint in {folder} has no {what} ({', '.join(names)}): copy the file there"
            )
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.stat().st_size < 1024 and file.read_bytes().startswith(POINTER):
            raise PlumblineError(
                f"{file} is a Git LFS pointer and not the file itself: run `git lfs pull` in its repository, or download it"
            )


def checkpoint_folder(block, checkpoint=None):
    """Find the folder of a model's checkpoint: downloaded, given, or inside an installed package.

    Parameters
    ----------
    block : mapping
        The model's part of the configuration.
    checkpoint : path, optional
        The folder of a downloaded checkpoint, for source 'hub'.

    Returns
    -------
    str

    Raises
    ------
    PlumblineError
        For a package that is not installed, and as `check_folder` does.
    """
    if block["source"] == "package":
        try:
            package = importlib.util.find_spec(block["package"])
        except (ImportError, ValueError):  # a part of a package that is not there; a name that is none
            package = None
        if package is None or not package.submodule_search_locations:
            raise PlumblineError(
                f"the Python package '{block['package']}' is not installed: pip install {block['package'].replace('_', '-')}"
            )
        folder = Path(package.submodule_search_locations[0]) / block["subfolder"]
    else:
        folder = Path(checkpoint if block["source"] == "hub" else block["directory"])
    check_folder(folder)
    return str(folder)


def read_config(folder):
    """Read the checkpoint's configuration.

    Parameters
    ----------
    folder : path
        The checkpoint's.

    Returns
    -------
    transformers.PretrainedConfig
        Of transformers' class for its model type.

    Raises
    ------
    PlumblineError
        Where config.json cannot be read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise PlumblineError(f"{folder}/config.json is not read: {_first_line(fault)}") from None


def read_model(folder, task, *, classes=None, trained=False):
    """Read the model of a checkpoint.

    Parameters
    ----------
    folder : path
        The checkpoint's.
    task : {'classification', 'agreement'}
        Of the data.
    classes : int, optional
        Of the data. None: as the checkpoint's configuration says.
    trained : bool
        Whether training follows. Then the head may be missing, or of other classes, and is made anew from torch's generator.
        Else every weight has to be there.

    Returns
    -------
    transformers.PreTrainedModel
        float32, in evaluation mode.

    Raises
    ------
    PlumblineError
        For weights that are missing, of another shape, or of a layer that the configuration has not.
    """
    from . import agreement_head
    from .architectures import class_of

    config = read_config(folder)
    made = class_of(config.model_type, task)
    weights = read_weights(folder)
    if task == "agreement" and getattr(config, "plumbline_task", None) == "agreement":
        model = agreement_head.attach(made(config))
        _fill(model, weights, folder)
        return model.float().eval()
    if task == "agreement" and not trained:
        raise PlumblineError(
            f"the checkpoint in {folder} has no agreement head (one logit at every position), and is not trained: set `training`"
        )
    if task == "classification" and classes not in (None, config.num_labels):
        if not trained:
            raise PlumblineError(
                f"the checkpoint in {folder} tells {config.num_labels} classes apart, the data has {classes}: choose "
                "another checkpoint, or set `training`, and its head is made anew"
            )
        config.num_labels = classes
    model = _filled(made, config, weights, folder, trained)
    if task == "agreement":
        agreement_head.attach(model)
    return model.float().eval()


def _filled(made, config, weights, folder, trained):
    """A model of class `made` with the weights, which transformers may rename as its versions did."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what it reports of missing weights is said below
    try:
        model, info = made.from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except RuntimeError as fault:
        raise PlumblineError(f"the weights in {folder} do not fit: {_first_line(fault)}") from None
    finally:
        logging.set_verbosity(verbosity)
    shapes = {
        name: f"{name} {_shape(there)} for {_shape(wanted)}"
        for name, there, wanted in info["mismatched_keys"]
    }
    _refuse(folder, model, set(info["missing_keys"]), set(info["unexpected_keys"]), shapes, trained)
    return model


def _shape(size):
    return "x".join(map(str, size)) or "scalar"


def _fill(model, weights, folder):
    """Put weights into a model that has exactly their names."""
    own = model.state_dict()
    shapes = {
        name: f"{name} {_shape(weights[name].shape)} for {_shape(own[name].shape)}"
        for name in own.keys() & weights.keys()
        if own[name].shape != weights[name].shape
    }
    _refuse(folder, model, own.keys() - weights.keys(), weights.keys() - own.keys(), shapes, trained=False)
    model.load_state_dict({name: weights[name] for name in own})


def _refuse(folder, model, missing, unexpected, shapes, trained):
    """PlumblineError for what reading the weights found, unless it is of a head that training makes anew."""
    encoder = {name for name, _ in model.base_model.named_children()} - {POOLER}

    def inside(name):
        parts = name.removeprefix(f"{model.base_model_prefix}.").split(".")
        return parts[0] in encoder and parts[-1] not in BUFFERS

    if lost := sorted(filter(inside, missing) if trained else missing):
        hint = "" if trained else ", or set `training`" if not any(map(inside, lost)) else ""
        raise PlumblineError(
            f"the checkpoint in {folder} lacks weights of a {type(model).__name__}: {_listed(lost)}: choose a checkpoint that "
            f"has them{hint}"
        )
    if other := sorted(text for name, text in shapes.items() if inside(name) or not trained):
        raise PlumblineError(
            f"weights in {folder} are of another shape than its config.json says: {_listed(other)}: correct config.json, or take "
            "the one that came with the weights"
        )
    if left := sorted(filter(inside, unexpected)):
        raise PlumblineError(
            f"the checkpoint in {folder} has weights of parts that its config.json has not: {_listed(left)}: take the config.json "
            "that came with the weights"
        )


def _listed(names, most=3):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def read_weights(folder):
    """Read all weights of a checkpoint, in one file or several (an index.json lists them).

    Parameters
    ----------
    folder : path
        The checkpoint's.

    Returns
    -------
    dict of str to torch.Tensor
        Name -> weight.

    Raises
    ------
    PlumblineError
        Where a file is missing or cannot be read.
    """
    folder = Path(folder)
    file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise PlumblineError(f"the checkpoint in {folder} has no weights ({', '.join(WEIGHTS)})")
    if file.suffix != ".json":
        return read_tensors(file)
    try:
        names = sorted(set(json.loads(file.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise PlumblineError(f"{file} does not list weights: copy the file again") from None
    found = {}
    for name in names:
        if not (folder / name).is_file():
            raise PlumblineError(f"the checkpoint in {folder} lacks {name}, which {file.name} lists")
        found |= read_tensors(folder / name)
    return found


def read_tensors(file):
    """Read the tensors of a .safetensors file, or of a .bin, whose weights may stand under `state_dict` or `model`.

    Parameters
    ----------
    file : path
        The file.

    Returns
    -------
    dict of str to torch.Tensor
        Name -> tensor.

    Raises
    ------
    PlumblineError
        For a file that is damaged, or holds anything else.
    """
    file = Path(file)
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as fault:
            raise PlumblineError(
                f"{file} is no safetensors file, or damaged ({_first_line(fault)}): copy it again"
            ) from None
    import pickle

    import torch

    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, ValueError, KeyError) as fault:
        raise PlumblineError(
            f"{file} is not read: it holds more than tensors, or is damaged ({_first_line(fault)}): use a revision with "
            "model.safetensors"
        ) from None
    if isinstance(content, dict):
        for name in NESTED:
            if isinstance(content.get(name), dict):
                content = content[name]
                break
        content = {name: tensor for name, tensor in content.items() if tensor is not None}
        if content and all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
            return content
    raise PlumblineError(
        f"{file} does not hold a model's weights by name: save them with `model.save_pretrained`"
    )


def to_safetensors(folder):
    """Replace pytorch_model.bin by model.safetensors, with the same tensors under the same names.

    Nothing changes where model.safetensors is there.

    Parameters
    ----------
    folder : path
        The checkpoint's.

    Raises
    ------
    PlumblineError
        As `check_folder` and `read_tensors` do.
    """
    source, target = Path(folder) / "pytorch_model.bin", Path(folder) / "model.safetensors"
    check_folder(folder)
    if target.is_file():
        return
    from safetensors.torch import save_file

    from ..artefacts import atomic

    weights = read_tensors(source)
    with atomic(target) as temporary:
        # Tied weights share memory, which safetensors refuses.
        save_file(
            {name: tensor.clone() for name, tensor in weights.items()}, temporary, metadata={"format": "pt"}
        )
    source.unlink()


def read_tokenizer(folder, model):
    """Read the tokeniser of a checkpoint, and check it against the model's embedding.

    Where it names no padding, it has the model's own.

    Parameters
    ----------
    folder : path
        The checkpoint's.
    model : transformers.PreTrainedModel
        The checkpoint's model.

    Returns
    -------
    transformers.PreTrainedTokenizerFast

    Raises
    ------
    PlumblineError
        Where it is missing, cannot be read, or belongs to another model.
    """
    from transformers import AutoTokenizer

    check_folder(folder)
    alone = not (Path(folder) / "tokenizer.json").is_file() and any(Path(folder).glob("*.model"))
    if alone and importlib.util.find_spec("sentencepiece") is None:
        raise PlumblineError(
            f"the tokeniser in {folder} is a SentencePiece file without tokenizer.json: "
            "pip install sentencepiece protobuf, or use a revision that has tokenizer.json"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as fault:  # the tokenizers library raises Exception itself
        raise PlumblineError(f"the tokeniser in {folder} is not read: {_first_line(fault)}") from None
    if not tokenizer.is_fast:
        raise PlumblineError(
            f"the tokeniser in {folder} does not tell where in the text a token stands: it needs a tokenizer.json"
        )
    rows, known = model.get_input_embeddings().num_embeddings, tokenizer.get_vocab()
    if max(known.values()) >= rows or len(known) < LEAST_VOCABULARY * rows:
        raise PlumblineError(
            f"the tokeniser in {folder} has {len(known)} entries (largest id {max(known.values())}), the model's embedding "
            f"{rows} rows: it belongs to another model; take the tokeniser that came with the weights"
        )
    if tokenizer.pad_token is None:
        # Padded places are masked, so any entry will do; RoBERTa counts positions past its own.
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id or 0)
    return tokenizer


def _first_line(fault):
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]
