"""Faithfulness: what happens to the explained probability when the tokens that a ranking calls important
go (comprehensiveness, comp) or alone stay (sufficiency, suff).

`PROTOCOLS` is the registry; no torch is imported for it. Sources: DeYoung et al. 2020 (arXiv 1911.03429);
the published protocols: Ferrando et al. 2022, reference code (specs: ALTI, section 7).
"""

import importlib

from ..errors import PlumblineError
from ..registry import discover

PROTOCOLS = discover("plumbline.faithfulness", "protocol")
KINDS = ("comp", "suff")


def protocol_module(protocol):
    """The module of a protocol; PlumblineError for an unknown one."""
    return importlib.import_module(f"{__name__}.{PROTOCOLS[protocol].id}")


def curves(
    model,
    input_ids,
    attention_mask,
    scores,
    *,
    protocol,
    kind,
    tokenizer_ids,
    position=None,
    target=None,
    cap=30,
):
    """Perturbation curves, one an example.

    model, input_ids, attention_mask, position, target: see `plumbline.attribution.attribute`.
    scores         float (batch, n), higher = more important; ties: the lower position first.
    protocol       an id of `PROTOCOLS`; kind 'comp' or 'suff'.
    tokenizer_ids  mapping with pad and, for the mask protocol, mask.
    cap            published_steps: number of points at most.

    Returns a list of 1-D float32 tensors of probabilities of the explained class. Index 0 is the full text
    for comp, the special tokens alone for suff.
    """
    import torch

    from ..attribution.batch import Batch
    from ..models.inference import Passes
    from .perturbation import Request, probabilities

    batch = Batch(
        model, input_ids, attention_mask, target=target, position=position, tokenizer_ids=tokenizer_ids
    )
    _check_kind(kind)
    scores = torch.as_tensor(scores).detach().cpu().numpy()
    if scores.shape != tuple(input_ids.shape):
        raise PlumblineError(
            f"scores are {scores.shape}, input_ids {tuple(input_ids.shape)}: give one score a token"
        )
    protocol_module(protocol)  # an unknown one is said first
    passes, requests = Passes(PROTOCOLS[protocol].precision), []
    positions = batch.position.tolist()
    for ids, row, place in zip(batch.sequences(), scores, positions, strict=True):
        request = Request(
            ids, row[: len(ids)], protocol, kind, position=place, agreement=batch.agreement,
            mask_id=tokenizer_ids.get("mask"), cap=cap,
        )  # fmt: skip
        requests.append(request.add_to(passes))
    targets = batch.target.tolist() if target is not None else None
    full = None
    if targets is None:
        full = [passes.add(ids, place) for ids, place in zip(batch.sequences(), positions, strict=True)]
    logits = passes.run(model, tokenizer_ids["pad"])
    if targets is None:
        targets = [_predicted(logits[number]) for number in full]
    return [
        request.curve(probabilities(logits[request.numbers], target))
        for request, target in zip(requests, targets, strict=True)
    ]


def _predicted(logits):
    """argmax over classes; one logit (agreement): 1 when its sigmoid is at least 0.5."""
    return int(logits[0] >= 0) if len(logits) == 1 else int(logits.argmax())


def _check_kind(kind):
    if kind not in KINDS:
        raise PlumblineError(f"unknown kind '{kind}': 'comp' or 'suff'")


def aopc(curves, full_probability, protocol):
    """Area over the perturbation curve, one score an example: float32 (examples,).

    curves: as returned by `curves`; full_probability (examples,): probability on the full text. The same sign
    for both kinds: comp higher is better, suff lower is better. PlumblineError for a protocol without score.
    """
    import torch

    module = protocol_module(protocol)
    if not PROTOCOLS[protocol].scored:
        raise PlumblineError(f"protocol '{protocol}' is a curve only: it has no score")
    full = torch.as_tensor(full_probability, dtype=torch.float32)
    return torch.stack([module.score(p - curve[1:]) for curve, p in zip(curves, full, strict=True)])
