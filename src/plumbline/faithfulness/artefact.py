"""The faithfulness stage's file: every curve of one method's readouts under the run's protocols."""

import math
from dataclasses import asdict

import numpy as np

from ..artefacts import read_records, write_json, write_rows
from ..models.encoders import is_agreement, load
from ..models.inference import Passes
from ..models.runtime import prepare
from ..models.tokenisation import blocks, special_ids
from ..work import Work
from . import KINDS, PROTOCOLS, aopc
from .perturbation import Request, probabilities, ranking


def write_faithfulness(
    *, model, attributions, protocols, output, work=None, device="cpu", threads=1, token_budget=None
):
    """Write results/{scale}/faithfulness/{dataset}/{model}/seed{seed}/{method}.parquet.

    model         a folder that the model stage wrote; attributions: the method's Parquet file.
    protocols     list of {protocol, readouts, examples, cap}: examples counts the file's first uncut rows (None:
                  all rows, those of cut texts too).
    work          where to write what the passes took, as JSON with the keys of `work.Work`: counts and
                  seconds, which differ from run to run.
    token_budget  tokens of one forward pass; changes no result beyond rounding.

    All perturbed inputs of a block of 256 examples go through the model together, equal ones once.
    """
    device = prepare(device, threads)
    network, tokenizer = load(model, device)
    special = special_ids(tokenizer)
    wanted = sorted({f"scores_{readout}" for entry in protocols for readout in entry["readouts"]})
    rows = read_records(attributions, ["id", "input_ids", "target", "position", "cut", *wanted])
    uncut = {row["id"]: number for number, row in enumerate(row for row in rows if not row["cut"])}
    columns = {
        name: [] for name in ("id", "cut", "readout", "protocol", "kind", "removed", "probability", "score")
    }
    done = Work()
    for block in blocks(rows):
        passes, requests = Passes(), []
        for row in block:
            ids = np.array(row["input_ids"], dtype=np.int64)
            full = passes.add(ids, row["position"])
            requests += [
                (row, full, readout, entry["protocol"], request.add_to(passes))
                for entry in protocols
                if entry["examples"] is None or uncut.get(row["id"], math.inf) < entry["examples"]
                for readout, request in _requests(row, ids, entry, is_agreement(network), special)
            ]
        logits = passes.run(network, special["pad"], token_budget)
        done += passes.work
        for row, full, readout, protocol, request in requests:
            curve = request.curve(probabilities(logits[request.numbers], row["target"]))
            score = None
            if PROTOCOLS[protocol].scored:
                score = aopc([curve], probabilities(logits[[full]], row["target"]), protocol)[0].item()
            values = (
                row["id"],
                row["cut"],
                readout,
                protocol,
                request.kind,
                request.removed,
                curve.numpy(),
                score,
            )
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
    write_rows(output, columns, kind="faithfulness")
    if work:
        write_json(work, asdict(done))


def _requests(row, ids, entry, agreement, special):
    """(readout, request) of one example and protocol entry; comp and suff share the ranking."""
    for readout in entry["readouts"]:
        scores = np.array(row[f"scores_{readout}"], dtype=np.float32)
        ranked = ranking(scores, row["position"], agreement)
        for kind in KINDS:
            yield readout, Request(
                ids, scores, entry["protocol"], kind, position=row["position"], agreement=agreement,
                mask_id=special["mask"], cap=entry["cap"], ranked=ranked,
            )  # fmt: skip
