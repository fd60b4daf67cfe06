"""Attention flow against networkx's maximum flow, pair by pair: `make bench`.

12 layers, 64 tokens, the flows to the last layer's nodes, of seeded attention that is diffuse (random BERT-like logits) or
peaked. networkx runs on a sample of pairs by its default algorithm, and on the first of them by Edmonds and Karp's, which the
reference's tool file names; the graph is built once for all pairs. Ratios of mean seconds a pair in one run; values are compared pair by
pair. 128 tokens are measured too, without networkx.
"""

import argparse
import json
import time

import numpy as np

LAYERS, HEADS = 12, 12
# Standard deviation of the attention logits.
SPREADS = {"diffuse": 1.0, "peaked": 4.0}


def mixed(tokens, spread, seed=0):
    """A'_l of seeded attention: float64 (layers, tokens, tokens)."""
    logits = spread * np.random.default_rng(seed).normal(size=(LAYERS, HEADS, tokens, tokens))
    attention = np.exp(logits - logits.max(-1, keepdims=True))
    attention /= attention.sum(-1, keepdims=True)
    return (attention.mean(1) + np.eye(tokens)) / 2


def graph(matrices):
    """The flow network as a networkx graph: node (l + 1, i) to (l, j) with capacity A'_l[i, j]."""
    import networkx

    tokens = matrices.shape[-1]
    made = networkx.DiGraph()
    made.add_edges_from(
        ((layer + 1, i), (layer, j), {"capacity": matrices[layer, i, j]})
        for layer in range(len(matrices))
        for i in range(tokens)
        for j in range(tokens)
    )
    return made


def by_networkx(matrices, pairs):
    """(seconds a pair by algorithm, the flows of the pairs)."""
    import networkx
    from networkx.algorithms import flow

    made, seconds = graph(matrices), {}
    for name, chosen in (("edmonds_karp", pairs[:1]), ("preflow_push", pairs)):
        start = time.perf_counter()
        ends = [((len(matrices), i), (0, j)) for i, j in chosen]
        found = [networkx.maximum_flow_value(made, *pair, flow_func=getattr(flow, name)) for pair in ends]
        seconds[name] = (time.perf_counter() - start) / len(chosen)
    return seconds, np.array(found)


def main():
    from plumbline.attribution.flow import flows

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--json")
    options = parser.parse_args()
    numbers = {}
    for name, spread in SPREADS.items():
        matrices = mixed(64, spread)
        start = time.perf_counter()
        ours = flows(matrices)
        whole = time.perf_counter() - start
        pairs = np.random.default_rng(1).integers(0, 64, size=(options.pairs, 2)).tolist()
        seconds, found = by_networkx(matrices, pairs)
        apart = float(np.abs(found - [ours[i, j] for i, j in pairs]).max())
        start = time.perf_counter()
        flows(mixed(128, spread), [0])
        longer = time.perf_counter() - start
        numbers[name] = {
            "seconds": whole,
            "a_pair": whole / ours.size,
            "networkx": seconds,
            "ratio": {key: value * ours.size / whole for key, value in seconds.items()},
            "largest_difference": apart,
            "seconds_128_a_source": longer,
        }
        times = ", ".join(
            f"{key} {value:.2f} s a pair, {value * ours.size / whole:.0f} times slower"
            for key, value in seconds.items()
        )
        print(
            f"{name}, 64 tokens: {whole:.1f} s for all 4,096 pairs, {1e3 * whole / ours.size:.2f} ms a pair; networkx: {times} "
            f"(values within {apart:.0e}); 128 tokens: {longer:.1f} s for one source's 128 pairs",
            flush=True,
        )
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(numbers, out, indent=2)


if __name__ == "__main__":
    main()
