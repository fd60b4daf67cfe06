"""What an explanation costs, in units of one plain forward pass of the same batch: `make bench`.

Machines are noisy, so everything is a ratio of medians, measured alternately in one run. The model has the
geometry of MiniLM (6 layers, 384 wide, 12 heads) with random weights; nothing here depends on its values.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from plumbline.attribution import attribute
from plumbline.faithfulness import KINDS, aopc, curves
from plumbline.faithfulness.perturbation import Request, orders, probabilities
from plumbline.models.encoders import undisturbed
from plumbline.models.inference import Passes
from plumbline.models.packed import available

TOKENIZER_IDS = {"pad": 0, "cls": 2, "sep": 3, "mask": 4}


def model_of(layers, width, heads, vocabulary=5000):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    return BertForSequenceClassification(config).eval()


def sentences(count, lengths, seed=0):
    """ids and mask (count, longest); lengths drawn uniformly from the given pair."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(lengths[0], lengths[1] + 1, size=count)
    ids = np.zeros((count, sizes.max()), dtype=np.int64)
    for row, size in enumerate(sizes):
        ids[row, :size] = draw.integers(5, 5000, size=size)
        ids[row, 0], ids[row, size - 1] = TOKENIZER_IDS["cls"], TOKENIZER_IDS["sep"]
    ids = torch.from_numpy(ids)
    return ids, (ids != 0).long()


def ratios(base, others, repeats):
    """Median seconds of `base`, and of each of the others over it, measured in turn."""
    times = {name: [] for name in ["base", *others]}
    for _ in range(repeats + 1):
        for name, call in [("base", base), *others.items()]:
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    # The first round warms caches and allocators.
    unit = statistics.median(times["base"][1:])
    return unit, {name: statistics.median(times[name][1:]) / unit for name in others}


def plain(model, ids, mask):
    model.set_attn_implementation("eager")

    def call():
        with torch.no_grad():
            model(input_ids=ids, attention_mask=mask, output_attentions=True)

    return call


def attribution_costs(model, batch, lengths, readouts, repeats):
    ids, mask = sentences(batch, lengths)
    calls = {
        readout: lambda readout=readout: attribute(
            model, ids, mask, method=readout, tokenizer_ids=TOKENIZER_IDS
        )
        for readout in readouts
    }
    return ratios(plain(model, ids, mask), calls, repeats)


def ig_cost(model, repeats):
    """100 steps over 100 plain forward-backward passes of the same batch (word embeddings, frozen weights)."""
    ids, mask = sentences(32, (22, 22))
    for weight in model.parameters():
        weight.requires_grad_(False)

    def passes():
        for _ in range(100):
            words = model.get_input_embeddings()(ids).requires_grad_(True)
            logits = model(inputs_embeds=words, attention_mask=mask).logits
            torch.autograd.grad(logits.softmax(-1)[:, 1].sum(), words)

    _, found = ratios(
        passes,
        {"ig": lambda: attribute(model, ids, mask, method="ig_l2", target=1, tokenizer_ids=TOKENIZER_IDS)},
        repeats,
    )
    return found["ig"]


def curve_speed(model, repeats):
    """Comp and suff bins of 128 sentences: the engine over the same deletions one at a time, both sdpa."""
    ids, mask = sentences(128, (10, 38), seed=1)
    scores = torch.from_numpy(np.random.default_rng(2).random(ids.shape).astype(np.float32))
    settings = {"position": 0, "agreement": False}
    requests = [
        Request(
            ids[row, :length].numpy(),
            orders(scores[row, :length], **settings, seed=row)[0],
            "standard",
            kind,
            **settings,
            mask_id=TOKENIZER_IDS["mask"],
        )
        for row, length in enumerate(mask.sum(-1).tolist())
        for kind in ("comp", "suff")
    ]
    model.set_attn_implementation("sdpa")

    def engine():
        for kind in ("comp", "suff"):
            curves(
                model,
                ids,
                mask,
                scores,
                protocol="standard",
                kind=kind,
                tokenizer_ids=TOKENIZER_IDS,
                target=1,
            )

    def one_at_a_time():
        with torch.inference_mode():
            for request in requests:
                for given, _, _ in request.perturbed(request.orders[0]):
                    model(input_ids=torch.from_numpy(given)[None])

    _, found = ratios(engine, {"one at a time": one_at_a_time}, repeats)
    return found["one at a time"]


