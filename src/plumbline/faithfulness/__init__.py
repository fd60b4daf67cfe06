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
    seed=None,
):
    """Perturbation curves, one an example.

    model, input_ids, attention_mask, position, target: see `plumbline.attribution.attribute`.
    scores         real numbers (batch, n), higher = more important. Tied tokens are taken in a random order, and the curve is
                   the mean over `ranking.DRAWS` such orders.
    protocol       an id of `PROTOCOLS`; kind 'comp' or 'suff'.
    tokenizer_ids  mapping with pad and, for the mask protocol, mask.
    cap            published_steps: number of points at most.
    seed           of those orders: one number, or int64 (batch,), one an example; None: from the example's token ids alone,
                   so that neither the batch nor the time of the call changes anything.

    Returns a list of 1-D float32 tensors of probabilities of the explained class. Index 0 is the full text
    for comp, the special tokens alone for suff. Raises PlumblineError as `attribute` does, and for scores of another
    shape or that are not finite real numbers.
    """
    from ..attribution.batch import Batch
    from ..models.inference import Passes
    from ..seeds import seed_of
    from .perturbation import Request, orders, probabilities
    from .ranking import real

    batch = Batch(
        model, input_ids, attention_mask, target=target, position=position, tokenizer_ids=tokenizer_ids, seed=seed
    )  # fmt: skip
    _check_kind(kind)
    scores = real(scores)
    if scores.shape != tuple(input_ids.shape):
        raise PlumblineError(
            f"scores are {scores.shape}, input_ids {tuple(input_ids.shape)}: give one score a token"
        )
    protocol_module(protocol)  # an unknown one is said first
    passes, requests = Passes(PROTOCOLS[protocol].precision), []
    positions = batch.position.tolist()
    sequences = batch.sequences()
    seeds = [seed_of("ties", *ids) for ids in sequences] if seed is None else batch.seed.tolist()
    for ids, row, place, draw in zip(sequences, scores, positions, seeds, strict=True):
        about = {"position": place, "agreement": batch.agreement}
        request = Request(
            ids, orders(row[: len(ids)], **about, seed=draw)[0], protocol, kind, **about,
            mask_id=tokenizer_ids.get("mask"), cap=cap,
        )  # fmt: skip
        requests.append(request.add_to(passes))
    targets = batch.target.tolist() if target is not None else None
    full = None
    if targets is None:
        full = [passes.add(ids, place) for ids, place in zip(sequences, positions, strict=True)]
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
