"""The agreement model: a masked-LM class whose vocabulary decoder is Linear(hidden, 1).

Its logits are (batch, n, 1), read at the mask: sigmoid >= 0.5 means third person singular.
"""

import torch

from ..errors import PlumblineError

# Where each masked-LM class keeps its decoder, by `config.model_type`.
DECODERS = {
    "bert": "cls.predictions.decoder",
    "roberta": "lm_head.decoder",
    "xlm-roberta": "lm_head.decoder",
    "camembert": "lm_head.decoder",
    "electra": "generator_lm_head",
    "albert": "predictions.decoder",
    "distilbert": "vocab_projector",
}


def attach(model):
    """Replace the vocabulary decoder of a masked-LM model by a fresh Linear(hidden, 1), in place.

    Weights come from torch's global generator, normal with the config's initializer_range. The bias is zero.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A masked-LM model of an architecture in `DECODERS`.

    Returns
    -------
    transformers.PreTrainedModel
        The model.

    Raises
    ------
    PlumblineError
        For an architecture whose decoder is not known.
    """
    kind = model.config.model_type
    if kind not in DECODERS:
        raise PlumblineError(
            f"no agreement head for architecture '{kind}'; known: {', '.join(sorted(DECODERS))}. "
            "Name its decoder in DECODERS (src/plumbline/models/agreement_head.py)"
        )
    parent, _, name = DECODERS[kind].rpartition(".")
    holder = model.get_submodule(parent)
    old = getattr(holder, name)
    head = torch.nn.Linear(old.in_features, 1).to(old.weight.device)
    torch.nn.init.normal_(head.weight, std=getattr(model.config, "initializer_range", 0.02))
    torch.nn.init.zeros_(head.bias)
    setattr(holder, name, head)
    # The old decoder's bias, one number a vocabulary entry, and its tie to the embeddings go with it.
    if isinstance(getattr(holder, "bias", None), torch.nn.Parameter):
        holder.bias = None
    model.config.tie_word_embeddings = False
    model.config.plumbline_task = "agreement"
    return model
