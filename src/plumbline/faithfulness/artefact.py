"""The faithfulness stage's file: every curve of one method's readouts under the run's protocols."""

import math
from dataclasses import asdict

import numpy as np
import torch

from ..artefacts import open_rows, rows_writer, stream_records, write_json
from ..errors import PlumblineError
from ..models.encoders import explained_probability, is_agreement, is_multi_label, load
from ..models.inference import Passes
from ..models.runtime import prepare
from ..models.tokenisation import block_range, blocks, special_ids
from ..seeds import seed_of
from ..work import Work
from . import KINDS, PROTOCOLS, aopc, ranking
from .perturbation import Request, orders


def write_faithfulness(
    *,
    model,
    attributions,
    protocols,
    output,
    dataset="",
    name="",
    work=None,
    device="cpu",
    threads=1,
    token_budget=None,
    shard=None,
):
    """Write results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet.

    All perturbed inputs of a block of 256 examples go through the model together, equal ones once. One block is in memory at a
    time.

    Parameters
    ----------
    model : path
        A folder that the model stage wrote.
    attributions : path
        The method's Parquet file.
    protocols : list of mapping
        {protocol, readouts, examples, cap}. `examples` counts the file's first uncut rows. None: all rows, those of cut texts
        too.
    output : path
        The file to write.
    dataset : str
        Id of the data set.
    name : str
        The model's name and training seed. `dataset`, `name`, example and readout make the seed by which tied tokens are put in
        an order, so that order and sharding change nothing.
    work : path, optional
        Where to write what the passes took, as JSON with the keys of `work.Work`: counts and seconds, which differ from run to
        run.
    device, threads
        See `plumbline.models.runtime.prepare`.
    token_budget : int, optional
        Tokens of one forward pass. It changes no result beyond rounding.
    shard : tuple of int, optional
        (number of the shard, number of shards): the examples of that shard alone.

    Raises
    ------
    PlumblineError
        For a protocol that masks, where the tokeniser has no mask token, and for more shards than blocks.
    """
    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    special = special_ids(tokenizer)
    if special["mask"] is None and (
        masks := [e["protocol"] for e in protocols if PROTOCOLS[e["protocol"]].removal == "mask"]
    ):
        raise PlumblineError(
            f"the tokeniser in {model} has no mask token, which protocol '{masks[0]}' puts in the place of tokens: leave that "
            "protocol out for this model's data sets (`faithfulness`, `datasets`)"
        )
    first, last = block_range(open_rows(attributions).metadata.num_rows, shard, attributions)
    # How many uncut examples stand before a row: protocols count them.
    uncut = sum(not row["cut"] for row in stream_records(attributions, ["cut"], stop=first))
    wanted = sorted({f"scores_{readout}" for entry in protocols for readout in entry["readouts"]})
    names = ["id", "input_ids", "target", "position", "cut", *wanted]
    if "token_type_ids" in open_rows(attributions).schema_arrow.names:  # of pairs
        names.append("token_type_ids")
    precisions = sorted({_precision(entry) for entry in protocols})
    done = Work()
    with rows_writer(output, kind="faithfulness") as write:
        for block in blocks(stream_records(attributions, names, start=first, stop=last)):
            passes = {precision: Passes(precision) for precision in precisions}
            requests = []
            for row in block:
                number = math.inf if row["cut"] else uncut
                uncut += not row["cut"]
                ids = np.array(row["input_ids"], dtype=np.int64)
                types = np.array(row["token_type_ids"], dtype=np.int64) if "token_type_ids" in row else None
                full = {
                    precision: passes[precision].add(ids, row["position"], types) for precision in precisions
                }
                ranked = {}
                requests += [
                    (row, full, readout, entry["protocol"], tied, request.add_to(passes[_precision(entry)]))
                    for entry in protocols
                    if entry["examples"] is None or number < entry["examples"]
                    for readout, tied, request in _requests(
                        row, ids, types, entry, is_agreement(network), special, (dataset, name), ranked
                    )
                ]
            logits = {
                precision: passes[precision].run(network, special["pad"], token_budget)
                for precision in precisions
            }
            done = sum((found.work for found in passes.values()), done)
            write(_curves(requests, logits, is_multi_label(network)))
    if work:
        write_json(work, asdict(done))


def _precision(entry):
    return PROTOCOLS[entry["protocol"]].precision


def _curves(requests, logits, multi_label):
    """Column -> values of the curves of a block, a row a request. logits: by the precision of the passes."""
    names = ("id", "cut", "readout", "protocol", "kind", "removed", "probability", "score", "tied")
    rows = [None] * len(requests)
    for protocol in dict.fromkeys(protocol for _, _, _, protocol, _, _ in requests):
        chosen = [place for place, request in enumerate(requests) if request[3] == protocol]
        curves, full = _chances([requests[place] for place in chosen], logits, multi_label)
        scores = aopc(curves, full, protocol).tolist() if PROTOCOLS[protocol].scored else [None] * len(curves)
        for place, curve, score in zip(chosen, curves, scores, strict=True):
            row, _, readout, _, tied, request = requests[place]
            about = (row["id"], row["cut"], readout, protocol)
            rows[place] = (*about, request.kind, request.removed, curve.numpy(), score, tied)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _chances(requests, logits, multi_label):
    """The curves of the requests of one protocol, and the probabilities of their full texts (requests,)."""
    precision = PROTOCOLS[requests[0][3]].precision
    sizes = [len(request.numbers) for *_, request in requests]
    numbers = [number for *_, request in requests for number in request.numbers]
    numbers += [full[precision] for _, full, *_ in requests]
    targets = torch.tensor([row["target"] for row, *_ in requests])
    targets = torch.cat([targets.repeat_interleave(torch.tensor(sizes)), targets])
    found = explained_probability(logits[precision][numbers], targets, multi_label=multi_label)
    *points, full = found.split([*sizes, len(requests)])
    return [request.curve(values) for (*_, request), values in zip(requests, points, strict=True)], full


def _requests(row, ids, types, entry, agreement, special, names, ranked):
    """(readout, tied share, request) of one example and protocol entry.

    Comp, suff and all protocols share the ranking: `ranked`, of the example, readout -> (orders, tied share).
    """
    about = {"position": row["position"], "agreement": agreement}
    known = {special[name] for name in ("cls", "sep")} - {None}
    fixed = ranking.special(ids, known)
    for readout in entry["readouts"]:
        if readout not in ranked:
            scores = np.array(row[f"scores_{readout}"], dtype=np.float32)
            seed = seed_of("ties", *names, row["id"], readout)
            ranked[readout] = orders(scores, **about, fixed=fixed, seed=seed)
        found, tied = ranked[readout]
        for kind in KINDS:
            request = Request(
                ids,
                found,
                entry["protocol"],
                kind,
                **about,
                types=types,
                mask_id=special["mask"],
                cap=entry["cap"],
            )
            yield readout, tied, request