# ------------------------------------------------------------------------------- useful work of long texts


def useful_flops(length, config):
    """Multiplications and additions of the matrix products of one row without padding, attention's n^2 included."""
    width = config.hidden_size
    linear = length * (4 * width * width + 2 * width * config.intermediate_size)
    return 2 * config.num_hidden_layers * (linear + 2 * length * length * width)


def long_texts(count, seed=3):
    """Token ids (NumPy) of texts as long as IMDb's under the published limit: 60 to 200 tokens, mean about 150."""
    draw = np.random.default_rng(seed)
    lengths = (60 + 140 * draw.beta(3.0, 1.7, size=count)).astype(int)
    return [np.concatenate([[2], draw.integers(5, 5000, size=length - 2), [3]]) for length in lengths]


def perturbed(model, texts, scores, token_budget=None):
    """Comp and suff bins of the texts as a faithfulness job makes them, scores included; returns the `Passes`."""
    passes, requests = Passes(), []
    for ids, row in zip(texts, scores, strict=True):
        full, (found, _) = passes.add(ids), orders(row, position=0, agreement=False, seed=0)
        for kind in KINDS:
            request = Request(ids, found, "standard", kind, position=0, agreement=False, mask_id=4)
            requests.append((full, request.add_to(passes)))
    logits = passes.run(model, TOKENIZER_IDS["pad"], token_budget)
    found = [request.curve(probabilities(logits[request.numbers], 1)) for _, request in requests]
    aopc(found, probabilities(logits[[full for full, _ in requests]], 1), "standard")
    return passes


def seconds(call, clock):
    start = clock()
    result = call()
    return clock() - start, result


