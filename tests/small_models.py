"""Small seeded models of every architecture, and batches of random sentences for them."""

import numpy as np

TOKENIZER_IDS = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
ROBERTA_IDS = {"cls": 0, "pad": 1, "sep": 2, "unk": 3, "mask": 4}
ARCHITECTURES = ("bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra", "albert")

# Architectures whose embeddings may be narrower than their layers.
NARROW = ("electra", "albert")


def special_ids_of(architecture):
    return ROBERTA_IDS if architecture in ("roberta", "xlm-roberta", "camembert") else TOKENIZER_IDS


def small_model(architecture, task="classification", width=16, layers=3, spread=0.3, **more):
    """A seeded random model whose attention is peaked enough for its parts to matter; `more` goes to its config."""
    import torch
    import transformers

    from plumbline.models.agreement_head import attach
    from plumbline.models.encoders import class_of

    made = class_of(architecture, task)
    names = {
        "vocab_size": 60,
        "max_position_embeddings": 40,
        "pad_token_id": special_ids_of(architecture)["pad"],
    }
    if architecture == "distilbert":
        names |= {"dim": width, "n_layers": layers, "n_heads": 4, "hidden_dim": 2 * width}
    else:
        names |= {
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": 4,
            "intermediate_size": 2 * width,
            "embedding_size": width // 2 if architecture in NARROW else width,
        }
    config = getattr(transformers, made.config_class.__name__)(**names, **more)
    torch.manual_seed(0)
    model = made(config)
    if task == "agreement":
        attach(model)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += spread * torch.randn(weight.shape, generator=draw)
    return model.eval()


def small_batch(architecture, lengths=(5, 9, 3, 12), seed=0):
    """(input_ids, attention_mask, position of a mask) of random sentences, padded on the right."""
    import torch

    special, draw = special_ids_of(architecture), np.random.default_rng(seed)
    ids = np.full((len(lengths), max(lengths)), special["pad"], dtype=np.int64)
    positions = []
    for row, length in enumerate(lengths):
        ids[row, :length] = draw.integers(5, 60, size=length)
        ids[row, 0], ids[row, length - 1] = special["cls"], special["sep"]
        positions.append(int(draw.integers(1, max(2, length - 1))))
        ids[row, positions[-1]] = special["mask"]
    mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
    return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), torch.tensor(positions)


def of_method(
    model,
    input_ids,
    attention_mask,
    method,
    *,
    tokenizer_ids,
    target=None,
    position=None,
    seed=None,
    **parameters,
):
    """All readouts of a method, computed once: readout -> (batch, n), as `attribute` gives each."""
    from plumbline.attribution import METHODS, explain
    from plumbline.attribution.batch import Batch

    batch = Batch(
        model,
        input_ids,
        attention_mask,
        target=target,
        position=position,
        tokenizer_ids=tokenizer_ids,
        seed=seed,
    )
    found = explain(method, batch, **parameters)
    return {readout.id: found[readout.id] for readout in METHODS[method].readouts}