def unpadded(model, length, tokens, packed, clock):
    """Seconds of one batch of equal lengths, about `tokens` positions: transformers as it is, or with packed weights."""
    ids = torch.randint(5, 5000, (max(1, tokens // length), length))
    with torch.inference_mode():
        if not packed:
            model.set_attn_implementation("sdpa")
            return seconds(lambda: model(input_ids=ids), clock)[0] / len(ids)
        with undisturbed(model, "sdpa"):
            return seconds(lambda: model(input_ids=ids), clock)[0] / len(ids)


def matmul_rates(clock, size=2048):
    """GFLOP/s of a square fp32 product: torch's own, and oneDNN's with a packed weight where there is one."""
    one, other = torch.rand(size, size), torch.rand(size, size)
    calls = {"torch": lambda: one @ other}
    if available(other):
        weight = torch.ops.mkldnn._reorder_linear_weight(other)
        calls["packed"] = lambda: torch.ops.mkldnn._linear_pointwise(one, weight, None, "none", [], "")
    with torch.inference_mode():
        times = {name: min(seconds(call, clock)[0] for _ in range(4)) for name, call in calls.items()}
    return {name: 2 * size**3 / time_ / 1e9 for name, time_ in times.items()}


def useful_work(model, repeats, threads, count=64):
    """Useful GFLOP/s of perturbation passes over long texts, and of one unpadded batch of the same lengths.

    The latter: for lengths that stand for equal shares of the work, one batch of rows of that length each;
    their harmonic mean. The best of several batch sizes, with plain and with packed weights.
    """
    # One thread's own time: another job on the core then slows both sides alike.
    clock = time.process_time if threads == 1 else time.perf_counter
    texts = long_texts(count)
    scores = [np.random.default_rng(row).random(len(ids)).astype(np.float32) for row, ids in enumerate(texts)]
    passes = perturbed(model, texts, scores)  # warms up
    work = passes.work.rates()
    lengths = np.sort([len(ids) for ids in passes.sequences])
    flops = np.array([useful_flops(length, model.config) for length in lengths])
    shares = np.cumsum(flops) / flops.sum()
    chosen = [int(lengths[np.searchsorted(shares, (part + 0.5) / 8)]) for part in range(8)]
    kinds = [(packed, tokens) for packed in (False, True) for tokens in (512, 2048)]
    engine, batch, ratio = [], {kind: [] for kind in kinds}, []
    for _ in range(repeats):
        engine.append(flops.sum() / seconds(lambda: perturbed(model, texts, scores), clock)[0] / 1e9)
        for packed, tokens in kinds:
            per_flop = [
                unpadded(model, length, tokens, packed, clock) / useful_flops(length, model.config)
                for length in chosen
            ]
            batch[packed, tokens].append(1 / np.mean(per_flop) / 1e9)
        ratio.append(engine[-1] / max(found[-1] for found in batch.values()))
    best = max(kinds, key=lambda kind: statistics.median(batch[kind]))
    return {
        "engine_gflops": statistics.median(engine),
        "batch_gflops": statistics.median(batch[best]),
        "ratio": statistics.median(engine) / statistics.median(batch[best]),
        "ratio_range": [min(ratio), max(ratio)],
        "best_batch": f"{'packed' if best[0] else 'plain'} weights, {best[1]} tokens",
        "plain_gflops": max(statistics.median(batch[kind]) for kind in kinds if not kind[0]),
        **{name: work[name] for name in ("padding_share", "duplicates_share")},
        **{f"matmul_{name}_gflops": rate for name, rate in matmul_rates(clock).items()},
    }


def alti_memory():
    """Peak memory in GB of ALTI on 12 layers, 768 wide, 8 sentences of 200 tokens, in a process of its own."""
    code = (
        "import resource, bench, torch\n"
        "torch.set_num_threads(1)\n"
        "ids, mask = bench.sentences(8, (200, 200))\n"
        "bench.attribute(bench.model_of(12, 768, 12, 30522), ids, mask, method='alti')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)"
    )
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join([str(here), str(here.parent / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    minilm = model_of(6, 384, 12)
    numbers = {}
    every = ["alti", "alti_l2", "alti_ln2", "norm_rollout", "globenc", "raw_attention", "rollout", "grad_l2"]
    for length, readouts in (
        (22, every),
        (128, ["alti", "norm_rollout", "rollout"]),
        (256, ["alti", "norm_rollout"]),
    ):
        unit, found = attribution_costs(minilm, 32, (length, length), readouts, options.repeats)
        print(f"32 sentences of {length} tokens; one forward pass: {unit:.3f} s", flush=True)
        for readout, ratio in found.items():
            print(f"  {readout:<16}{ratio:6.2f} forward passes", flush=True)
            numbers[f"{readout}@{length}"] = ratio
    numbers["ig"] = ig_cost(minilm, max(2, options.repeats // 2))
    print(f"ig, 100 steps: {numbers['ig']:.2f} x 100 forward-backward passes", flush=True)
    numbers["curves"] = curve_speed(minilm, max(2, options.repeats // 2))
    print(
        f"perturbation curves: {numbers['curves']:.2f} times faster than one deletion at a time", flush=True
    )
    found = numbers["useful"] = useful_work(minilm, max(2, options.repeats // 2), options.threads)
    low, high = found["ratio_range"]
    print(
        f"perturbation passes over texts of about 150 tokens: {found['engine_gflops']:.0f} useful GFLOP/s, "
        f"{found['ratio']:.2f} ({low:.2f} to {high:.2f}) of one unpadded batch of the same lengths, "
        f"{found['batch_gflops']:.0f} ({found['best_batch']}; plain weights {found['plain_gflops']:.0f})"
    )
    print(
        f"  padding {found['padding_share']:.1%} of the positions, duplicates {found['duplicates_share']:.1%}"
    )
    rates = {
        name: found[f"matmul_{name}_gflops"]
        for name in ("torch", "packed")
        if f"matmul_{name}_gflops" in found
    }
    print(
        "  fp32 matmul of this machine, GFLOP/s: " + ", ".join(f"{k} {v:.0f}" for k, v in rates.items()),
        flush=True,
    )
    numbers["alti_memory"] = alti_memory()
    print(
        f"alti, 12 layers, 768 wide, 8 x 200 tokens: {numbers['alti_memory']:.2f} GB at its peak", flush=True
    )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(numbers, out, indent=2)


if __name__ == "__main__":
    main()
